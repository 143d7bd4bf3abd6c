//! The languages of a mail. A language is a value of [`Strings`]: one that lacks a text doesn't
//! compile. Pure.

use super::amount::Units;
use crate::config::Language;
use crate::report::model::{LeftOut, WhyPacked};
use crate::run::facts::{Death, Holds, PartTrouble};

/// A language that mails are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lang {
    En,
    Zh,
}

impl Lang {
    /// The language set, else the locale's (the first set of LC_ALL, LC_MESSAGES, LANG), else
    /// English.
    pub fn choose(language: Language, locale: Option<&str>) -> Self {
        match language {
            Language::En => Lang::En,
            Language::Zh => Lang::Zh,
            // `zh_CN.UTF-8`, `zh-Hans`, `zh`, but not `zha` (Zhuang has a code of its own).
            Language::Auto => match locale.and_then(|l| l.split(['_', '-', '.', '@']).next()) {
                Some(code) if code.eq_ignore_ascii_case("zh") => Lang::Zh,
                _ => Lang::En,
            },
        }
    }

    pub fn strings(self) -> &'static Strings {
        match self {
            Lang::En => &super::en::EN,
            Lang::Zh => &super::zh::ZH,
        }
    }
}

impl From<Lang> for Language {
    fn from(lang: Lang) -> Self {
        match lang {
            Lang::En => Language::En,
            Lang::Zh => Language::Zh,
        }
    }
}

/// Every text of ours in a mail.
#[derive(Debug, Clone, Copy)]
pub struct Strings {
    /// The tag of the language (RFC 5646).
    pub tag: &'static str,
    pub units: Units,
    pub state: States,
    pub label: Labels,
    pub output: Output,
    pub log: Logs,
    pub file: Files,
    /// Behind something, what one may want to know of it too.
    pub aside: fn(&str) -> String,
    /// Between a name and what is said of it.
    pub colon: &'static str,
    /// Why this mail came: user, host.
    pub why: fn(&str, &str) -> String,
    /// What stands on top of the plain form.
    pub plain: &'static str,
    /// CPU time: all, in user mode, in the kernel.
    pub cpu: fn(&str, &str, &str) -> String,
    /// A duration of which only the least is known.
    pub at_least: fn(&str) -> String,
    /// Peak memory, a size.
    pub memory: fn(&str) -> String,
    /// Places where something secret was taken out: how many.
    pub redacted: fn(u64) -> String,
}

/// How it ended: short for the subject, and told in full.
#[derive(Debug, Clone, Copy)]
pub struct States {
    pub succeeded: &'static str,
    pub failed: &'static str,
    pub ended: &'static str,
    pub not_found: &'static str,
    pub not_executable: &'static str,
    pub not_started: &'static str,
    /// Subject: an exit code.
    pub exit: fn(i32) -> String,
    /// Body: an exit code.
    pub exited: fn(i32) -> String,
    /// Body: an exit code of 128 + a signal, with the signal's name.
    pub exited_by_signal: fn(i32, &str) -> String,
    /// With the code by which timeout(1) says that it ended the command.
    pub timed_out: fn(i32) -> String,
    /// Body: a signal's name, and whether there is a core file.
    pub signaled: fn(&str, bool) -> String,
    /// Body: what may be behind a signal.
    pub signal_reason: fn(i32) -> Option<&'static str>,
    /// Body: a pipe's code, as the user reported it.
    pub reported: fn(i32) -> String,
    /// Body: a pipe of which nobody said how it went.
    pub unknown: &'static str,
    pub interrupted: &'static str,
    /// Body: what is known of why nobody saw the end.
    pub interrupted_because: fn(Death) -> &'static str,
    /// Body: the command lives on without us, as this process.
    pub still_running: fn(i32) -> String,
    /// Subject: killed for want of memory.
    pub out_of_memory: &'static str,
    /// Body: the same, with what its control group may use.
    pub killed_for_memory: fn(Option<&str>) -> String,
    /// Body: how many processes of its group were, and what that may use.
    pub others_killed: fn(u64, Option<&str>) -> String,
    /// Subject: a pipe that was told to end by this signal.
    pub told_to_end: fn(&str) -> String,
    /// The same in the body.
    pub pipe_told_to_end: fn(&str) -> String,
    /// Body: the system's reason for not starting.
    pub not_started_because: fn(i32) -> String,
}

