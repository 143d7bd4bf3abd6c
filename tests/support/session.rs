//! One connection to the scripted server: RFC 5321 as the providers speak it, bent by the script.

use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::ServerConfig;

use super::smtp::{Action, Login, Received, Script, Shared, Stage, Style, TlsMode};
use super::syntax::{body_faults, path, unbase64};
use super::wire::{Over, Wire};

/// RFC 5321 section 4.5.3.1.4, with the CRLF; RFC 4954 section 4 allows AUTH more.
const LONGEST_COMMAND: usize = 512;
const LONGEST_AUTH: usize = 12_288;

struct Transaction {
    from: String,
    asked: usize,
    rcpts: Vec<String>,
    eight_bit: bool,
}

struct Session<'a> {
    wire: Wire,
    shared: &'a Shared,
    script: Script,
    ehlo: Option<String>,
    user: Option<String>,
    refused_logins: usize,
    over_tls: bool,
    transaction: Option<Transaction>,
}

/// Serves the connection to its end.
pub(super) fn serve(stream: TcpStream, shared: &Shared) {
    let socket = stream.try_clone().expect("descriptors are left");
    let (script, tls) = shared.script();
    let mut session = Session {
        wire: Wire::new(stream),
        shared,
        script,
        ehlo: None,
        user: None,
        refused_logins: 0,
        over_tls: false,
        transaction: None,
    };
    // How it ended is no news: what counts was noted on the way.
    let (Ok(()) | Err(Over)) = session.talk(&tls);
    // The server holds the socket too, so dropping it would not close it; fails if the client did.
    socket.shutdown(Shutdown::Both).ok();
}

