//! `notify-done outbox`, as typed. Pure.

use clap::{Args, Subcommand};

use super::CommonArgs;

#[derive(Debug, Args)]
pub struct OutboxArgs {
    #[command(subcommand)]
    pub action: OutboxAction,
}

#[derive(Debug, Subcommand)]
pub enum OutboxAction {
    /// What is kept, the newest at the end: why it hasn't gone out, and when the next try is
    List {
        /// All that is kept, not only the newest 50 of each kind; and the receipts of what was sent
        #[arg(long)]
        all: bool,
        /// One JSON document: {"entries": […]}, all that waits or was given up; with --all what was sent, too
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// All that is known of a mail: recipients, each try with the server's answer, what to do
    Show {
        /// Id of the mail or its run, or enough of its beginning or of the part behind the `-`; else the newest
        entry: Option<String>,
        /// One JSON document
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Try mails again, at once, as if they had never been tried: when you have mended what was wrong
    #[command(
        override_usage = "notify-done outbox retry [OPTIONS] ENTRY...\n       notify-done outbox retry [OPTIONS] --all-failed"
    )]
    Retry {
        #[command(flatten)]
        which: WhichEntries,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Remove mails that weren't sent, for good: nobody gets them then
    #[command(
        override_usage = "notify-done outbox drop [OPTIONS] ENTRY...\n       notify-done outbox drop [OPTIONS] --all-failed"
    )]
    Drop {
        #[command(flatten)]
        which: WhichEntries,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Send what is kept, now
    Flush {
        /// All that is kept: also what isn't due yet, and the older notices from before there was an account
        #[arg(long)]
        all: bool,
        /// Only what is due by itself, as the timer does it
        #[arg(long, conflicts_with_all = ["all", "watch"])]
        due: bool,
        /// Go on until nothing waits any more; Ctrl-C ends it
        #[arg(long)]
        watch: bool,
        /// One JSON document at the end: {"entries": […], "tally": {…}}
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Have systemd flush the outbox every quarter of an hour; without it, print a line for crontab
    InstallTimer {
        /// Print the unit files, and do nothing
        #[arg(long)]
        print: bool,
        /// Take the timer away again
        #[arg(long, conflicts_with = "print")]
        uninstall: bool,
        /// One JSON document
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        common: CommonArgs,
    },
}

/// What is to be tried again, or removed.
#[derive(Debug, Args)]
pub struct WhichEntries {
    /// Id of the mail or its run, or enough of its beginning or of the part behind the `-`
    #[arg(value_name = "ENTRY", required_unless_present = "all_failed")]
    pub entries: Vec<String>,
    /// All that were given up
    #[arg(long, conflicts_with = "entries")]
    pub all_failed: bool,
    /// One JSON document
    #[arg(long)]
    pub json: bool,
}

impl OutboxAction {
    pub fn common(&self) -> &CommonArgs {
        match self {
            Self::List { common, .. }
            | Self::Show { common, .. }
            | Self::Retry { common, .. }
            | Self::Drop { common, .. }
            | Self::Flush { common, .. }
            | Self::InstallTimer { common, .. } => common,
        }
    }
}
