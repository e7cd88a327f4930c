#!/usr/bin/env python3
"""Each alert of packaging/prometheus, by a real Prometheus over a real region: it fires when its fault is caused, and falls silent
after the cure. What fires besides must be a consequence that the fault is known to have.

    alert_rules_test.py BIN_DIR [--only NAME...]

Rules and configuration are the packaged ones, with three substitutions: the targets; every `for:` is a second; every range is
twenty seconds. Numbers and thresholds stay.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

import exposed
import road
from lone_agent import record, telemetry
from region import with_settings
from results_test import result

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "chaos"))
from proxy import Proxy  # noqa: E402

NORTH, THIN, SMALL, TWIN, ODD = "north", "thin", "small", "twin", "odd"
MIB = 1 << 20
RANGE_S = 20
# A look, the rule's own second, and what a busy machine takes.
FIRES_S, SILENT_S = 150, 120


def say(text):
    print(text, flush=True)


class Prometheus:
    def __init__(self, folder, targets):
        self.dir, self.port = folder / "prometheus", road.free_port()
        self.dir.mkdir()
        rules = (exposed.PROMETHEUS / "alerts.yml").read_text()
        rules = re.sub(r"^( +)for: \w+$", r"\1for: 1s", rules, flags=re.M)
        rules = re.sub(r"\[\d+[mh]\]", f"[{RANGE_S}s]", rules)
        (self.dir / "alerts.yml").write_text(rules)
        self.names = re.findall(r"alert: (\w+)", rules)
        config = (exposed.PROMETHEUS / "prometheus.yml").read_text()
        for job, port in targets.items():
            config = re.sub(rf"(job_name: {job}\n.*?targets: \[)'[^']*'", rf"\g<1>'127.0.0.1:{port}'", config, count=1, flags=re.S)
        (self.dir / "prometheus.yml").write_text(re.sub(r"_interval: 15s", "_interval: 1s", config))
        self.process = road.Process("prometheus", ["prometheus", f"--config.file={self.dir}/prometheus.yml", f"--storage.tsdb.path={self.dir}/data",
                                                   f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"], folder / "prometheus.log")

    def ask(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/{path}", timeout=5) as answer:
                return json.load(answer)["data"]
        except (OSError, ValueError):
            return None

    def firing(self):
        """None while it does not answer."""
        got = self.ask("alerts")
        return got and {a["labels"]["alertname"] for a in got["alerts"] if a["state"] == "firing"}

    def has(self, metric):
        got = self.ask(f"query?query={metric}")
        return bool(got and got["result"])

    def scrapes_all(self):
        got = self.ask("targets")
        return got and all(t["health"] == "up" for t in got["activeTargets"]) and len(got["activeTargets"]) > 0


class Region(road.Road):
    """Every site has a line of its own over a proxy, and the region a disk and a clock that can be made bad."""

    def __init__(self, folder, bin_dir):
        self.slow, self.clock = folder / "slow", folder / "north.clock"
        self.clock.write_bytes(bytes(8))
        bin_dir = pathlib.Path(bin_dir)
        super().__init__(folder, bin_dir, [NORTH, THIN, SMALL, TWIN, ODD], safe="backup", budget_mb=512,
                         cloud_settings={"herd_window_s": "1", "silent_after_s": "30", "queue_messages": "16"},
                         preload={"cloud": {"LD_PRELOAD": str(bin_dir / "slow-sync-shim.so"), "EGRET_SLOW_SYNC_MS": str(self.slow)}},
                         agent_settings={"broker.reconnect_max_s": "1"})
        self.proxy = Proxy(self.bin / "chaos-proxy", 7)
        self.plain_port, self.north_port = road.free_port(), road.free_port()
        self.odd = None

    def make_broker(self):
        super().make_broker()
        conf = self.dir / "broker/mosquitto.conf"
        conf.write_text(conf.read_text() + f"listener {self.plain_port} 127.0.0.1\nsys_interval 1\n")

    def make_agent(self, fac):
        if fac == ODD:
            key = self.run(self.bin / "odd-site", "key").stdout.strip()
            self.cloud_cli("facility", "add", ODD, "--key", key)
            return
        self.agent_port = self.proxy.open(fac, self.port)
        super().make_agent(fac)
        config = self.dir / f"{fac}.toml"
        if fac == SMALL:
            config.write_text(with_settings(config.read_text(), {"budget_mb": 32}))
        if fac == NORTH:
            self.certificate(3650)
            config.write_text(with_settings(config.read_text(), {"http": f'"127.0.0.1:{self.north_port}"', "cert_file": f'"{self.dir}/north.pem"', "key_file": f'"{self.dir}/north.key"'}))
            self.agents[fac].env = {"LD_PRELOAD": str(self.bin / "clock-shim.so"), "EGRET_CLOCK_OFFSET": str(self.clock)}

    def make(self):
        super().make()
        self.facilities = [fac for fac in self.facilities if fac != ODD]

    def certificate(self, days):
        """Of the site north, for so many days from now."""
        d = self.dir
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", d / "north.key", "-subj", "/CN=north"]
        self.run("openssl", "req", *key, "-x509", "-days", days, "-out", d / "north.pem")

    def start_odd(self):
        argv = [self.bin / "odd-site", "run", ODD, f"mqtt://127.0.0.1:{self.plain_port}", self.region_key, self.dir / f"{ODD}.password", "odd"]
        with open(self.dir / "odd.log", "ab") as log:
            self.odd = subprocess.Popen(road.tied(argv), stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True)

    def end_odd(self):
        if self.odd:
            self.odd.stdin.close()  # its end
            self.odd.wait()
        self.odd = None

    def stop(self):
        self.end_odd()
        super().stop()
        self.proxy.close()

    def again(self, fac):
        """A new process of the site's agent."""
        self.agents[fac].end()
        self.agents[fac].start()
        road.wait_for(fac, lambda: self.status(fac))

    def post(self, fac, n, first=0):
        status, answer = self.ask(fac, "POST", "/v1/records", json.dumps([record(first + i) for i in range(n)]))
        assert status == 201, (status, answer[:300])

    def documents(self, fac, sizes):
        for size in sizes:
            status, answer = self.ask(fac, "POST", "/v1/documents", os.urandom(size), "application/octet-stream", timeout=120)
            assert status == 201, (status, answer[:300])

    def back_up(self, name):
        self.cloud_cli("backup", self.dir / name)
        self.cloud_cli("backup", "confirm", self.dir / name, "--same-filesystem")

    def incidents(self):
        return json.loads(self.cloud_cli("incidents", "--json").stdout)

    def close_incidents(self):
        for i in self.incidents():
            self.cloud_cli("incidents", "--facility", i["facility"], "--close", str(i["id"]), "--note", "understood")


