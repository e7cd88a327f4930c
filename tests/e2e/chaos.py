#!/usr/bin/env python3
"""Chaos: agents, Mosquitto and the region with a bad network between them and a nemesis among them; then the books.

    chaos.py BIN_DIR [--minutes 10 | --seconds N] [--seed N] [--report DIR] [--control disk]

Rounds: faults by chance for a while (chaos/nemesis.py), then none, until the region has everything; how long that takes is
measured. The oracle is the producers' log of 2xx. Ends in DIR/chaos.md and DIR/chaos.json. Exit 0 only when every record
that was accepted is in the region's export once, as it was, or in a gap that names it; the store verifies; nobody ended by
himself; and every round healed within --heal-s seconds.
--control disk: at the end a site's disk forgets records that it had called synced. The verdict must be "broken", exit 1.
"""
import argparse
import json
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "chaos"))
import nemesis
import report
import road
import world

SITES = ["east", "north", "south", "west"]
CONTROLS = {"disk": "At the end a site's disk was put back to a state from before records that it had accepted and nobody else had heard of."}


class Run:
    def __init__(self, args, folder, elsewhere):
        self.args, self.folder = args, folder
        self.chance = random.Random(args.seed)
        self.world = world.World(folder, args.bin, SITES, self.chance)
        self.monitor = world.Monitor(self.world)
        self.producers, self.rounds, self.site_heals = [], [], []
        self.begun = time.monotonic()
        self.nemesis = nemesis.Nemesis(self.world, elsewhere, self.begun)
        self.stopped = None  # why the run did not come to its end

    def since_begun(self):
        return round(time.monotonic() - self.begun, 1)

    def play(self):
        self.world.up()
        self.monitor.start()
        for n, fac in enumerate(SITES):
            self.producers.append(road.Producer(self.world, fac, self.folder / f"{fac}.accepted", self.args.seed % 1000 + n, per_post=10, pause=0.05))
            self.producers[-1].start()
        road.wait_for("the first links", self.world.linked, 30)
        end = time.monotonic() + self.args.seconds
        while time.monotonic() < end:
            self.rest(False)
            self.nemesis.wait(time.monotonic() + 1)
            if not self.round():
                return
        if self.args.control == "disk":
            told = {"round": len(self.rounds) + 1, "from_s": self.since_begun(), "window_s": 0, "faults": 0, "heal_s": None}
            self.rounds.append(told)
            self.forget()
            self.heal(told)

    def rest(self, on):
        for p in self.producers:
            p.resting.set() if on else p.resting.clear()

    def round(self):
        """False: it did not heal."""
        number = len(self.rounds) + 1
        quick = self.args.seconds < 120
        slow = not quick and number % 3 == 0
        window_s = self.chance.uniform(8, 12) if quick else self.chance.uniform(90, 110) if slow else self.chance.uniform(12, 35)
        faults = self.chance.randint(5, 8) if quick else self.chance.randint(4, 12)
        clear = {name for name, tls in self.world.over_tls.items() if not tls}
        steps = nemesis.plan(self.chance, SITES, window_s, faults, slow, quick, clear)
        told = {"round": number, "from_s": self.since_begun(), "window_s": round(window_s, 1), "faults": len(steps), "heal_s": None}
        self.rounds.append(told)
        self.nemesis.run(steps, window_s, number)
        return self.heal(told)

    def heal(self, told):
        """Producers rest; until the region has everything, or for as long as that may take."""
        self.rest(True)
        lived = road.Lived()
        behind = list(SITES)
        while behind and lived.now() < self.args.heal_s:
            self.nemesis.wait(time.monotonic() + 0.25)
            now = self.world.behind()
            took = round(lived.now(), 1)
            self.site_heals += [took for fac in behind if fac not in now]
            behind = now
        if lived.stood_still > 1:
            told["machine_stood_still_s"] = round(lived.stood_still, 1)
        if behind:
            told["behind"] = behind
            return False
        told["heal_s"] = took
        print(f"round {told['round']}: {told['faults']} faults in {told['window_s']} s, healed {took} s after them", flush=True)
        return True

    def forget(self):
        """The control: what the disk of a site had called synced is gone, and nobody else has heard of it."""
        fac = SITES[0]
        site = self.world.agents[fac]
        self.rest(False)
        for name in ("broker", fac):
            self.nemesis.down.add(name)
            self.world.process(name).kill()
        shutil.copytree(self.folder / fac, self.folder / "before")
        site.start()
        accepted = self.producers[0].accepted
        road.wait_for("records that only this disk has", lambda: self.producers[0].accepted > accepted + 100, 20)
        self.rest(True)
        site.kill()
        shutil.rmtree(self.folder / fac)
        (self.folder / "before").rename(self.folder / fac)
        self.nemesis.start(fac)
        self.nemesis.start("broker")

    # ---- the books ----

    def judge(self):
        for p in self.producers:
            p.ending.set()
        for p in self.producers:
            p.finish()
        self.nemesis.notice_deaths()
        self.monitor.ending.set()
        self.monitor.join(30)
        self.monitor.look_at_all()
        statuses = {fac: self.world.status(fac) for fac in SITES}
        books, said = self.compare()
        verified = self.world.cloud_cli("verify", "--json", check=False)
        incidents = json.loads(self.world.cloud_cli("incidents", "--all", "--json").stdout)
        proxy = self.world.proxy.count()
        checks = [*self.checks_of_books(books, said, verified, incidents), *self.checks_of_processes(statuses)]
        return self.report(checks, books, incidents, proxy, json.loads(verified.stdout or "{}"))

    def compare(self):
        export = self.folder / "export.ndjson"
        self.world.export(export)
        done = self.world.run(sys.executable, road.ROOT / "tests/e2e/check_road.py", "--gaps-tell", "--log", *sorted(self.folder.glob("*.accepted")),
                              "--export", export, "--faults", len(self.nemesis.timeline), check=False)
        return (json.loads(done.stdout) if done.stdout else {}), done

    def checks_of_books(self, books, said, verified, incidents):
        open_ones = [i["kind"] for i in incidents if not i["closed"] and i["kind"] != "RESTORED"]
        return [("every accepted record is committed, or a gap names it", books.get("missing") == 0, f"{books.get('missing')} missing, {books.get('told_by_gaps')} in gaps"),
                ("each took effect once", books.get("duplicates") == 0, f"{books.get('duplicates')} twice"),
                ("each as it was accepted: the digests agree", said.returncode == 0 and books.get("digests_agree") is True, f"{books.get('altered')} altered"),
                ("the store proves itself: egret-cloud verify", verified.returncode == 0, f"exit {verified.returncode}"),
                ("no incident stands open", not open_ones, ", ".join(open_ones) or "none")]

    def checks_of_processes(self, statuses):
        odd = [f"{fac}: {name} {s[name]}" for fac, s in statuses.items() if s for name in ("shed", "corrupt", "parked_blocks", "quarantined", "lost_tail") if s[name]]
        waiting = [fac for fac, s in statuses.items() if s is None or not s["linked"] or s["waiting"]["records"]]
        # Of a broker that died by itself it is told; only what is Egret's must not.
        died = [f"{d['process']} ({d['code']})" for d in self.nemesis.deaths if d["process"] != "broker"]
        broken = world.broken_lines(self.world)
        refused = sum(len(p.wrong) for p in self.producers)
        unhealed = [str(x["round"]) for x in self.rounds if x["heal_s"] is None]
        return [("every round healed within the bound", not unhealed and not self.stopped, self.stopped or (f"not round {', '.join(unhealed)}" if unhealed else f"{len(self.rounds)} of {len(self.rounds)} within {self.args.heal_s} s")),
                ("in the end every site is linked and nothing waits", not waiting, ", ".join(waiting) or "so it is"),
                ("nothing was shed, parked, quarantined, corrupt or lost at a site", not odd, "; ".join(odd) or "nothing"),
                ("no agent and no region ended by itself", not died, ", ".join(died) or "none"),
                ("no log tells of a broken invariant or a crash", not broken, "; ".join(broken)[:500] or "none"),
                ("no valid record was refused", refused == 0, f"{refused} requests")]

    def report(self, checks, books, incidents, proxy, verdict):
        totals = self.monitor.totals()
        links = world.links_made(self.world)
        over = {name: "TLS" if tls else "clear" for name, tls in self.world.over_tls.items()}
        counts = {"accepted": books.get("accepted"), "committed": books.get("committed"), "missing": books.get("missing"), "twice": books.get("duplicates"),
                  "altered": books.get("altered"), "in_gaps": books.get("in_gaps"), "deleted_at_sites_after_backup": totals.get("purged", 0),
                  "batches_and_greetings_sent": totals.get("frames_sent", 0), "of_them_again": totals.get("frames_resent", 0),
                  "frames_that_a_site_did_not_accept": totals.get("stray_frames", 0), "ledger_went_back_at_a_site": totals.get("w_falls", 0),
                  "links_made_by_sites": sum(links.values()), "connections_of_sites_and_region": sum(line["connections"] for line in proxy.values()),
                  "requests_that_producers_sent_again": sum(p.retries for p in self.producers),
                  "records_in_the_store": verdict.get("records"), "store_reopened_at_a_site": totals.get("reopens", 0)}
        region = self.monitor.region_totals()
        counts |= {"messages_on_topics_that_are_nobodys": region["stray_topics_total", ""], "records_that_came_again": region["records_total", "duplicate"]}
        for what, name in (("frames_that_the_region_dropped_for", "frames_dropped_total"), ("batches_that_the_region_refused_as", "batches_refused_total")):
            counts |= {f"{what}_{label}": n for (known, label), n in sorted(region.items()) if known == name and n}
        for kind in sorted({i["kind"] for i in incidents}):
            counts[f"incidents_{kind}"] = sum(i["kind"] == kind for i in incidents)
        rounds = [x["heal_s"] for x in self.rounds if x["heal_s"] is not None]
        lines = {"bytes_carried": sum(line[way]["bytes"] for line in proxy.values() for way in ("up", "down"))}
        for what in ("corrupted", "swallowed"):
            lines[f"bytes_{what}"] = sum(line[way][what] for line in proxy.values() for way in ("up", "down"))
        for what, name in (("resets", "connections_reset"), ("refused", "connections_refused")):
            lines[name] = sum(line[what] for line in proxy.values())
        length = f"--seconds {self.args.seconds}" if self.args.seconds % 60 or not self.args.seconds else f"--minutes {self.args.seconds // 60}"
        return {"title": "Egret under chaos", "verdict": "held" if all(held for _, held, _ in checks) else "broken",
                "control": CONTROLS.get(self.args.control), "seed": self.args.seed, "seconds": self.since_begun(),
                "checks": [{"what": what, "held": bool(held), "found": found} for what, held, found in checks],
                "promise": report.PROMISE, "versions": report.versions(self.args.bin),
                "topology": f"{len(SITES)} sites, one Mosquitto, one region on one machine; every connection goes through a chaos proxy. Lines: "
                            + ", ".join(f"{name} {how}" for name, how in over.items()) + ". A producer a site posts results, telemetry and documents.",
                "counts": counts, "heal_s": {"rounds": report.spread(rounds), "sites": report.spread(self.site_heals)}, "lines": lines,
                "rounds": self.rounds, "timeline": self.nemesis.timeline, "deaths": self.nemesis.deaths,
                "again": f"tests/e2e/chaos.py build/release/bin {length} --seed {self.args.seed}" + (f" --control {self.args.control}" if self.args.control else "") + " --report DIR"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bin")
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--seconds", type=int)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    parser.add_argument("--report", type=pathlib.Path, default=pathlib.Path("chaos-report"))
    parser.add_argument("--heal-s", type=int, default=330, help="a site whose password was refused asks again only after up to 300 s")
    parser.add_argument("--control", choices=list(CONTROLS))
    args = parser.parse_args()
    args.seconds = args.minutes * 60 if args.seconds is None else args.seconds
    return args


def main():
    args = arguments()
    print(f"seed {args.seed}: again with --seed {args.seed} --seconds {args.seconds}", flush=True)
    for end in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(end, lambda number, _: sys.exit(128 + number))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="egret-chaos-"))
    elsewhere = pathlib.Path("/dev/shm" if os.path.isdir("/dev/shm") else folder) / f"{folder.name}-backups"
    elsewhere.mkdir(mode=0o700)
    run = Run(args, folder, elsewhere)
    good = False
    try:
        try:
            run.play()
        except RuntimeError as error:
            run.stopped = str(error).replace(str(folder), "…")[:300]
        made = run.judge()
        report.write(args.report, made)
        for check in made["checks"]:
            print(f"{'held  ' if check['held'] else 'BROKEN'}  {check['what']}: {check['found']}")
        print(json.dumps({k: made["counts"][k] for k in ("accepted", "committed", "missing", "twice", "in_gaps")} | {"heal_s": made["heal_s"]["rounds"], "verdict": made["verdict"]}), flush=True)
        good = made["verdict"] == "held"
        return 0 if good else 1
    finally:
        for p in run.producers:
            p.ending.set()
        run.world.stop()
        shutil.rmtree(elsewhere, ignore_errors=True)
        road.leave(folder, good or args.control is not None)


if __name__ == "__main__":
    sys.exit(main())
