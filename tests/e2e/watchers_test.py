#!/usr/bin/env python3
"""Hostile clients of the event stream: a thousand that read a byte a second, or say half a sentence and nothing more, against a
real region at work; and what else can be said to /api/live that it does not want to hear.

    watchers_test.py BIN_DIR                          prints the figures
    watchers_test.py --hostile PORT COUNT SECONDS      the clients, in a process of their own; prints what became of them
"""
import asyncio
import contextlib
import http.client
import json
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fleet"))
import live_region  # noqa: E402
import road  # noqa: E402

BIN = ""
SITES, CLIENTS, STORM_S = 200, 1000, 20
GROWTH_MB = 64       # of the region's memory, over the storm
LATE_S = 5           # a second's event, on a machine that a thousand clients share with it
PROBE_S = 3          # until somebody who asks is answered, refusals obeyed
COMMITTED = 0.7      # of what was committed a second before the storm


# ---- the hostile ones ----

async def hostile(port, n, end, outcomes):
    """Comes again and again. One in four says half a request; the others read a byte a second of the stream."""
    chance = random.Random(n)
    while time.monotonic() < end:
        try:
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.setblocking(False)
            loop = asyncio.get_running_loop()
            await asyncio.wait_for(loop.sock_connect(s, ("127.0.0.1", port)), 5)
            await become(s, loop, n, chance, end, outcomes)
        except (OSError, asyncio.TimeoutError):
            outcomes["closed"] += 1
        finally:
            s.close()
        await asyncio.sleep(chance.random())


async def become(s, loop, n, chance, end, outcomes):
    if n % 4 == 0:
        await loop.sock_sendall(s, b"GET /api/live HTTP/1.1\r\nHost: 127")
        kind = "half a request"
    else:
        last = chance.choice(["", "0", "-", "x" * 3000, "\x7f\x01", "99999999999999999999-1", f"{n:x}-18446744073709551615"])
        await loop.sock_sendall(s, f"GET /api/live HTTP/1.1\r\nHost: 127.0.0.1\r\nLast-Event-ID: {last}\r\n\r\n".encode())
        kind = "stream"
    begun = b""
    while time.monotonic() < end:
        got = await asyncio.wait_for(loop.sock_recv(s, 12 if len(begun) < 12 else 1), max(0.1, end - time.monotonic()))
        if not got:
            break
        begun += got
        if begun.startswith(b"HTTP/1.1 503"):
            outcomes["refused"] += 1
            return
        if len(begun) >= 12:
            await asyncio.sleep(1)
    outcomes["let go: " + kind if begun or n % 4 == 0 else "closed"] += 1


async def storm(port, count, seconds):
    outcomes = {"refused": 0, "let go: stream": 0, "let go: half a request": 0, "closed": 0}
    end = time.monotonic() + seconds
    await asyncio.gather(*(hostile(port, n, end, outcomes) for n in range(count)))
    return outcomes


# ---- the honest ones ----

class Watcher(threading.Thread):
    """Reads the stream as a dashboard does."""

    def __init__(self, port, headers=None):
        super().__init__(daemon=True)
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.connection.request("GET", "/api/live", headers=headers or {})
        self.answer = self.connection.getresponse()
        self.names, self.times, self.ended = [], [time.monotonic()], threading.Event()

    def run(self):
        try:
            for line in self.answer:
                if line.startswith(b"event: "):
                    self.names.append(line[7:].strip().decode())
                    self.times.append(time.monotonic())
        except (OSError, http.client.HTTPException, ValueError):
            pass
        self.ended.set()

    def longest_silence(self, since):
        times = [t for t in self.times if t >= since] + [time.monotonic()]
        return max(b - a for a, b in zip(times, times[1:], strict=False))


