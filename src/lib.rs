//! notify-done wraps a command so transparently that the command can't tell, keeps its whole output,
//! and when it ends mails a summary with the full log through the user's own mailbox.
//!
//! # The way of the data
//!
//! ```text
//! argv ─cli→ Cli ─config→ Settings ─run→ RunFacts + spool ─report→ Report ─render→ Rendered
//!                                                                                     │
//!   Verdict ←─deliver─ Entry ←─outbox─ body.mime ←─────────────mail──────────────────┘
//! ```
//!
//! Data flows one way. A type belongs to the stage that makes it; the next stage imports only the
//! pure files of the one before it. **P**ure files do no I/O and read no clock, environment or
//! terminal; **e**ffects sit at the edge. `tests/architecture.rs` checks this.
//!
//! | room | | what for |
//! |---|---|---|
//! | [`app`] | E | picks the command, maps the outcome to an exit |
//! | [`cli`] | P | the command line, exactly as typed |
//! | [`commands`] | E | one file per command: the only wiring of stages. `notice` is what the mailer does, `keep` makes its mail, `remake` makes it anew with less, `missing` finds the notices that nobody made, `claims` sees to it that one process makes them, `background` goes on with what a first try left, `find` finds runs, `prune` tidies up, `outbox/` is what a user does to what is kept, `doctor/` (`checkup` `found` `page` `values` `words` P) looks why mails don't go out, `words` `event_words` (P) are for the terminal |
//! | [`config`] | | `file` `keys` `values` `merge` `path_json` `provider` `secret` P: notify.toml, merged with environment and flags, provenance, presets · `load` `read_secret` E |
//! | [`run`] | | `ci` `facts` `record` `policy` `life` P: what is known of a run, `run.json`, whether its end is worth a mail, whether it is alive · `wiring` `front` `forward` `full` `supervisor` `start` `monitor` `wake` `pump` `flow` `mailer` `link` `piped` `hung` E: the processes (see there) · `alive` `interrupted` `oom` E: signs of life, what a run that was cut off left behind, kills for want of memory |
//! | [`spool`] | | `index` `tail` P · `writer` `room` `reader` E: the output on disk, and how much of the disk it may take |
//! | [`report`] | P | what is said of a run: `screen` plays its output as a terminal would, `headline` finds in that what went wrong, `excerpt` takes what is shown, `name` `programs` say what to call it |
//! | [`render`] | P | in which words: subject, text, HTML, terminal; en, zh |
//! | [`privacy`] | P | what must not leave the machine: tokens, passwords, codes, the user's patterns; found in texts and streams and taken out |
//! | [`mail`] | | `draft` `limits` `ladder` `names` P: headers, sizes, how much of the log goes, what attachments are called · `files` `prepare` `pack` `pieces` E: the user's files, what is packed, what of a file is read · `compose` E: the MIME body, streamed |
//! | [`outbox`] | | `entry` `recipients` `event` `schedule` `health` `choice` P · `remake` `store` `accounts` `claim` `held` `look` `revive` E: notices on disk · `drain` `round` `attempt` `conclude` E: sending what waits |
//! | [`deliver`] | | `verdict` `diagnose` `replies` `codes` `meanings` `words` `ehlo` `reply` `transcript` P: what a server's answer means · `job` `courier` `smtp` `session` `login` `connect` `eyeballs` `wire` `body` `tls` `recorder` `probe` E: mails to their servers, and how far one would get |
//! | [`sys`] | E | leaves: clock, ids, files, places, descriptors, pipes, terminals, processes; all `unsafe` is here, but for the entry in `main.rs` |
//! | [`ui`] | E | the only place that prints |
//! | [`error`] [`exit`] | P | kind + cause + hints; the table of exit codes |
//!
//! # Decisions that shape it
//!
//! 1. **Processes**: the command stays in the shell's job, its parent does not ([`run`]).
//! 2. **The job comes first.** No network, no sync, no secret before the command runs. A broken
//!    config warns, and the job runs; notify.toml is read again when the mail is made.
//! 3. **On disk before it is needed**: `state/runs/<id>/{run.json,log,index,lock}`,
//!    `state/claims/<id>@<owner>`, `state/outbox/{tmp,new,sending,held,sent,failed}/<id>/{entry.json,
//!    body.mime,plain.mime}`, `state/outbox/accounts/<mark>.json`. Ids sort by time, schemas carry a version.
//! 4. **Late sender.** QQ and 163 demand that From is the login, so From, To and Subject are written
//!    in front of the body when it is sent.
//! 5. **Each try is the same path**: enqueue durably, then drain; the first try is no special case.
//! 6. **The exit status is the command's**, whatever becomes of the mail.

pub mod app;
pub mod cli;
pub mod commands;
pub mod config;
pub mod deliver;
pub mod error;
pub mod exit;
pub mod mail;
pub mod outbox;
pub mod privacy;
pub mod render;
pub mod report;
pub mod run;
pub mod spool;
pub mod sys;
pub mod ui;
