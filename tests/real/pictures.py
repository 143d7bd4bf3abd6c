#!/usr/bin/env python3
"""Makes the pictures and texts of docs/ anew, from mails that went through the real QQ-like server.

    cargo build && tests/real/install.sh
    target/test-venv/bin/pip install pillow==12.0.0
    target/test-venv/bin/python tests/real/pictures.py      (as root)
    target/test-venv/bin/python tests/real/pictures.py gallery      (docs/pictures alone, as anybody)

docs/mail-{success,failure,killed,zh}.png show the HTML part as a phone does, docs/mail-*.txt are
the text parts; docs/pictures has recorded cases as wide and as dark as they may be shown. Host and user are made up (only a debug build takes a host's name), and the folder is
a /home that nobody else sees; the rest is what the program said of the trainings.
"""

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import browser
import harness
import mailbox
import test_mail_in_browser
from PIL import Image

HERE = Path(__file__).resolve().parent
DOCS = harness.ROOT / "docs"
VENV = harness.ROOT / "target" / "test-venv"
WIDTH = 360
LARGEST_FILE = 300_000
LARGEST_GALLERY = 1_200_000
# In a mount namespace of its own: $1 becomes /home, and $2 the venv in it.
INSIDE = 'mount --bind "$2" "$1/ann/venv" && mount --rbind "$1" /home && shift 2 && cd ~/digits && exec "$@"'


@dataclass
class Picture:
    name: str
    options: list
    kill: bool = False
    env: dict = field(default_factory=dict)


# Recorded cases (tests/render/cases.rs): width, surroundings.
GALLERY = [
    *(("exit_code.en", width, scheme) for width in (360, 600, 1200) for scheme in ("light", "dark")),
    *(("further_up.zh", 360, scheme) for scheme in ("light", "dark")),
    *(("coloured.en", 600, scheme) for scheme in ("light", "dark")),
    *(("success.zh", 600, scheme) for scheme in ("light", "dark")),
    ("ci.en", 600, "light"),
    ("interrupted.zh", 360, "light"),
]
INVERTED = [("exit_code.zh", 360), ("coloured.en", 600)]
PICTURES = [
    Picture("success", []),
    Picture("failure", ["--fail-at", "5"]),
    Picture("killed", ["--hang-at", "9"], kill=True),
    Picture("zh", ["--fail-at", "5"], env={"LANG": "zh_CN.UTF-8"}),
]


def furnish(place, servers):
    """A home for Ann below `place`, with all that she needs: the machine's own /home is hidden."""
    home = place / "ann"
    for folder in ("digits", "venv", "bin", ".config/notify-done"):
        (home / folder).mkdir(parents=True)
    shutil.copy(HERE / "train.py", home / "digits")
    shutil.copy(harness.binary(), home / "bin" / "notify-done")
    settings = home / ".config" / "notify-done"
    shutil.copy(servers.ca_file, settings / "ca.pem")
    login = servers["qq"]["accounts"][0]
    text = harness.account(
        "qq", login["address"], login["code"], servers["qq"]["ports"]["implicit"], ca_file="ca.pem"
    )
    (settings / "notify.toml").touch(mode=0o600)
    (settings / "notify.toml").write_text(text)
    return login


