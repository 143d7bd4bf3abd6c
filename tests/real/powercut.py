"""What a disk may hold after a power cut, from what was written to it (as strace(1) saw it).

The file system of this model promises no more than POSIX and no journal:
- Bytes written to a file are there for sure only after fsync of that file. Of the others any beginning may
  be there; or the file has its length and in place of the rest zeros, or garbage.
- Names (create, link, rename, unlink, mkdir, rmdir) are there for sure only after fsync of the folder, or of
  one of the two folders, that they were changed in. Others may be there or not, whichever came first, but:
  a file or folder makes its own steps in order, is under its old name or its new one and never lost in
  between, and a name that was taken over belongs to the old one or to the new one.
- A file that is synced has no name for that reason, and a folder that is synced has a name only if the
  folder above was.
"""

import os
import random
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

TRACED = (
    "openat,creat,write,pwrite64,writev,ftruncate,fsync,fdatasync,rename,renameat,renameat2,link,linkat,"
    "unlink,unlinkat,mkdir,mkdirat,rmdir,splice,sendto"
)
# Calls that would need a model of their own: none is made, or the recording is void.
UNKNOWN = "pwritev,pwritev2,truncate,fallocate,sendfile,copy_file_range,tee,symlink,symlinkat,sync,syncfs,sync_file_range"
END_OF_MAIL = (b"\r\n.\r\n", b".\r\n")


def strace(trace):
    """The beginning of a command line that records what the rest of it does."""
    return ["strace", "-f", "-qq", "-y", "-xx", "-s", "4000000", "-o", str(trace), "-e", f"trace={TRACED},{UNKNOWN}"]


# --- reading -------------------------------------------------------------------------------------


@dataclass
class Op:
    """A call that went well. Of two that overlap nobody knows which was first."""

    name: str
    begin: int
    end: int
    # Its arguments: texts as bytes, descriptors as the path that they are open on, the rest as they stand.
    args: list
    result: str


ARGUMENT = re.compile(
    r"""\s*(?:"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?|(?:-?\d+|AT_FDCWD)<((?:\\x[0-9a-f]{2}|[^>])*)>(\(deleted\))?|([^,"<>]+))"""
)


def read(text):
    """The calls of a trace."""
    ops, waiting = [], {}
    for number, line in enumerate(text.splitlines()):
        pid, rest = line.split(None, 1)
        if rest.startswith("<... "):
            begin, head = waiting.pop(pid)
            rest = head + rest.split(" resumed>", 1)[1]
        else:
            begin = number
        if rest.endswith("<unfinished ...>"):
            waiting[pid] = (begin, rest[: -len("<unfinished ...>")].rstrip())
            continue
        found = re.match(r"(\w+)\((.*)\)\s+= (\S+)", rest)
        if found and not found.group(3).startswith("-1"):
            ops.append(Op(found.group(1), begin, number, arguments(found.group(2)), found.group(3)))
    return ops


def arguments(text):
    found = []
    for quoted, cut, path, deleted, plain in ARGUMENT.findall(text):
        if cut:
            raise ValueError("strace cut a text short")
        if quoted or path:
            found.append(unescaped(quoted or path) + (b" (deleted)" if deleted else b""))
        elif plain.strip():
            found.append(plain.strip())
        elif not plain:
            found.append(b"")
    return found


def unescaped(text):
    return re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m.group(1), 16)]), text.encode())


# --- the model -----------------------------------------------------------------------------------


@dataclass(eq=False)
class Inode:
    folder: bool
    # Bytes: (when, offset, data); a whole file from before the recording is the first, at -1.
    writes: list = field(default_factory=list)
    # When each fsync began and ended.
    syncs: list = field(default_factory=list)
    # Its steps: (when, the folders concerned, all its names after it).
    steps: list = field(default_factory=list)

    @property
    def size(self):
        return max((offset + len(data) for _, offset, data in self.writes), default=0)

    def names(self):
        return self.steps[-1][2] if self.steps else ()


