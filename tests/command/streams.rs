//! Output, whatever the caller has put on 1 and 2.

use crate::killed::PROCESSES;
use crate::{assert_same, quiet};

/// Statements 55, 57. Catches output that is taken for text or for lines, on its way and in the log.
#[test]
fn bytes_are_bytes_and_the_last_line_needs_no_end() {
    let env = quiet();
    let every: Vec<u8> = (0..=255).cycle().take(300_000).chain(*b"last\nline").collect();
    env.write("every", &every, 0o644);
    env.notify_done(["--", "cat", "every"]).run().assert_code(0).assert_stdout(&every);
    let run = std::fs::read_dir(env.state().join("runs")).unwrap().next().unwrap().unwrap();
    assert_eq!(std::fs::read(run.path().join("log")).unwrap(), every);
}

/// Statement 62. Catches a socket in a pipe's place, which can't be opened by name, and a log file in its
/// place, which that would cut to nothing.
#[test]
fn dev_stdout_can_be_opened_again() {
    assert_same(
        "$W sh -c 'echo 1; echo 2 >/dev/stdout; echo 3 >>/dev/stdout; echo 4 >/dev/stderr; echo 5' 2>&1 | cat",
    );
    assert_same("$W sh -c 'echo 1; echo 2 >/dev/stderr; echo 3' 2>&1 >/dev/null | cat");
    assert_same("$W sh -c 'echo 1; echo 2 >>/dev/stdout; echo 3' >>file; cat file; rm file");
}

/// Statement 46. Catches a copy of the command's output in a process of ours: who waits for its end (a
/// parent that takes it for "ready") would wait for the command's. Whoever lets go of it last: the
/// command, what it left behind; after the supervisor's death; on a socket.
#[test]
fn a_closed_output_is_seen_at_once() {
    let closing = "echo x; exec >&-; read x <&9; exit 3";
    let then = "(cat; echo ended; echo go >&9; echo go >&9)";
    let left = format!("({closing}) & exec >&-; read x <&9");
    for job in [closing, &left] {
        assert_same(&format!("mkfifo gate; exec 9<>gate; $W sh -c '{job}' 2>/dev/null | {then}; rm gate"));
    }
    let script = r#"
import signal, socket
for how in "pipe", "socket", "taken over":
    if how == "socket":
        ours, theirs = (end.detach() for end in socket.socketpair())
    else:
        ours, theirs = os.pipe()
    job = "echo x; read x; exec >&-; read x; exit 3"
    run = subprocess.Popen([ND, "--", "sh", "-c", job], stdin=subprocess.PIPE, stdout=theirs, bufsize=0)
    os.close(theirs)
    supervisor, command = tree(run.pid)
    if how == "taken over":
        os.kill(supervisor, signal.SIGKILL)
        until("the command is the front's", lambda: command in kids(run.pid))
    run.stdin.write(b"\n")
    print(how, read_to_end(ours))
    run.stdin.write(b"\n")
    print(run.wait(20))
"#;
    let none: [&str; 0] = [];
    let told = "pipe b'x\\n'\n3\nsocket b'x\\n'\n3\ntaken over b'x\\n'\n3\n";
    quiet().python(&format!("{PROCESSES}{script}"), none).run().assert_code(0).assert_stdout(told);
}

/// Documents a difference: what the caller has put on 1 and 2 as a socket is a pipe to the command, which
/// can be opened by name, and what it has put on 0 is left. Catches a socket that is no way out at all.
///
/// Statement 62.
#[test]
fn a_socket_becomes_a_pipe() {
    let script = r#"
import socket
job = "cat; for n in 0 1 2; do for kind in S p; do test -$kind /dev/fd/$n && echo $n $kind; done; done >>/dev/stdout; :"
ours, theirs = socket.socketpair()
run = subprocess.Popen([ND, "--", "sh", "-c", job], stdin=theirs, stdout=theirs, stderr=theirs)
theirs.close()
ours.sendall(b"through\n")
ours.shutdown(socket.SHUT_WR)
print(read_to_end(ours.detach()), run.wait(20))
"#;
    let none: [&str; 0] = [];
    let told = "b'through\\n0 S\\n1 p\\n2 p\\n' 0\n";
    quiet().python(&format!("{PROCESSES}{script}"), none).run().assert_code(0).assert_stdout(told);
}

