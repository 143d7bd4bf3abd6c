//! The texts by which the outbox is flushed every quarter of an hour: systemd's units, a line of crontab.
//! Pure.

use crate::report::name::display_command;

/// The first line of a unit file of ours: another of that name is left alone.
pub const MARK: &str = "# Made by `notify-done outbox install-timer`; `--uninstall` takes it away.";
pub const SERVICE: &str = "notify-done.service";
pub const TIMER: &str = "notify-done.timer";

/// What is run, and in which environment. Text: neither systemd nor cron takes other bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Absolute.
    pub program: String,
    /// `--config`, if it was given; absolute.
    pub config: Option<String>,
    /// Where things lie, as variables of ours and of XDG say. Never one that carries a code.
    pub variables: Vec<(&'static str, String)>,
}

impl Job {
    fn arguments(&self) -> Vec<String> {
        let words = ["outbox", "flush", "--due", "--quiet"].map(str::to_owned).into_iter();
        words.chain(self.config.iter().flat_map(|file| ["--config".to_owned(), file.clone()])).collect()
    }

    /// systemd.service(5). What is restricted is what sending, and a program that prints a code, can do
    /// without; a sandbox of the file system would hide the places where notices are kept.
    pub fn service(&self) -> String {
        let arguments: Vec<String> =
            self.arguments().iter().map(|word| quoted(&word.replace('$', "$$"))).collect();
        let variables = self.variables.iter();
        let environment: String = variables
            .map(|(name, value)| format!("Environment={}\n", quoted(&format!("{name}={value}"))))
            .collect();
        // As the program, systemd takes no quotes and no backslash in a name; in an argument it does.
        let env = if self.program.contains(['"', '\'', '\\']) { "/usr/bin/env " } else { "" };
        let name = if env.is_empty() { self.program.clone() } else { self.program.replace('$', "$$") };
        let program = format!("{env}{}", quoted(&name));
        let arguments = arguments.join(" ");
        format!(
            "{MARK}\n\
             [Unit]\n\
             Description=Send the notices of notify-done that wait\n\
             \n\
             [Service]\n\
             Type=oneshot\n\
             ExecStart={program} {arguments}\n\
             # 1: something still waits. That is no fault of the unit.\n\
             SuccessExitStatus=1\n\
             TimeoutStartSec=1h\n\
             {environment}\
             Nice=10\n\
             UMask=0077\n\
             LimitCORE=0\n\
             NoNewPrivileges=yes\n\
             LockPersonality=yes\n\
             RestrictRealtime=yes\n\
             RestrictSUIDSGID=yes\n\
             RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n"
        )
    }

    /// The line of crontab(5).
    pub fn cron(&self) -> String {
        let variables = self.variables.iter().map(|(name, value)| {
            let value = display_command(std::slice::from_ref(value));
            format!("{name}={value} ")
        });
        let command: Vec<String> = std::iter::once(self.program.clone()).chain(self.arguments()).collect();
        let line: String = variables.chain([display_command(&command)]).collect();
        // Cron takes a % for the end of the line.
        format!("*/15 * * * * {}", line.replace('%', r"\%"))
    }
}

/// systemd.timer(5). One that was missed, since the machine slept or nobody was logged in, is made up for.
pub fn timer() -> String {
    format!(
        "{MARK}\n\
         [Unit]\n\
         Description=Send the notices of notify-done that wait, every quarter of an hour\n\
         \n\
         [Timer]\n\
         OnCalendar=*:0/15\n\
         RandomizedDelaySec=3min\n\
         AccuracySec=1min\n\
         Persistent=true\n\
         \n\
         [Install]\n\
         WantedBy=timers.target\n"
    )
}

/// Is this the text of a unit file of ours?
pub fn is_ours(text: &str) -> bool {
    text.lines().next() == Some(MARK)
}

/// A word as a unit file takes it: quoted where it has to be, with systemd's escapes and no specifiers (systemd.syntax(7),
/// systemd.unit(5)).
fn quoted(word: &str) -> String {
    if word.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-=".contains(&b)) {
        return word.to_owned();
    }
    let mut out = String::from('"');
    for c in word.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '%' => out.push_str("%%"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Job {
        Job {
            program: "/home/an n/100%/$x/a\"b\\/notify-done".into(),
            config: Some("/home/$HOME/工作 50%.toml".into()),
            variables: vec![("NOTIFY_DONE_STATE", "/var/a b/50%".into())],
        }
    }

    /// Catches: a path with a blank, a quote, `%` or `$` that systemd reads as something else.
    /// (`test_timer.py` has systemd itself read them.)
    #[test]
    fn a_unit_quotes_what_systemd_would_change() {
        let service = job().service();
        let start = service.lines().find(|line| line.starts_with("ExecStart=")).unwrap();
        assert_eq!(
            start,
            r#"ExecStart=/usr/bin/env "/home/an n/100%%/$$x/a\"b\\/notify-done" outbox flush --due --quiet --config "/home/$$HOME/工作 50%%.toml""#
        );
        let plain = Job { program: "/home/$x/a b".into(), ..job() }.service();
        assert!(plain.contains("\nExecStart=\"/home/$x/a b\" outbox"), "{plain}");
        assert!(service.contains("\nEnvironment=\"NOTIFY_DONE_STATE=/var/a b/50%%\"\n"), "{service}");
        assert!(is_ours(&service) && is_ours(&timer()) && !is_ours("[Unit]\n") && !is_ours(""));
        assert_eq!(quoted("a\nb"), "\"a\\x0ab\"");
    }

    /// Catches: a `%` at which cron ends the line, a path that the shell splits.
    #[test]
    fn a_crontab_line_is_quoted_for_cron_and_the_shell() {
        let line = job().cron();
        assert_eq!(
            line,
            r#"*/15 * * * * NOTIFY_DONE_STATE='/var/a b/50\%' '/home/an n/100\%/$x/a"b\/notify-done' outbox flush --due --quiet --config '/home/$HOME/工作 50\%.toml'"#
        );
    }
}
