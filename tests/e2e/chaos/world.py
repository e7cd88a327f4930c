"""The road with a chaos proxy on every line and a clock of its own for every process; what is measured on it, and its end."""
import collections
import json
import re
import struct
import threading

import road
from proxy import Proxy

METRIC = re.compile(r'^egret_cloud_((?:frames_dropped|batches_refused|records|stray_topics|queue_dropped)_total)(?:\{\w+="(\w+)"\})? (\d+)', re.M)
BROKEN = re.compile(r"invariant broken|Sanitizer|runtime error:|terminate called|Assertion|Segmentation|corrupted (size|double)|free\(\): ")


class World(road.Road):
    """Sites of even place and, by chance, the cloud go over TLS; the others in the clear, where nothing catches a changed byte
    before Paho, Mosquitto and the seal of a frame do."""

    def __init__(self, folder, bin_dir, sites, chance, **more):
        super().__init__(folder, bin_dir, sites, safe="backup", cloud_settings={"herd_window_s": "1"}, **more)
        self.plain_port = road.free_port()
        self.over_tls = {fac: n % 2 == 0 for n, fac in enumerate(sites)}
        self.over_tls["cloud"] = chance.random() < 0.5
        self.proxy = Proxy(self.bin / "chaos-proxy", chance.randrange(1 << 31))
        self.lines = {}

    def line_uri(self, name):
        self.tls = self.over_tls[name]  # read where configurations are made
        if name not in self.lines:
            self.lines[name] = self.proxy.open(name, self.port if self.tls else self.plain_port)
        return f"{'mqtts' if self.tls else 'mqtt'}://127.0.0.1:{self.lines[name]}"

    @property
    def uri(self):
        return self.line_uri("cloud")

    @property
    def agent_uri(self):
        return self.line_uri(self.making)

    def make_broker(self):
        super().make_broker()
        self.broker_conf = self.dir / "broker/mosquitto.conf"
        kept = f"persistence true\npersistence_location {self.dir}/broker/\nautosave_interval 2\n"
        text = self.broker_conf.read_text().replace("persistence false\n", kept)
        self.broker_text = text + f"listener {self.plain_port} 127.0.0.1\n"
        self.broker_conf.write_text(self.broker_text)
        self.acl_file = self.dir / "broker/acl"
        self.acl_text = self.acl_file.read_text()

    def make_agent(self, fac):
        self.making = fac
        self.line_uri(fac)
        super().make_agent(fac)

    def make(self):
        super().make()
        for process in (self.cloud, *self.agents.values()):
            offset = self.dir / f"{process.name}.clock"
            offset.write_bytes(bytes(8))
            process.env = {"LD_PRELOAD": str(self.bin / "clock-shim.so"), "EGRET_CLOCK_OFFSET": str(offset)}

    def set_clock(self, name, seconds):
        with open(self.dir / f"{name}.clock", "r+b") as f:
            f.write(struct.pack("=q", seconds))

    def process(self, name):
        return {"cloud": self.cloud, "broker": self.broker}.get(name) or self.agents[name]

    def behind(self):
        """Sites that are not linked, or of which the region does not have everything, as the sites' stores and the region's
        own ledger say."""
        page = self.page("/api/facilities")
        if page is None:
            return list(self.facilities)
        views = json.loads(page).get("facilities", [])
        w = {(v["facility"], r["epoch"], r["stream"]): r["w"] for v in views for r in v["rows"]}
        return [fac for fac in self.facilities if not self.complete(self.status(fac), fac, w)]

    @staticmethod
    def complete(status, fac, w):
        if not status or not status["linked"] or status["waiting"]["records"] > 0:
            return False
        return all(row["moved"] or row["head"] == 0 or w.get((fac, row["epoch"], row["stream"]), 0) >= row["head"] for row in status["rows"])

    def stop(self):
        super().stop()
        self.proxy.close()


class Monitor(threading.Thread):
    """Adds up what dies with a process: counters of agents and region, some seconds at most before their end."""

    def __init__(self, world):
        super().__init__(daemon=True)
        self.world = world
        self.ending = threading.Event()
        self.lock = threading.Lock()
        self.last = {}  # (site, pid): counters
        self.purged = {}  # (site, epoch, lane): how many
        self.region = {}  # (pid, name, label): how many

    def look(self, fac):
        status = self.world.status(fac)
        if status is None:
            return
        with self.lock:
            self.last[fac, status["pid"]] = status["counters"]
            for row in status["rows"]:
                self.purged[fac, row["epoch"], row["stream"]] = row["purged"]

    def look_at_region(self):
        child = self.world.cloud.child
        text = self.world.page("/metrics") if child else None
        with self.lock:
            for name, label, value in METRIC.findall(text or ""):
                self.region[child.pid, name, label] = int(value)

    def look_at_all(self):
        self.look_at_region()
        for fac in self.world.facilities:
            self.look(fac)

    def run(self):
        while not self.ending.wait(1):
            self.look_at_all()

    def totals(self):
        out = collections.Counter()
        with self.lock:
            for counters in self.last.values():
                for name in ("frames_sent", "frames_resent", "bytes_sent", "stray_frames", "w_falls", "reopens"):
                    out[name] += counters[name]
            out["purged"] = sum(self.purged.values())
        return dict(out)

    def region_totals(self):
        """{(name, label): how many}"""
        out = collections.Counter()
        with self.lock:
            for (_, name, label), value in self.region.items():
                out[name, label] += value
        return out


def broken_lines(world):
    """Lines of the logs that tell of a broken invariant or a crash."""
    found = []
    for process in world.processes():
        text = process.log.read_text(errors="replace")
        found += [f"{process.name}: {line[:300]}" for line in text.splitlines() if BROKEN.search(line)]
    return found


def links_made(world):
    """{site: how often the cloud has answered a first HELLO}, from the logs."""
    return {fac: p.log.read_text(errors="replace").count("the cloud has answered") for fac, p in world.agents.items()}

