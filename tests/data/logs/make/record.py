#!/usr/bin/env python3
"""Records logs anew: record.py [NAME...]. The cases stand in cases.txt, each under a line `### NAME pipe|pty`.

A case is a bash script. It runs in an empty folder under /tmp/job with both streams on one pipe or on a
terminal; what it writes becomes ../NAME.log, byte for byte, but for the recorder's home folder. Its end is
printed as logs.tsv has it: the exit code, or `signal N`. Needs whatever the cases need, as root; $VENV is a
virtual environment with pytest, rich, loguru and numpy.
"""

import os, pathlib, pty, shutil, subprocess, sys

HERE = pathlib.Path(__file__).resolve().parent


def cases():
    name, mode, body = None, None, []
    for line in (HERE / "cases.txt").read_text().splitlines(keepends=True):
        if line.startswith("### "):
            if name:
                yield name, mode, "".join(body)
            name, mode = line[4:].split()
            body = []
        else:
            body.append(line)
    yield name, mode, "".join(body)


def run(name, mode, script):
    work = pathlib.Path("/tmp/job") / name
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    env = dict(os.environ, LC_ALL="C.UTF-8", COLUMNS="100", RUST_BACKTRACE="0", GOFLAGS="-mod=mod", GOPROXY="off")
    for unwanted in ("CI", "NO_COLOR", "FORCE_COLOR"):
        env.pop(unwanted, None)
    # exec: the last command's signal is the case's own.
    job = ["bash", "-c", script]
    if mode == "pipe":
        done = subprocess.run(job, cwd=work, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
        return done.stdout, done.returncode
    ours, theirs = pty.openpty()
    env["TERM"] = "xterm-256color"
    child = subprocess.Popen(job, cwd=work, env=env, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    out = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        if not piece:
            break
        out += piece
    return out, child.wait()


def main():
    wanted = sys.argv[1:]
    for name, mode, script in cases():
        if wanted and name not in wanted:
            continue
        out, code = run(name, mode, script)
        out = out.replace(os.environ["VENV"].encode(), b"/home/user/venv")
        out = out.replace(os.path.expanduser("~").encode() + b"/", b"/home/user/")
        out = out.replace(b"/home/user/.pyenv/versions/", b"/opt/python/")
        (HERE.parent / f"{name}.log").write_bytes(out)
        print(name, f"signal {-code}" if code < 0 else code, len(out), sep="\t", flush=True)


main()
