"""What SpamAssassin makes of our mails, with the network's tests off: a provider's filter is no worse."""

import json
import os
import re
import subprocess
import tempfile
import unittest
from email import policy
from email.parser import BytesParser

import harness

# 5 is spam; what a mailing list gets is 1 to 2.
MOST = 1.0
# As the recipient's server and the account's write them, in front of what we wrote.
RECEIVED = (
    b"Received: from smtp.example.com (smtp.example.com [93.184.216.34])\n"
    b"\tby mx.example.net (Postfix) with ESMTPS id 4F0A11C0007\n"
    b"\tfor <ann@example.net>; %s\n"
    b"Received: from [127.0.0.1] (gpu.example.com [93.184.215.14])\n"
    b"\tby smtp.example.com (Postfix) with ESMTPSA id 4F0A11C0008\n"
    b"\tfor <ann@example.net>; %s\n"
)
TRACEBACK = (
    "import sys\nprint('epoch 1: loss 0.5')\n"
    "def main():\n    raise RuntimeError('CUDA out of memory. Tried to allocate 2.00 GiB')\nmain()"
)
LINES = "for n in range({}): print(f'step {{n:08}} loss {{(n * 7919) % 1000003}} lr 3e-4')"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c4944415408d763f8cfc000000301010018dd8db00000000049454e44ae426082"
)

# Options of ours and the command, by the kind of mail.
KINDS = {
    "success": ([], ["python3", "-c", LINES.format(200)]),
    "failure": ([], ["python3", "-c", TRACEBACK]),
    "signal": ([], ["sh", "-c", "echo begun; kill -SEGV $$"]),
    "oom": ([], ["sh", "-c", "echo begun; kill -KILL $$"]),
    "none": ([], ["true"]),
    "not found": ([], ["no-such-command"]),
    "note and tags": (["--note", "third try\nlarger batch", "--tag", "vit", "--title", "训练 ViT"], ["echo", "done"]),
    "zip": ([], ["python3", "-c", LINES.format(100_000)]),
    "huge": (["--config", "small.toml"], ["python3", "-c", LINES.format(100_000)]),
    "attach-file": (["--attach-file", "*.png", "--attach-file", "run.bat", "--attach-file", "gone"], ["echo", "done"]),
}


class SpamScoreTest(unittest.TestCase):
    """Needs no mail servers."""

    def setUp(self):
        place = tempfile.TemporaryDirectory(prefix="nd-home-")
        self.addCleanup(place.cleanup)
        self.box = harness.Sandbox(place.name)
        # Nobody listens there, and nothing is to be sent.
        account = (
            '[accounts.own]\naddress = "ann@example.com"\nauth_code = "abcdefghijklmnop"\n'
            'host = "127.0.0.1"\nport = 9\ntls = "none"\n'
        )
        self.box.write_config(account)
        small = self.box.home / "small.toml"
        small.touch(mode=0o600)
        small.write_text('[log]\nmax_attachment = "500 KiB"\n' + account)
        (self.box.home / "损失曲线.png").write_bytes(PNG)
        (self.box.home / "run.bat").write_bytes(b"echo hi\r\n")

    def make(self, kind, lang):
        """The mail as its recipient's server sees it."""
        options, command = KINDS[kind]
        self.box.run("-q", "--lang", lang, "--wait", "0s", *options, "--", *command)
        shown = json.loads(self.box.run("runs", "show", "--json").stdout)
        if kind == "oom":
            (record,) = (self.box.state / "runs").glob(f"{shown['id']}/run.json")
            document = json.loads(record.read_text())
            self.assertIn("out_of_memory", record.read_text())
            put(document, "out_of_memory", {"kills": 1, "limit": 64 << 20})
            record.write_text(json.dumps(document))
        done = self.box.run("preview", "--eml")
        self.assertEqual(done.status, 0, str(done))
        with open(done.stdout.decode().splitlines()[2], "rb") as file:
            raw = file.read().replace(b"\r\n", b"\n")
        date = str(BytesParser(policy=policy.default).parsebytes(raw)["Date"]).encode()
        return RECEIVED % (date, date) + raw

    def test_each_mail_is_no_spam(self):
        """Catches: a header, an encoding or a layout that filters take offence at."""
        self.maxDiff = None
        scores, hits = {}, {}
        for kind in KINDS:
            for lang in ("en", "zh"):
                status = self.judge(self.make(kind, lang))
                scores[f"{kind}, {lang}"] = float(re.search(r"score=(-?[\d.]+)", status)[1])
                hits[f"{kind}, {lang}"] = re.search(r"tests=(\S*)", status)[1]
        for name, score in scores.items():
            print(f"{score:5.1f}  {name}: {hits[name]}")
        over = {name: (score, hits[name]) for name, score in scores.items() if score >= MOST}
        self.assertEqual(over, {})

    def judge(self, raw):
        env = {**os.environ, "HOME": str(self.box.home), "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            ["spamassassin", "-L", "-t"], input=raw, capture_output=True, env=env, timeout=harness.LIMIT_SECONDS
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        judged = BytesParser(policy=policy.compat32).parsebytes(done.stdout)
        return re.sub(r",\s+", ",", judged["X-Spam-Status"]).replace("\n\t", " ")


def put(document, key, value):
    """Wherever it is in the document."""
    if isinstance(document, dict):
        if key in document:
            document[key] = value
        for inner in document.values():
            put(inner, key, value)
