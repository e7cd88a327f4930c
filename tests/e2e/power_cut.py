#!/usr/bin/env python3
"""Power cuts of agents and cloud: the process dies and its disk forgets what was not synced (power_shim, power.py).

    power_cut.py BIN_DIR SHIM [--cuts 20] [--seed N] [--lies agent|cloud]

Producers run all the time; the oracle is their log of 2xx. A cut comes at a random moment, or at a random step on the disk
counted from the start of the process, so that recovery meets cuts too. Exit 1 when a record is missing or there twice, a
gap or an incident is told of, a program does not come back, or the shim has not seen all that was done to a folder.
--lies is the control: syncs of that side succeed and save nothing, and the test passes only when the loss was seen.
"""
import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import time

import power
import road

SITES = ["north", "south"]
COMES_BACK_S = 20


def give_time(what, test, seconds):
    try:
        road.wait_for(what, test, seconds, 0.01)
    except RuntimeError:
        pass  # a cut meets what it meets


class Powered:
    """A process on a disk that can lose power."""

    def __init__(self, process, disk, ready, lies):
        self.process, self.disk, self.ready, self.lies = process, disk, ready, lies
        self.name = process.name
        self.cuts = []

    def start(self, fuse=0, fail=0):
        self.process.env = self.disk.env(self.lies, fuse, fail)
        self.process.start()

    def cut(self, chance, kept=None, in_sync=False):
        if in_sync:
            self.disk.arm()
            give_time("a sync", lambda: not self.process.alive(), 1)
        self.process.kill()
        # A disk that lied forgets all that it had not written: what it says is durable is the state it woke up with.
        self.cuts.append(self.disk.cut(chance, "nothing" if self.lies else kept))

    def come_back(self):
        try:
            road.wait_for(self.name, lambda: self.ready() or not self.process.alive(), COMES_BACK_S)
        except RuntimeError:
            pass
        if not self.process.alive() or not self.ready():
            last = self.process.log.read_text(errors="replace").splitlines()[-3:]
            raise RuntimeError(f"{self.name} does not come back after a power cut: " + " | ".join(last))


class Loss(Exception):
    """The books do not agree."""


def burn(side, chance, kept=None):
    """Starts it on a fuse: the power goes soon, at some step on the disk, or where it hurts most: in the middle of a sync, or
    some time after a sync that failed."""
    soon = int(10 ** chance.uniform(0, 1.3 if side.name == "cloud" else 1.9))
    side.start(**chance.choice([{"fuse": int(10 ** chance.uniform(0, 3))}, {"fuse": -soon}, {"fail": soon}]))
    end = time.monotonic() + chance.uniform(1, 3)
    while side.process.alive() and time.monotonic() < end:
        time.sleep(0.02)
    side.cut(chance, kept)


def linked(r):
    return all((r.status(fac) or {}).get("linked") for fac in SITES)


def in_flight(r):
    """Is something accepted and not acknowledged, at a site that is linked?"""
    statuses = [r.status(fac) for fac in SITES]
    return any(s and s["linked"] and s["waiting"]["records"] > 0 for s in statuses)


def begin(r, folder, sides, seed, chance, producers):
    """The power goes while stores are being made, and again when new ones hold their first records, at the sites only."""
    for side in sides:
        burn(side, chance, "nothing")
        side.start()
        side.come_back()
    for i, fac in enumerate(SITES):
        producers.append(road.Producer(r, fac, folder / f"{fac}.accepted", seed % 1000 + i, per_post=10, pause=0.02))
        producers[-1].start()
        road.wait_for("the first records", lambda: producers[-1].accepted > 0)
    for side in sides[1:]:
        side.cut(chance, "nothing")
        side.start()
        side.come_back()
    r.broker.start()
    road.wait_for("broker", r.broker_listens)


def cut_power(r, sides, cuts, chance, counts):
    done = 0
    while done < cuts:
        if chance.random() < 0.8:
            give_time("the link", lambda: linked(r), 3)
        time.sleep(chance.uniform(0.05, 0.8))
        away = chance.random() < 0.3
        if away:  # what waits at the sites grows, and what was acknowledged is purged when the link is back
            r.broker.kill()
            time.sleep(chance.uniform(0.1, 0.5))
        side = chance.choice(sides)
        if not away and chance.random() < 0.6:
            give_time("something in flight", lambda: in_flight(r), 4)
        counts["met"] += in_flight(r)
        if chance.random() < 0.25:  # only the process dies: the next one believes what it reads, and the power goes then
            side.process.kill()
            side.start()
            time.sleep(chance.uniform(0.02, 0.5))
        side.cut(chance, in_sync=chance.random() < 0.5)
        done += 1
        if done < cuts and chance.random() < 0.6:
            burn(side, chance)
            done += 1
        side.start()
        if away:
            r.broker.start()
        side.come_back()


def waiting(r):
    return [(r.status(fac) or {"waiting": {"records": 0}})["waiting"]["records"] for fac in SITES]


def purged(r):
    return [sum(row["purged"] for row in (r.status(fac) or {"rows": []})["rows"]) for fac in SITES]