#[derive(Debug, Clone, Copy)]
pub struct Labels {
    pub result: &'static str,
    pub command: &'static str,
    pub host: &'static str,
    pub user: &'static str,
    pub directory: &'static str,
    pub started: &'static str,
    pub ended: &'static str,
    /// When an interrupted run last wrote, and last was known to be alive.
    pub last_output: &'static str,
    pub last_sign: &'static str,
    /// Processes were killed for want of memory.
    pub shortage: &'static str,
    pub duration: &'static str,
    pub cpu: &'static str,
    pub memory: &'static str,
    /// A CI system's run: its system and name, what was built, its page.
    pub ci: &'static str,
    pub branch: &'static str,
    pub commit: &'static str,
    pub link: &'static str,
    pub tags: &'static str,
    pub run: &'static str,
    pub note: &'static str,
    pub log: &'static str,
    /// Of the log and the user's files.
    pub attachments: &'static str,
}

/// The last lines.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// All of the output, of so many lines.
    pub whole: fn(Holds, usize) -> String,
    /// The last lines of it: lines shown, size of what stands before (None: not known).
    pub last: fn(Holds, usize, Option<&str>) -> String,
    pub none: &'static str,
    /// What the mark before lines means.
    pub legend: &'static str,
    /// Lines left out here, though they are among the last: how many.
    pub left_out: fn(usize) -> String,
    /// Above lines that tell of the failure and don't stand at the end.
    pub further_up: &'static str,
    /// How many lines stand between those and the last ones.
    pub between: fn(usize) -> String,
}

/// The log: what is attached, what isn't, where it lies.
#[derive(Debug, Clone, Copy)]
pub struct Logs {
    pub holds: fn(Holds) -> &'static str,
    /// Attached whole: size.
    pub whole: fn(&str) -> String,
    /// The same of a log that lacks something: size.
    pub rest: fn(&str) -> String,
    pub ends: fn(Ends<'_>) -> String,
    /// Attached whole as a .zip: size, and size of the .zip.
    pub packed: fn(&str, &str) -> String,
    /// The same of a log that lacks something.
    pub packed_rest: fn(&str, &str) -> String,
    /// Not attached: size.
    pub nothing: fn(&str) -> String,
    pub empty: &'static str,
    /// Where the whole lies: path, host.
    pub place: fn(&str, &str) -> String,
    pub trouble: fn(PartTrouble) -> String,
}

/// Sizes of a log of which both ends are attached.
#[derive(Debug, Clone, Copy)]
pub struct Ends<'a> {
    pub all: &'a str,
    /// None: only the end.
    pub head: Option<&'a str>,
    pub tail: &'a str,
    pub omitted: &'a str,
    /// Of the .zip that they are in.
    pub packed: Option<&'a str>,
}

/// Files that the user asked to attach.
#[derive(Debug, Clone, Copy)]
pub struct Files {
    /// As it is: size.
    pub attached: fn(&str) -> String,
    /// In a .zip: size, size of the .zip, why.
    pub packed: fn(&str, &str, WhyPacked) -> String,
    /// Not attached: why, and its size if that is known.
    pub left_out: fn(&LeftOut, Option<&str>) -> String,
    /// Where it lies: path, host.
    pub place: fn(&str, &str) -> String,
    /// So many more were asked for than are told of.
    pub more: fn(usize) -> String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_chooses() {
        let auto = |locale| Lang::choose(Language::Auto, locale);
        for zh in ["zh_CN.UTF-8", "zh", "ZH-Hans", "zh_TW@x"] {
            assert_eq!(auto(Some(zh)), Lang::Zh, "{zh}");
        }
        for en in [Some("en_US.UTF-8"), Some("C"), Some("zha_CN"), Some(""), None] {
            assert_eq!(auto(en), Lang::En, "{en:?}");
        }
        assert_eq!(Lang::choose(Language::En, Some("zh_CN")), Lang::En);
        assert_eq!(Lang::choose(Language::Zh, Some("en_US")), Lang::Zh);
    }
}