# ---- faults: each causes one, cures it, and says what besides its own alert may fire meanwhile ----

class Fault:
    alert = ""
    besides = set()

    def cause(self, r):
        raise NotImplementedError

    def cure(self, r):
        raise NotImplementedError


class SiteSilent(Fault):
    """The site's server loses power."""
    alert = "EgretSiteSilent"

    def cause(self, r):
        r.agents[TWIN].kill()

    def cure(self, r):
        r.agents[TWIN].start()


class RegionAway(Fault):
    """The region's service ends."""
    alert = "EgretRegionAway"

    def cause(self, r):
        r.cloud.end()

    def cure(self, r):
        r.cloud.start()


class ClockOff(Fault):
    """The site's clock jumps five minutes ahead, and is set again."""
    alert = "EgretClockOff"

    def set(self, r, seconds):
        with open(r.clock, "r+b") as f:
            f.write(struct.pack("=q", seconds))

    def cause(self, r):
        self.set(r, 300)

    def cure(self, r):
        self.set(r, 0)


class CertificateEnding(Fault):
    """The site's certificate has five days left; a new one is put in its place."""
    alert = "EgretCertificateUnder14Days"

    def cause(self, r):
        r.certificate(5)
        r.again(NORTH)  # it reads the file by itself each hour

    def cure(self, r):
        r.certificate(90)
        r.again(NORTH)


class Incident(Fault):
    """Two machines speak as one site; one is turned off, and the incidents are closed with a note."""
    alert = "EgretIncidentOpen"

    def cause(self, r):
        config = (r.dir / f"{TWIN}.toml").read_text()
        state = r.dir / "clone"
        state.mkdir(mode=0o700)
        shutil.copy(r.dir / TWIN / "site.key", state)
        (r.dir / "clone.toml").write_text(with_settings(config, {"state_dir": f'"{state}"', "unix_socket": f'"{r.dir}/clone.sock"'}))
        self.clone = road.Process("clone", [str(r.bin / "egret-agent"), "run", "--config", str(r.dir / "clone.toml")], r.dir / "clone.log")
        self.clone.start()
        road.wait_for("an incident", r.incidents, 90, 0.5)

    def cure(self, r):
        self.clone.end()
        r.close_incidents()
        road.wait_for("its end", lambda: r.close_incidents() or not r.incidents(), 60, 1)


