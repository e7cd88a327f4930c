#!/usr/bin/env python3
"""The disk of power.py keeps what was synced and nothing else for certain; and the shim sees what a process does.

    power_test.py SHIM
"""
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

import power

SHIM = sys.argv.pop(1)

HELP = """
import os, sys
os.chdir(sys.argv[1])
def put(name, data, sync=False, flags=os.O_CREAT | os.O_WRONLY):
    fd = os.open(name, flags, 0o600)
    os.write(fd, data)
    if sync:
        os.fdatasync(fd)
    os.close(fd)
def sync_names(folder="."):
    fd = os.open(folder, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
"""


class PowerCut(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.TemporaryDirectory(prefix="egret-power-test-")
        self.folder = pathlib.Path(self.home.name) / "state"
        self.folder.mkdir()
        self.disk = power.Disk(self.folder, pathlib.Path(self.home.name) / "journal", SHIM)

    def tearDown(self):
        self.home.cleanup()

    def do(self, code, lies=False, fuse=0, fail=0):
        """The code runs on the disk, from power on; the shim must have seen all of it. Returns its exit code."""
        self.disk.power_on()
        done = subprocess.run([sys.executable, "-c", HELP + code, str(self.folder)], env={**os.environ, **self.disk.env(lies, fuse, fail)}, capture_output=True)
        self.assertIn(done.returncode, (0, -9) if fuse else (0,), done.stderr.decode())
        if done.returncode == 0:
            self.assertEqual([], self.disk.unseen())
        return done.returncode

    def after(self, kept="nothing", seed=1):
        """The power goes. Returns {path: content} of what is there after that."""
        self.disk.cut(random.Random(seed), kept)
        return {str(p.relative_to(self.folder)): p.read_bytes() for p in self.folder.rglob("*") if p.is_file()}

    def test_what_was_synced_with_its_name_stays(self):
        self.do("put('a', b'1' * 1000, True); sync_names()")
        self.assertEqual({"a": b"1" * 1000}, self.after())

    def test_a_synced_file_without_a_synced_name_is_gone(self):
        self.do("put('a', b'1', True)")
        self.assertEqual({}, self.after())

    def test_bytes_after_the_last_sync_are_gone(self):
        self.do("put('a', b'1' * 700, True); sync_names(); put('a', b'2' * 700, flags=os.O_WRONLY | os.O_APPEND)")
        self.assertEqual({"a": b"1" * 700}, self.after())

    def test_a_sync_that_lies_saves_nothing(self):
        self.do("put('a', b'1', True); sync_names()", lies=True)
        self.assertEqual({}, self.after())

    def test_a_rename_counts_from_the_sync_of_its_folder(self):
        (self.folder / "old").write_bytes(b"old")
        (self.folder / "name").write_bytes(b"before")
        self.do("os.rename('old', 'name')")
        self.assertEqual({"old": b"old", "name": b"before"}, self.after())
        self.do("os.rename('old', 'name'); sync_names()")
        self.assertEqual({"name": b"old"}, self.after())

    def test_a_file_that_was_taken_away_may_come_back(self):
        (self.folder / "a").write_bytes(b"1")
        self.do("os.unlink('a'); put('b', b'2', True)")  # its number may be used again
        self.assertEqual({"a": b"1"}, self.after())

    def test_a_folder_and_what_is_in_it_need_a_sync_each(self):
        self.do("os.mkdir('d'); put('d/a', b'1', True); sync_names('d')")
        self.assertEqual({}, self.after())
        self.do("os.mkdir('d'); put('d/a', b'1', True); sync_names('d'); sync_names()")
        self.assertEqual({"d/a": b"1"}, self.after())

    def test_lengths_are_followed(self):
        self.do("""
fd = os.open('a', os.O_CREAT | os.O_WRONLY, 0o600)
os.posix_fallocate(fd, 0, 3000); os.ftruncate(fd, 2000); os.pwrite(fd, b'x', 1500); os.fsync(fd)
os.ftruncate(fd, 10); os.link('a', 'b'); sync_names(); os.writev(fd, [b'in', b'pieces'])
open('c', 'wb').write(b'buffered')
""")
        content = bytes(1500) + b"x" + bytes(499)
        self.assertEqual({"a": content, "b": content}, self.after())

    def test_chance_keeps_beginnings_or_sectors(self):
        seen = set()
        for seed in range(30):
            for path in self.folder.glob("*"):
                path.unlink()
            self.do("put('a', b'0' * 512, True); sync_names(); put('a', b'1' * 2048, flags=os.O_WRONLY | os.O_APPEND)")
            content = self.after("sectors" if seed % 2 else "prefix", seed)["a"]
            self.assertEqual(b"0" * 512, content[:512])
            for at in range(512, len(content), 512):
                self.assertIn(content[at:at + 512], (b"1" * 512, bytes(512)))
            seen.add(content)
        self.assertGreater(len(seen), 5)

    def test_a_fuse_ends_the_process_on_its_way(self):
        lengths = set()
        for fuse in range(2, 24, 3):
            for path in self.folder.glob("*"):
                path.unlink()
            self.assertEqual(-9, self.do("put('a', b''); sync_names()\nfor i in range(9): put('a', b'1', True, os.O_WRONLY | os.O_APPEND)", fuse=fuse))
            lengths.add(len(self.after().get("a", b"")))
        self.assertGreater(len(lengths), 3)

    def test_a_fuse_can_end_it_in_the_middle_of_a_sync(self):
        append = "put('a', b''); sync_names()\nfor i in range(9): put('a', b'1', True, os.O_WRONLY | os.O_APPEND)"
        self.assertEqual(-9, self.do(append, fuse=-4))  # the first is the folder's
        cut = self.disk.cut(random.Random(1), "nothing")
        self.assertEqual(1, cut.unsynced_bytes)
        self.assertEqual(b"11", (self.folder / "a").read_bytes())

    def test_what_a_sync_failed_to_save_no_later_one_saves(self):
        self.do("""
put('a', b'1' * 512, True); sync_names(); fd = os.open('a', os.O_RDWR | os.O_APPEND); os.write(fd, b'2' * 512)
try:
    os.fsync(fd)
    sys.exit('the sync has not failed')
except OSError:
    pass
os.write(fd, b'3' * 512); os.fsync(fd)
assert os.pread(fd, 512, 512) == b'2' * 512
""", fail=3)
        self.assertEqual({"a": b"1" * 512 + bytes(512) + b"3" * 512}, self.after())

    def test_what_bypasses_the_shim_is_found(self):
        self.disk.power_on()
        (self.folder / "a").write_bytes(b"1")
        self.assertEqual(["a: not in the journal"], self.disk.unseen())


if __name__ == "__main__":
    unittest.main()
