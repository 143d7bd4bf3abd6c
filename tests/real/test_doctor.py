"""`notify-done doctor` with real servers."""

import base64
import json

import harness
import mailbox


class DoctorTest(harness.RealTest):
    def test_every_port(self):
        """Catches: a step that only the scripted server passes; a code shown; a mail that doesn't arrive."""
        for name, port in (("qq", "implicit"), ("qq", "starttls"), ("163", "implicit"), ("163", "starttls")):
            with self.subTest(name=name, port=port):
                login = self.use(name, port)
                mailbox.clear(login["maildir"])
                result = self.sandbox.run("doctor", "--send", "--transcript")
                page = result.stdout.decode()
                self.assertEqual((result.status, result.err), (0, ""), page)
                self.assertIn("All is well: mails of ", page)
                self.assertNotIn("✗", page)
                self.assertRegex(page, r"send: MAIL FROM:<" + login["address"])
                self.assertEqual("send: STARTTLS" in page, port == "starttls")
                plain = f"\0{login['address']}\0{login['code']}".encode()
                for form in (login["code"].encode(), base64.b64encode(login["code"].encode()), base64.b64encode(plain)):
                    self.assertNotIn(form, result.stdout)
                (mail,) = self.mails(name, login, 1)
                self.assertEqual((mail.from_, mail.to), ([login["address"]], [login["address"]]))
                self.assertIn("can send mail", mail.subject)
                self.assertTrue(mail.over_tls)

    def test_a_refused_code_and_a_refused_recipient(self):
        """Catches: the words of a real server that the fix isn't found for."""
        login = self.use("qq")
        result = self.sandbox.run("doctor", "--json", "--verify", "nobody@example.com")
        document = json.loads(result.stdout)
        self.assertEqual((result.status, document["ok"]), (1, False), str(result))
        last = document["accounts"][0]["steps"][-1]
        self.assertEqual((last["stage"], last["state"], last["decides"]), ("rcpt_to", "failed", True))
        self.use("qq", code="abcdefghijklmnop")
        result = self.sandbox.run("doctor", "--send", "--transcript")
        page = result.stdout.decode()
        self.assertEqual(result.status, 1, page)
        self.assertRegex(page, r"✗ login[^✓✗]*535[^✓✗]*fix: [^✓✗]*authorization")
        self.assertNotIn("abcdefghijklmnop", page)
        self.mails("qq", login, 0)