class CriticalFinding(Fault):
    """Nobody looks at a critical finding in time; then somebody does."""
    alert = "EgretCriticalFindingUnacknowledged"
    name = road.uuid_of("rules", "critical")

    def cause(self, r):
        finding = result(self.name, 1, critical=True)
        finding["ai_result"]["ack_deadline_s"] = 1
        status, answer = r.ask(NORTH, "POST", "/v1/records", json.dumps([finding]))
        assert status == 201, answer[:300]

    def cure(self, r):
        r.cloud_cli("alerts", "--acknowledge", f"{NORTH}/{self.name}", "--by", "night nurse")


class BrokerQueue(Fault):
    """Somebody has subscribed to all there is, durably, and gone; then the broker is told to forget it."""
    alert = "EgretBrokerQueueOverHalf"

    def subscriber(self, r, *more):
        r.run("mosquitto_sub", "-p", r.plain_port, "-u", "egret-cloud", "-P", r.passwords["egret-cloud"], "-V", "5", "-i", "forgotten", "-q", "1", "-t", "es1/+/+/u/b", "-E", *more)

    def cause(self, r):
        self.subscriber(r, "-c", "-x", "3600")
        for n in range(12):  # of 16 that the configuration says
            r.post(NORTH, 1, 1000 + n)
            road.wait_for("a batch of its own", r.drained, 30)

    def cure(self, r):
        self.subscriber(r)  # a clean start


class Quarantine(Fault):
    """A site sends a record that the region cannot take; nothing more of the kind comes."""
    alert = "EgretQuarantineGrowing"
    besides = {"EgretIncidentOpen"}  # the same site claims what it never sends

    def cause(self, r):
        r.start_odd()
        road.wait_for("a record in quarantine", lambda: json.loads(r.cloud_cli("quarantine", "ls", "--json").stdout), 60, 0.5)

    def cure(self, r):
        r.close_incidents()


class Gap(Fault):
    """The same site names a range that is gone."""
    alert = "EgretGap"
    besides = {"EgretIncidentOpen", "EgretQuarantineGrowing"}

    def cause(self, r):
        if not r.odd:
            r.start_odd()
            road.wait_for("it to greet", lambda: "greeted" in (r.dir / "odd.log").read_text(), 60)
        r.odd.stdin.write(b"gap\n")
        r.odd.stdin.flush()

    def cure(self, r):
        r.end_odd()
        r.close_incidents()
        r.cloud_cli("facility", "revoke", ODD)  # or it is silent for good


class Shed(Fault):
    """A site without a line has its disk budget full of documents, and goes on taking telemetry in; then the line is back."""
    alert = "EgretRecordsShed"
    besides = {"EgretGap", "EgretDiskUnder3Days", "EgretSiteSilent", "EgretDrainOverADay"}

    def cause(self, r):
        r.proxy.door(SMALL, "refuse")
        r.proxy.reset(SMALL)
        road.wait_for("the line to be gone", lambda: not (r.status(SMALL) or {"linked": True})["linked"], 60)
        r.documents(SMALL, [15 * MIB])
        n = 0
        while not (r.status(SMALL) or {}).get("shed"):
            n += 1
            points = [[1_800_000_000 + n, int.from_bytes(os.urandom(6), "big")]]
            series = [{"name": f"s{i}_{os.urandom(24).hex()}", "unit": "1", "kind": "gauge", "points": points} for i in range(200)]
            status, answer = r.ask(SMALL, "POST", "/v1/telemetry", json.dumps({**telemetry(n), "series": series}))
            assert status in (201, 429), (status, answer[:300])
        r.proxy.door(SMALL, "open")

    def cure(self, r):
        road.wait_for("all that is left", lambda: (r.status(SMALL) or {"waiting": {"records": 1}})["waiting"]["records"] == 0, 120)
        r.again(SMALL)  # how fast its disk grew is forgotten sooner


class DiskFilling(Fault):
    """A site takes in what fills its budget within the day, for no backup lets it delete; then one is confirmed."""
    alert = "EgretDiskUnder3Days"

    def cause(self, r):
        r.documents(NORTH, [16 * MIB] * 8)
        road.wait_for("the region to have it", r.drained, 120)
        r.again(NORTH)  # growth is measured from here, minute by minute
        r.documents(NORTH, [8 * MIB] * 2)

    def cure(self, r):
        road.wait_for("the region to have it", r.drained, 120)
        r.back_up("after-the-documents")


class SlowCommits(Fault):
    """The region's disk takes one and a half seconds for a sync; then it is fast again."""
    alert = "EgretStoreCommitSlow"

    def cause(self, r):
        r.slow.write_text("1500")
        for n in range(5):
            r.post(NORTH, 1, 2000 + n)

    def cure(self, r):
        r.slow.write_text("0")


