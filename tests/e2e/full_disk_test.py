#!/usr/bin/env python3
"""A disk without a byte left, under a real agent with broker and cloud.

    full_disk_test.py BIN_DIR [--minutes M]

The site's folder is a small tmpfs, mounted here (as root), beside which somebody else's program takes every byte that is
free, also what the agent gives back, while producers go on posting and the broker goes away and comes back. Then the room
comes back. Without --minutes two short rounds, one of each kind; with it rounds until the time is up, of half a minute or more.
Exit 1 when a producer hears anything but 2xx, 429, 503 or 507, or one of these without Retry-After; when the agent ends, does
not say in status and doctor what is wrong, or does not take records again by itself; when a record is missing or twice.
"""
import argparse
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import road
from lone_agent import critical, lines

SITE = "north"
DISK_MB = 48
RESUMES_S = 30


class Hog(threading.Thread):
    """Somebody else's program: while `hungry`, it takes every byte of the disk within milliseconds."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self.file, self.hungry, self.ending = folder / "hog", threading.Event(), threading.Event()
        self.taken = 0

    def run(self):
        while not self.ending.wait(0.002):
            if self.hungry.is_set():
                self.eat()

    def eat(self):
        with open(self.file, "ab", buffering=0) as out:
            for size in (1 << 20, 1 << 16, 1 << 12):
                try:
                    while self.hungry.is_set():
                        self.taken += out.write(bytes(size))
                except OSError:
                    pass

    def let_go(self):
        self.hungry.clear()
        time.sleep(0.05)
        self.file.unlink(missing_ok=True)


class Patient(road.Producer):
    """Sends again until it is taken, and notes what it heard meanwhile."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.heard, self.impolite, self.put_off = {}, [], 0

    def post(self, path, body, kind="application/json"):
        while not self.ending.is_set():
            try:
                status, headers, answer = self.ask(path, body, kind)
                self.heard[status] = self.heard.get(status, 0) + 1
                if status not in (429, 503, 507):
                    return status, json.loads(answer)
                if not headers.get("Retry-After"):
                    self.impolite.append((status, answer))
                if status == 429 and path == "/v1/telemetry":
                    return None, None  # the next one tells more
            except (OSError, ValueError, road.http.client.HTTPException) as why:
                self.heard[type(why).__name__] = self.heard.get(type(why).__name__, 0) + 1
            self.ending.wait(0.1)
        return None, None

    def take(self, status, answer):
        """Of one request the critical results may have room and the others not."""
        later = [r for r in (answer or {}).get("results", []) if r.get("error", {}).get("code") in ("disk_full", "lane_full")]
        if status == 207 and all(r["outcome"] == "accepted" or r in later for r in answer["results"]):
            self.put_off += len(later)
            status = 201
        super().take(status, answer)

    def ask(self, path, body, kind):
        c = road.UnixHttp(self.road.socket(self.fac))
        try:
            c.request("POST", path, body, {"Content-Type": kind})
            r = c.getresponse()
            return r.status, r.headers, r.read()
        finally:
            c.close()


class Urgent(Patient):
    """Critical results alone: they have the reserve for themselves, so that it is the disk itself that refuses them."""

    def run(self):
        chance = random.Random(self.seed)
        n = self.seed * 10_000_000
        while not self.ending.is_set():
            batch = [critical(n + i) for i in range(self.per_post)]
            for result in batch:
                result["ai_result"]["value"] = {"text": chance.randbytes(400).hex()}
            n += self.per_post
            self.take(*self.post("/v1/records", lines(batch), "application/x-ndjson"))
            self.ending.wait(self.pause)


def fail(text):
    raise RuntimeError(text)


def mount(folder):
    folder.mkdir(parents=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "egret-full-disk", folder], capture_output=True, text=True)
    if done.returncode != 0:
        fail(f"no disk to fill: this test mounts a tmpfs, which wants root: {done.stderr.strip()}")


def told(r):
    """What a person is told: by status, and by doctor."""
    config = r.dir / f"{SITE}.toml"
    status = r.run(r.bin / "egret-agent", "status", "--config", config, check=False)
    doctor = r.run(r.bin / "egret-agent", "doctor", "--config", config, check=False)
    return status.stdout, doctor.returncode, doctor.stdout


def check_what_is_told(r):
    # A store that is being opened again answers all the same.
    road.wait_for("a status that says that the disk is full", lambda: "the disk is full" in told(r)[0], 15, 0.3)
    status, code, doctor = told(r)
    if not re.search(r"fail\w*\s+disk.*\n.*make room", doctor, re.I) or code == 0:
        fail(f"doctor (exit {code}) does not say that the disk is full:\n{doctor}")


def refusals(p):
    return p.put_off + sum(n for status, n in p.heard.items() if status in (503, 507))


