#!/usr/bin/env python3
"""Several reconcilers at once on one PostgreSQL: killed in turn, the database and the broker too, while sites send real samples.

    scale_test.py BIN_DIR [--reconcilers 3] [--kills 12] [--seed N] [--no-share] [--broker nats]

The oracle is the producers' log of 2xx. At the end one reconciler on RocksDB takes the region's place, with an empty store:
the sites send everything once more, and both stores must have one digest, of the records and of the views of results.
--no-share: as with a broker that has no $share: the reconcilers divide the shards among themselves (cloud/shards.h).
--broker nats: three NATS servers (MQTT 3.1.1) instead of Mosquitto, killed in turn; they have no $share.
"""
import argparse
import collections
import json
import pathlib
import random
import sys
import tempfile
import time

import check_road
import postgres
import region
import road

SITES = ["east", "north", "south"]


class Nemesis:
    """Each victim in turn, in an order by chance; it is back before the next one falls."""

    def __init__(self, r, cluster, chance):
        self.r, self.cluster, self.chance = r, cluster, chance
        self.victims = []
        self.killed = collections.Counter()
        self.worked = collections.Counter()  # records that a reconciler applied before it was killed

    def next(self):
        if not self.victims:
            self.victims = [*range(len(self.r.clouds)), "postgres", "postgres", "broker", "agent"]
            self.chance.shuffle(self.victims)
        return self.victims.pop()

    def strike(self):
        victim = self.next()
        self.killed["reconciler" if isinstance(victim, int) else victim] += 1
        if victim == "postgres":
            self.cluster.kill()
            time.sleep(self.chance.uniform(0, 1))
            self.cluster.start()
            return
        if isinstance(victim, int):
            self.worked[victim] += self.r.counter(victim, 'records_total{result="applied"}')
        process = self.r.clouds[victim] if isinstance(victim, int) else self.r.broker if victim == "broker" else self.r.agents[self.chance.choice(SITES)]
        process.kill()
        time.sleep(self.chance.uniform(0, 1))
        process.start()

    def work(self):
        """What each reconciler has applied, over all its lives."""
        return [self.worked[n] + self.r.counter(n, 'records_total{result="applied"}') for n in range(len(self.r.clouds))]


def divided(r):
    """Each shard is one reconciler's, and none has all of them."""
    taken = [r.counter(n, "shards") for n in range(len(r.clouds))]
    return sum(taken) == 256 and max(taken) < 256


def drain(r, what):
    road.wait_for(what, lambda: r.drained() and r.linked(), 240, 0.3)


def keys_in(path, without=()):
    applied, altered, _ = check_road.read_export(path)
    hidden = {check_road.KINDS[kind] for kind in without}
    return {k for k in applied if k[k.index(b"\0") + 1] not in hidden}, altered, sum(applied.values()) - len(applied)


def check_books(r, folder, kills):
    r.export(folder / "export.ndjson")
    checked = r.run(sys.executable, road.ROOT / "tests/e2e/check_road.py", "--log", *sorted(folder.glob("*.accepted")), "--export",
                    folder / "export.ndjson", "--faults", kills, check=False)
    print("books:", checked.stdout.strip() or checked.stderr, flush=True)
    verified = json.loads(r.cloud_cli("verify", "--json", check=False).stdout)
    if checked.returncode != 0 or verified["wrong"] != 0 or verified["views"] != "as_made_anew":
        raise SystemExit(f"the region's store is not what was accepted: {verified}")
    return verified


def check_against_plain(r, folder):
    """Everything once more into a store on RocksDB with one reconciler. Agents go on to write events of their own."""
    for cloud in r.clouds:
        cloud.end()
    r.make_plain()
    r.plain.start()
    wanted, _, _ = keys_in(folder / "export.ndjson")

    def there():
        export = folder / "plain.ndjson"
        export.write_text(r.plain_cli("export", "--raw").stdout)
        return wanted <= keys_in(export)[0]

    road.wait_for("the sites to send everything once more", there, 240, 1.0)
    road.wait_for("the plain region's views", lambda: r.views_settled(r.plain_cli), 120, 0.5)
    events = ["agent_event"]
    ours, theirs = keys_in(folder / "export.ndjson", events)[0], keys_in(folder / "plain.ndjson", events)[0]
    digests = check_road.digest_of(ours), check_road.digest_of(theirs)
    views = [cli("views", "--digest").stdout.strip() for cli in (r.cloud_cli, r.plain_cli)]
    print(f"digest: {digests[0][:16]} over {len(ours)} records, one reconciler on RocksDB {digests[1][:16]}; views {views[0][:16]}, {views[1][:16]}", flush=True)
    if digests[0] != digests[1] or views[0] != views[1]:
        raise SystemExit("one reconciler on RocksDB comes to another digest")


def run(r, cluster, folder, args, producers):
    chance = random.Random(args.seed)
    r.up()
    if args.divides:
        road.wait_for("the shards to be divided", lambda: divided(r), 30, 0.2)
    producers += [road.Producer(r, fac, folder / f"{fac}.accepted", args.seed % 1000 + i, per_post=10, pause=0.05) for i, fac in enumerate(SITES)]
    for p in producers:
        p.start()
    drive = Nemesis(r, cluster, chance)
    for _ in range(args.kills):
        time.sleep(chance.uniform(0.5, 3))
        drive.strike()
    road.wait_for("the reconcilers to be back", r.healthy, 60)
    if args.divides:
        road.wait_for("the shards to be divided again", lambda: divided(r), 30, 0.2)
    time.sleep(3)
    for p in producers:
        p.ending.set()
    for p in producers:
        p.finish()
    begun = time.monotonic()
    drain(r, "the drain")
    road.wait_for("the views", lambda: r.views_settled(r.cloud_cli), 120, 0.3)
    work = drive.work()
    print(f"killed {dict(drive.killed)}; drained in {time.monotonic() - begun:.1f} s; records applied by each reconciler: {work}", flush=True)
    # Of a few sites all may lie in one's shards.
    if len(r.clouds) > 1 and not args.divides and sum(n > 0 for n in work) < 2:
        raise SystemExit("the work was not shared")
    if sum(len(p.wrong) for p in producers) > 0:
        raise SystemExit(f"refused: {[p.wrong[:2] for p in producers]}")
    check_books(r, folder, args.kills)
    check_against_plain(r, folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bin")
    parser.add_argument("--reconcilers", type=int, default=3)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    parser.add_argument("--no-share", action="store_true")
    parser.add_argument("--broker", choices=["mosquitto", "nats"], default="mosquitto")
    args = parser.parse_args()
    nats = args.broker == "nats"
    args.divides = args.reconcilers > 1 and (nats or args.no_share)
    print(f"seed {args.seed}: again with --seed {args.seed} --kills {args.kills}", flush=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="egret-scale-"))
    cluster = postgres.Postgres()
    settings = {"herd_window_s": "0", **({"shared": '"no"'} if args.no_share or nats else {})}
    r = (region.NatsRegion if nats else region.Region)(folder, args.bin, SITES, cluster.url(), args.reconcilers, cloud_settings=settings, agent_settings={"broker.reconnect_max_s": "1"})
    producers, good = [], False
    try:
        run(r, cluster, folder, args, producers)
        good = True
        print(f"ok: {args.reconcilers} reconcilers on one PostgreSQL, {args.kills} kills: nothing missing, nothing twice, one digest")
    finally:
        for p in producers:
            p.ending.set()
        r.stop()
        cluster.stop()
        road.leave(folder, good)


if __name__ == "__main__":
    main()
