"""The benchmarks themselves: what is written, where to, by how many bytes, and what is shown."""

from dataclasses import dataclass

from figures import show
from measure import Sink

BLOCK = 64 * 1024
LINE = 80
MIB = 1 << 20
# Between two lines of the latency benchmarks, microseconds.
GAP_US = 1000


@dataclass(frozen=True)
class Size:
    """How much a session does."""

    name: str
    true_rounds: int
    rounds: int
    memory_rounds: int
    blocks_mib: int
    lines: int
    alt_lines: int
    tty_mib: int
    tty_lines: int
    ticks: int
    latency_rounds: int
    mail_rounds: int
    # Of the attachment of 10 MiB.
    mail_lines: int


SMOKE = Size("smoke", 3, 1, 1, 2, 5_000, 5_000, 1, 2_000, 50, 1, 1, 5_000)
QUICK = Size("quick", 100, 7, 2, 256, 1_000_000, 500_000, 16, 100_000, 1_000, 5, 11, 10 * MIB // LINE)
FULL = Size("full", 100, 9, 2, 4096, 10_000_000, 5_000_000, 256, 1_000_000, 2_000, 7, 31, 10 * MIB // LINE)


@dataclass(frozen=True)
class Benchmark:
    name: str
    title: str
    rounds: int
    # `true`, or what the probe writes: blocks, lines, alt, tick; or `mail` with its lines attached.
    kind: str
    count: int = 0
    sink: str = "null"
    # Standard error on the same description as standard output.
    merged: bool = False
    # Standard error on a pipe of its own.
    apart: bool = False
    memory: bool = False
    # Of a mail.
    memory_rounds: int = 0

    @property
    def bytes(self):
        """How much is written."""
        return self.count * {"true": 0, "blocks": BLOCK}.get(self.kind, LINE)

    def command(self, probe, true):
        if self.kind == "true":
            return [true]
        if self.kind == "tick":
            return [probe, "tick", str(self.count), str(GAP_US)]
        return [probe, "write", self.kind, str(self.count)]

    def through_terminal(self, contender):
        """It comes out with a terminal's line ends, and the kernel's own threads did part of the work."""
        return self.sink == "tty" or "crlf" in contender.log_options

    def reads(self, contender):
        """What the readers of this wrapper's output expect, one per stream."""
        terminal = ("crlf",) if self.through_terminal(contender) else ()
        if self.kind == "tick":
            return (("arrive", str(self.count)),)
        if self.apart:
            # What merges them gets them by one pipe: in order.
            out, err = ("alt", "err") if contender.merges else ("out", "err")
            many, few = (self.count, 0) if contender.merges else (-(-self.count // 2), self.count // 2)
            return (("drain", out, str(many), *terminal), ("drain", err, str(few)))
        heads = ("heads",) if self.kind == "blocks" else ()
        return (("drain", self.kind, str(self.count), *heads, *terminal),)

    def sink_for(self, contender):
        readers = self.reads(contender) if self.sink in ("pipe", "tty") else ()
        return Sink(self.sink, readers, self.merged)

    def log_arguments(self, contender):
        """How the probe checks the log, or the file that the output went to."""
        kind = "either" if self.apart else self.kind
        options = contender.log_options
        # A file has the terminal's line ends, but the log's frame only where it is the log.
        if self.sink == "file":
            options = [option for option in options if option == "crlf"]
        return ["drain", kind, str(self.count), *options]


def everything(size):
    blocks, tty_blocks = size.blocks_mib * MIB // BLOCK, size.tty_mib * MIB // BLOCK
    of_blocks, of_lines = f"{size.blocks_mib} MiB in 64 KiB blocks", f"{size.lines:,} lines of 80 bytes"
    of_alt = f"{size.alt_lines:,} lines, stdout and stderr in turn"
    found = [Benchmark("true", "`true`, mail only on failure", size.true_rounds, "true")]
    for sink, where in (("null", "/dev/null"), ("pipe", "a pipe"), ("file", "a file")):
        found.append(Benchmark(f"blocks-{sink}", f"{of_blocks} to {where}", size.rounds, "blocks", blocks, sink))
    found.append(
        Benchmark("blocks-tty", f"{size.tty_mib} MiB in 64 KiB blocks to a tty", size.rounds, "blocks", tty_blocks, "tty")
    )
    for sink, where in (("null", "/dev/null"), ("pipe", "a pipe"), ("file", "a file")):
        found.append(Benchmark(f"lines-{sink}", f"{of_lines} to {where}", size.rounds, "lines", size.lines, sink))
    found += [
        Benchmark("lines-tty", f"{size.tty_lines:,} lines to a tty", size.rounds, "lines", size.tty_lines, "tty"),
        Benchmark("alt-one", f"{of_alt}, both on one pipe", size.rounds, "alt", size.alt_lines, "pipe", merged=True),
        Benchmark("alt-two", f"{of_alt}, a pipe each", size.rounds, "alt", size.alt_lines, "pipe", apart=True),
        Benchmark("latency-pipe", "a line's way through a pipe", size.latency_rounds, "tick", size.ticks, "pipe"),
        Benchmark("latency-tty", "a line's way through a tty", size.latency_rounds, "tick", size.ticks, "tty"),
    ]
    memory = [
        ("memory-blocks", of_blocks + " to a pipe", "blocks", blocks, "pipe", False),
        ("memory-lines", of_lines + " to a pipe", "lines", size.lines, "pipe", False),
        ("memory-two", of_alt + ", a pipe each", "alt", size.alt_lines, "pipe", True),
        ("memory-tty", f"{size.tty_lines:,} lines to a tty", "lines", size.tty_lines, "tty", False),
    ]
    for name, title, kind, count, sink, apart in memory:
        found.append(
            Benchmark(name, "memory: " + title, size.memory_rounds, kind, count, sink, apart=apart, memory=True)
        )
    attached = f"{size.mail_lines * LINE / MIB:.1f} MiB attached"
    for name, what, lines, sink in (
        ("mail-plain", attached, size.mail_lines, "plain"),
        ("mail-tls", f"{attached}, implicit TLS", size.mail_lines, "tls"),
        ("mail-small", "2 KiB attached", 2048 // LINE, "plain"),
        ("mail-small-tls", "2 KiB attached, implicit TLS", 2048 // LINE, "tls"),
    ):
        found.append(
            Benchmark(
                name, f"one mail, {what}", size.mail_rounds, "mail", lines, sink, memory_rounds=size.memory_rounds + 1
            )
        )
    return found


def columns(benchmark, rounds, names):
    """Head and rows of a benchmark's table."""
    if benchmark.memory:
        head = ["wrapper", "peak PSS, MiB", "samples a run"]
        return head, [
            [name, show(rounds.spread(name, "memory"), 1, 1 / MIB), show(rounds.spread(name, "samples"), 0)]
            for name in names
        ]
    if benchmark.kind == "mail":
        head = ["sender", "wall ms", "CPU ms", "peak RSS, MiB", "wall × smtplib", "CPU × smtplib", "wall × curl"]
        return head, [
            [
                name,
                *(show(rounds.spread(name, key), 1, 1e3) for key in ("wall", "cpu")),
                show(rounds.spread(name, "memory"), 1, 1 / MIB),
                *(show(rounds.ratio(name, "smtplib", key), 3) for key in ("wall", "cpu")),
                show(rounds.ratio(name, "curl", "wall"), 3),
            ]
            for name in names
        ]
    if benchmark.kind == "tick":
        head = ["wrapper", "p50 µs", "p99 µs", "p50 × bare", "p99 × bare", "p50 × tee", "p99 × tee"]
        return head, [
            [
                name,
                *(show(rounds.spread(name, key), 1) for key in ("p50", "p99")),
                *(show(rounds.ratio(name, base, key)) for base in ("bare", "tee") for key in ("p50", "p99")),
            ]
            for name in names
        ]
    if benchmark.kind == "true":
        head = ["wrapper", "wall ms", "added to bare, ms", "CPU ms", "wall × bare", "wall × tee"]
        return head, [
            [
                name,
                show(rounds.spread(name, "wall"), 2, 1e3),
                show(rounds.added(name, "bare", "wall"), 2, 1e3),
                show(rounds.spread(name, "cpu"), 2, 1e3),
                *(show(rounds.ratio(name, base, "wall")) for base in ("bare", "tee")),
            ]
            for name in names
        ]
    head = ["wrapper", "wall s", "CPU s", "wall × bare", "CPU × bare", "wall × tee", "CPU × tee"]
    return head, [
        [
            name,
            show(rounds.spread(name, "wall"), 3),
            show(rounds.spread(name, "cpu"), 3),
            *(show(rounds.ratio(name, base, key)) for base in ("bare", "tee") for key in ("wall", "cpu")),
        ]
        for name in names
    ]
