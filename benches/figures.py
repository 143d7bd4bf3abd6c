"""Medians, ratios, tables and goals. Pure: numbers in, text out."""

import statistics
from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True)
class Spread:
    """A median and its quartiles."""

    low: float
    middle: float
    high: float

    def show(self, digits, scale=1.0):
        low, middle, high = (f"{value * scale:.{digits}f}" for value in (self.low, self.middle, self.high))
        return middle if low == middle == high else f"{middle} ({low}–{high})"


def spread(values):
    """Of any number of values; None of none."""
    values = [value for value in values if value is not None]
    if not values:
        return None
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(low, middle, high)


class Rounds:
    """The runs of one benchmark by wrapper and round. A run that doesn't count is None, and drops
    its round out of the ratios it would have been part of."""

    def __init__(self, names):
        self.runs = {name: [] for name in names}

    def add(self, name, figures):
        """`figures`: measured values by name, or None."""
        self.runs[name].append(figures)

    def values(self, name, key):
        return [None if figures is None else figures.get(key) for figures in self.runs.get(name, [])]

    def spread(self, name, key):
        return spread(self.values(name, key))

    def pairs(self, name, base, key):
        both = zip(self.values(name, key), self.values(base, key))
        return [(value, against) for value, against in both if value is not None and against is not None]

    def ratio(self, name, base, key):
        """Of the ratios taken round by round, so that a machine that drifts cancels out."""
        return spread([value / against for value, against in self.pairs(name, base, key) if against > 0])

    def added(self, name, base, key):
        return spread([value - against for value, against in self.pairs(name, base, key)])


def show(figure, digits=2, scale=1.0):
    return "–" if figure is None else figure.show(digits, scale)


def table(head, rows):
    """Markdown; the first column is left-aligned."""
    cells = [head, *rows]
    width = [max(len(row[n]) for row in cells) for n in range(len(head))]

    def line(row):
        padded = [cell.rjust(w) if n else cell.ljust(w) for n, (cell, w) in enumerate(zip(row, width))]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (w + 1) + (":" if n else "-") for n, w in enumerate(width)) + "|"
    return "\n".join([line(head), rule, *map(line, rows)])


@dataclass(frozen=True)
class Goal:
    what: str
    # The benchmark that tells, what of it, and against whom; no base: the figure itself.
    benchmark: str
    key: str
    base: str | None
    limit: float
    # The ratio is that of what is added to bare.
    over_bare: bool = False


GOALS = [
    Goal("`true`: wall time added to bare", "true", "wall", "tee", 1.0, over_bare=True),
    Goal("blocks to a file: wall", "blocks-file", "wall", "bare", 1.0),
    Goal("blocks to /dev/null: wall", "blocks-null", "wall", "tee", 0.65),
    Goal("blocks to /dev/null: CPU", "blocks-null", "cpu", "tee", 0.65),
    Goal("blocks to a pipe: wall", "blocks-pipe", "wall", "tee", 0.65),
    Goal("blocks to a pipe: CPU", "blocks-pipe", "cpu", "tee", 0.65),
    Goal("lines to a pipe: wall", "lines-pipe", "wall", "tee", 0.85),
    Goal("blocks to a tty: wall", "blocks-tty", "wall", "script", 1.0),
    Goal("lines to a tty: wall", "lines-tty", "wall", "script", 1.0),
    Goal("latency of a line, pipe: p50", "latency-pipe", "p50", "tee", 1.0),
    Goal("latency of a line, pipe: p99", "latency-pipe", "p99", "tee", 1.5),
    Goal("memory, blocks to a pipe, MiB", "memory-blocks", "memory", None, 8.0),
    Goal("memory, lines to a pipe, MiB", "memory-lines", "memory", None, 8.0),
    Goal("memory, two streams, MiB", "memory-two", "memory", None, 8.0),
    Goal("memory, lines to a tty, MiB", "memory-tty", "memory", None, 8.0),
    Goal("mail, 10 MiB, plain: wall", "mail-plain", "wall", "smtplib", 0.20),
    Goal("mail, 10 MiB, plain: wall", "mail-plain", "wall", "curl", 0.50),
    Goal("mail, 10 MiB, TLS: wall", "mail-tls", "wall", "smtplib", 0.15),
    Goal("mail, 10 MiB, plain: memory, MiB", "mail-plain", "memory", None, 8.0),
    Goal("mail, 10 MiB, TLS: memory, MiB", "mail-tls", "memory", None, 8.0),
]


def reached(goal, rounds):
    """What we reached; None where it can't be told."""
    if goal.base is None:
        peaks = [value for value in rounds.values("us", goal.key) if value is not None]
        return Spread(*[max(peaks) / MIB] * 3) if peaks else None
    if not goal.over_bare:
        return rounds.ratio("us", goal.base, goal.key)
    ours, theirs = (rounds.added(name, "bare", goal.key) for name in ("us", goal.base))
    if ours is None or theirs is None or theirs.middle <= 0:
        return None
    # Single differences scatter too much for a ratio each; the medians are of the same rounds.
    return Spread(ours.low / theirs.middle, ours.middle / theirs.middle, ours.high / theirs.middle)


def verdict(goal, figure):
    """`figure` as the table shows it counts: to two digits."""
    if figure is None:
        return "not measured"
    middle = round(figure.middle, 2)
    if middle <= goal.limit:
        return "met"
    return f"not met: {100 * (middle / goal.limit - 1):.0f} % over"


def goals(results, disturbed):
    """Rows of the closing table, for `results`: rounds by benchmark. In the benchmarks that are
    `disturbed` only memory and CPU say something."""
    rows = []
    for goal in (goal for goal in GOALS if goal.benchmark in results):
        figure = reached(goal, results[goal.benchmark])
        limit = f"≤ {goal.limit:.2f}" + (f" × {goal.base}" if goal.base else "")
        doubt = " (disturbed)" if goal.benchmark in disturbed and goal.key not in ("cpu", "memory") else ""
        rows.append([goal.what, limit, show(figure), verdict(goal, figure) + doubt])
    return rows