impl Session<'_> {
    fn talk(&mut self, tls: &Arc<ServerConfig>) -> Result<(), Over> {
        if self.script.tls == TlsMode::Implicit {
            self.handshake(tls)?;
        }
        let greeting = match self.script.style {
            Style::Qq => "220 newxmesmtplogicsvrszc5-0.qq.com XMail Esmtp QQ Mail Server.",
            Style::NetEase => "220 163.com Anti-spam GT for Coremail System (163com[20141201])",
        };
        self.say(Stage::Greeting, greeting)?;
        loop {
            let line = self.command()?;
            let (verb, argument) = line.split_once(' ').unwrap_or((&line, ""));
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" => self.hello(argument)?,
                "HELO" => {
                    let name = self.script.ehlo[0].clone();
                    self.greeted(Stage::Helo, &format!("250 {name}"), argument)?;
                }
                "STARTTLS" => self.start_tls(tls)?,
                "AUTH" => self.auth(argument)?,
                "MAIL" => self.mail(argument)?,
                "RCPT" => self.rcpt(argument)?,
                "DATA" => self.data()?,
                "RSET" => {
                    self.transaction = None;
                    self.say(Stage::Rset, "250 OK")?;
                }
                "NOOP" => self.send(b"250 OK\r\n")?,
                "QUIT" => return self.quit(),
                _ => self.send(b"502 Error: command not implemented\r\n")?,
            }
        }
    }

    fn handshake(&mut self, tls: &Arc<ServerConfig>) -> Result<(), Over> {
        if self.script.action(Stage::Handshake).is_some() {
            self.say(Stage::Handshake, "")?;
            // What the client says to that is taken until it goes: see `Action::Last`.
            return self.take_all();
        }
        self.wire.start_tls(tls)?;
        self.over_tls = true;
        Ok(())
    }

    fn hello(&mut self, name: &str) -> Result<(), Over> {
        let mut lines = self.script.ehlo.clone();
        if self.script.tls == TlsMode::StartTls && !self.over_tls {
            lines.push("STARTTLS".to_owned());
        }
        let last = lines.len() - 1;
        let marked = lines.iter().enumerate().map(|(i, line)| match i == last {
            true => format!("250 {line}"),
            false => format!("250-{line}"),
        });
        let text = marked.collect::<Vec<_>>().join("\n");
        let again = self.script.tls == TlsMode::StartTls && self.over_tls;
        self.greeted(if again { Stage::EhloAgain } else { Stage::Ehlo }, &text, name)
    }

    fn greeted(&mut self, stage: Stage, usual: &str, name: &str) -> Result<(), Over> {
        self.transaction = None;
        if self.say(stage, usual)?.starts_with('2') {
            self.ehlo = Some(name.to_owned());
        }
        Ok(())
    }

    fn start_tls(&mut self, tls: &Arc<ServerConfig>) -> Result<(), Over> {
        if self.script.tls != TlsMode::StartTls || self.over_tls {
            return self.send(b"502 Error: command not implemented\r\n");
        }
        if self.say(Stage::StartTls, "220 Ready to start TLS")?.starts_with('2') {
            // RFC 3207 section 4.2: what was said in the clear is forgotten.
            self.ehlo = None;
            self.user = None;
            self.handshake(tls)?;
        }
        Ok(())
    }

    fn auth(&mut self, argument: &str) -> Result<(), Over> {
        if self.script.tls == TlsMode::StartTls && !self.over_tls {
            self.violation("AUTH in the clear".to_owned());
        }
        if self.ehlo.is_none() || self.user.is_some() {
            return self.send(b"503 bad sequence of commands\r\n");
        }
        // QQ hangs up on a second try; the facts say never to make one.
        if self.script.style == Style::Qq && self.refused_logins > 0 {
            self.violation("a second AUTH on one connection".to_owned());
            return Err(Over);
        }
        let (mechanism, initial) = argument.split_once(' ').unwrap_or((argument, ""));
        let mechanism = mechanism.to_ascii_uppercase();
        let Some((user, code)) = self.credentials(&mechanism, initial)? else {
            return self.send(b"501 syntax error in AUTH\r\n");
        };
        let known = self.script.accounts.iter().any(|(u, c)| *u == user && *c == code);
        let usual = match (known, self.script.style) {
            (true, _) => "235 Authentication successful",
            (false, Style::Qq) => {
                "535 Login fail. Account is abnormal, service is not open, password is incorrect, login \
                 frequency limited, or system is busy. More information at \
                 https://help.mail.qq.com/detail/108/1023"
            }
            (false, Style::NetEase) => "535 Error: authentication failed",
        };
        let accepted = self.script.answer(Stage::Auth, usual).starts_with('2');
        let over_tls = self.over_tls;
        let login = Login { mechanism, user: user.clone(), code, over_tls, accepted };
        self.shared.note(|seen| seen.logins.push(login));
        match accepted {
            true => self.user = Some(user),
            false => self.refused_logins += 1,
        }
        if self.say(Stage::Auth, usual)?.starts_with('3') {
            // One challenge more than there should be; whatever the client says to that is wrong.
            self.line(LONGEST_AUTH)?;
            self.send(b"501 that was one too many\r\n")?;
        }
        Ok(())
    }

    /// User and code as PLAIN (RFC 4616) or LOGIN sends them; None: they can't be read.
    fn credentials(&mut self, mechanism: &str, initial: &str) -> Result<Option<(String, String)>, Over> {
        let (user_prompt, code_prompt) = match self.script.style {
            Style::Qq => ("Username:", "Password:"),
            Style::NetEase => ("username:", "Password:"),
        };
        match mechanism {
            "PLAIN" => {
                let whole = if initial.is_empty() { self.prompt(0, "")? } else { unbase64(initial) };
                Ok(whole.and_then(|text| {
                    let mut parts = text.split('\0').skip(1);
                    Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
                }))
            }
            "LOGIN" => {
                let user = if initial.is_empty() { self.prompt(0, user_prompt)? } else { unbase64(initial) };
                let code = self.prompt(1, code_prompt)?;
                Ok(user.zip(code))
            }
            _ => Ok(None),
        }
    }

    fn prompt(&mut self, number: usize, words: &str) -> Result<Option<String>, Over> {
        self.say(Stage::Challenge(number), &format!("334 {}", STANDARD.encode(words)))?;
        let line = self.line(LONGEST_AUTH)?;
        Ok(unbase64(&String::from_utf8_lossy(&line)))
    }

    fn mail(&mut self, argument: &str) -> Result<(), Over> {
        let Some((from, parameters)) = path(argument, "FROM:") else {
            return self.send(b"501 syntax error in MAIL\r\n");
        };
        if self.transaction.is_some() {
            return self.send(b"503 sender already given\r\n");
        }
        let size = parameters.iter().find_map(|p| p.strip_prefix("SIZE=")?.parse::<usize>().ok());
        let usual = match (&self.user, self.script.style) {
            (None, Style::Qq) => "503 Error: need EHLO and AUTH first !",
            (None, Style::NetEase) => "553 authentication is required",
            (Some(user), Style::Qq) if *user != from => {
                "501 mail from address must be same as authorization user"
            }
            (Some(user), Style::NetEase) if *user != from => "553 Mail from must equal authorized user",
            _ if size.is_some_and(|size| size > self.script.max_message) => {
                "552 Message size exceeds fixed limit"
            }
            _ => "250 OK",
        };
        if self.script.answer(Stage::Mail, usual).starts_with('2') {
            let eight_bit = parameters.iter().any(|parameter| parameter == "BODY=8BITMIME");
            self.transaction = Some(Transaction { from, asked: 0, rcpts: Vec::new(), eight_bit });
        }
        self.say(Stage::Mail, usual)?;
        Ok(())
    }

    fn rcpt(&mut self, argument: &str) -> Result<(), Over> {
        let Some((to, _)) = path(argument, "TO:") else {
            return self.send(b"501 syntax error in RCPT\r\n");
        };
        let Some(transaction) = &mut self.transaction else {
            return self.send(b"503 need MAIL first\r\n");
        };
        let stage = Stage::Rcpt(transaction.asked);
        transaction.asked += 1;
        if self.script.answer(stage, "250 OK").starts_with('2') {
            transaction.rcpts.push(to);
        }
        self.say(stage, "250 OK")?;
        Ok(())
    }

    fn data(&mut self) -> Result<(), Over> {
        let Some(transaction) = self.transaction.take_if(|t| !t.rcpts.is_empty()) else {
            return self.send(b"503 need RCPT first\r\n");
        };
        if !self.say(Stage::Data, "354 End data with <CR><LF>.<CR><LF>.")?.starts_with('3') {
            return Ok(());
        }
        let data = self.body(transaction.eight_bit)?;
        let usual = match self.script.style {
            _ if data.len() > self.script.max_message => "552 exceeded mailsize limit",
            Style::Qq => "250 OK: queued as.",
            Style::NetEase => "250 Mail OK queued as smtp7,C8CowAB3example 1700000000",
        };
        let mail = Received {
            ehlo: self.ehlo.clone().unwrap_or_default(),
            user: self.user.clone(),
            over_tls: self.over_tls,
            mail_from: transaction.from,
            rcpts: transaction.rcpts,
            data,
            reply: self.script.answer(Stage::End, usual),
        };
        self.shared.note(|seen| seen.mails.push(mail));
        self.say(Stage::End, usual)?;
        Ok(())
    }

    /// The message up to its final dot; only CRLF "." CRLF ends it, as RFC 5321 section 4.1.1.4 says.
    fn body(&mut self, eight_bit: bool) -> Result<Vec<u8>, Over> {
        let mut data = Vec::new();
        let mut number = 0;
        let mut faults: Vec<&str> = Vec::new();
        loop {
            let line = self.wire.line()?;
            number += 1;
            if line == b".\r\n" {
                return Ok(data);
            }
            if number == 1 && self.script.action(Stage::Body).is_some() {
                self.say(Stage::Body, "")?;
            }
            for fault in body_faults(&line, eight_bit) {
                // One of each kind tells enough: a log of 50 MB could have a million.
                if !faults.contains(&fault) {
                    faults.push(fault);
                    let start = String::from_utf8_lossy(&line[..line.len().min(60)]).into_owned();
                    self.violation(format!("line {number} of the message: {fault}: {start:?}"));
                }
            }
            data.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
    }

    fn quit(&mut self) -> Result<(), Over> {
        self.say(Stage::Quit, "221 Bye")?;
        // QQ closes without TLS's goodbye, so clients have to live with it.
        if self.script.style == Style::NetEase {
            self.wire.say_goodbye()?;
        }
        Err(Over)
    }

    /// Does what the script says at `stage`; returns what the client was told.
    fn say(&mut self, stage: Stage, usual: &str) -> Result<String, Over> {
        let answer = self.script.answer(stage, usual);
        let action = self.script.action(stage).cloned().unwrap_or_else(|| Action::Reply(answer.clone()));
        let wire = action.bytes(&answer);
        match action {
            Action::Drop => return Err(Over),
            Action::Hang => return self.hang(),
            Action::HalfThenHang | Action::HalfThenDrop => {
                self.send(&usual.as_bytes()[..usual.len() / 2])?;
                return if action == Action::HalfThenHang { self.hang() } else { Err(Over) };
            }
            Action::Trickle(pause) => {
                for byte in wire {
                    self.send(&[byte])?;
                    std::thread::sleep(pause);
                }
            }
            Action::Last(_) => {
                self.wire.wait_for_bytes()?;
                self.send(&wire)?;
                self.take_all()?;
            }
            _ => self.send(&wire)?,
        }
        Ok(answer)
    }

    /// Says no more; ends with the client.
    fn take_all(&mut self) -> Result<(), Over> {
        loop {
            self.wire.line()?;
        }
    }

    /// Takes nothing and says nothing until the server goes down.
    fn hang(&self) -> Result<String, Over> {
        self.shared.wait_for_stop();
        Err(Over)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Over> {
        Ok(self.wire.send(bytes)?)
    }

    /// A command line without its end.
    fn command(&mut self) -> Result<String, Over> {
        let line = self.line(LONGEST_COMMAND)?;
        let line = String::from_utf8_lossy(&line).into_owned();
        let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        let shown = match (verb.as_str(), line.split(' ').nth(1)) {
            ("AUTH", Some(mechanism)) => format!("AUTH {mechanism} …"),
            _ => line.clone(),
        };
        // RFC 2920 section 3.1: these end a group, whoever announces PIPELINING.
        let last_of_group = matches!(verb.as_str(), "EHLO" | "STARTTLS" | "AUTH" | "DATA" | "QUIT");
        let pipelining = self.script.ehlo.iter().any(|keyword| keyword == "PIPELINING");
        if self.wire.has_more() && (last_of_group || !pipelining) {
            self.violation(format!("more was sent before the answer to {shown:?}"));
        }
        self.shared.note(|seen| seen.commands.push(shown));
        Ok(line)
    }

    fn line(&mut self, longest: usize) -> Result<Vec<u8>, Over> {
        let mut line = self.wire.line()?;
        let allowed = if line.starts_with(b"AUTH ") { LONGEST_AUTH } else { longest };
        if line.len() > allowed {
            self.violation(format!("a command line of {} bytes", line.len()));
        }
        if !line.ends_with(b"\r\n") {
            self.violation("a command line ends with a bare LF".to_owned());
        }
        line.truncate(line.trim_ascii_end().len());
        Ok(line)
    }

    fn violation(&self, what: String) {
        self.shared.note(|seen| seen.violations.push(what));
    }
}
