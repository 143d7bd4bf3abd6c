//! Runs the command: who is whose parent, where its output goes, how signals travel.
//!
//! ```text
//! shell ── F front ── S supervisor ── C command
//!            │            ├── M mailer   (forked when C has ended)
//!            │            └── H holder   (only while a grandchild still writes)
//!            └── K canary
//! ```
//!
//! * **F** is the process that the shell started: its job. It passes signals on, stops when the
//!   command stops, waits for the mail within its bound, and ends with the command's status. It is
//!   a subreaper: if S is killed, the kernel gives it C, and it goes on in S's place.
//! * **K** only sits in F's process group while C runs: it has what was sent to the whole group, so F
//!   passes on what was sent to F alone (`forward`).
//! * **S** is the parent of C. It forks C first and leaves F's session afterwards, so C stays in
//!   the shell's job, with the real controlling terminal, and S outlives whatever ends that job.
//! * **C** is the command: descriptors, signals, environment as the caller left them, but for a
//!   pipe or a pseudo-terminal on standard output and error.
//! * **M** makes and sends the mail: own session, none of the caller's descriptors. Runtime,
//!   threads and TLS exist only here.
//! * **H** goes on passing output while a grandchild holds the pipe, so that F can end.
//!
//! If S were C's child or C were in a session of its own, Ctrl-C, Ctrl-Z, `/dev/tty` and the
//! shell's `time` would change. F waits for S, so that `time` counts C's CPU.

pub mod facts;
pub mod forward;
pub mod front;
pub mod link;
pub mod mailer;
pub mod piped;
pub mod pump;
pub mod record;
pub mod supervisor;
pub mod wiring;
