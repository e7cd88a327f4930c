"""A disk that loses power: what one process did to one folder (power_shim), and what a power cut leaves of it.

The model, no kinder than POSIX: bytes of a file are there after the cut when they were written before an fsync or fdatasync of
that file began that returned; a name that was made, moved or taken away is so after the cut when an fsync of its directory
began after that. Of everything else chance keeps nothing, the first part, or single sectors of 512 bytes (a lost sector before
a kept one reads as it was, or as zeros); of names the first part, in order. Nothing saves a name but its directory.

Folder is played back in memory from its journal; `cut` writes what is left into the place of the folder.
"""
import dataclasses
import os
import pathlib
import shutil
import stat
import struct

HEADER = struct.Struct("<c3xIIIQQQ")
SECTOR = 512
# RocksDB's own text log goes through stdio, which the shim does not see: its name is followed, not its bytes.
UNSEEN = ("LOG", "LOG.old.")


class File:
    def __init__(self, content=b"", mode=0o600):
        self.durable = bytearray(content)
        self.now = bytearray(content)
        self.pending = []  # (journal position, offset or None, bytes or new size)
        self.mode = mode


class Folder:
    def __init__(self, mode=0o700):
        self.durable, self.now = {}, {}
        self.mode = mode


def write_into(content, at, data):
    if at > len(content):
        content.extend(bytes(at - len(content)))
    content[at:at + len(data)] = data


def resize(content, size):
    if size < len(content):
        del content[size:]
    else:
        content.extend(bytes(size - len(content)))


def apply_change(content, change):
    _, at, what = change
    if at is None:
        resize(content, what)
    else:
        write_into(content, at, what)


@dataclasses.dataclass
class Cut:
    """What a cut found: bytes and names that no sync had covered."""
    kept: str = ""
    unsynced_files: int = 0
    unsynced_bytes: int = 0
    unsynced_names: int = 0


