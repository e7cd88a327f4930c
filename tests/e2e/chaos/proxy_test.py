#!/usr/bin/env python3
"""Each fault of the chaos proxy does what its name says, on a connection that runs, and is over when it ends.

    proxy_test.py BIN_DIR
"""
import pathlib
import random
import socket
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from proxy import Proxy

BIN = pathlib.Path(sys.argv.pop(1))
LATE_S = 1.5  # a busy machine's


class Echo:
    """Sends back what it gets, and keeps it."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.got = bytearray()
        self.ends = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        with s:
            try:
                while data := s.recv(65536):
                    self.got += data
                    s.sendall(data)
                self.ends.append("end")
            except OSError as error:
                self.ends.append(type(error).__name__)


class Faults(unittest.TestCase):
    def setUp(self):
        self.echo = Echo()
        self.proxy = Proxy(BIN / "chaos-proxy", 7)
        self.port = self.proxy.open("line", self.echo.port)
        self.s = self.connect()

    def tearDown(self):
        self.assertEqual(self.proxy.close(), 0)  # with a connection still open
        self.s.close()
        self.echo.listener.close()

    def connect(self):
        """Another connection; the first stays open."""
        s = socket.create_connection(("127.0.0.1", self.port), 5)
        s.settimeout(5)
        return s

    def back(self, n, s=None):
        got = bytearray()
        while len(got) < n:
            data = (s or self.s).recv(65536)
            if not data:
                break
            got += data
        return bytes(got)

    def say(self, data):
        begun = time.monotonic()
        self.s.sendall(data)
        return self.back(len(data)), time.monotonic() - begun

    def hears_nothing_for(self, seconds):
        self.s.settimeout(seconds)
        with self.assertRaises(TimeoutError):
            self.s.recv(1)
        self.s.settimeout(5)

    def test_without_faults_everything_passes_unchanged(self):
        data = random.Random(1).randbytes(3_000_000)
        got = []
        reader = threading.Thread(target=lambda: got.append(self.back(len(data))))
        reader.start()
        self.s.sendall(data)
        reader.join()
        self.assertEqual(got[0], data)
        self.assertEqual(self.proxy.count()["line"]["up"], {"bytes": len(data), "corrupted": 0, "swallowed": 0})

    def test_delay_is_each_way_and_does_not_slow_what_follows(self):
        self.proxy.set("line", delay_ms=200)
        _, first = self.say(b"a")
        self.assertGreater(first, 0.39)
        self.assertLess(first, 0.4 + LATE_S)
        begun = time.monotonic()
        for _ in range(20):
            self.s.sendall(b"b")
            time.sleep(0.01)
        self.back(20)
        self.assertLess(time.monotonic() - begun, 0.6 + LATE_S)
        self.proxy.calm()
        self.assertLess(self.say(b"c")[1], 0.3)

    def test_jitter_never_changes_the_order(self):
        self.proxy.set("line", delay_ms=1, jitter_ms=60)
        data = bytes(range(200))
        for n in data:
            self.s.sendall(bytes([n]))
            time.sleep(0.001)
        self.assertEqual(self.back(200), data)

    def test_rate_holds_one_way_to_so_many_bytes_a_second(self):
        self.proxy.set("line", "up", rate=40_000)
        _, took = self.say(40_000 * b"x")
        self.assertGreater(took, 0.9)
        self.assertLess(took, 1.1 + LATE_S)

    def test_a_stall_loses_nothing_and_its_end_lets_all_through(self):
        self.proxy.set("line", "down", stall=True)
        self.s.sendall(b"hello")
        self.hears_nothing_for(0.4)
        self.assertEqual(bytes(self.echo.got), b"hello")  # the other way goes on
        self.proxy.calm()
        self.assertEqual(self.back(5), b"hello")

    def test_a_cut_way_is_dead_for_good_and_nobody_is_told(self):
        self.proxy.set("line", "up", cut=True)
        self.s.sendall(b"lost")
        self.hears_nothing_for(0.3)
        self.proxy.calm()
        self.s.sendall(b"lost too")
        self.hears_nothing_for(0.3)
        self.assertEqual(bytes(self.echo.got), b"")
        self.assertEqual(self.proxy.count()["line"]["up"]["swallowed"], 12)
        self.s.close()
        time.sleep(0.3)
        self.assertEqual(self.echo.ends, [])  # half open: the end vanished as well
        self.s = self.connect()
        self.assertEqual(self.say(b"fresh")[0], b"fresh")

    def test_a_dead_way_can_end_with_a_reset(self):
        self.proxy.set("line", "up", cut=True, dead="reset")
        self.s.sendall(b"lost")
        time.sleep(0.2)
        self.proxy.calm()
        self.s.sendall(b"lost too")
        with self.assertRaises(ConnectionResetError):
            self.s.recv(1)

    def test_a_cut_that_met_no_byte_leaves_the_connection_whole(self):
        self.proxy.set("line", "up", cut=True)
        self.proxy.calm()
        self.assertEqual(self.say(b"whole")[0], b"whole")

    def test_corruption_changes_about_as_many_bytes_as_it_is_told_and_counts_them(self):
        self.proxy.set("line", "down", corrupt=1_000, spare=5_000)
        data = bytes(200_000)
        got = []
        reader = threading.Thread(target=lambda: got.append(self.back(len(data))))
        reader.start()
        self.s.sendall(data)
        reader.join()
        changed = [i for i, c in enumerate(got[0]) if c]
        self.assertEqual(len(changed), self.proxy.count()["line"]["down"]["corrupted"])
        self.assertTrue(120 < len(changed) < 300, len(changed))
        self.assertGreaterEqual(changed[0], 5_000)
        again = Proxy(BIN / "chaos-proxy", 7)
        try:
            self.port = again.open("line", self.echo.port)
            again.set("line", "down", corrupt=1_000, spare=5_000)
            with self.connect() as s:
                reader = threading.Thread(target=lambda: got.append(self.back(len(data), s)))
                reader.start()
                s.sendall(data)
                reader.join()
            self.assertEqual(got[1], got[0], "the seed decides which bytes")
        finally:
            again.close()

    def test_reset_ends_what_runs_and_lets_new_ones_in(self):
        self.say(b"x")
        self.proxy.reset("line")
        with self.assertRaises(ConnectionResetError):
            self.s.recv(1)
        time.sleep(0.2)
        self.assertEqual(self.echo.ends, ["ConnectionResetError"])
        self.s = self.connect()
        self.assertEqual(self.say(b"again")[0], b"again")

    def test_a_door_refuses_is_deaf_and_opens_again(self):
        self.say(b"in before")
        self.proxy.door("line", "refuse")
        with self.assertRaises(ConnectionError), self.connect() as refused:  # now, or a moment later
            refused.recv(1)
        self.assertEqual(self.say(b"old ones go on")[0], b"old ones go on")
        self.proxy.door("line", "deaf")
        with self.connect() as deaf:
            deaf.sendall(b"?")
            deaf.settimeout(0.3)
            with self.assertRaises(TimeoutError):
                deaf.recv(1)
            self.proxy.calm()
            with self.assertRaises(TimeoutError):
                deaf.recv(1)
        self.s = self.connect()
        self.assertEqual(self.say(b"open")[0], b"open")

    def test_the_end_of_one_side_is_told_to_the_other(self):
        self.say(b"x")
        self.s.close()
        end = time.monotonic() + 5
        while not self.echo.ends and time.monotonic() < end:
            time.sleep(0.02)
        self.assertEqual(self.echo.ends, ["end"])
        self.assertEqual(self.proxy.count()["line"]["running"], 0)


if __name__ == "__main__":
    unittest.main()