def fill_and_let_go(r, hog, p, seconds, link):
    """`link`: "up", "down", or "back": it comes back while the disk is still full."""
    pid = r.agents[SITE].child.pid
    if link != "up":
        r.broker.kill()
    before = refusals(p)
    hog.hungry.set()
    road.wait_for("a refusal", lambda: refusals(p) > before, 20)
    check_what_is_told(r)
    if link == "back":
        r.broker.start()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.1)
        if not r.agents[SITE].alive():
            fail("the agent has ended")
    hog.let_go()
    accepted = p.accepted
    begun = time.monotonic()
    road.wait_for("records are taken again", lambda: p.accepted > accepted, RESUMES_S)
    resumed = time.monotonic() - begun
    if link == "down":
        r.broker.start()
    if r.agents[SITE].child.pid != pid or not r.agents[SITE].alive():
        fail("the agent is another one")
    return resumed


def rounds(r, hog, p, minutes):
    resumed = []
    begun = time.monotonic()
    links = ["up", "back", "down"] if minutes else ["up", "back"]
    while not resumed or len(resumed) % len(links) or time.monotonic() - begun < minutes * 60:
        link = links[len(resumed) % len(links)]
        accepted = p.accepted
        resumed.append(fill_and_let_go(r, hog, p, 30 if minutes else 3, link))
        road.wait_for("some work between", lambda: p.accepted > accepted + 200, 60)
    return resumed


def judge(r, folder, p, urgent):
    road.wait_for("the drain", lambda: r.drained() and r.linked(), 180, 0.3)
    wait_status = told(r)[0]
    if "the disk is full" in wait_status:
        fail(f"the status still says that the disk is full:\n{wait_status}")
    r.stop()
    r.export(folder / "export.ndjson")
    books = subprocess.run([sys.executable, str(road.ROOT / "tests/e2e/check_road.py"), "--gaps-tell", "--log", str(folder / "accepted"), str(folder / "urgent"),
                            "--export", str(folder / "export.ndjson")], capture_output=True, text=True)
    print(books.stdout.strip() or books.stderr)
    verified = r.cloud_cli("verify", check=False)
    if books.returncode or verified.returncode:
        fail(f"the books: {books.returncode}, verify: {verified.returncode} {verified.stdout[-300:]}")
    # Telemetry may be shed when there is no room, oldest first, and is named; nothing else may.
    if other := [g for g in json.loads(r.cloud_cli("gaps", "--json").stdout) if g["stream"] != "telemetry" or g["kind"] != "shed"]:
        fail(f"gaps that are not shed telemetry: {other[:3]}")
    for each in (p, urgent):
        if each.wrong or each.impolite:
            fail(f"wrong answers: {each.wrong[:2]}, without Retry-After: {each.impolite[:2]}")
        if strange := [k for k in each.heard if k not in (201, 207, 429, 503, 507)]:
            fail(f"producers heard {strange}: {each.heard}")
    if not p.heard.get(507, 0) + p.put_off:
        fail(f"no producer was ever told that the disk is full: {p.heard}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bin")
    parser.add_argument("--minutes", type=float, default=0)
    args = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="egret-full-"))
    disk = folder / SITE
    r = road.Road(folder, args.bin, [SITE], tls=False, safe="commit")
    hog = Hog(disk)
    p = urgent = None
    good = False
    try:
        mount(disk)
        os.chmod(disk, 0o700)
        r.up()
        hog.start()
        p = Patient(r, SITE, folder / "accepted", 1, per_post=20, pause=0.01, documents=False)
        p.start()
        urgent = Urgent(r, SITE, folder / "urgent", 2, per_post=100, pause=0.01, documents=False)
        urgent.start()
        road.wait_for("the first records", lambda: p.accepted > 200)
        resumed = rounds(r, hog, p, args.minutes)
        for each in (p, urgent):
            each.finish()
        counters = r.status(SITE)["counters"]
        judge(r, folder, p, urgent)
        print(f"{len(resumed)} times full, {hog.taken >> 20} MiB taken from it; resumed within {max(resumed):.1f} s; "
              f"{counters['reopens']} reopens; heard {p.heard}, of critical results {urgent.heard}")
        if counters["reopens"] == 0:
            fail("no write ever met the full disk: the test has shown nothing")
        good = True
        return 0
    finally:
        hog.ending.set()
        for each in filter(None, (p, urgent)):
            each.ending.set()
        r.stop()
        if hog.is_alive():
            hog.join(5)
        if not good and disk.exists():
            shutil.copytree(disk, folder / "disk")  # beside the logs
            subprocess.run(["ls", "-la", str(disk), str(disk / "store")])
        subprocess.run(["umount", disk], capture_output=True)
        road.leave(folder, good)


if __name__ == "__main__":
    sys.exit(main())
