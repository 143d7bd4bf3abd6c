"""Reads mail back from a Maildir, as strictly as Python's `email` can: every defect is an error."""

import email
import email.policy
import time
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

# RFC 5322 section 2.1.1: characters of a line, without its end.
LONGEST_LINE = 998


class Defective(AssertionError):
    """The mail breaks a rule of the standards."""


@dataclass
class Mail:
    """A mail as it lies in the mailbox: the server has put its own headers in front."""

    raw: bytes
    message: EmailMessage

    @property
    def subject(self):
        return str(self.message["Subject"])

    @property
    def from_(self):
        """The bare addresses of From."""
        return [address.addr_spec for address in self.message["From"].addresses]

    @property
    def to(self):
        return [address.addr_spec for address in self.message["To"].addresses]

    @property
    def envelope_sender(self):
        """What the server was told at MAIL FROM."""
        return str(self.message["Return-Path"]).strip().strip("<>")

    @property
    def over_tls(self):
        """Did it come over TLS and after a login? (RFC 3848: ESMTPSA)"""
        return " with ESMTPSA " in " ".join(str(self.message["Received"]).split())

    @property
    def text(self):
        return self._body("plain")

    @property
    def html(self):
        return self._body("html")

    @property
    def attachments(self):
        """File name → bytes."""
        found = {}
        for part in self.message.iter_attachments():
            name = part.get_filename()
            assert name not in found, f"two attachments are named {name!r}"
            found[name] = part.get_payload(decode=True)
        return found

    def _body(self, kind):
        part = self.message.get_body(preferencelist=(kind,))
        assert part is not None, f"no text/{kind} body in:\n{structure(self.message)}"
        return part.get_content()


def parse(raw):
    """Parses and visits everything, so that no defect hides in a part that nobody reads."""
    check_lines(raw)
    try:
        message = email.message_from_bytes(raw, policy=email.policy.strict)
        for part in message.walk():
            for name, value in part.items():
                defects = [d for d in value.defects if not is_encoded_name(name, value, d)]
                if defects:
                    raise Defective(f"header {name}: {value!r}: {defects}")
            for name, value in part.raw_items():
                if not str(value).isascii():
                    raise Defective(f"header {name} isn't ASCII: {value!r}")
            if not part.is_multipart():
                check_leaf(part)
            if part.defects:
                raise Defective(f"{part.get_content_type()}: {part.defects}")
    except (email.errors.MessageError, email.errors.MessageDefect) as error:
        raise Defective(f"{type(error).__name__}: {error}") from error
    check_headers(message)
    return Mail(raw, message)


def is_encoded_name(name, value, defect):
    """A file's name that isn't ASCII stands as encoded words in Content-Type too: RFC 2047 section 5 forbids
    it, and older Outlook, Foxmail and QQ read only that. Content-Disposition has it by the standard."""
    known = ("encoded word inside quoted string", "missing trailing whitespace after encoded-word")
    return name == "Content-Type" and "name" in value.params and str(defect) in known


def check_leaf(part):
    """The content can be decoded, and is what Content-Transfer-Encoding says (RFC 2045 section 6)."""
    part.get_content()
    encoding = str(part.get("Content-Transfer-Encoding", "7bit")).lower()
    if encoding != "8bit" and not part.get_payload().isascii():
        raise Defective(f"{part.get_content_type()} has 8-bit bytes, its encoding is {encoding}")


def check_lines(raw):
    for number, line in enumerate(raw.split(b"\n"), start=1):
        if len(line) > LONGEST_LINE:
            raise Defective(f"line {number} has {len(line)} bytes: {line[:60]!r}…")
        # A Maildir has bare LF where the wire had CRLF: a CR that is left was a stray or a double.
        for bad in (b"\r", b"\0"):
            if bad in line:
                raise Defective(f"line {number} contains {bad!r}: {line[:60]!r}")


def check_headers(message):
    """RFC 5322 section 3.6: exactly one of each of these; RFC 2045 section 4: MIME-Version."""
    for name in ("From", "Date", "Message-ID", "Subject", "MIME-Version"):
        count = len(message.get_all(name, []))
        if count != 1:
            raise Defective(f"{count} headers {name}")
    if message["Date"].datetime is None:
        raise Defective(f"Date: {message['Date']}")


def structure(message, depth=0):
    line = "  " * depth + message.get_content_type() + "\n"
    parts = message.iter_parts() if message.is_multipart() else ()
    return line + "".join(structure(part, depth + 1) for part in parts)


def files(maildir):
    """The delivered files, in order of arrival."""
    found = [path for folder in ("new", "cur") for path in (Path(maildir) / folder).iterdir()]
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))


def mails(maildir):
    return [parse(path.read_bytes()) for path in files(maildir)]


def wait_for(maildir, count, timeout=30):
    """The mails, when there are `count` at least; more are returned too, for the caller to object.

    To be sure that no more come, let the server settle first (`Servers.settle`)."""
    end = time.monotonic() + timeout
    while len(files(maildir)) < count:
        if time.monotonic() > end:
            raise AssertionError(f"{len(files(maildir))} mails in {maildir} after {timeout} s, not {count}")
        time.sleep(0.02)
    return mails(maildir)


def clear(maildir):
    """Empties it."""
    for path in files(maildir):
        path.unlink()