class Disk:
    def __init__(self, folder, journal, shim):
        self.folder, self.journal, self.shim = pathlib.Path(folder), pathlib.Path(journal), shim
        self.trouble = []

    def env(self, lies=False, fuse=0, fail=0):
        env = {"LD_PRELOAD": str(self.shim), "EGRET_POWER_ROOT": str(self.folder), "EGRET_POWER_JOURNAL": str(self.journal)}
        if lies:
            env["EGRET_POWER_LIES"] = "1"
        if fuse:
            env["EGRET_POWER_FUSE"] = str(fuse)
        if fail:
            env["EGRET_POWER_FAIL"] = str(fail)
        return env

    # ---- power comes ----

    def power_on(self):
        """All that is in the folder now is on the disk for good."""
        self.journal.unlink(missing_ok=True)
        self._now().unlink(missing_ok=True)
        self.read_to = 0
        self.nodes = {}
        self.changes = []  # of names: (position, [(folder, name, node or None)])
        self.root = self._load(self.folder)

    def _load(self, path):
        facts = os.lstat(path)
        node = Folder(stat.S_IMODE(facts.st_mode))
        self.nodes[facts.st_ino] = node
        for entry in os.scandir(path):
            if entry.is_dir(follow_symlinks=False):
                node.now[entry.name] = self._load(entry.path)
            elif entry.is_file(follow_symlinks=False):
                ino = entry.inode()
                if ino not in self.nodes:  # or it is the second name of one
                    self.nodes[ino] = File(pathlib.Path(entry.path).read_bytes(), stat.S_IMODE(entry.stat().st_mode))
                node.now[entry.name] = self.nodes[ino]
        node.durable = dict(node.now)
        return node

    def arm(self):
        """The process dies in the middle of its next sync."""
        self._now().touch()

    def _now(self):
        return self.journal.with_name(self.journal.name + ".now")

    # ---- what happened ----

    def play(self):
        """Plays back what came into the journal since."""
        if not self.journal.exists():
            return
        with open(self.journal, "rb") as journal:
            journal.seek(self.read_to)
            rest = journal.read()
        at = 0
        while at + HEADER.size <= len(rest):
            what, first_len, second_len, data_len, a, b, c = HEADER.unpack_from(rest, at)
            begin, end = at + HEADER.size, at + HEADER.size + first_len + second_len + data_len
            if end > len(rest):
                break  # the process was killed in the middle of this entry
            first = rest[begin:begin + first_len].decode()
            second = rest[begin + first_len:begin + first_len + second_len].decode()
            self._entry(what.decode(), self.read_to + at, a, b, c, first, second, rest[end - data_len:end])
            at = end
        self.read_to += at

    def _entry(self, what, position, a, b, c, first, second, data):
        if what == "w":
            self._change(a, (position, c, data))
        elif what == "t":
            self._change(a, (position, None, c))
        elif what == "s":
            self._synced(a, c)
        elif what == "f":
            self._sync_failed(a, c)
        elif what == "n":
            if c == 1:  # a new file: this number may have been another one's before
                self.nodes[a] = File()
            if self._dir(b).now.get(first) is not self._file(a):
                self._names(position, [(self._dir(b), first, self._file(a))])
        elif what == "d":
            self.nodes[a] = Folder()
            self._names(position, [(self._dir(b), first, self.nodes[a])])
        elif what == "u":
            self._names(position, [(self._dir(b), first, None)])
        elif what == "r":
            moved = self._dir(b).now.get(first)
            self._names(position, [(self._dir(b), first, None), (self._dir(c), second, moved)])
        else:
            self.trouble.append(first)

    def _file(self, ino):
        return self.nodes.setdefault(ino, File())

    def _dir(self, ino):
        return self.nodes.setdefault(ino, Folder())

    def _change(self, ino, change):
        file = self._file(ino)
        apply_change(file.now, change)
        file.pending.append(change)

    def _names(self, position, edits):
        for folder, name, node in edits:
            self._edit(folder.now, name, node)
        self.changes.append((position, edits))

    @staticmethod
    def _edit(names, name, node):
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node

    def _synced(self, ino, upto):
        node = self.nodes.get(ino)
        if isinstance(node, File):
            for change in node.pending:
                if change[0] < upto:
                    apply_change(node.durable, change)
            node.pending = [change for change in node.pending if change[0] >= upto]
        elif node is not None:
            left = []
            for position, edits in self.changes:
                mine = [e for e in edits if position < upto and e[0] is node]
                for folder, name, what in mine:
                    self._edit(folder.durable, name, what)
                others = [e for e in edits if e not in mine]
                if others:
                    left.append((position, others))
            self.changes = left

    def _sync_failed(self, ino, upto):
        """The system has given the pages up and calls them clean: readable until the power goes, and no later sync saves them."""
        node = self.nodes.get(ino)
        if isinstance(node, File):
            node.pending = [change for change in node.pending if change[0] >= upto]

    # ---- power goes ----

    def cut(self, chance, kept=None):
        """The process is dead. Puts into the folder's place what the disk holds after the power was away."""
        self.play()
        cut = Cut(kept=kept or chance.choice(["nothing", "prefix", "sectors"]))
        seen = {id(n): n for n in self.nodes.values() if isinstance(n, File) and n.pending}
        for name, file in self._files(self.root, "now"):
            if id(file) in seen and not name.startswith(UNSEEN):
                cut.unsynced_files += 1
                cut.unsynced_bytes += sum(len(c[2]) for c in file.pending if c[1] is not None)
        cut.unsynced_names = len(self.changes)
        kept_names = 0 if cut.kept == "nothing" else chance.randint(0, len(self.changes))
        for _, edits in self.changes[:kept_names]:
            for folder, name, node in edits:
                self._edit(folder.durable, name, node)
        for file in seen.values():
            self._tear(file, cut.kept, chance)
        self._write_out()
        self.power_on()
        return cut

    @staticmethod
    def _tear(file, kept, chance):
        if kept == "prefix":
            whole = chance.randint(0, len(file.pending))
            for change in file.pending[:whole]:
                apply_change(file.durable, change)
            for _, at, data in file.pending[whole:whole + 1]:
                if at is not None:  # up to the end of a sector in its middle
                    end = (at + chance.randint(0, len(data))) // SECTOR * SECTOR
                    write_into(file.durable, at, data[:max(0, end - at)])
        elif kept == "sectors":
            share = chance.choice([0.2, 0.5, 0.9])
            for _, at, what in file.pending:
                if at is None:
                    if chance.random() < share:
                        resize(file.durable, what)
                    continue
                begin = at
                while begin < at + len(what):
                    end = min((begin // SECTOR + 1) * SECTOR, at + len(what))
                    if chance.random() < share:
                        write_into(file.durable, begin, what[begin - at:end - at])
                    begin = end

    def _files(self, folder, which):
        for name, node in getattr(folder, which).items():
            if isinstance(node, File):
                yield name, node
            else:
                yield from self._files(node, which)

    def _write_out(self):
        shutil.rmtree(self.folder)
        written = {}

        def put(folder, path):
            path.mkdir(mode=folder.mode)
            for name, node in folder.durable.items():
                if isinstance(node, Folder):
                    put(node, path / name)
                elif id(node) in written:
                    os.link(written[id(node)], path / name)
                else:
                    (path / name).write_bytes(node.durable)
                    (path / name).chmod(node.mode)
                    written[id(node)] = path / name

        put(self.root, self.folder)

    # ---- did the shim see everything? ----

    def unseen(self):
        """What the folder holds that the journal does not tell of, and the reverse. The process has stopped."""
        self.play()
        found = list(self.trouble)

        def compare(folder, path, where):
            there = {e.name: e for e in os.scandir(path) if e.is_dir(follow_symlinks=False) or e.is_file(follow_symlinks=False)}
            for name in sorted(set(there) ^ set(folder.now)):
                found.append(f"{where}{name}: {'not in the journal' if name in there else 'in the journal only'}")
            for name in sorted(set(there) & set(folder.now)):
                node = folder.now[name]
                if isinstance(node, Folder):
                    compare(node, path / name, f"{where}{name}/")
                elif not name.startswith(UNSEEN) and (path / name).read_bytes() != node.now:
                    found.append(f"{where}{name}: other bytes than the journal tells")

        compare(self.root, self.folder, "")
        return found
