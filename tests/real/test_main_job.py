"""The main job on real servers: what a user does, from the command line to the mailbox."""

import shutil

import harness
import mailbox

# What the issue promises: how long the prompt may wait for the first try of the mail.
WAIT_ON_TERMINAL = 3
WAIT_ELSEWHERE = 30
# Starting, the command itself and a machine that is busy.
SLACK = 2

JOB = ("--", "sh", "-c", "echo out; echo err >&2; exit 3")


class MainJobTest(harness.RealTest):
    def check_job(self, result):
        """The command's own result is untouched, whatever became of the mail."""
        self.assertEqual(result.status, 3, str(result))
        self.assertEqual(result.stdout, b"out\n", str(result))
        self.assertIn("err", result.err.splitlines(), str(result))

    def check_mail(self, mail, login):
        address = login["address"]
        self.assertEqual((mail.from_, mail.to), ([address], [address]))
        self.assertEqual(mail.envelope_sender, address)
        self.assertTrue(mail.over_tls)
        self.assertEqual(str(mail.message["Auto-Submitted"]), "auto-generated")
        self.assertEqual(
            mailbox.structure(mail.message),
            "multipart/mixed\n"
            "  multipart/alternative\n"
            "    text/plain\n"
            "    text/html\n"
            "  " + mail.message.get_payload()[-1].get_content_type() + "\n",
        )
        self.assertRegex(mail.subject, r"^❌ .* · exit 3 · ")
        for body in (mail.text, mail.html):
            self.assertRegex(body, r"\b3\b")
            self.assertRegex(body, r"\b\d+(\.\d+)? ?(ns|us|µs|ms|s)\b")
            self.assertRegex(body, r"\bout\b")
            self.assertRegex(body, r"\berr\b")
            self.assertIn("stderr", body)
        # Two pipes: which line came first is only known to the command.
        self.assertIn(mail.attachments["log.txt"], (b"out\nerr\n", b"err\nout\n"))

    def test_a_failing_command_through_each_port(self):
        for name, port in (("qq", "implicit"), ("qq", "starttls"), ("163", "implicit"), ("163", "starttls")):
            with self.subTest(name=name, port=port):
                login = self.use(name, port)
                mailbox.clear(login["maildir"])
                result = self.sandbox.run(*JOB)
                self.check_job(result)
                self.check_mail(self.mails(name, login, 1)[0], login)

    def test_the_log_is_byte_for_byte(self):
        login = self.use("qq")
        odd = self.sandbox.home / "odd"
        odd.write_bytes(bytes(range(256)) * 300 + b"\r\r\n.\n..\nno end of line \xff")
        result = self.sandbox.run("--", "cat", odd)
        self.assertEqual((result.status, result.stdout), (0, odd.read_bytes()))
        (mail,) = self.mails("qq", login, 1)
        self.assertEqual(mail.attachments["log.txt"], odd.read_bytes())

    def test_death_by_signal_is_mirrored(self):
        login = self.use("qq")
        result = self.sandbox.run("--", "sh", "-c", "kill -TERM $$")
        self.assertEqual(result.status, -15, str(result))
        (mail,) = self.mails("qq", login, 1)
        self.assertIn("SIGTERM", mail.text)

    def test_pipe(self):
        login = self.use("163")
        result = self.sandbox.run("pipe", "--title", "build", "--status", "2", stdin=b"one\ntwo\n")
        self.assertEqual((result.status, result.stdout), (0, b"one\ntwo\n"), str(result))
        (mail,) = self.mails("163", login, 1)
        self.assertIn("build", mail.subject)
        self.assertEqual(mail.attachments["log.txt"], b"one\ntwo\n")

    def check_kept(self, result, *causes):
        """The mail didn't go: the job's result is untouched, cause and fix are named."""
        self.check_job(result)
        self.assertTold(result, "kept", r"notify-done outbox flush", *causes)

    def test_server_down_then_flush(self):
        login = self.use("qq")
        self.down("qq")
        result = self.sandbox.run(*JOB)
        self.check_kept(result)
        self.assertLess(result.seconds, WAIT_ELSEWHERE + SLACK)
        self.servers.resume("qq")
        flushed = self.sandbox.run("outbox", "flush")
        self.assertEqual(flushed.status, 0, str(flushed))
        self.check_mail(self.mails("qq", login, 1)[0], login)
        again = self.sandbox.run("outbox", "flush")
        self.assertEqual(again.status, 0, str(again))
        self.mails("qq", login, 1)

    def test_server_down_on_a_terminal(self):
        self.use("qq")
        self.down("qq")
        result = self.sandbox.run_on_terminal(*JOB)
        self.assertEqual(result.status, 3, str(result))
        self.assertLess(result.seconds, WAIT_ON_TERMINAL + SLACK)
        self.assertIn(b"notify-done outbox flush", result.stdout)

    def test_wrong_code(self):
        for name, port in (("qq", "implicit"), ("qq", "starttls"), ("163", "implicit"), ("163", "starttls")):
            with self.subTest(name=name, port=port):
                # What is known of a login that was refused is of another test's.
                shutil.rmtree(self.sandbox.state, ignore_errors=True)
                login = self.use(name, port, code="abcdefghijklmnop")
                result = self.sandbox.run(*JOB)
                self.check_kept(result, "535", "authorization code|授权码")
                self.assertNotIn("abcdefghijklmnop", result.err)
                self.mails(name, login, 0)

    def test_from_is_not_the_login(self):
        for name, said in (("qq", "501"), ("163", "553")):
            with self.subTest(name=name):
                first, second = self.servers[name]["accounts"]
                text = harness.account(
                    name, second["address"], first["code"], self.servers[name]["ports"]["implicit"],
                    ca_file=self.servers.ca_file,
                )  # fmt: skip
                self.sandbox.write_config(text + f'username = "{first["address"]}"\n')
                result = self.sandbox.run(*JOB)
                self.check_job(result)
                self.assertTold(result, said, second["address"], first["address"])
                self.mails(name, first, 0)
                self.mails(name, second, 0)

    def test_one_of_several_recipients_is_refused(self):
        """Catches: a mail that nobody gets because one address is wrong, or that the others get again
        with each flush."""
        for name, port in (("qq", "implicit"), ("163", "starttls")):
            with self.subTest(name=name):
                login = self.use(name, port)
                others = [account["address"] for account in self.servers[name]["accounts"]]
                domain = login["address"].split("@")[1]
                to = [part for address in (others[0], f"nobody@{domain}", others[1]) for part in ("--to", address)]
                result = self.sandbox.run(*to, *JOB)
                self.check_job(result)
                self.assertTold(result, f"nobody@{domain}", "550|554")
                for _ in range(2):
                    for account in self.servers[name]["accounts"][:2]:
                        (mail,) = self.mails(name, account, 1)
                        self.assertEqual(mail.to, [others[0], f"nobody@{domain}", others[1]])
                    self.sandbox.run("outbox", "flush", "--all")

    def test_unknown_host(self):
        # RFC 6761: nothing below .invalid is ever found.
        self.use("qq", host="smtp.qq.invalid")
        self.check_kept(self.sandbox.run(*JOB), r"smtp\.qq\.invalid")

    def test_self_signed_certificate(self):
        login = self.use("qq", port="self_signed")
        self.check_kept(self.sandbox.run(*JOB), "certificate", "ca_file")
        self.mails("qq", login, 0)

    def test_certificate_of_another_host(self):
        login = self.use("qq", port="wrong_host")
        self.check_kept(self.sandbox.run(*JOB), "certificate", r"mail\.example\.com|localhost")
        self.mails("qq", login, 0)

    def test_no_account_at_all(self):
        result = self.sandbox.run(*JOB)
        self.check_job(result)
        self.assertTold(result, r"notify\.toml", "address", "auth_code")

    def test_home_that_cannot_be_written(self):
        # Nobody, root included, can make a folder there.
        result = self.sandbox.run(*JOB, env={"HOME": "/proc/no-home"})
        self.check_job(result)
        self.assertTold(result, "/proc/no-home")
