//! English. Pure.

use super::amount::{self, Units};
use super::i18n::{Ends, Files, Labels, Logs, Output, States, Strings};
use crate::report::model::{LeftOut, WhyPacked};
use crate::run::facts::{Death, Holds, PartTrouble};

pub const EN: Strings = Strings {
    tag: "en",
    units: Units {
        days: "d",
        hours: "h",
        minutes: "m",
        minutes_alone: "m",
        seconds: "s",
        millis: "ms",
        gap: " ",
    },
    state: States {
        succeeded: "succeeded",
        failed: "failed",
        ended: "ended",
        not_found: "command not found",
        not_executable: "not executable",
        not_started: "could not start",
        exit: |code| format!("exit {code}"),
        exited: |code| format!("exit code {code}"),
        exited_by_signal: |code, signal| format!("exit code {code}, as 128 + {signal}"),
        timed_out: |code| format!("exit code {code}, by convention: its time was up (timeout)"),
        signaled: |signal, core| format!("killed by {signal}{}", if core { ", core dumped" } else { "" }),
        signal_reason,
        reported: |code| format!("exit code {code}, as reported to the pipe"),
        unknown: "not known: the pipe ended, and nobody said how its writer fared (--status, --status-file)",
        interrupted: "interrupted",
        interrupted_because,
        told_to_end: |signal| format!("interrupted by {signal}"),
        pipe_told_to_end: |signal| {
            format!("the pipe was interrupted by {signal}; how its writer fared isn't known")
        },
        still_running: |pid| format!("the command itself was still running then, process {pid}"),
        out_of_memory: "out of memory",
        killed_for_memory: |limit| format!("the kernel killed it for want of memory{}", group_limit(limit)),
        others_killed: |count, limit| {
            let killed = if count == 1 { "1 process".to_owned() } else { format!("{count} processes") };
            format!("{killed} killed for want of memory{}", group_limit(limit))
        },
        not_started_because: |errno| format!("could not start: {}", amount::errno(errno)),
    },
    label: Labels {
        result: "Result",
        command: "Command",
        host: "Host",
        user: "User",
        directory: "Directory",
        started: "Started",
        ended: "Ended",
        last_output: "Last output",
        last_sign: "Last alive",
        shortage: "Memory",
        duration: "Duration",
        cpu: "CPU time",
        memory: "Peak memory",
        ci: "CI run",
        branch: "Branch",
        commit: "Commit",
        link: "Link",
        tags: "Tags",
        run: "Run",
        note: "Note",
        log: "Log",
        attachments: "Attachments",
    },
    output: Output {
        whole: |holds, lines| format!("{}, {}", capital(stream(holds)), count(lines)),
        last: |holds, lines, before| {
            let before = before.map(|size| format!("; {size} before")).unwrap_or_default();
            let of = if holds == Holds::Both { String::new() } else { format!(" of {}", stream(holds)) };
            if lines == 1 {
                format!("Last line{of}{before}")
            } else {
                format!("Last {lines} lines{of}{before}")
            }
        },
        none: "It wrote no output.",
        legend: "! marks lines from stderr",
        left_out: |lines| format!("… {} left out here, to keep this mail small", count(lines)),
        further_up: "Further up:",
        between: |lines| format!("… {} between", count(lines)),
    },
    log: Logs {
        holds: |holds| match holds {
            Holds::Both => "stdout and stderr",
            Holds::Stdout => "stdout",
            Holds::Stderr => "stderr",
        },
        whole: |size| format!("attached, complete ({size})"),
        rest: |size| format!("attached, what there is of it ({size})"),
        ends,
        packed: |size, zip| format!("attached as a .zip of {zip}, complete ({size})"),
        packed_rest: |size, zip| format!("attached as a .zip of {zip}, what there is of it ({size})"),
        nothing: |size| format!("not attached ({size})"),
        empty: "empty",
        place: |path, host| format!("whole log on {host}: {path}"),
        trouble,
    },
    file: Files {
        attached: |size| format!("attached ({size})"),
        packed: |size, zip, why| {
            let why = match why {
                WhyPacked::Size => "",
                WhyPacked::Name => ": mail providers refuse files of such a name",
            };
            format!("attached as a .zip of {zip} ({size}){why}")
        },
        left_out,
        place: |path, host| format!("it lies on {host}: {path}"),
        more: |count| match count {
            1 => "1 more file".to_owned(),
            _ => format!("{count} more files"),
        },
    },
    plain: "This notice comes as plain text and without its log: the mail server took the full mail for \
            spam, or found it too large. Putting the sender into your address book or white list helps. \
            Where the log lies is said below.",
    aside: |text| format!(" ({text})"),
    colon: ": ",
    why: |user, host| {
        format!(
            "You get this mail because {user} ran this under notify-done on {host} and sends its notices to you."
        )
    },
    cpu: |all, user, system| format!("{all} (user {user}, system {system})"),
    at_least: |duration| format!("at least {duration}"),
    memory: |size| format!("{size} (largest process)"),
    redacted: |places| match places {
        1 => "1 place that looked like a secret was taken out of this mail.".to_owned(),
        _ => format!("{places} places that looked like secrets were taken out of this mail."),
    },
};

