#!/usr/bin/env python3
"""kill -9 of agent, broker (its memory is gone) and cloud at random moments, with producers running and batches in flight.

    kill.py BIN_DIR [--kills 60] [--seed N]

The oracle is the producers' log of 2xx. Prints the seed, what was killed, how many kills met a batch in flight, and
the checker's JSON. Exit 1 when a record is missing or there twice, the store does not verify, or too few kills met one.
"""
import argparse
import collections
import json
import pathlib
import random
import sys
import tempfile
import time

import line
import road

SITES = ["east", "north", "south"]
LINE_DELAY_S = 0.07  # each way


def flights(r, fac):
    """{(site, epoch, lane): last number} of the batches that this site has sent and nobody has acknowledged."""
    status = r.status(fac)
    if not status or not status["linked"]:
        return {}
    return {(fac, row["epoch"], row["stream"]): row["sent"] for row in status["rows"] if row["sent"] > row["cursor"]}


def committed(r):
    """{(site, epoch, lane): W}, as the region says."""
    page = r.page("/api/facilities")
    if page is None:
        return {}
    return {(f["facility"], row["epoch"], row["stream"]): row["w"] for f in json.loads(page)["facilities"] for row in f["rows"]}


class Killer:
    def __init__(self, r, chance):
        self.r, self.chance = r, chance
        self.killed, self.met, self.old = collections.Counter(), collections.Counter(), {}

    def wait(self):
        """A random while; after most kills also until batches are on their way again, and then a random moment more."""
        time.sleep(self.chance.uniform(0.05, 0.7))
        if self.chance.random() < 0.25:
            return
        try:
            road.wait_for("batches", lambda: any(flights(self.r, fac) for fac in SITES), 4, 0.03)
        except RuntimeError:
            return
        time.sleep(self.chance.uniform(0, 0.1))

    def victim(self):
        """Broker, region or a site; of the sites rather one with a batch on its way."""
        role = self.chance.choices(["broker", "cloud", "agent"], [1, 2, 4])[0]
        if role == "agent":
            busy = [fac for fac in SITES if flights(self.r, fac)]
            return role, self.r.agents[self.chance.choice(busy or SITES)]
        return role, self.r.broker if role == "broker" else self.r.cloud

    def strike(self):
        role, victim = self.victim()
        before = {}
        for fac in [victim.name] if role == "agent" else SITES:
            before.update(flights(self.r, fac))
        victim.kill()
        # What was on its way before the kill and is not answered after it was on its way in that moment. A dead agent
        # cannot say what it has heard, so for its batches the region must not even have them yet.
        if role == "agent":
            w = committed(self.r)
            hit = {key: last for key, last in before.items() if w.get(key, last) < last}
        else:
            after = {}
            for fac in SITES:
                status = self.r.status(fac)
                after.update({(fac, row["epoch"], row["stream"]): row["cursor"] for row in status["rows"]} if status else {})
            hit = {key: last for key, last in before.items() if after.get(key, last) < last}
        fresh = {key: last for key, last in hit.items() if self.old.get(key) != last}
        self.old.update(hit)
        self.killed[role] += 1
        self.met[role] += bool(hit)
        self.met["fresh"] += bool(fresh)
        time.sleep(self.chance.uniform(0, 0.2))
        victim.start()

    def told(self):
        parts = ", ".join(f"{role} {self.killed[role]} ({self.met[role]} met a batch in flight)" for role in ("agent", "broker", "cloud"))
        return f"killed {parts}; in {self.met['fresh']} of them it was one that no kill had met before"

    def enough(self):
        hits = sum(self.met[role] for role in ("agent", "broker", "cloud"))
        return 3 * hits > sum(self.killed.values())


def settle(r, producers):
    for fac in SITES:
        road.wait_for(fac, lambda: r.status(fac), 20)
    time.sleep(1)
    for p in producers:
        p.ending.set()
    for p in producers:
        p.finish()
    road.wait_for("the drain", lambda: r.drained() and r.linked(), 120, 0.3)


def run(r, folder, args, producers):
    chance = random.Random(args.seed)
    r.up()
    producers += [road.Producer(r, fac, folder / f"{fac}.accepted", args.seed % 1000 + i, per_post=10, pause=0.02) for i, fac in enumerate(SITES)]
    for p in producers:
        p.start()
    time.sleep(2)
    killer = Killer(r, chance)
    for _ in range(args.kills):
        killer.wait()
        killer.strike()
    settle(r, producers)
    r.export(folder / "export.ndjson")
    checked = r.run(sys.executable, road.ROOT / "tests/e2e/check_road.py", "--log", *sorted(folder.glob("*.accepted")), "--export",
                    folder / "export.ndjson", "--faults", args.kills, check=False)
    verified = r.cloud_cli("verify", check=False)
    print(killer.told())
    print(f"producers sent again {sum(p.retries for p in producers)} times, were refused {sum(len(p.wrong) for p in producers)} times")
    print("verify: " + verified.stdout.splitlines()[0])
    print(checked.stdout.strip() or checked.stderr, flush=True)
    return checked.returncode or verified.returncode or (0 if killer.enough() else 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bin")
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    args = parser.parse_args()
    print(f"seed {args.seed}: again with --seed {args.seed} --kills {args.kills}", flush=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="egret-kill-"))
    r = road.Road(folder, args.bin, SITES, tls=False, safe="commit", cloud_settings={"herd_window_s": "0"},
                  agent_settings={"broker.reconnect_max_s": "1"})
    long_line = line.Line(r.port, LINE_DELAY_S)
    r.agent_port = long_line.port
    producers, code = [], 1
    try:
        code = run(r, folder, args, producers)
        return code
    finally:
        for p in producers:
            p.ending.set()
        r.stop()
        long_line.close()
        road.leave(folder, code == 0)


if __name__ == "__main__":
    sys.exit(main())
