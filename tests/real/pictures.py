#!/usr/bin/env python3
"""Makes the pictures and texts of docs/ anew, from mails that went through the real QQ-like server.

    cargo build && tests/real/install.sh
    target/test-venv/bin/pip install pillow==12.0.0
    target/test-venv/bin/python tests/real/pictures.py      (as root; needs Chromium)

docs/mail-{success,failure,killed,zh}.png show the HTML part as a phone does, docs/mail-*.txt are
the text parts. Host and user are made up (only a debug build takes a host's name), and the folder is
a /home that nobody else sees; the rest is what the program said of the trainings.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import harness
import mailbox
from PIL import Image, ImageChops

HERE = Path(__file__).resolve().parent
DOCS = harness.ROOT / "docs"
VENV = harness.ROOT / "target" / "test-venv"
WIDTH = 360
# Taller than any of the mails: what is empty is cut off.
TALLEST = 3000
MARGIN = 16
LARGEST_FILE = 300_000
# In a mount namespace of its own: $1 becomes /home, and $2 the venv in it.
INSIDE = 'mount --bind "$2" "$1/ann/venv" && mount --rbind "$1" /home && shift 2 && cd ~/digits && exec "$@"'


@dataclass
class Picture:
    name: str
    options: list
    kill: bool = False
    env: dict = field(default_factory=dict)


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


def shoot(html, target):
    """Writes `html` as a phone shows it, without the empty space below."""
    with tempfile.TemporaryDirectory(prefix="nd-shot-") as place:
        page, shot = Path(place) / "mail.html", Path(place) / "shot.png"
        page.write_text(html)
        subprocess.run(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
             "--no-first-run", "--disable-background-networking", "--disable-component-update",
             "--disable-sync", f"--user-data-dir={place}/profile", f"--screenshot={shot}",
             "--force-device-scale-factor=2", f"--window-size={WIDTH},{TALLEST}", page.as_uri()],
            check=True, capture_output=True, timeout=harness.LIMIT_SECONDS,
        )  # fmt: skip
        image = Image.open(shot).convert("RGB")
    background = Image.new("RGB", image.size, image.getpixel((0, image.height - 1)))
    bottom = ImageChops.difference(image, background).getbbox()[3]
    if bottom >= image.height:
        sys.exit(f"{target.name}: the mail is taller than {TALLEST} px")
    image = image.crop((0, 0, image.width, bottom + 2 * MARGIN))
    # Few colours are in it: a palette makes it a third.
    image.quantize(128, dither=Image.Dither.NONE).save(target, optimize=True)
    if target.stat().st_size > LARGEST_FILE:
        sys.exit(f"{target.name} is {target.stat().st_size} bytes, more than {LARGEST_FILE}")


def main():
    if os.geteuid() != 0:
        sys.exit("pictures.py needs root, for a /home of its own")
    servers = harness.all_servers()
    try:
        with tempfile.TemporaryDirectory(prefix="nd-pictures-") as place:
            login = furnish(Path(place), servers)
            for picture in PICTURES:
                mail = mail_of(picture, place, servers, login)
                (DOCS / f"mail-{picture.name}.txt").write_text(f"Subject: {mail.subject}\n\n{mail.text}")
                shoot(mail.html, DOCS / f"mail-{picture.name}.png")
                print(f"docs/mail-{picture.name}: {mail.subject}")
    finally:
        harness.shut_down()


if __name__ == "__main__":
    main()
