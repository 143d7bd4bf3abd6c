//! What is known of programs that run others: which words of their command lines come before the
//! one that names the job. Pure data.

/// How the options of a program are told from its operands.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    pub names: &'static [&'static str],
    pub role: Role,
    /// Options whose value is the next word; those written `--x=y` or `-xy` need no entry.
    pub valued: &'static [&'static str],
}

#[derive(Debug, Clone, Copy)]
pub enum Role {
    /// Runs the command behind its options, `operands` words and assignments (`timeout 5m CMD`).
    Wrapper { operands: usize },
    /// Does so only by this subcommand (`uv run CMD`).
    Runner { subcommand: &'static str },
    /// Starts a Python script with processes and machines of its own (`torchrun … train.py`).
    Launcher { subcommand: Option<&'static str> },
    /// Runs a script (`python train.py`), by the options `module` a module, by `code` its text.
    Interpreter { module: Option<&'static str>, code: Option<&'static str> },
    /// `sh`: like an interpreter, and its code says what it does.
    Shell,
    /// Has subcommands or targets worth naming, and options with values before them.
    Tool,
}

const fn wrapper(
    names: &'static [&'static str],
    operands: usize,
    valued: &'static [&'static str],
) -> Program {
    Program { names, role: Role::Wrapper { operands }, valued }
}

const fn runner(
    names: &'static [&'static str],
    subcommand: &'static str,
    valued: &'static [&'static str],
) -> Program {
    Program { names, role: Role::Runner { subcommand }, valued }
}

const fn launcher(names: &'static [&'static str], subcommand: Option<&'static str>) -> Program {
    Program { names, role: Role::Launcher { subcommand }, valued: &[] }
}

const fn interpreter(
    names: &'static [&'static str],
    module: Option<&'static str>,
    code: Option<&'static str>,
    valued: &'static [&'static str],
) -> Program {
    Program { names, role: Role::Interpreter { module, code }, valued }
}

const fn tool(names: &'static [&'static str], valued: &'static [&'static str]) -> Program {
    Program { names, role: Role::Tool, valued }
}

/// From the manual pages and `--help` texts of the programs.
pub const PROGRAMS: &[Program] = &[
    wrapper(&["env"], 0, &["-u", "--unset", "-C", "--chdir"]),
    wrapper(&["nice"], 0, &["-n", "--adjustment"]),
    wrapper(&["ionice"], 0, &["-c", "--class", "-n", "--classdata"]),
    wrapper(&["nohup", "setsid", "unbuffer", "catchsegv"], 0, &[]),
    wrapper(&["time"], 0, &["-f", "--format", "-o", "--output"]),
    wrapper(&["timeout"], 1, &["-s", "--signal", "-k", "--kill-after"]),
    wrapper(&["taskset"], 1, &[]),
    wrapper(&["chrt"], 1, &["-T", "-P", "-D"]),
    wrapper(&["numactl"], 0, &["-i", "-N", "-m", "-C", "-p", "-P"]),
    wrapper(&["stdbuf"], 0, &["-i", "-o", "-e", "--input", "--output", "--error"]),
    wrapper(&["sudo", "doas"], 0, &["-u", "--user", "-g", "--group", "-C", "-D", "-R", "-T", "-h", "-p"]),
    wrapper(&["xvfb-run"], 0, &["-n", "--server-num", "-s", "--server-args", "-e", "-f", "-p", "-w"]),
    wrapper(&["strace", "ltrace"], 0, &["-e", "-o", "-p", "-s", "-u", "-E", "-a", "-I", "-O", "-S", "-P"]),
    wrapper(
        &["srun"],
        0,
        &["-n", "-N", "-c", "-p", "-t", "-J", "-A", "-w", "-x", "-o", "-e", "-i", "-G", "-q", "-D", "-d"],
    ),
    wrapper(
        &["mpirun", "mpiexec", "orterun"],
        0,
        &["-n", "-np", "-c", "-N", "-H", "-x", "--host", "-hostfile", "--hostfile", "-machinefile"],
    ),
    runner(&["uv"], "run", &["--with", "--python", "-p", "--extra", "--group", "--env-file", "--project"]),
    runner(&["conda", "mamba", "micromamba"], "run", &["-n", "--name", "-p", "--prefix", "--cwd"]),
    runner(&["poetry"], "run", &["-C", "--directory", "-P", "--project"]),
    runner(&["pdm"], "run", &["-p", "--project"]),
    runner(&["pixi"], "run", &["-e", "--environment", "--manifest-path"]),
    runner(&["pipenv", "rye", "hatch"], "run", &[]),
    launcher(&["torchrun", "deepspeed", "horovodrun", "colossalai"], None),
    launcher(&["torch.distributed.run", "torch.distributed.launch"], None),
    launcher(&["accelerate"], Some("launch")),
    launcher(&["accelerate.commands.launch"], None),
    interpreter(&["python", "pypy", "ipython"], Some("-m"), Some("-c"), &["-W", "-X"]),
    interpreter(&["node", "nodejs", "bun"], None, Some("-e"), &["-r", "--require", "--import"]),
    interpreter(&["ruby", "perl"], None, Some("-e"), &["-I", "-r", "-C"]),
    interpreter(&["Rscript"], None, Some("-e"), &[]),
    interpreter(&["julia"], None, Some("-e"), &["-t", "--threads", "-p", "--procs", "-J", "-L"]),
    interpreter(&["java"], Some("-jar"), None, &["-cp", "-classpath", "--class-path", "-p", "--module-path"]),
    Program {
        names: &["sh", "bash", "dash", "zsh", "ksh", "fish", "ash"],
        role: Role::Shell,
        valued: &["-o", "+o", "-O", "+O", "--rcfile", "--init-file"],
    },
    tool(&["make", "gmake"], &["-C", "--directory", "-f", "--file", "-I", "-o", "-W", "-j", "-l"]),
    tool(&["ninja", "samu"], &["-C", "-f", "-j", "-k", "-l", "-d", "-t", "-w"]),
    tool(&["git"], &["-C", "-c", "--git-dir", "--work-tree"]),
    tool(&["cargo"], &["--config", "--color", "-C", "-Z"]),
    tool(&["docker", "podman"], &["-H", "--host", "-c", "--context", "-l", "--log-level"]),
    tool(&["kubectl"], &["-n", "--namespace", "--context", "--kubeconfig"]),
    tool(&["npm", "pnpm", "yarn"], &["--prefix", "-w", "--workspace", "-C", "--dir", "--filter"]),
];

/// The program of this name; `python3.12` is `python`.
pub fn find(name: &str) -> Option<&'static Program> {
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    PROGRAMS.iter().find(|p| p.names.contains(&name) || (!bare.is_empty() && p.names.contains(&bare)))
}