def mail_of(picture, place, servers, login):
    """Runs the training under the program; the one mail that came."""
    mailbox.clear(login["maildir"])
    env = {
        "HOME": "/home/ann", "USER": "ann", "LANG": "C.UTF-8", "TZ": "Asia/Shanghai",
        "PATH": "/home/ann/venv/bin:/home/ann/bin:/usr/bin:/bin", "NOTIFY_DONE_TEST_HOST": "gpu07",
        "OMP_NUM_THREADS": "1", **picture.env,
    }  # fmt: skip
    inside = ["unshare", "--mount", "sh", "-c", INSIDE, "sh", str(place), str(VENV)]
    command = ["notify-done", "--", "python", "train.py", *picture.options]
    child = subprocess.Popen(
        inside + command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    if picture.kill:
        while line := child.stdout.readline():
            if line == b"waiting\n":
                os.kill(training_below(child.pid), signal.SIGKILL)
    _, said = child.communicate(timeout=harness.LIMIT_SECONDS)
    servers.settle("qq")
    mails = mailbox.mails(login["maildir"])
    if len(mails) != 1:
        sys.exit(f"{picture.name}: {len(mails)} mails; stderr:\n{said.decode(errors='replace')}")
    return mails[0]


def training_below(ancestor):
    """The process under `ancestor` that runs train.py."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    parents = {int(pid): int(parent) for pid, parent, *_ in rows}
    for pid, _, arguments in rows:
        above = int(pid)
        while above in parents and above != ancestor:
            above = parents[above]
        if above == ancestor and arguments.startswith("python train.py"):
            return int(pid)
    sys.exit("the training isn't there")


def write(shot, target):
    """Writes a picture with few colours: a palette makes it a third."""
    image = Image.open(io.BytesIO(shot)).convert("RGB")
    image.quantize(128, dither=Image.Dither.NONE).save(target, optimize=True)
    if target.stat().st_size > LARGEST_FILE:
        sys.exit(f"{target.name} is {target.stat().st_size} bytes, more than {LARGEST_FILE}")


def shoot(shown, html, target):
    """Writes `html` as a phone shows it."""
    with tempfile.TemporaryDirectory(prefix="nd-shot-") as place:
        page = Path(place) / "mail.html"
        page.write_text(html)
        shown.surround(WIDTH, 640, "light", scale=2)
        shown.open(page)
        write(shown.picture(), target)


def inline_only(html):
    """What a client has left that drops `<style>` and asks nobody about dark surroundings."""
    return re.sub(r"<style>.*?</style>|<meta name=\"(supported-)?color-scheme(s)?\"[^>]*>", "", html)


def gallery():
    """docs/pictures: recorded cases in different surroundings."""
    folder = DOCS / "pictures"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    pages = {page.name: page for page in test_mail_in_browser.pages()}
    with browser.Browser() as shown:
        for name, width, scheme in GALLERY:
            shown.surround(width, 640, scheme)
            shown.open(pages[f"{name}.html"])
            write(shown.picture(), folder / f"{name}-{width}-{scheme}.png")
    # As some apps turn a light mail dark by themselves.
    with browser.Browser("--enable-features=WebContentsForceDark") as shown:
        for name, width in INVERTED:
            with tempfile.TemporaryDirectory(prefix="nd-shot-") as place:
                page = Path(place) / "mail.html"
                page.write_text(inline_only(pages[f"{name}.html"].read_text()))
                shown.surround(width, 640, "light")
                shown.open(page)
                write(shown.picture(), folder / f"{name}-{width}-inverted.png")
    size = sum(picture.stat().st_size for picture in folder.iterdir())
    if size > LARGEST_GALLERY:
        sys.exit(f"docs/pictures has {size} bytes, more than {LARGEST_GALLERY}")
    print(f"docs/pictures: {size} bytes")


def main():
    if sys.argv[1:] == ["gallery"]:
        return gallery()
    if os.geteuid() != 0:
        sys.exit("pictures.py needs root, for a /home of its own")
    servers = harness.all_servers()
    try:
        with tempfile.TemporaryDirectory(prefix="nd-pictures-") as place, browser.Browser() as shown:
            login = furnish(Path(place), servers)
            for picture in PICTURES:
                mail = mail_of(picture, place, servers, login)
                (DOCS / f"mail-{picture.name}.txt").write_text(f"Subject: {mail.subject}\n\n{mail.text}")
                shoot(shown, mail.html, DOCS / f"mail-{picture.name}.png")
                print(f"docs/mail-{picture.name}: {mail.subject}")
    finally:
        harness.shut_down()
    gallery()


if __name__ == "__main__":
    main()