class Disk:
    """Everything below `root`, as it was at the beginning and as the calls have changed it since."""

    def __init__(self, root):
        self.root_path = Path(root)
        self.root = Inode(True)
        self.inodes = [self.root]
        # As the processes see it: (folder, name) → inode.
        self.tree = {}
        # When each mail's end was written to a server.
        self.dots = []
        self.last = -1
        self.take_in(self.root_path, self.root)

    def take_in(self, path, folder):
        for entry in sorted(path.iterdir()):
            inode = Inode(entry.is_dir())
            self.inodes.append(inode)
            self.step(-1, inode, (folder,), ((folder, os.fsencode(entry.name)),))
            if inode.folder:
                self.take_in(entry, inode)
            else:
                inode.writes.append((-1, 0, entry.read_bytes()))

    def step(self, when, inode, folders, names):
        for name in inode.names():
            if self.tree.get(name) is inode:
                del self.tree[name]
        inode.steps.append((when, folders, names))
        for name in names:
            self.tree[name] = inode

    def find(self, path):
        """(folder, name, inode or None) of an absolute path; None: it isn't below the root."""
        try:
            parts = Path(os.fsdecode(path)).relative_to(self.root_path).parts
        except ValueError:
            return None
        folder = self.root
        for part in parts[:-1]:
            folder = self.tree.get((folder, os.fsencode(part)))
            if folder is None:
                return None
        if not parts:
            return None, b"", self.root
        name = os.fsencode(parts[-1])
        return folder, name, self.tree.get((folder, name))

    def play(self, ops):
        """Takes the calls in, in the order in which they ended."""
        base = self.last + 1
        for op in ops:
            self.one(Op(op.name, op.begin + base, op.end + base, op.args, op.result))
        self.last = base + max((op.end for op in ops), default=0)

    def one(self, op):
        do = getattr(self, f"on_{op.name}", None)
        paths = [arg for arg in op.args if isinstance(arg, bytes)]
        if do:
            do(op, paths)
        elif any(self.find(path) for path in paths if path.startswith(b"/")):
            raise ValueError(f"{op.name} isn't in the model")

    def on_openat(self, op, paths):
        found = self.find(paths[-1])
        flags = next((arg for arg in op.args if isinstance(arg, str) and arg.startswith("O_")), "")
        if found and found[2] is None and "O_CREAT" in flags:
            self.make(op, found, False)
        elif found and found[2] and "O_TRUNC" in flags:
            raise ValueError("O_TRUNC isn't in the model")

    def make(self, op, found, folder):
        inode = Inode(folder)
        self.inodes.append(inode)
        self.step(op.end, inode, (found[0],), (found[:2],))

    def on_mkdir(self, op, paths):
        found = self.find(paths[-1])
        if found:
            self.make(op, found, True)

    on_mkdirat = on_mkdir

    def on_write(self, op, paths):
        self.write(op, paths, None)

    def on_pwrite64(self, op, paths):
        self.write(op, paths, int(op.args[-1]))

    def write(self, op, paths, offset):
        found = self.find(paths[0]) if paths and paths[0].startswith(b"/") else None
        if found and found[2]:
            data = paths[1][: int(op.result)]
            found[2].writes.append((op.end, found[2].size if offset is None else offset, data))

    def on_splice(self, op, paths):
        """Into the log: what exactly is read from the file when all is over."""
        found = self.find(paths[-1]) if paths[-1].startswith(b"/") else None
        if found and found[2]:
            offset = found[2].size
            data = Path(os.fsdecode(paths[-1])).read_bytes()[offset : offset + int(op.result)]
            found[2].writes.append((op.end, offset, data))

    def on_fsync(self, op, paths):
        found = self.find(paths[0])
        if found and found[2]:
            found[2].syncs.append((op.begin, op.end))

    on_fdatasync = on_fsync

    def on_rename(self, op, paths):
        old, new = self.find(paths[0]), self.find(paths[-1])
        if not (old and new and old[2]):
            raise ValueError(f"a rename of what isn't known: {paths}, {old}, {new}")
        self.step(op.end, old[2], (old[0], new[0]), (new[:2],))

    def on_linkat(self, op, paths):
        old, new = self.find(paths[-3]), self.find(paths[-1])
        if old and new:
            self.step(op.end, old[2], (new[0],), (*old[2].names(), new[:2]))

    def on_unlink(self, op, paths):
        found = self.find(paths[-1])
        if found:
            left = tuple(name for name in found[2].names() if name != found[:2])
            self.step(op.end, found[2], (found[0],), left)

    on_rmdir = on_unlinkat = on_unlink

    def on_sendto(self, op, paths):
        if any(data.endswith(END_OF_MAIL[0]) or data == END_OF_MAIL[1] for data in paths):
            self.dots.append(op.begin)

    # --- questions ---

    def moments(self):
        """When something happened that can make a difference, in order."""
        found = {when for inode in self.inodes for when, _, _ in (*inode.steps, *inode.writes) if when >= 0}
        found |= {end for inode in self.inodes for _, end in inode.syncs}
        return sorted(found | set(self.dots))

    def synced(self, folders, when, now):
        """Has one of these folders been synced since?"""
        return any(when < begin and end <= now for folder in folders for begin, end in folder.syncs)

    def sure_steps(self, inode, now):
        """How many of its steps are on the disk for sure."""
        sure = 0
        for number, (when, folders, _) in enumerate(inode.steps, 1):
            if when < 0 or (when <= now and self.synced(folders, when, now)):
                sure = number
        return sure

    def made_steps(self, inode, now):
        return sum(when <= now for when, _, _ in inode.steps)

    def named_since(self, ending):
        """When a name whose path ends so was sure, as far as its own folder goes; and that folder."""
        for inode in self.inodes:
            for when, folders, names in inode.steps:
                for name in names:
                    if self.path_of(name).endswith(ending):
                        ends = [end for folder in folders for begin, end in folder.syncs if when < begin]
                        return min(ends, default=None), name[0]
        return None, None

    def there_since(self, ending):
        """The same with all folders above it, wherever they were made first."""
        last, folder = self.named_since(ending)
        while last is not None and folder is not self.root:
            when, folders, names = folder.steps[0]
            ends = [end for above in folders for begin, end in above.syncs if when < begin]
            if when >= 0:
                last = max(last, min(ends)) if ends else None
            folder = names[0][0]
        return last

    def path_of(self, name):
        folder, last = name
        if folder is self.root:
            return os.fsdecode(last)
        # A folder's path by its newest name: good enough to tell new/ from sending/.
        return f"{self.path_of(folder.names()[0])}/{os.fsdecode(last)}"


