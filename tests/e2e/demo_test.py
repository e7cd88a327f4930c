#!/usr/bin/env python3
"""The demo as a person meets it: its last line, its page, and that nothing of it stays behind, however it is ended.

    demo_test.py BIN_DIR
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

DEMO = pathlib.Path(__file__).with_name("demo.py")
BIN = ""


class Demo:
    """One run, in a temporary folder of its own, by which its processes are found."""

    def __init__(self, *options, program=DEMO):
        self.folder = tempfile.mkdtemp(prefix="egret-demo-test-")
        self.run = subprocess.Popen([sys.executable, "-u", str(program), BIN, *options], env={**os.environ, "TMPDIR": self.folder},
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines = []

    def read_to(self, words):
        """The line with these words; None when the run ended without it."""
        for line in self.run.stdout:
            self.lines.append(line)
            if words in line:
                return line
        return None

    def processes(self):
        """Command lines that name the folder: broker, region, sites and whatever they started."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if entry.name.isdigit() and self.folder in line:
                found.append(line)
        return found

    def left_after(self, seconds):
        end = time.monotonic() + seconds
        while self.processes() and time.monotonic() < end:
            time.sleep(0.05)
        return self.processes()

    def close(self):
        if self.run.poll() is None:
            self.run.kill()
        self.run.wait()
        self.run.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class TheDemo(unittest.TestCase):
    def start(self, *options):
        demo = Demo(*options)
        self.addCleanup(demo.close)
        return demo

    def check_books(self, line):
        books = json.loads(line)
        self.assertGreater(books["accepted"], 1000)
        self.assertEqual((books["committed"] >= books["accepted"], books["missing"], books["duplicates"]), (True, 0, 0))
        self.assertTrue(books["digests_agree"])
        self.assertEqual(books["faults_injected"], 4)
        self.assertGreaterEqual(books["purged"], 1)
        self.assertGreaterEqual(books["restores"], 1)

    def test_its_last_line_is_the_books_and_they_agree(self):
        demo = self.start()
        said = demo.run.communicate()[0].splitlines()
        self.assertEqual(demo.run.returncode, 0, "\n".join(said))
        self.check_books(said[-1])
        self.assertEqual(demo.processes(), [])
        self.assertEqual(os.listdir(demo.folder), [])

    def test_keep_leaves_it_running_with_its_page_and_ctrl_c_ends_it_all(self):
        demo = self.start("--keep")
        line = demo.read_to("left running")
        self.assertIsNotNone(line, "".join(demo.lines))
        self.check_books(demo.lines[-2])
        url = next(word for word in line.split() if word.startswith("http://"))
        page = urllib.request.urlopen(url, timeout=5).read().decode()
        self.assertIn("<html", page)
        rows = json.load(urllib.request.urlopen(url + "api/facilities", timeout=5))
        self.assertEqual(len(rows["facilities"]), 5)
        self.assertEqual(len(demo.processes()), 7)
        demo.run.send_signal(signal.SIGINT)
        self.assertEqual(demo.run.wait(10), 130)
        self.assertEqual(demo.processes(), [])
        self.assertEqual(os.listdir(demo.folder), [])

    def test_ctrl_c_in_the_middle_leaves_no_process_behind(self):
        demo = self.start()
        self.assertIsNotNone(demo.read_to("goes away"), "".join(demo.lines))
        self.assertGreater(len(demo.processes()), 5)
        demo.run.send_signal(signal.SIGINT)
        time.sleep(0.05)
        demo.run.send_signal(signal.SIGINT)  # impatient
        self.assertEqual(demo.run.wait(10), 130)
        self.assertEqual(demo.processes(), [])
        self.assertEqual(os.listdir(demo.folder), [])

    def test_a_driver_that_is_killed_takes_all_its_processes_with_it(self):
        demo = self.start()
        self.assertIsNotNone(demo.read_to("so far"), "".join(demo.lines))
        running = demo.processes()
        self.assertGreaterEqual(len(running), 6, "\n".join(running))  # the broker's turn to go is next
        demo.run.kill()
        self.assertEqual(demo.left_after(5), [])


if __name__ == "__main__":
    BIN = sys.argv.pop(1)
    unittest.main(verbosity=2)
