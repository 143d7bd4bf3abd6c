use std::process::Command;

use super::*;

fn argv(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn short(line: &str) -> String {
    short_name(&argv(&line.split(' ').collect::<Vec<_>>()))
}

/// Catches a name that tells the wrapper, an option's value or the interpreter, not the job.
#[test]
fn short_names() {
    for (line, name) in [
        ("python -u train.py --lr 1", "train.py"),
        ("/usr/bin/python3.12 -W ignore exp/train.py", "train.py"),
        ("python -m pkg.mod --x", "pkg.mod"),
        ("python -c print(1)", "python -c"),
        ("python", "python"),
        ("torchrun --nproc 4 train.py --epochs 3", "train.py"),
        ("torchrun --standalone -m pkg.train", "pkg.train"),
        ("python -m torch.distributed.run --nnodes 2 src/train.py", "train.py"),
        ("accelerate launch --config_file a.yaml train.py", "train.py"),
        ("accelerate config", "accelerate config"),
        ("env -u X A=b C=d python x.py", "x.py"),
        ("env", "env"),
        ("nice -n 5 make -j8 all", "make all"),
        ("nice make -j 8 all", "make all"),
        ("make -j all", "make all"),
        ("make CC=gcc -C sub test", "make test"),
        ("make", "make"),
        ("uv run x.py", "x.py"),
        ("uv run --with torch python -u x.py", "x.py"),
        ("uv pip install x", "uv pip"),
        ("conda run -n e --no-capture-output python x.py", "x.py"),
        ("nohup nice timeout -k 5 1h ./run.sh a", "run.sh"),
        ("sudo -u bob A=b rsync -a x y", "rsync x"),
        ("bash -o pipefail job.sh one", "job.sh"),
        ("cargo test", "cargo test"),
        ("cargo +nightly build --release", "cargo build"),
        ("git -C /src fetch", "git fetch"),
        ("npm run build", "npm run build"),
        ("sleep 10", "sleep"),
        ("./train", "train"),
        ("java -Xmx4g -cp a.jar -jar lib/app.jar", "app.jar"),
        ("Rscript --vanilla fit.R", "fit.R"),
        ("srun -n 4 python train.py", "train.py"),
        ("/", "/"),
    ] {
        assert_eq!(short(line), name, "{line}");
    }
}

#[test]
fn a_shell_is_named_by_its_script() {
    let of = |words: &[&str]| short_name(&argv(words));
    assert_eq!(of(&["bash", "-c", "make && x"]), "make && x");
    assert_eq!(of(&["sh", "-euc", "\n# build\nset -x\nmake  all\necho done"]), "make  all");
    assert_eq!(of(&["bash", "-lc", &"x".repeat(60)]), format!("{}…", "x".repeat(39)));
    assert_eq!(of(&["sh", "-c"]), "sh");
    assert_eq!(of(&["sh", "-c", ""]), "command");
}

#[test]
fn a_name_is_one_line_whatever_the_argument() {
    assert_eq!(short_name(&argv(&["a\nBcc: b\u{202e}"])), "a Bcc: b");
    assert_eq!(short_name(&[]), "command");
    let nested: Vec<String> = vec!["nice".to_owned(); 5000];
    assert_eq!(short_name(&nested), "nice");
}

#[test]
fn display_is_quoted() {
    for (words, shown) in [
        (&["python", "-u", "a.py", "--lr=1e-3"][..], "python -u a.py --lr=1e-3"),
        (&["echo", "", "a b", "it's", "~"], r"echo '' 'a b' 'it'\''s' '~'"),
        (&["A=b", "x=y"], "'A=b' x=y"),
        (&["训练", "日志 文件"], "训练 '日志 文件'"),
        (&["a\nb\t\u{202e}", r"\x41"], r"$'a\nb\t\342\200\256' '\x41'"),
        (&[r"caf\xe9'\"], r"$'caf\xe9\'\\'"),
    ] {
        assert_eq!(display_command(&argv(words)), shown);
    }
}

/// Catches any character that a shell would read otherwise: a real shell prints the words back.
#[test]
fn a_shell_reads_back_what_is_displayed() {
    let all: Vec<String> = (1..0x250u32).filter_map(char::from_u32).map(|c| format!("a{c}b{c}")).collect();
    let mut words = argv(&["", "~", "=x", "#x", "!x", "-n", "*", "$(x)", "a'b\nc", "\u{202e}", "\\", "\\\n"]);
    words.extend(all);
    let script = format!("printf '%s\\0' {}", display_command(&words));
    let output = Command::new("bash").args(["-c", &script]).output().expect("bash runs");
    let mut expected = words.join("\0");
    expected.push('\0');
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}
