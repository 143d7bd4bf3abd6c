"""Proves the servers by Python's smtplib: a test that passes against them means something."""

import smtplib
import socket
import ssl
import unittest
from email.message import EmailMessage

import harness
import mailbox

TLS_ERROR = ssl.SSLCertVerificationError


def letter(login, subject="Grüße from a test", to=None, body="hällo\n", log=bytes(range(256))):
    message = EmailMessage()
    message["From"] = login["address"]
    message["To"] = to or login["address"]
    message["Subject"] = subject
    message["Date"] = "Sat, 21 Nov 2026 03:00:00 +0000"
    message["Message-ID"] = "<1@example.com>"
    message.set_content(body)
    message.add_alternative(f"<p>{body}</p>\n", subtype="html")
    message.add_attachment(log, maintype="application", subtype="octet-stream", filename="log.txt")
    return message


class ServersTest(harness.RealTest):
    def connect(self, name, port="implicit"):
        server = self.servers[name]
        context = ssl.create_default_context(cafile=self.servers.ca_file)
        number = server["ports"][port]
        if port == "starttls":
            client = smtplib.SMTP(server["host"], number, timeout=20)
            self.addCleanup(client.close)
            client.starttls(context=context)
        else:
            client = smtplib.SMTP_SSL(server["host"], number, context=context, timeout=20)
            self.addCleanup(client.close)
        return client

    def login(self, name, port="implicit", which=0):
        client = self.connect(name, port)
        login = self.servers[name]["accounts"][which]
        client.login(login["address"], login["code"])
        return client, login

    def test_mail_is_read_back_from_each_port(self):
        for name, port in (("qq", "implicit"), ("qq", "starttls"), ("163", "implicit"), ("163", "starttls")):
            with self.subTest(name=name, port=port):
                client, login = self.login(name, port)
                mailbox.clear(login["maildir"])
                client.send_message(letter(login))
                client.quit()
                mail = self.mails(name, login, 1)[0]
                self.assertEqual(mail.subject, "Grüße from a test")
                self.assertEqual((mail.from_, mail.to), ([login["address"]], [login["address"]]))
                self.assertEqual(mail.envelope_sender, login["address"])
                self.assertEqual((mail.text, mail.html), ("hällo\n", "<p>hällo\n</p>\n"))
                self.assertEqual(mail.attachments, {"log.txt": bytes(range(256))})
                self.assertTrue(mail.over_tls)

    def test_auth_login_works_too(self):
        client = self.connect("qq")
        client.ehlo()
        client.esmtp_features["auth"] = "LOGIN"
        login = self.servers["qq"]["accounts"][1]
        self.assertEqual(client.login(login["address"], login["code"])[0], 235)

    def test_qq_says_what_qq_says(self):
        client = self.connect("qq")
        client.ehlo()
        self.assertEqual(client.esmtp_features["size"], "73400320")
        self.assertLessEqual({"LOGIN", "PLAIN"}, set(client.esmtp_features["auth"].split()))
        self.assertIn("pipelining", client.esmtp_features)
        self.assertNotIn("starttls", client.esmtp_features)

    def test_163_says_no_size(self):
        client = self.connect("163", "starttls")
        client.ehlo()
        self.assertNotIn("size", client.esmtp_features)
        self.assertNotIn("smtputf8", client.esmtp_features)
        self.assertLessEqual({"LOGIN", "PLAIN"}, set(client.esmtp_features["auth"].split()))

    def test_wrong_code_is_refused(self):
        for name, words in (("qq", b"Login fail. Account is abnormal"), ("163", b"authentication failed")):
            with self.subTest(name=name), self.assertRaises(smtplib.SMTPAuthenticationError) as caught:
                address = self.servers[name]["accounts"][0]["address"]
                self.connect(name).login(address, "x" * 16)
            self.assertEqual(caught.exception.smtp_code, 535)
            self.assertIn(words, caught.exception.smtp_error)

    def test_an_account_belongs_to_one_provider(self):
        login = self.servers["163"]["accounts"][0]
        with self.assertRaises(smtplib.SMTPAuthenticationError):
            self.connect("qq").login(login["address"], login["code"])

    def test_sender_must_be_the_login(self):
        cases = (
            ("qq", 501, b"mail from address must be same as authorization user"),
            ("163", 553, b"Mail from must equal authorized user"),
        )
        for name, code, words in cases:
            for sender in (self.servers[name]["accounts"][1]["address"], "boss@example.com", ""):
                with self.subTest(name=name, sender=sender):
                    client, _ = self.login(name)
                    said, text = client.mail(sender)
                    self.assertEqual(said, code, text)
                    self.assertIn(words, text)

    def test_without_login_nothing_is_taken(self):
        for name, code in (("qq", 503), ("163", 553)):
            with self.subTest(name=name):
                client = self.connect(name)
                client.ehlo()
                said, text = client.mail(self.servers[name]["accounts"][0]["address"])
                self.assertEqual(said, code, text)

    def test_nothing_is_relayed(self):
        client, login = self.login("qq")
        client.mail(login["address"])
        self.assertGreaterEqual(client.rcpt("somebody@example.org")[0], 500)
        self.assertGreaterEqual(client.rcpt("nobody@qq.com")[0], 500)
        self.assertEqual(client.rcpt(login["address"])[0], 250)

    def test_qq_refuses_by_the_announced_size(self):
        client, login = self.login("qq")
        client.ehlo()
        self.assertEqual(client.mail(login["address"], ["SIZE=73400321"])[0], 552)
        client.rset()
        self.assertEqual(client.mail(login["address"], ["SIZE=73400320"])[0], 250)

    def test_163_refuses_after_the_data(self):
        client, login = self.login("163")
        big = letter(login, log=b"x" * (self.servers["163"]["max_message"] * 3 // 4))
        with self.assertRaises(smtplib.SMTPDataError) as caught:
            client.send_message(big)
        self.assertEqual(caught.exception.smtp_code, 552)
        self.assertIn(b"exceeded mailsize limit", caught.exception.smtp_error)
        self.mails("163", login, 0)

    def test_bad_certificates_are_bad(self):
        for port, words in (("self_signed", "self-signed"), ("wrong_host", "Hostname mismatch")):
            with self.subTest(port=port), self.assertRaises(TLS_ERROR) as caught:
                self.connect("qq", port)
            self.assertIn(words, str(caught.exception))

    def test_pause_and_resume_keep_ports_and_mail(self):
        client, login = self.login("qq")
        client.send_message(letter(login))
        client.quit()
        self.mails("qq", login, 1)
        ports = self.servers["qq"]["ports"]
        self.down("qq")
        for port in ports.values():
            with self.assertRaises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=5)
        self.login("163")
        self.servers.resume("qq")
        client, login = self.login("qq")
        client.send_message(letter(login))
        self.mails("qq", login, 2)


class StrictnessTest(unittest.TestCase):
    """Mails that are wrong are called wrong: else `parse` would prove nothing."""

    def good(self):
        return letter({"address": "10001@qq.com"}).as_bytes()

    def test_a_good_mail_passes(self):
        self.assertEqual(mailbox.parse(self.good()).text, "hällo\n")

    def test_defects_are_errors(self):
        good = self.good()
        end = good.rindex(b"--===")
        cases = {
            "long line": good + b"x" * 999 + b"\n",
            "stray CR": good.replace(b"<p>", b"<p>\r"),
            "no closing boundary": good[:end],
            "no Date": good.replace(b"Date: ", b"X-Date: "),
            "two Subjects": b"Subject: again\n" + good,
            "bad address": good.replace(b"From: 10001@qq.com", b"From: 10001@@qq.com"),
            "bad base64": good.replace(b"AAECAwQF", b"AAECAwQ"),
            "raw 8 bit in a header": good.replace(b"Subject: ", "Subject: ü".encode()),
            "raw 8 bit in a part": good.replace(b"AAEC", "ü".encode()),
            "8 bit called 7bit": good.replace(b"Encoding: 8bit", b"Encoding: 7bit", 1),
        }
        for name, raw in cases.items():
            with self.subTest(name=name):
                self.assertNotEqual(raw, good)
                with self.assertRaises(mailbox.Defective):
                    mailbox.parse(raw)
