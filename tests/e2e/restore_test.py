#!/usr/bin/env python3
"""Backups of a region, and the way back, while sites send: what is deleted at sites, what comes again, what is named.

    restore_test.py BIN_DIR [--store postgres|rocksdb] [--sites 3] [--seed N]

Two backups, both confirmed: of PostgreSQL with packaging/postgres-backup, of RocksDB with `egret-cloud backup`. Restored to the
last confirmed one: nothing is missing. Restored to the one before: sites have deleted what that one lacks, and exactly those ranges
are named as gaps.
"""
import argparse
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

import check_road
import postgres
import region
import road

BACKUP = road.ROOT / "packaging" / "postgres-backup"
SETTINGS = {"safe": "backup", "cloud_settings": {"herd_window_s": "0", "lease_s": "30"}, "agent_settings": {"broker.reconnect_max_s": "1"}}


class InPostgres:
    """Two reconcilers over one database. Restored as when the database's disk is lost: they run on, and find one of before."""

    def __init__(self, folder, bin_dir, sites):
        self.cluster = postgres.Postgres()
        self.r = region.Region(folder, bin_dir, sites, self.cluster.url(), 2, **SETTINGS)
        self.copies = self.cluster.dir / "copies"

    def begin(self):
        self.copies.mkdir()
        shutil.chown(self.copies, *(["postgres", "postgres"] if os.geteuid() == 0 else [os.geteuid()]))
        self.r.up()
        # The backup runs as PostgreSQL's user, who cannot read the region's folder.
        self.config = self.cluster.dir / "cloud.toml"
        self.config.write_text(self.r.cloud_config.read_text())

    def back_up(self, name):
        argv = self.cluster.command("env", f"EGRET_CLOUD={self.r.bin.resolve()}/egret-cloud", f"PGBIN={postgres.BIN}", BACKUP, self.copies / name, "--config", self.config)
        done = subprocess.run(argv, cwd="/", capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"backup {name}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout.strip() or done.stderr.strip()

    def put_back(self, name):
        self.cluster.kill()
        self.cluster.put_back(self.copies / name)
        self.cluster.start()
        return self.r.cloud_cli("restore", name, "--json").stdout

    def healthy(self):
        return self.r.healthy()

    def stop(self):
        self.r.stop()
        self.cluster.stop()


class InRocksDB:
    """One region on RocksDB, whose copies lie on other storage. Restored as when its disk is lost."""

    def __init__(self, folder, bin_dir, sites):
        self.r = road.Road(folder, bin_dir, sites, tls=False, **SETTINGS)
        elsewhere = pathlib.Path("/dev/shm")
        self.copies = pathlib.Path(tempfile.mkdtemp(prefix="egret-copies-", dir=elsewhere if elsewhere.is_dir() else None))
        self.alike = []

    def begin(self):
        self.r.up()
        self.alike = ["--same-filesystem"] if os.stat(self.copies).st_dev == os.stat(self.r.dir).st_dev else []

    def back_up(self, name):
        self.r.cloud_cli("backup", self.r.dir / name)
        shutil.copytree(self.r.dir / name, self.copies / name)
        return self.r.cloud_cli("backup", "confirm", self.copies / name, "--json", *self.alike).stdout.strip()

    def put_back(self, name):
        self.r.cloud.kill()
        told = self.r.cloud_cli("restore", self.copies / name, "--json").stdout
        self.r.cloud.start()
        return told

    def healthy(self):
        return '"status":"ok"' in (self.r.page("/healthz") or "")

    def stop(self):
        self.r.stop()
        shutil.rmtree(self.copies, ignore_errors=True)


class Story:
    def __init__(self, folder, args):
        self.folder, self.args = folder, args
        self.sites = [f"clinic-{n}" for n in range(args.sites)]
        self.kept = (InPostgres if args.store == "postgres" else InRocksDB)(folder, args.bin, self.sites)
        self.r = self.kept.r
        self.producers = []

    def begin(self):
        self.kept.begin()
        for n, fac in enumerate(self.sites):
            self.producers.append(road.Producer(self.r, fac, self.folder / f"{fac}.accepted", self.args.seed % 1000 + n, per_post=10, pause=0.03 * len(self.sites)))
            self.producers[-1].start()

    def back_up(self, name):
        print(f"backup {name}: {self.kept.back_up(name)}", flush=True)

    def rows(self):
        """{(site, epoch, lane): (safe, W)}, as the region says."""
        page = self.r.page("/api/facilities")
        return {(f["facility"], row["epoch"], row["stream"]): (row["safe"], row["w"]) for f in json.loads(page)["facilities"] for row in f["rows"]}

    def purged(self):
        """{site: how many records it has deleted}."""
        return {fac: sum(row["purged"] for row in (self.r.status(fac) or {"rows": []})["rows"]) for fac in self.sites}

    def restore(self, name):
        gen = self.gen()
        told = json.loads(self.kept.put_back(name))
        print(f"restored {name}: {told['behind']} are behind", flush=True)
        road.wait_for("the region", self.kept.healthy, 60)
        if self.gen() == gen:
            raise SystemExit("a restored store has the number of the one before")

    def gen(self):
        """The store's own number: every cursor of its feed begins with it."""
        return json.loads(self.r.cloud_cli("changes", "--lines", "1").stdout.splitlines()[0])["cursor"].split("-")[0]

    def books(self, *more):
        export = self.folder / "export.ndjson"
        self.r.export(export)
        logs = sorted(self.folder.glob("*.accepted"))
        return self.r.run(sys.executable, road.ROOT / "tests/e2e/check_road.py", "--log", *logs, "--export", export, *more, check=False)

    def settle(self, what, *more):
        road.wait_for(f"the drain ({what})", lambda: self.r.drained() and self.r.linked(), 120, 0.3)
        # Sites may still believe ACKs of before the restore; their next HELLO tells them.
        try:
            road.wait_for("the refill", lambda: self.books(*more).returncode == 0, 120, 1)
        except RuntimeError:
            pass
        done = self.books(*more)
        print(f"books, {what}: {done.stdout.strip() or done.stderr}", flush=True)
        if done.returncode != 0:
            raise SystemExit(f"{what}: records are missing")
        return json.loads(done.stdout)

    def rest(self, on):
        for p in self.producers:
            (p.resting.set if on else p.resting.clear)()
        time.sleep(0.5 if on else 3)


def check_named_exactly(folder):
    """No number is both there and in a gap. Producers post the same documents again and again, so that a record whose first
    number is gone may come back under a later one."""
    _, _, gaps = check_road.read_export(folder / "export.ndjson")
    with open(folder / "export.ndjson") as lines:
        places = [(r["facility"], r["epoch"], r["stream"], r["seq"]) for r in map(json.loads, lines) if "gap" not in r]
    both = [place for place in places if check_road.in_a_gap(place, gaps)]
    if both or not places:
        raise SystemExit(f"{len(both)} of {len(places)} numbers are there and in a gap: {both[:5]}")


def run(s):
    s.begin()
    road.wait_for("something of every site", lambda: {site for (site, _, _), (_, w) in s.rows().items() if w >= 20} == set(s.sites), 60, 0.3)
    if any(safe for safe, _ in s.rows().values()):
        raise SystemExit("something is safe before any backup")
    s.back_up("monday")
    monday = s.rows()
    time.sleep(4)
    later = s.rows()
    if not any(safe for safe, _ in later.values()):
        raise SystemExit("nothing is safe after a confirmed backup")
    wrong = {key: row for key, row in later.items() if row[0] > monday.get(key, (0, 0))[1]}
    if wrong or not any(w > safe for safe, w in later.values()):
        raise SystemExit(f"safe is more than the backup holds: {wrong}")
    road.wait_for("the purge", lambda: all(s.purged().values()), 90, 0.3)
    s.back_up("tuesday")
    # More than monday's copy can hold: by tuesday's word.
    at_monday = {fac: sum(w for (site, _, _), (_, w) in monday.items() if site == fac) for fac in s.sites}
    road.wait_for("the next purge", lambda: all(n > at_monday[fac] for fac, n in s.purged().items()), 90, 0.3)
    print(f"the sites have deleted {sum(s.purged().values())} records", flush=True)

    s.restore("tuesday")
    s.rest(True)
    s.settle("restored to the last confirmed backup", "--restores", 1)
    s.rest(False)
    s.restore("monday")
    s.rest(True)
    books = s.settle("restored to an older one", "--restores", 2, "--gaps-tell")
    if books["told_by_gaps"] == 0:
        raise SystemExit("the older backup lacked nothing: this test has shown nothing")
    check_named_exactly(s.folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bin")
    parser.add_argument("--store", choices=["postgres", "rocksdb"], default="postgres")
    parser.add_argument("--sites", type=int, default=3)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    args = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="egret-restore-"))
    s, good = Story(folder, args), False
    try:
        run(s)
        good = True
        print("ok: sites delete what a confirmed backup holds and nothing else; it comes back whole, and what an older one lacks is named")
    finally:
        for p in s.producers:
            p.ending.set()
        s.kept.stop()
        road.leave(folder, good)


if __name__ == "__main__":
    main()
