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
//! * **S** is the parent of C. It makes C's process in F's session and leaves that before C becomes the
//!   command, so C stays in the shell's job, with the real controlling terminal, and S outlives
//!   whatever ends that job, by C's own hand too.
//!   Beside it sits a process that closes the caller's pipes in its place when it hangs
//!   (`sys::beside`).
//! * **C** is the command: descriptors, signals, environment as the caller left them, but for a
//!   pipe or a pseudo-terminal on standard output and error.
//! * **M** makes and sends the mail: own session, none of the caller's descriptors. Runtime,
//!   threads and TLS exist only here.
//! * **H** goes on passing output while a grandchild holds the pipe, so that F can end.
//!
//! F and S hold the lock of the run's folder ([`alive`]): when both are gone, the next start, or
//! `outbox flush`, finds the run dead ([`life`]) and makes its notice ([`interrupted`]).
//!
//! With `--pty full` two more processes stand between S and C, in a session with a terminal of its
//! own: see [`full`] and [`monitor`].
//!
//! If S were C's child or C were in a session of its own, Ctrl-C, Ctrl-Z, `/dev/tty` and the
//! shell's `time` would change. F waits for S, so that `time` counts C's CPU.

pub mod alive;
pub mod ci;
pub mod facts;
pub mod flow;
pub mod forward;
pub mod front;
pub mod full;
pub mod hung;
pub mod interrupted;
pub mod life;
pub mod link;
pub mod mailer;
pub mod monitor;
pub mod oom;
pub mod piped;
pub mod policy;
pub mod pump;
pub mod record;
pub mod start;
pub mod supervisor;
pub mod wake;
pub mod wiring;
