"""Reads a mail as it was on the wire from stdin, prints what Python's strict parser makes of it."""

import base64
import hashlib
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "real"))
sys.dont_write_bytecode = True

import mailbox  # noqa: E402  (ours, beside servers.py)


def describe(part):
    content = part.get_payload(decode=True) or b""
    return {
        "content_type": part.get_content_type(),
        "encoding": str(part.get("Content-Transfer-Encoding", "7bit")).lower(),
        "disposition": part.get_content_disposition(),
        "filename": part.get_filename(),
        "headers": [[name, str(value)] for name, value in part.items()],
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "base64": base64.b64encode(content).decode(),
    }


def main():
    wire = sys.stdin.buffer.read()
    if wire.count(b"\n") != wire.count(b"\r\n") or wire.count(b"\r") != wire.count(b"\r\n"):
        sys.exit("a CR or LF isn't part of a CRLF")
    try:
        mail = mailbox.parse(wire.replace(b"\r\n", b"\n"))
    except mailbox.Defective as error:
        sys.exit(f"defective: {error}")
    leaves = [part for part in mail.message.walk() if not part.is_multipart()]
    bodies = {kind: mail.message.get_body(preferencelist=(kind,)) for kind in ("plain", "html")}
    document = {
        "headers": [[name, str(value)] for name, value in mail.message.items()],
        "subject": mail.subject,
        "from": mail.from_,
        "to": mail.to if "To" in mail.message else [],
        "structure": mailbox.structure(mail.message),
        "text": bodies["plain"] and bodies["plain"].get_content(),
        "html": bodies["html"] and bodies["html"].get_content(),
        "parts": [describe(part) for part in leaves],
    }
    json.dump(document, sys.stdout)


main()