# --- crashes -------------------------------------------------------------------------------------

# How much of what isn't sure survives: nothing; all; what chance says, each by itself; or the names in the
# order of their making up to a moment, as a journal keeps them, and of the bytes what chance says.
WAYS = {"nothing": 2, "all": 1, "some": 5, "journal": 3}


class Crash:
    """One state in which a power cut at `now` may leave the disk."""

    def __init__(self, disk, now, rng):
        self.disk, self.now, self.rng = disk, now, rng
        self.way = rng.choices(list(WAYS), weights=WAYS.values())[0]
        self.journal_until = rng.randint(-1, now)

    def lay_out(self):
        """Puts it where the recording was made."""
        shutil.rmtree(self.disk.root_path)
        self.disk.root_path.mkdir()
        holders = {}
        for inode in self.disk.inodes:
            steps = self.steps_of(inode)
            if steps:
                when, _, names = inode.steps[steps - 1]
                for name in names:
                    # Whoever took the name last has it.
                    if name not in holders or holders[name][0] <= when:
                        holders[name] = (when, inode)
        below = {}
        for (folder, name), (_, inode) in holders.items():
            below.setdefault(folder, []).append((name, inode))
        self.lay_out_folder(self.disk.root, self.disk.root_path, below)

    def steps_of(self, inode):
        sure, made = self.disk.sure_steps(inode, self.now), self.disk.made_steps(inode, self.now)
        if self.way == "nothing":
            return sure
        if self.way == "all":
            return made
        if self.way == "journal":
            return max(sure, self.disk.made_steps(inode, self.journal_until))
        return self.rng.randint(sure, made)

    def lay_out_folder(self, folder, path, below):
        for name, inode in below.get(folder, ()):
            place = path / os.fsdecode(name)
            if inode.folder:
                place.mkdir(mode=0o700)
                self.lay_out_folder(inode, place, below)
            else:
                place.touch(mode=0o600)
                place.write_bytes(self.content(inode))

    def content(self, inode):
        """What was synced, and of the rest what chance says."""
        sure_until = max((begin for begin, end in inode.syncs if end <= self.now), default=-1)
        data, unsure = bytearray(), []
        for when, offset, written in inode.writes:
            if when <= sure_until:
                overwrite(data, offset, written)
            elif when <= self.now:
                unsure.append((offset, written))
        way = {"nothing": "nothing", "all": "all"}.get(self.way) or self.rng.choice(
            ["nothing", "all", "beginning", "zeros", "garbage"]
        )
        total = sum(len(written) for _, written in unsure)
        left = {"nothing": 0, "all": total}.get(way, self.rng.randint(0, total))
        for offset, written in unsure:
            there, left = written[:left], max(0, left - len(written))
            overwrite(data, offset, there)
            lost = len(written) - len(there)
            if way == "zeros":
                overwrite(data, offset + len(there), bytes(lost))
            elif way == "garbage":
                overwrite(data, offset + len(there), self.rng.randbytes(lost))
        return bytes(data)


def overwrite(data, offset, written):
    if written:
        data.extend(bytes(max(0, offset - len(data))))
        data[offset : offset + len(written)] = written


def crashes(disk, count, seed):
    """`count` states: every moment in turn, in an order that the seed makes, again and again."""
    rng = random.Random(seed)
    moments = disk.moments()
    for number in range(count):
        if number % len(moments) == 0:
            rng.shuffle(moments)
        yield Crash(disk, moments[number % len(moments)], random.Random(f"{seed}/{number}"))
