//! What shells, the kernel, schedulers, containers and common tools say. Pure.

use super::super::text::cut;
use super::Found;
use super::Kind::{First, Interrupt, Memory, Message, Raised, Wrapper};
use super::signs::Place::{Anywhere, Start, Whole};
use super::signs::{Sign, from, line, read, sentence};
use super::source::Source;

pub(super) const SIGNS: &[Sign] = &[
    // Shells
    line(": command not found", Anywhere, Raised, 74),
    line("：未找到命令", Anywhere, Raised, 74),
    line(": 未找到命令", Anywhere, Raised, 74),
    line(": not found", Anywhere, Message, 50),
    line(": unbound variable", Anywhere, Raised, 74),
    line("未绑定的变量", Anywhere, Raised, 74),
    line(": bad substitution", Anywhere, Raised, 72),
    line(": syntax error", Anywhere, Raised, 74),
    line(": Exec format error", Anywhere, Raised, 72),
    line(": bad interpreter", Anywhere, Raised, 74),
    read("Killed", Anywhere, killed),
    read("已杀死", Anywhere, killed),
    read("Segmentation fault", Anywhere, killed),
    read("段错误", Anywhere, killed),
    read("Aborted", Anywhere, killed),
    read("已放弃", Anywhere, killed),
    read("Bus error", Anywhere, killed),
    read("总线错误", Anywhere, killed),
    read("Illegal instruction", Anywhere, killed),
    read("Floating point exception", Anywhere, killed),
    read("浮点数例外", Anywhere, killed),
    read("Terminated", Anywhere, killed),
    read("已终止", Anywhere, killed),
    read("File size limit exceeded", Anywhere, killed),
    read("CPU time limit exceeded", Anywhere, killed),
    line("Alarm clock", Whole, Raised, 66),
    // What errno(3) means, as perror(3) writes it behind a colon.
    read("No space left on device", Anywhere, disk),
    read("设备上没有空间", Anywhere, disk),
    read("Disk quota exceeded", Anywhere, disk),
    line(": Cannot allocate memory", Anywhere, Memory, 74),
    line("无法分配内存", Anywhere, Memory, 74),
    line(": No such file or directory", Anywhere, Message, 54),
    line("没有那个文件或目录", Anywhere, Message, 54),
    line(": Permission denied", Anywhere, Message, 54),
    line("权限不够", Anywhere, Message, 54),
    line(": Operation not permitted", Anywhere, Message, 54),
    line("不允许的操作", Anywhere, Message, 54),
    line(": Connection refused", Anywhere, Message, 54),
    line("拒绝连接", Anywhere, Message, 54),
    line(": Connection timed out", Anywhere, Message, 54),
    line("连接超时", Anywhere, Message, 54),
    line(": Connection reset by peer", Anywhere, Message, 52),
    line(": Read-only file system", Anywhere, Message, 56),
    line(": Input/output error", Anywhere, Message, 58),
    line(": Too many open files", Anywhere, Message, 58),
    line(": Argument list too long", Anywhere, Message, 58),
    line(": Is a directory", Anywhere, Message, 50),
    line(": Not a directory", Anywhere, Message, 50),
    line(": Address already in use", Anywhere, Message, 56),
    line(": Stale file handle", Anywhere, Message, 58),
    line(": Name or service not known", Anywhere, Message, 54),
    line("Temporary failure in name resolution", Anywhere, Message, 54),
    // The kernel's killer, and the schedulers'.
    from("Out of memory: Kill", Memory, 90),
    from("Memory cgroup out of memory", Memory, 90),
    line("oom-kill event", Anywhere, Memory, 92),
    line("oom_kill event", Anywhere, Memory, 92),
    line("Out Of Memory", Anywhere, Memory, 84),
    line("out of memory", Anywhere, Memory, 58),
    line("OutOfMemoryError", Anywhere, Memory, 66),
    line("killed by signal", Anywhere, Raised, 66),
    line("Exceeded job memory limit", Anywhere, Memory, 90),
    line("DUE TO TIME LIMIT", Anywhere, Raised, 94),
    line("DUE TO PREEMPTION", Anywhere, Raised, 94),
    line("DUE TO NODE FAILURE", Anywhere, Raised, 94),
    line("CANCELLED AT ", Anywhere, Raised, 70),
    line("job killed: walltime ", Anywhere, Raised, 94),
    line("TERM_RUNLIMIT: ", Anywhere, Raised, 94),
    line("TERM_MEMLIMIT: ", Anywhere, Memory, 94),
    line("srun: error: ", Start, Wrapper, 40),
    line("sbatch: error: ", Start, Message, 72),
    line("slurmstepd: error: ", Start, Message, 48),
    // MPI
    read("MPI_ABORT was invoked on rank ", Start, mpi_abort),
    line("exited on signal ", Anywhere, Raised, 64),
    line("Primary job  terminated normally, but ", Start, Wrapper, 25),
    line("mpirun detected that one or more processes exited with non-zero", Anywhere, Wrapper, 25),
    line("BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES", Anywhere, Wrapper, 36),
    line("There are not enough slots available", Anywhere, Raised, 72),
    // Launchers
    line("failed (exitcode: ", Anywhere, Wrapper, 38),
    read("exits with return code = ", Anywhere, deepspeed),
    line("The user limits of the job", Anywhere, Message, 50),
    // Containers
    line("Error response from daemon: ", Anywhere, Raised, 76),
    line("ERROR: failed to solve: ", Anywhere, Wrapper, 50),
    line("Cannot connect to the Docker daemon", Anywhere, Raised, 78),
    line("Error from server ", Start, Raised, 74),
    line("OOMKilled", Anywhere, Memory, 80),
    line("FATAL:   ", Start, Raised, 76),
    // Tools of the net
    line("fatal: ", Start, Raised, 70),
    line("! [rejected]", Start, Raised, 72),
    line("! [remote rejected]", Start, Raised, 72),
    line("CONFLICT (", Start, First, 72),
    line("curl: (", Start, Raised, 74),
    line("ssh: ", Start, Raised, 72),
    line("Permission denied (", Anywhere, Raised, 74),
    line("Host key verification failed", Start, Raised, 74),
    line("kex_exchange_identification: ", Start, Raised, 66),
    line("rsync: ", Start, First, 72),
    // What carried it said why.
    line("rsync: connection unexpectedly closed", Start, Wrapper, 46),
    line("rsync error: ", Start, Wrapper, 45),
    line("@ERROR: ", Start, First, 74),
    line("wget: ", Start, Raised, 66),
    line(" ERROR 404: ", Anywhere, Raised, 66),
    line(" ERROR 403: ", Anywhere, Raised, 66),
    line("scp: ", Start, Raised, 62),
    line("tar: Exiting with failure status", Start, Wrapper, 30),
    line("tar: Error is not recoverable", Start, Wrapper, 32),
    line("tar: Child returned status", Start, Wrapper, 31),
    line(": Wrote only ", Anywhere, Message, 60),
    line("not in gzip format", Anywhere, Message, 62),
    line(": unexpected end of file", Anywhere, Message, 56),
    line(": can't open file '", Anywhere, Raised, 76),
    line(": Error while finding module specification for ", Anywhere, Raised, 76),
    line("unterminated ", Anywhere, Message, 45),
    line("unknown option", Anywhere, Message, 52),
    line("unrecognized option", Anywhere, Message, 52),
    line("invalid option", Anywhere, Message, 52),
    // Media and data bases
    line("Conversion failed!", Whole, Wrapper, 40),
    line("Error opening input", Start, Wrapper, 46),
    line("Invalid data found when processing input", Anywhere, Message, 56),
    line("moov atom not found", Anywhere, Message, 60),
    line("psql: error: ", Start, Raised, 70),
    line("ERROR 1", Start, Message, 56),
    line("KeyboardInterrupt", Whole, Interrupt, 60),
];