def cut_where_it_hurts(r, sides, chance, counts):
    """Each site while only its disk has what it accepted, then the cloud when sites have deleted what it confirmed; both in
    the middle of a sync."""
    r.broker.kill()
    for side in sides[1:]:
        road.wait_for("records that wait", lambda: min(waiting(r)) > 0, 20)
        side.cut(chance, in_sync=True)
        side.start()
        side.come_back()
    # A site purges after the HELLO of its next link.
    r.broker.start()
    road.wait_for("what was confirmed", lambda: linked(r), 150)
    time.sleep(1)
    r.broker.kill()
    r.broker.start()
    road.wait_for("the purge", lambda: min(purged(r)) > 0, 150, 0.2)
    counts["met"] += in_flight(r)
    sides[0].cut(chance, in_sync=True)
    sides[0].start()
    sides[0].come_back()


def settle(r, sides, producers):
    """Everything that was accepted goes to the region; then a clean stop, after which no power cut may change a byte."""
    for p in producers:
        p.finish()
    road.wait_for("the drain", lambda: r.drained() and linked(r), 120, 0.3)
    for side in sides:
        side.process.end(10)
        if unseen := side.disk.unseen():
            raise RuntimeError(f"the shim has not seen what was done to {side.name}'s folder: {unseen[:5]}")


def judge(r, folder, sides, chance):
    cuts = sum(len(side.cuts) for side in sides)
    for side in sides:
        if not side.lies:  # after a clean stop there is nothing to lose; a liar has to have lost something before
            side.disk.cut(chance, "nothing")
    export = folder / "export.ndjson"
    with open(export, "w") as out:
        subprocess.run([str(r.bin / "egret-cloud"), "export", "--raw", "--config", str(r.cloud_config)], stdout=out, check=True)
    checked = subprocess.run([sys.executable, str(road.ROOT / "tests/e2e/check_road.py"), "--log", *map(str, sorted(folder.glob("*.accepted"))),
                              "--export", str(export), "--faults", str(cuts)], capture_output=True, text=True)
    verified = r.cloud_cli("verify", check=False)
    told = json.loads(r.cloud_cli("incidents", "--json").stdout) + json.loads(r.cloud_cli("gaps", "--json").stdout)
    print("verify: " + (verified.stdout.splitlines() or [verified.stderr])[0])
    print(checked.stdout.strip() or checked.stderr, flush=True)
    if checked.returncode or verified.returncode or told:
        raise Loss(f"books {checked.returncode}, verify {verified.returncode}, {len(told)} incidents and gaps, the first {told[:1]}")


def run(r, folder, args, chance, producers):
    r.make()
    ready = {"cloud": lambda: r.page("/healthz") is not None}
    sides = []
    for process in [r.cloud, *r.agents.values()]:
        state = folder / process.name
        disk = power.Disk(state, folder / f"{process.name}.journal", args.shim)
        disk.power_on()
        lies = args.lies == ("cloud" if process.name == "cloud" else "agent")
        sides.append(Powered(process, disk, ready.get(process.name, lambda fac=process.name: r.status(fac)), lies))
    counts = {"met": 0}
    try:
        begin(r, folder, sides, args.seed, chance, producers)
        cut_power(r, sides, args.cuts, chance, counts)
        cut_where_it_hurts(r, sides, chance, counts)
        settle(r, sides, producers)
        judge(r, folder, sides, chance)
    finally:
        cuts = [c for side in sides for c in side.cuts]
        agents = sum(len(side.cuts) for side in sides if side.name != "cloud")
        print(f"{len(cuts)} cuts (agents {agents}, cloud {len(cuts) - agents}): {counts['met']} met data on its way, "
              f"{sum(c.unsynced_bytes > 0 for c in cuts)} found bytes that no sync had covered ({sum(c.unsynced_bytes for c in cuts)} in all), "
              f"{sum(c.unsynced_names > 0 for c in cuts)} found such names; refused {sum(len(p.wrong) for p in producers)}", flush=True)
    if args.lies is None and (counts["met"] == 0 or not any(c.unsynced_bytes for c in cuts)):
        raise RuntimeError("no cut met anything: the test has shown nothing")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bin")
    parser.add_argument("shim")
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    parser.add_argument("--lies", choices=["agent", "cloud"])
    args = parser.parse_args()
    print(f"seed {args.seed}: again with --seed {args.seed} --cuts {args.cuts}" + (f" --lies {args.lies}" if args.lies else ""), flush=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="egret-power-"))
    r = road.Road(folder, args.bin, SITES, tls=False, safe="commit", cloud_settings={"herd_window_s": "1"})
    producers, seen, good = [], None, False
    try:
        try:
            run(r, folder, args, random.Random(args.seed), producers)
        except Loss as found:
            seen = str(found)
        print(f"loss: {seen}" if seen else "nothing is missing, nothing is there twice")
        good = (seen is not None) == (args.lies is not None)
        return 0 if good else 1
    finally:
        for p in producers:
            p.ending.set()
        r.stop()
        road.leave(folder, good)


if __name__ == "__main__":
    sys.exit(main())