fn interrupted_because(why: Death) -> &'static str {
    match why {
        Death::Killed => {
            "status unknown: all of notify-done's processes were killed (kill -9, out of memory, the end of a container or job)"
        }
        Death::Rebooted => "status unknown: the machine was restarted or lost power",
        Death::Silent => "status unknown: no sign of life from its machine or container any more",
    }
}

fn group_limit(limit: Option<&str>) -> String {
    limit.map(|limit| format!(" (limit of its control group: {limit})")).unwrap_or_default()
}

fn stream(holds: Holds) -> &'static str {
    match holds {
        Holds::Both => "output",
        Holds::Stdout => "stdout",
        Holds::Stderr => "stderr",
    }
}

/// Only our own word begins with a capital; the streams keep their names.
fn capital(word: &'static str) -> &'static str {
    if word == "output" { "Output" } else { word }
}

fn count(lines: usize) -> String {
    if lines == 1 { "1 line".to_owned() } else { format!("{lines} lines") }
}

fn signal_reason(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "its terminal closed",
        2 => "Ctrl-C",
        3 => "Ctrl-\\",
        4 => "an instruction that this CPU doesn't have",
        6 => "it aborted itself",
        7 => "memory that isn't there, often a full disk under a mapped file",
        8 => "a division by zero or the like",
        9 => "from outside: out of memory, a job scheduler, or kill -9",
        11 => "it used memory that isn't its own",
        13 => "nobody read its output any more",
        15 => "it was asked to stop",
        24 => "its limit of CPU time",
        25 => "its limit of file size",
        _ => return None,
    })
}

fn trouble(trouble: PartTrouble) -> String {
    match trouble {
        PartTrouble::Truncated => {
            "somebody cut this file short while the command ran: what stood there is lost".to_owned()
        }
        PartTrouble::Replaced => {
            "this file was removed or replaced while the command ran: what it wrote is not in it".to_owned()
        }
        PartTrouble::Cut { bytes } => {
            format!("{} in its middle are not kept: the log grew beyond log.max_size", amount::size(bytes))
        }
        PartTrouble::Gap { bytes, errno } => format!(
            "{} are missing from the log: they could not be written ({})",
            amount::size(bytes),
            amount::errno(errno)
        ),
        PartTrouble::Shrunk { bytes } => format!(
            "the last {} are lost: somebody cut this file short before the mail was made",
            amount::size(bytes)
        ),
        PartTrouble::Unreadable => "this file could not be read any more when the mail was made".to_owned(),
    }
}

fn ends(ends: Ends<'_>) -> String {
    let Ends { all, head, tail, omitted, packed } = ends;
    let zip = packed.map(|zip| format!(" as a .zip of {zip}")).unwrap_or_default();
    match head {
        Some(head) => {
            format!(
                "attached{zip}: the first {head} and the last {tail} of {all}; {omitted} between them left out"
            )
        }
        None => format!("attached{zip}: the last {tail} of {all}; {omitted} before it left out"),
    }
}

fn left_out(why: &LeftOut, size: Option<&str>) -> String {
    let size = size.map(|size| format!(" ({size})")).unwrap_or_default();
    match why {
        LeftOut::Missing => "not attached: there is no such file".to_owned(),
        LeftOut::NoMatch => "not attached: no file fits this pattern".to_owned(),
        LeftOut::Folder => "not attached: it is a folder".to_owned(),
        LeftOut::NotRegular => "not attached: it is a device, a pipe or the like".to_owned(),
        LeftOut::Unreadable { errno } => {
            format!("not attached: it can't be read ({})", amount::errno(*errno))
        }
        LeftOut::Changed => format!("not attached: it was cut short while the mail was made{size}"),
        LeftOut::ChangedSince => "not attached: it was changed after the run had ended".to_owned(),
        LeftOut::TooLarge => format!("not attached: there is no room for it in this mail{size}"),
        LeftOut::TooMany(1) => "not attached: one file too many".to_owned(),
        LeftOut::TooMany(count) => format!("not attached: this one and {} others are too many", count - 1),
        LeftOut::NoSpace => format!("not attached: no space on the disk to make a mail with it{size}"),
        LeftOut::NoAnswer => "not attached: its disk didn't answer in time".to_owned(),
        LeftOut::PlainForm => format!("not attached{size}"),
    }
}
