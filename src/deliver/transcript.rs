//! A dialogue as it was held, line by line, without what must not be shown. Pure.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::reply::Answer;

/// Who said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    Us,
    Server,
    /// Nobody: something that happened, such as the connection or the handshake.
    Note,
}

/// One line, without its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Since the start, milliseconds.
    pub ms: u64,
    pub who: Who,
    pub text: String,
}

/// All that was said, in order. Credentials are struck out before they get here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Transcript {
    pub lines: Vec<Line>,
}

impl Transcript {
    fn push(&mut self, since_start: Duration, who: Who, text: String) {
        let ms = u64::try_from(since_start.as_millis()).unwrap_or(u64::MAX);
        self.lines.push(Line { ms, who, text });
    }

    /// A command. What stands behind the mechanism of AUTH is struck out here once more.
    pub(super) fn sent(&mut self, since_start: Duration, command: &str) {
        let command = command.trim_end();
        let mut words = command.splitn(3, ' ');
        let text = match (words.next(), words.next(), words.next()) {
            (Some(verb), Some(mechanism), Some(_)) if verb.eq_ignore_ascii_case("AUTH") => {
                format!("{verb} {mechanism} ***")
            }
            _ => command.to_owned(),
        };
        self.push(since_start, Who::Us, text);
    }

    pub(super) fn answered(&mut self, since_start: Duration, answer: &Answer) {
        let last = answer.lines.len().saturating_sub(1);
        for (at, line) in answer.lines.iter().enumerate() {
            let text = format!("{}{}{line}", answer.code, if at < last { '-' } else { ' ' });
            self.push(since_start, Who::Server, text.trim_end().to_owned());
        }
    }

    pub(super) fn noted(&mut self, since_start: Duration, text: String) {
        self.push(since_start, Who::Note, text);
    }
}

impl fmt::Display for Transcript {
    /// As Python's smtplib shows it with `set_debuglevel`, with the time of each line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Line { ms, who, text } in &self.lines {
            let who = match who {
                Who::Us => "send: ",
                Who::Server => "reply: ",
                Who::Note => "",
            };
            writeln!(f, "{ms:>7} ms  {who}{text}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches: a code in a transcript that a user posts; lines joined or codes lost.
    #[test]
    fn reads_like_a_debug_level_and_shows_no_code() {
        let mut transcript = Transcript::default();
        let ms = Duration::from_millis;
        transcript.noted(ms(3), "connect: 127.0.0.1:465".into());
        transcript.sent(ms(12), "EHLO [127.0.0.1]\r\n");
        let lines = vec!["mail".to_owned(), "AUTH LOGIN PLAIN".to_owned()];
        transcript.answered(ms(13), &Answer { code: 250, lines });
        transcript.sent(ms(13), "AUTH PLAIN AHNlc2FtZQ==\r\n");
        transcript.sent(ms(13), "auth login c2VzYW1l =\r\n");
        transcript.answered(ms(1234), &Answer { code: 235, lines: vec![String::new()] });
        let shown = "      3 ms  connect: 127.0.0.1:465\n     12 ms  send: EHLO [127.0.0.1]\n     13 ms  reply: \
                     250-mail\n     13 ms  reply: 250 AUTH LOGIN PLAIN\n     13 ms  send: AUTH PLAIN ***\n     13 \
                     ms  send: auth login ***\n   1234 ms  reply: 235\n";
        assert_eq!(transcript.to_string(), shown);
    }
}