/// Statement 63. Catches a pipe that is another kind of file for the command, where it asks (`test -p`,
/// S_ISFIFO in a program that chooses its buffering).
#[test]
fn a_pipe_stays_a_pipe_and_a_file_a_file() {
    let kinds = "exec 5>kinds; for n in 1 2; do test -t $n && echo $n terminal >&5; \
        for kind in p f S c; do test -$kind /dev/fd/$n && echo $n $kind >&5; done; done; :";
    for outputs in
        ["| cat", "2>&1 | cat", ">file", ">>file 2>&1", ">/dev/full", ">fifo & cat fifo >/dev/null; wait"]
    {
        assert_same(&format!("mkfifo fifo; $W sh -c '{kinds}' {outputs}; cat kinds; rm -f kinds fifo file"));
    }
}

/// Catches: an output that works though it can't be written to without us (`1</dev/null`).
#[test]
fn what_can_only_be_read_is_the_commands_to_find_out() {
    let job = "echo x; echo $? >&5; echo y >&2; echo $? >&5";
    for outputs in ["1</dev/null 2>&1", "2</dev/null", "1<&0 2>/dev/null"] {
        assert_same(&format!(": | $W sh -c '{job}' 5>said {outputs}; cat said"));
    }
}

/// Catches a FIFO whose reader has gone taken for a pipe that nobody will read again.
#[test]
fn a_fifo_waits_for_its_next_reader() {
    assert_same(
        "mkfifo fifo gate; $W sh -c 'echo one; read x <gate; echo two' >fifo & head -n1 <fifo; \
         : time to make that mistake; sleep 0.2; exec 3<fifo; echo go >gate; cat <&3; wait; rm fifo gate",
    );
}

/// Catches: a full device that takes the output all the same, or that we take for a broken reader.
#[test]
fn a_full_device_is_the_commands_to_find_out() {
    assert_same("$W sh -c 'echo x 2>said; echo $?; cat said >&2' 2>&1 >/dev/full | cat");
    assert_same("$W cat /proc/version >/dev/full 2>/dev/null; echo $?");
}

/// Statements 59, 60. Catches bytes that are lost or doubled where the reader is slow and the caller's
/// description doesn't wait for it (node, or a `git` that ssh has left so): tee(1) fails there.
#[test]
fn a_slow_reader_on_any_description_gets_everything() {
    let script = r#"
import hashlib, pty, socket, threading, tty
write = "import os\ndata = b''.join(b'%07d\\n' % n for n in range(60000))\nwhile data: data = data[os.write(1, data[:10007]):]"
expected = b"".join(b"%07d\n" % n for n in range(60000))
for kind in ("pipe", "socket", "pty", "fifo"):
    for blocking in (True, False):
        if kind == "socket":
            ours, theirs = (end.detach() for end in socket.socketpair())
        elif kind == "fifo":
            os.mkfifo("fifo")
            ours = os.open("fifo", os.O_RDONLY | os.O_NONBLOCK)
            theirs = os.open("fifo", os.O_WRONLY)
            os.set_blocking(ours, True)
            os.unlink("fifo")
        else:
            ours, theirs = os.pipe() if kind == "pipe" else pty.openpty()
        if kind == "pty":
            tty.setraw(theirs)
        os.set_blocking(theirs, blocking)
        run = subprocess.Popen([ND, "--", "python3", "-c", write], stdout=theirs)
        os.close(theirs)
        got = read_to_end(ours, 997)
        print(kind, blocking, run.wait(20), got == expected)
"#;
    let told: String = ["pipe", "socket", "pty", "fifo"]
        .iter()
        .flat_map(|kind| ["True", "False"].map(|blocking| format!("{kind} {blocking} 0 True\n")))
        .collect();
    let none: [&str; 0] = [];
    quiet().python(&format!("{PROCESSES}{script}"), none).run().assert_code(0).assert_stdout(told);
}