class Drain(Fault):
    """A site with a hundred megabytes in hand has its line cut down to some hundred bytes a second; then it is whole again."""
    alert = "EgretDrainOverADay"
    besides = {"EgretSiteSilent", "EgretDiskUnder3Days", "EgretSiteFallingBehind"}

    def cause(self, r):
        r.proxy.set(THIN, "up", rate=20_000)
        r.documents(THIN, [16 * MIB] * 7)
        before = self.committed(r)
        road.wait_for("some of it to come", lambda: self.committed(r) > before, 60)
        r.proxy.set(THIN, "up", rate=700)

    @staticmethod
    def committed(r):
        return next(f["records"] for f in json.loads(r.page("/api/facilities"))["facilities"] if f["facility"] == THIN)

    def cure(self, r):
        r.proxy.calm(THIN)
        road.wait_for("the backlog to come", r.drained, 300, 0.5)
        r.again(THIN)


class FallingBehind(Fault):
    """A site speaks, and what it has held for a quarter of an hour does not come; then its line is whole again."""
    alert = "EgretSiteFallingBehind"
    besides = {"EgretClockOff", "EgretDrainOverADay", "EgretDiskUnder3Days", "EgretSiteSilent"}

    def cause(self, r):
        r.proxy.set(NORTH, "up", rate=2_000)
        r.documents(NORTH, [2 * MIB])
        with open(r.clock, "r+b") as f:  # the quarter of an hour
            f.write(struct.pack("=q", 900))

    def cure(self, r):
        r.proxy.calm(NORTH)
        with open(r.clock, "r+b") as f:
            f.write(bytes(8))
        road.wait_for("the backlog to come", r.drained, 120)
        r.again(NORTH)


class NoBackup(Fault):
    """No copy of a region was ever confirmed; then one is."""
    alert = "EgretBackupTooOld"

    def cause(self, r):
        pass  # a new region has none

    def cure(self, r):
        r.back_up("first")


FAULTS = [NoBackup, SiteSilent, RegionAway, ClockOff, CertificateEnding, Incident, CriticalFinding, BrokerQueue, SlowCommits, Quarantine, Gap, Shed, Drain,
          FallingBehind, DiskFilling]


def prove(r, prometheus, fault):
    """It fires; nothing else does that has no reason to; and all is silent afterwards."""
    begun = time.monotonic()
    seen = set()

    def firing():
        got = prometheus.firing()
        seen.update(got or ())
        return got

    fault.cause(r)
    road.wait_for(f"{fault.alert} to fire (now: {firing()})", lambda: fault.alert in (firing() or ()), FIRES_S, 0.2)
    fired = time.monotonic() - begun
    fault.cure(r)

    def silent():
        now = firing()
        # What the fault has left behind may open an incident later still: somebody closes that, too.
        if now and "EgretIncidentOpen" in now:
            r.close_incidents()
        return now == set()

    try:
        road.wait_for(f"silence after the cure of {fault.alert}", silent, SILENT_S + 100, 0.5)
    except RuntimeError as late:
        raise SystemExit(f"{late}; firing: {firing()}") from late
    if not seen <= {fault.alert} | fault.besides:
        raise SystemExit(f"{fault.alert}: fired besides it: {sorted(seen - {fault.alert} - fault.besides)}")
    more = seen - {fault.alert}
    say(f"{fault.alert:36} fired after {fired:5.1f} s, silent after {time.monotonic() - begun:5.1f} s{'; besides: ' + ', '.join(sorted(more)) if more else ''}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bin")
    parser.add_argument("--only", nargs="*", default=[])
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="rules-"))
    good = False
    r = Region(folder, args.bin)
    prometheus = Prometheus(folder, {"egret-cloud": r.page_port, "egret-agent": r.north_port})
    if set(prometheus.names) != {f.alert for f in FAULTS}:
        raise SystemExit(f"alerts without a fault here, or the other way round: {set(prometheus.names) ^ {f.alert for f in FAULTS}}")
    try:
        r.up()
        road.wait_for("all sites", r.linked, 60)
        prometheus.process.start()
        road.wait_for("Prometheus", prometheus.scrapes_all, 60)
        # Who has not been scraped yet is away, as the rule sees it.
        road.wait_for("its first look", lambda: "EgretRegionAway" not in (prometheus.firing() or {"EgretRegionAway"}) and prometheus.has("egret_cloud_facilities"), 60)
        for fault in FAULTS:
            if not args.only or fault.alert in args.only or fault is NoBackup:
                prove(r, prometheus, fault())
        good = True
        say(f"ok: {len(args.only) or len(FAULTS)} alerts fired, each by its fault, and fell silent after its cure")
    finally:
        prometheus.process.end()
        r.stop()
        road.leave(folder, good)


if __name__ == "__main__":
    main()
