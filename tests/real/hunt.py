"""Looks for authorization codes where none may be: in files, mails, and processes and their memory.

    hunt.py PID <NEEDLES     as root: JSON of what of NEEDLES (JSON: name → texts) the process has in memory

A code is looked for as it is, in hexadecimal, and in base64: as AUTH PLAIN and AUTH LOGIN have it, and
within longer texts at each of the three alignments; also where a line end or quoted-printable cut it.
"""

import base64
import email
import json
import os
import re
import subprocess
import sys
from pathlib import Path

LARGEST = 256 << 20


def forms(code, user):
    """Every form in which a code could be found."""
    raw = code.encode()
    found = {raw, raw.hex().encode(), base64.b64encode(raw), base64.b64encode(f"\0{user}\0{code}".encode())}
    for before in range(3):
        text = base64.b64encode(bytes(before) + raw)
        # The letters that hang on nothing but the code: of each 6 bits.
        first, last = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
        found.add(text[first:last])
    return sorted(found)


class Hunt:
    """What was looked for, what was searched, and what was found."""

    def __init__(self):
        # Name → forms.
        self.needles = {}
        self.files = self.bytes = self.processes = self.mails = 0
        self.found = []

    def look_for(self, name, code, user):
        self.needles[name] = forms(code, user)

    def search(self, where, data, but=()):
        """`but`: names that may be found here."""
        self.bytes += len(data)
        joined = re.sub(rb"=?\r?\n[ \t]?", b"", data)
        for name, texts in self.needles.items():
            if name not in but and any(text in data or text in joined for text in texts):
                self.found.append(f"{name} in {where}")

    def search_folder(self, place, but=()):
        """Every file below, names and links included, except those that are the user's own."""
        for path in sorted(Path(place).rglob("*")):
            self.search(f"the name {path}", os.fsencode(path))
            if path.is_symlink():
                self.search(f"the link {path}", os.fsencode(os.readlink(path)))
            elif path.is_file() and path not in but and path.stat().st_size <= LARGEST:
                self.files += 1
                self.search(path, path.read_bytes())

    def search_mail(self, data):
        self.mails += 1
        self.search("a mail", data)
        for part in parts(data):
            self.search("a part of a mail", part)

    def search_process(self, pid, but=()):
        """Its arguments and environment."""
        self.processes += 1
        for name in ("cmdline", "environ"):
            try:
                data = Path(f"/proc/{pid}/{name}").read_bytes()
            except PermissionError:
                data = subprocess.run(["sudo", "-n", "cat", f"/proc/{pid}/{name}"], capture_output=True, check=True).stdout
            except (FileNotFoundError, ProcessLookupError):
                continue
            self.search(f"{name} of {pid}", data, but)

    def memory_of(self, pid):
        """Name → in which parts of its memory a code is found. Of what is long only a part behind the
        beginning is looked for: when memory is freed the allocator writes over its first 16 bytes."""
        part = lambda text: text[16:40].decode() if len(text) >= 40 else text.decode()
        asked = json.dumps({name: [part(text) for text in texts] for name, texts in self.needles.items()})
        argv = [] if os.geteuid() == 0 else ["sudo", "-n"]
        done = subprocess.run([*argv, sys.executable, "-B", __file__, str(pid)], input=asked, capture_output=True, text=True, check=True)
        answer = json.loads(done.stdout)
        self.bytes += answer["bytes"]
        return answer["found"]


def parts(data):
    """What is in a mail, decoded."""
    return [part.get_payload(decode=True) or b"" for part in email.message_from_bytes(data).walk()]


def search_memory(pid, needles):
    found, total = {}, 0
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            bounds, rights, *_, inode = (parts := line.split(None, 5))[:5]
            name = parts[5] if len(parts) > 5 else "memory of its own"
            if "r" not in rights or name.startswith(("[vvar", "[vsyscall")) or (inode != "0" and "w" not in rights):
                continue
            begin, end = (int(bound, 16) for bound in bounds.split("-"))
            try:
                memory.seek(begin)
                data = memory.read(end - begin)
            except (OSError, ValueError):
                continue
            total += len(data)
            for code, texts in needles.items():
                for number, text in enumerate(texts):
                    count = data.count(text.encode())
                    if count:
                        found.setdefault(code, []).append(f"{count} × {len(text)} letters in {name}")
    return {"found": found, "bytes": total}


if __name__ == "__main__":
    print(json.dumps(search_memory(int(sys.argv[1]), json.load(sys.stdin))))