class Prober(threading.Thread):
    """Asks as a script does, on a new connection each time, and again when it is told to."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.waits, self.refused, self.ending = port, [], 0, threading.Event()

    def once(self):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            c.request("GET", "/healthz")
            answer = c.getresponse()
            answer.read()
            return answer.status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            c.close()

    def run(self):
        while not self.ending.is_set():
            begun = time.monotonic()
            while not self.once() and not self.ending.is_set():
                self.refused += 1
                self.ending.wait(0.2)
            self.waits.append(time.monotonic() - begun)
            self.ending.wait(0.1)


def memory_mb(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


class HostileWatchers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        live_region.many_files()
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="watchers-"))
        cls.region = live_region.LiveRegion(cls.folder, BIN, SITES, rate=1.0, past=(0, 0), real=[])
        cls.region.up()
        cls.region.work()
        road.wait_for("all links", cls.region.all_linked, 60, 0.2)

    @classmethod
    def tearDownClass(cls):
        cls.region.stop()
        shutil.rmtree(cls.folder, ignore_errors=True)

    def committed_a_second(self, seconds):
        before = self.region.books()["committed"], time.monotonic()
        time.sleep(seconds)
        return (self.region.books()["committed"] - before[0]) / (time.monotonic() - before[1])

    def refused(self, token):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.region.page_port, timeout=10)) as c:
            c.request("GET", "/api/live", headers={"Authorization": f"Bearer {token}"})
            answer = c.getresponse()
            return answer.status, answer.read()

    def test_a_thousand_slow_readers_cost_a_little_memory_and_nobody_else_anything(self):
        pid = self.region.cloud.child.pid
        honest = Watcher(self.region.page_port)
        honest.start()
        prober = Prober(self.region.page_port)
        prober.start()
        usual, before = self.committed_a_second(5), memory_mb(pid)
        begun = time.monotonic()
        clients = subprocess.Popen(road.tied([sys.executable, __file__, "--hostile", self.region.page_port, CLIENTS, STORM_S]), stdout=subprocess.PIPE, text=True)
        accepted = self.region.stand()["accepted"]
        most, samples = 0.0, []
        while clients.poll() is None:
            most = max(most, memory_mb(pid))
            samples.append((time.monotonic(), self.region.stand()["accepted"] - self.region.stand()["waiting"]))
            time.sleep(0.2)
        outcomes = json.loads(clients.communicate()[0])
        rate = (samples[-1][1] - samples[0][1]) / (samples[-1][0] - samples[0][0])
        silence = honest.longest_silence(begun)
        prober.ending.set()
        prober.join(10)
        waits = sorted(prober.waits)
        print(f"{CLIENTS} hostile clients for {STORM_S} s: {outcomes}; the region's memory {before:.0f} to at most {most:.0f} MB; longest silence of an honest watcher {silence:.1f} s; "
              f"{len(waits)} questions answered, p50 {waits[len(waits) // 2] * 1000:.0f} ms, longest {waits[-1]:.2f} s, {prober.refused} refusals obeyed; acknowledged {rate:.0f} records a second, {usual:.0f} before", flush=True)
        self.assertGreater(self.region.stand()["accepted"], accepted)
        self.assertLess(most - before, GROWTH_MB)
        self.assertFalse(honest.ended.is_set(), "the honest watcher was let go")
        self.assertLess(silence, LATE_S)
        self.assertLess(waits[-1], PROBE_S)
        self.assertGreater(rate, COMMITTED * usual)
        for kind in ("refused", "let go: stream", "let go: half a request"):
            self.assertGreater(outcomes[kind], 0, outcomes)

    def test_afterwards_whoever_comes_is_let_in(self):
        late = Watcher(self.region.page_port)
        late.start()
        road.wait_for("two events", lambda: len(late.names) >= 2, 20)
        self.assertEqual(late.names[:2], ["all", "some"])

    def test_a_token_that_is_removed_ends_its_stream(self):
        token = self.region.cloud_cli("token", "add", "short-lived", "--role", "viewer").stdout.strip()
        watcher = Watcher(self.region.page_port, {"Authorization": f"Bearer {token}"})
        watcher.start()
        road.wait_for("two events", lambda: len(watcher.names) >= 2, 20)
        self.region.cloud_cli("token", "remove", "short-lived")
        road.wait_for("its end", watcher.ended.is_set, 10)
        self.assertEqual(self.refused(token)[0], 401)

    def test_a_token_of_another_role_is_refused_before_anything_is_computed(self):
        for role in ("admin", "fhir"):
            token = self.region.cloud_cli("token", "add", "of-" + role, "--role", role).stdout.strip()
            status, text = self.refused(token)
            self.assertEqual(status, 403)
            self.assertIn("viewer", json.loads(text)["error"])

    def test_garbage_for_a_last_event_id_begins_anew_and_too_much_of_it_is_refused(self):
        for last in ("", "-", "0", "x-1", "0-18446744073709551615", "ü", "9" * 5000):
            c = http.client.HTTPConnection("127.0.0.1", self.region.page_port, timeout=10)
            c.putrequest("GET", "/api/live", skip_accept_encoding=True)
            c.putheader("Last-Event-ID", last.encode("latin-1"))
            c.endheaders()
            answer = c.getresponse()
            self.assertEqual(answer.status, 200, last[:20])
            self.assertEqual([answer.readline()[:3], answer.readline()], [b"id:", b"event: all\n"], last[:20])
            c.close()
        for request, status in ((b"GET /api/live HTTP/1.1\r\nLast-Event-ID: " + b"9" * 20000 + b"\r\n\r\n", b"431"), (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", b"400"),
                                (b"GET /api/live HTTP/1.1\r\nLast Event ID: 1\r\n\r\n", b"400"), (b"GET /api/live HTTP/1.1\r\nLast-Event-ID: \x7f\r\n\r\n", b"400"), (b"POST /api/live HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n", b"405")):
            with socket.create_connection(("127.0.0.1", self.region.page_port), 10) as s:
                s.sendall(request)
                self.assertEqual(s.recv(12)[9:12], status, request[:30])


if __name__ == "__main__":
    if sys.argv[1] == "--hostile":
        live_region.many_files()
        print(json.dumps(asyncio.run(storm(int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))))
        sys.exit(0)
    BIN = sys.argv.pop(1)
    unittest.main(verbosity=2)
