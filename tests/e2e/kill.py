#!/usr/bin/env python3
"""kill -9 of agent, broker (its memory is gone) and cloud at random moments, with producers running and batches in flight.

    kill.py BIN_DIR [--kills 60] [--seed N]

The oracle is the producers' log of 2xx. Prints the seed, what was killed, how many kills met a batch in flight, and
the checker's JSON. Exit 1 when a record is missing or there twice, or the store does not verify.
"""
import argparse
import collections
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

import road

SITES = ["north", "south"]


def in_flight(r, fac):
    """Is something of this site sent or sendable and not acknowledged?"""
    status = r.status(fac)
    return bool(status and status["linked"] and status["waiting"]["records"] > 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bin")
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    args = parser.parse_args()
    chance = random.Random(args.seed)
    print(f"seed {args.seed}: again with --seed {args.seed} --kills {args.kills}", flush=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="egret-kill-"))
    r = road.Road(folder, args.bin, SITES, tls=False, safe="commit")
    producers, met, killed = [], 0, collections.Counter()
    code = 1
    try:
        r.up()
        producers = [road.Producer(r, fac, folder / f"{fac}.accepted", args.seed % 1000 + i, per_post=10, pause=0.02) for i, fac in enumerate(SITES)]
        for p in producers:
            p.start()
        time.sleep(2)
        for _ in range(args.kills):
            time.sleep(chance.uniform(0.05, 1.2))
            victim = chance.choices([r.broker, r.cloud, *r.agents.values()], [2, 3, 2, 2])[0]
            if any(in_flight(r, fac) for fac in SITES):
                met += 1
            victim.kill()
            killed["agent" if victim.name in SITES else victim.name] += 1
            time.sleep(chance.uniform(0, 0.3))
            victim.start()
        for fac in SITES:
            road.wait_for(fac, lambda: r.status(fac), 20)
        time.sleep(1)
        for p in producers:
            p.finish()
        road.wait_for("the drain", lambda: r.drained() and all((r.status(f) or {}).get("linked") for f in SITES), 120, 0.5)
        export = folder / "export.ndjson"
        with open(export, "w") as out:
            subprocess.run([str(r.bin / "egret-cloud"), "export", "--raw", "--config", str(r.cloud_config)], stdout=out, check=True)
        checked = subprocess.run([sys.executable, str(road.ROOT / "tests/e2e/check_road.py"), "--log", *map(str, sorted(folder.glob("*.accepted"))),
                                  "--export", str(export), "--faults", str(args.kills)], capture_output=True, text=True)
        verified = r.cloud_cli("verify", check=False)
        print(f"killed {dict(killed)}; {met} kills met data on its way; refused {sum(len(p.wrong) for p in producers)}")
        print("verify: " + verified.stdout.splitlines()[0])
        print(checked.stdout.strip() or checked.stderr, flush=True)
        code = checked.returncode or verified.returncode or (0 if met > 0 else 1)
        return code
    finally:
        for p in producers:
            p.ending.set()
        r.stop()
        if code == 0:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"logs are in {folder}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
