#!/usr/bin/env python3
"""What the services tell systemd, how soon they stop, and that they run under their units' sandbox.

    units_test.py BIN_DIR
"""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import road
import sandbox

BIN = ""
UNITS = road.ROOT / "packaging" / "systemd"
SITE = "clinic-1"


class Notices:
    """The socket that systemd would listen on."""

    def __init__(self, path):
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        os.chmod(self.path, 0o777)
        self.seen = []

    def wait(self, words, seconds):
        """Until a message has these words; False when none came in time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.socket.settimeout(max(0.01, end - time.monotonic()))
            try:
                self.seen.append(self.socket.recv(65536).decode())
            except TimeoutError:
                return False
            if words in self.seen[-1]:
                return True
        return False


class Units(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="egret-units-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.road = road.Road(self.folder, BIN, [SITE], tls=False, safe="commit")
        self.addCleanup(self.road.stop)
        self.producer = None
        self.addCleanup(lambda: self.producer and self.producer.finish())

    def prepare(self):
        self.road.make_broker()
        self.road.make_cloud()
        self.road.make_agent(SITE)
        self.road.broker.start()
        road.wait_for("broker", self.road.broker_listens)
        return self.road.cloud, self.road.agents[SITE]

    def listen(self, process):
        told = Notices(self.folder / f"{process.name}.notify")
        self.addCleanup(told.socket.close)
        process.env = {"NOTIFY_SOCKET": told.path}
        return told

    def feed(self):
        self.producer = road.Producer(self.road, SITE, self.folder / "log", 1, per_post=50, pause=0.001)
        self.producer.start()

    def healthy(self, name):
        if name == "cloud":
            return self.road.page("/healthz") is not None
        return self.road.ask(SITE, "GET", "/healthz")[0] == 200

    def test_ready_when_it_answers_then_the_watchdog_then_stopping_within_two_seconds_under_load(self):
        cloud, agent = self.prepare()
        notices = {}
        for process in (cloud, agent):
            notices[process.name] = self.listen(process)
            process.start()
            self.assertTrue(notices[process.name].wait("READY=1", 20), process.name)
            self.assertTrue(self.healthy("cloud" if process is cloud else "agent"), "READY and nobody answers")
        road.wait_for("the link", self.road.linked)
        self.feed()
        time.sleep(2)
        for process in (agent, cloud):
            told = notices[process.name]
            for _ in range(2):
                self.assertTrue(told.wait("WATCHDOG=1", 5), process.name)
            begun = time.monotonic()
            process.ask_to_end()
            self.assertTrue(told.wait("STOPPING=1", 2), process.name)
            process.child.wait(10)
            self.assertLess(time.monotonic() - begun, 2)
            self.assertEqual(process.child.returncode, 0)
            self.assertEqual(sum("READY=1" in message for message in told.seen), 1)
        self.assertGreater(self.producer.accepted, 100)

    def test_a_configuration_that_cannot_be_used_is_exit_78_and_never_ready(self):
        cloud, agent = self.prepare()
        for process, config in ((cloud, self.road.cloud_config), (agent, self.folder / f"{SITE}.toml")):
            config.write_text("bogus = 1\n" + config.read_text())
            told = self.listen(process)
            process.start()
            self.assertEqual(process.child.wait(10), 78)
            self.assertFalse(told.wait("READY=1", 0.1))

    def test_log_lines_carry_their_priority_for_the_journal_and_a_time_for_anybody_else(self):
        cloud, agent = self.prepare()
        for process in (cloud, agent):
            for stream, line in (("the journal", r"<[34567]>level=\w+ event=[a-z_]+ msg="), ("1:1", r"time=\d{4}-\d\d-\d\dT\S+Z level=(info|warn) event=[a-z_]+ msg=")):
                process.log = self.folder / f"{process.name}.{stream.split()[0]}.log"
                process.log.touch()
                facts = process.log.stat()
                process.env = {"JOURNAL_STREAM": f"{facts.st_dev}:{facts.st_ino}" if stream == "the journal" else stream}
                process.start()
                road.wait_for("ready", lambda: "ready: " in process.log.read_text())
                process.end()
                lines = process.log.read_text().splitlines()
                self.assertGreaterEqual(len(lines), 2)
                for text in lines:
                    self.assertRegex(text, "^" + line)

    def under(self, unit, argv):
        return [sys.executable, str(pathlib.Path(sandbox.__file__)), str(UNITS / unit), "--", *argv]

    def give_to_nobody(self):
        """All that the services have."""
        if os.geteuid() != 0:
            return
        for path in [self.folder, *self.folder.rglob("*")]:
            os.chown(path, sandbox.nobody().pw_uid, sandbox.nobody().pw_gid)

    def test_they_do_all_their_work_inside_the_sandbox_of_their_units(self):
        cloud, agent = self.prepare()
        for process, unit in ((cloud, "egret-cloud.service"), (agent, "egret-agent.service")):
            # Where nobody can reach it.
            program = self.folder / pathlib.Path(process.argv[0]).name
            shutil.copy(process.argv[0], program)
            process.argv = self.under(unit, [str(program), *process.argv[1:]])
        self.give_to_nobody()
        cloud.start()
        road.wait_for("cloud", lambda: self.road.page("/healthz"))
        agent.start()
        road.wait_for("agent", lambda: self.road.status(SITE))
        self.feed()
        time.sleep(3)
        self.producer.finish()
        self.assertEqual(self.producer.wrong, [])
        road.wait_for("the drain", lambda: self.road.drained() and self.road.linked(), 40)
        facts = pathlib.Path(f"/proc/{agent.child.pid}/status").read_text()
        self.assertRegex(facts, r"Seccomp:\s+2")
        self.assertRegex(facts, r"CapEff:\s+0+\n")
        for process in (agent, cloud):
            process.ask_to_end()
            self.assertEqual(process.child.wait(5), 0, process.log.read_text()[-2000:])
        export = self.folder / "export"
        self.road.export(export)
        checked = self.road.run(sys.executable, road.ROOT / "tests/e2e/check_road.py", "--log", self.folder / "log", "--export", export)
        self.assertGreater(json.loads(checked.stdout)["accepted"], 100)

    def test_the_sandbox_bites(self):
        forbidden = {"chroot": "import os; os.chroot('/')", "write and execute": "import mmap; mmap.mmap(-1, 4096, prot=7)"}
        for unit in ("egret-agent.service", "egret-agent@.service", "egret-cloud.service"):
            for what, code in forbidden.items():
                done = subprocess.run(self.under(unit, ["/usr/bin/python3", "-c", code]), capture_output=True, text=True, cwd="/")
                self.assertEqual(done.returncode, -signal.SIGSYS, f"{unit}: {what}: {done.stderr}")
            done = subprocess.run(self.under(unit, ["/usr/bin/python3", "-c", "import socket; socket.socket(socket.AF_NETLINK)"]), capture_output=True,
                                  text=True, cwd="/")
            self.assertIn("Address family not supported", done.stderr)


if __name__ == "__main__":
    BIN = sys.argv.pop(1)
    unittest.main(verbosity=2)