type Read = (Option<Found>, usize);

/// What a shell prints of a child that a signal killed: alone on its line, or `x.sh: line 3: 123 Killed  cmd`.
fn killed(source: &Source<'_>, row: usize) -> Read {
    let text = source.text(row).trim();
    let whole = text.split(" (").next().unwrap_or_default();
    let alone = text.len() < 60
        && [
            "Killed",
            "已杀死",
            "Segmentation fault",
            "段错误",
            "Aborted",
            "已放弃",
            "Bus error",
            "总线错误",
            "Illegal instruction",
            "Floating point exception",
            "浮点数例外",
            "Terminated",
            "已终止",
            "File size limit exceeded",
            "CPU time limit exceeded",
        ]
        .contains(&whole);
    let of_line = text.contains(": line ") || text.contains("行：") || text.contains(": 行 ");
    let numbered = |rest: &str| rest.trim().as_bytes().first().is_some_and(u8::is_ascii_digit);
    let is_shell = of_line && (text.contains("行：") || text.rsplit(": ").next().is_some_and(numbered));
    // make and other programs tell it so of their children.
    let is_told = text.starts_with("make") && text.contains("*** ");
    if is_told || !(alone || is_shell) {
        return (None, row + 1);
    }
    let (kind, weight) = match text {
        text if text.contains("Killed") || text.contains("已杀死") => (Memory, 66),
        // abort(3) says why before.
        text if text.contains("Aborted") || text.contains("已放弃") => (Raised, 46),
        text if text.contains("Terminated") || text.contains("已终止") => (Raised, 46),
        _ => (Raised, 66),
    };
    (Some(source.found((kind, weight), sentence(source, row), row, row..row + 1)), row + 1)
}

/// A full disk is the cause of whatever else is said.
fn disk(source: &Source<'_>, row: usize) -> Read {
    (Some(source.found((Raised, 77), sentence(source, row), row, row..row + 1)), row + 1)
}

fn mpi_abort(source: &Source<'_>, row: usize) -> Read {
    let code = Some(source.text(row + 1).trim()).filter(|text| text.starts_with("with errorcode"));
    let text = format!("{} {}", source.text(row).trim(), code.unwrap_or_default());
    (Some(source.found((Raised, 56), text, row, row..row + 1 + usize::from(code.is_some()))), row + 1)
}

/// The launcher's line has the whole command in it: its end is what counts.
fn deepspeed(source: &Source<'_>, row: usize) -> Read {
    const BEGINNING: usize = 80;
    let text = source.text(row).trim();
    let Some((before, code)) = text.split_once("exits with return code = ") else { return (None, row + 1) };
    let text = format!("{} exits with return code = {code}", cut(before.trim(), BEGINNING));
    (Some(source.found((Wrapper, 48), text, row, row..row + 1)), row + 1)
}
