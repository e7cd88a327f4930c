"""The nemesis: which faults come when, drawn from a seed, and how each is done to the road."""
import dataclasses
import heapq
import json
import os
import re
import shutil
import signal
import time

import road

# How often each is drawn, in parts of all.
WEIGHTS = {"kill": 6, "pause": 4, "delay": 3, "rate": 2, "stall": 3, "cut": 4, "corrupt": 4, "reset": 3, "refuse": 2, "deaf": 1,
           "clock": 3, "backup": 3, "restore": 2, "limit": 1, "acl": 1}
OF_PROCESS = {"kill", "pause"}
OF_LINE = {"delay", "rate", "stall", "cut", "corrupt", "reset", "refuse", "deaf"}
BUSY_S = 5  # how long a backup or restore takes, at most, in the plan

JUMPS_S = [-10 * 365 * 86400, -40 * 86400, -86400, -3600, -90, 90, 3600, 86400, 40 * 86400, 10 * 365 * 86400]
WRONG_ACLS = {"sites may not send": ("pattern write es1/+/%u/u/#", ""),
              "sites may not hear": ("pattern read es1/+/%u/d", ""),
              "the cloud may not hear": ("topic read es1/+/+/u/#", ""),
              "the cloud may not answer": ("topic write es1/+/+/d", "")}


@dataclasses.dataclass
class Step:
    at: float  # seconds from the start of the round
    fault: str
    target: str
    lasts: float = 0  # 0: done at once
    facts: dict = dataclasses.field(default_factory=dict)
    entry: dict = None  # of the timeline, once it has begun

    def locks(self):
        """What no other step may touch meanwhile."""
        if self.fault in OF_LINE:
            # A door, and what is done to bytes, on one line at the same time is fine; the same fault twice is not.
            return {(self.fault if self.fault not in ("refuse", "deaf") else "door", self.target)}
        return {("clock", self.target)} if self.fault == "clock" else {("process", self.target)}


def lasting(chance, fault, slow):
    """Seconds. A slow round has pauses and silences that outlast lease (30 s) and keep-alive (90 s at the broker)."""
    if fault in ("reset", "backup", "restore"):
        return 0
    if fault == "kill":
        return chance.choice([0, chance.uniform(0, 1), chance.uniform(1, 6)])
    if slow and fault in ("pause", "stall", "cut") and chance.random() < 0.5:
        return chance.uniform(35, 100)
    return chance.uniform(0.5, 12)


def draw_facts(chance, fault, target, quick):
    if fault == "kill" and target == "broker":
        return {"wiped": chance.random() < 0.5}
    if fault == "delay":
        return {"delay_ms": chance.choice([20, 80, 300, 900]), "jitter_ms": chance.choice([0, 20, 200])}
    if fault == "rate":
        return {"rate": chance.choice([2_000, 8_000, 32_000, 128_000])}
    if fault == "stall":
        return {"way": chance.choice(["up", "down", "both"])}
    if fault == "cut":
        return {"way": chance.choice(["up", "down"]), "dead": "reset" if quick else chance.choice(["silence", "reset"])}
    if fault == "corrupt":
        # Mostly a connection is first made: with a changed password a site waits for minutes, as it should.
        return {"way": chance.choice(["up", "down"]), "corrupt": chance.choice([300, 3_000, 30_000]), "spare": 0 if not quick and chance.random() < 0.1 else 4_000}
    if fault == "clock":
        return {"seconds": chance.choice(JUMPS_S)}
    if fault == "limit":
        return {"bytes": chance.choice([40_000, 80_000, 200_000]), "said": chance.random() < 0.5}
    if fault == "acl":
        return {"wrong": chance.choice(list(WRONG_ACLS))}
    return {}


def draw_target(chance, fault, sites):
    if fault in OF_PROCESS:
        return chance.choice(["broker", "cloud", *sites])
    if fault in OF_LINE or fault == "clock":
        return chance.choice(["cloud", *sites])
    return "broker" if fault in ("limit", "acl") else "cloud"


def heals_slowly(step, clear):
    """A client that is never answered gives up after 30 s; a length that was changed in the clear makes its reader wait until
    the keep-alive ends it."""
    return step.fault == "deaf" or (step.fault == "corrupt" and step.target in clear)


def plan(chance, sites, window_s, faults, slow=False, quick=False, clear=()):
    """The steps of one round, in order; none that would get into another's way. Quick: none that takes long to heal."""
    steps, taken = [], []
    names, weights = list(WEIGHTS), list(WEIGHTS.values())
    for _ in range(20 * faults):
        if len(steps) == faults:
            break
        fault = chance.choices(names, weights)[0]
        target = draw_target(chance, fault, sites)
        step = Step(chance.uniform(0, window_s), fault, target, lasting(chance, fault, slow), draw_facts(chance, fault, target, quick))
        if quick:
            if heals_slowly(step, clear):
                continue
            step.lasts = min(step.lasts, 4)
        until = step.at + max(step.lasts, BUSY_S if fault in ("backup", "restore") else 0) + 0.5
        if any(lock == other and step.at < end and begin < until for lock in step.locks() for other, begin, end in taken):
            continue
        taken += [(lock, step.at, until) for lock in step.locks()]
        steps.append(step)
    return sorted(steps, key=lambda s: s.at)


class Nemesis:
    def __init__(self, world, elsewhere, begun):
        self.world, self.elsewhere, self.begun = world, elsewhere, begun
        self.timeline = []
        self.copies = []  # (folder on other storage, when) of the region; by the last one sites may have deleted
        self.down = set()  # processes that are not to run now
        self.deaths = []

    # ---- a round ----

    def run(self, steps, window_s, number):
        """Does all steps, and undoes those that last; returns when everything is as it was. On a machine that is behind, a step
        comes later than planned, but lasts as long."""
        start = time.monotonic()
        due = [(start + step.at, n, step) for n, step in enumerate(steps)]
        heapq.heapify(due)
        busy = set()
        while due:
            at, n, step = heapq.heappop(due)
            self.wait(at)
            if step.entry is not None:
                self.end(step)
                busy -= step.locks()
            elif busy & step.locks():
                heapq.heappush(due, (time.monotonic() + 0.5, n, step))
            else:
                self.begin(step, number)
                if self.has_end(step):
                    busy |= step.locks()
                    heapq.heappush(due, (time.monotonic() + step.lasts, n, step))
        self.wait(start + window_s)
        self.world.proxy.calm()

    def begin(self, step, number):
        step.entry = {"at_s": round(time.monotonic() - self.begun, 1), "round": number, "fault": step.fault, "target": step.target, "for_s": 0}
        told = getattr(self, "begin_" + step.fault)(step) or step.facts
        step.entry["detail"] = ", ".join(f"{k} {v}" for k, v in told.items())
        self.timeline.append(step.entry)

    def end(self, step):
        getattr(self, "end_" + step.fault)(step)
        step.entry["for_s"] = round(time.monotonic() - self.begun - step.entry["at_s"], 1)

    @staticmethod
    def has_end(step):
        return step.fault not in ("reset", "backup", "restore")

    def wait(self, until):
        while True:
            self.notice_deaths()
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.2))

    def notice_deaths(self):
        """A process that ends and was not made to: told, and started again."""
        for process in self.world.processes():
            if process.name in self.down or process.alive():
                continue
            last = process.log.read_text(errors="replace").splitlines()[-3:]
            self.deaths.append({"at_s": round(time.monotonic() - self.begun, 1), "process": process.name, "code": process.child.returncode,
                                "last_lines": [line.replace(str(self.world.dir), "…")[:300] for line in last]})
            process.start()

    # ---- processes ----

    def begin_kill(self, step):
        self.notice_deaths()
        self.down.add(step.target)
        self.world.process(step.target).kill()

    def end_kill(self, step):
        if step.facts.get("wiped"):
            (self.world.dir / "broker/mosquitto.db").unlink(missing_ok=True)
        self.start(step.target)

    def start(self, name):
        self.world.process(name).start()
        self.down.discard(name)

    def begin_pause(self, step):
        os.killpg(self.world.process(step.target).child.pid, signal.SIGSTOP)

    def end_pause(self, step):
        os.killpg(self.world.process(step.target).child.pid, signal.SIGCONT)

    # ---- lines ----

    def begin_delay(self, step):
        self.world.proxy.set(step.target, **step.facts)

    def end_delay(self, step):
        self.world.proxy.set(step.target, delay_ms=0, jitter_ms=0)

    def begin_rate(self, step):
        self.world.proxy.set(step.target, rate=step.facts["rate"])

    def end_rate(self, step):
        self.world.proxy.set(step.target, rate=0)

    def ways(self, step):
        return None if step.facts["way"] == "both" else step.facts["way"]

    def begin_stall(self, step):
        self.world.proxy.set(step.target, self.ways(step), stall=True)

    def end_stall(self, step):
        self.world.proxy.set(step.target, self.ways(step), stall=False)

    def begin_cut(self, step):
        self.world.proxy.set(step.target, self.ways(step), cut=True, dead=step.facts["dead"])

    def end_cut(self, step):
        self.world.proxy.set(step.target, self.ways(step), cut=False)

    def begin_corrupt(self, step):
        self.world.proxy.set(step.target, self.ways(step), corrupt=step.facts["corrupt"], spare=step.facts["spare"])

    def end_corrupt(self, step):
        self.world.proxy.set(step.target, self.ways(step), corrupt=0)

    def begin_reset(self, step):
        self.world.proxy.reset(step.target)

    def begin_refuse(self, step):
        self.world.proxy.door(step.target, step.fault)
        self.world.proxy.reset(step.target)

    begin_deaf = begin_refuse

    def end_refuse(self, step):
        self.world.proxy.door(step.target, "open")

    end_deaf = end_refuse

    # ---- clocks, the region's disk, the broker's rules ----

    def begin_clock(self, step):
        self.world.set_clock(step.target, step.facts["seconds"])

    def end_clock(self, step):
        self.world.set_clock(step.target, 0)

    def begin_backup(self, step):
        """Copied, brought to other storage, confirmed: sites may delete what it holds."""
        name = self.world.dir / f"backup-{len(self.timeline)}"
        if self.world.cloud_cli("backup", name, check=False).returncode != 0:
            return {"done": "no: the region was not up yet"}
        copy = self.elsewhere / name.name
        shutil.move(name, copy)
        self.copies.append((copy, step.entry["at_s"]))
        alike = ["--same-filesystem"] if os.stat(self.elsewhere).st_dev == os.stat(self.world.dir).st_dev else []
        done = self.world.cloud_cli("backup", "confirm", copy, "--json", *alike, check=False)
        return {"confirmed, records": json.loads(done.stdout)["records"]} if done.returncode == 0 else {"done": "not confirmed"}

    def begin_restore(self, step):
        if not self.copies:
            return {"done": "no: there was no backup yet"}
        self.down.add("cloud")
        self.world.cloud.kill()
        copy, copied_at_s = self.copies[-1]
        self.world.cloud_cli("restore", copy)
        for aside in (self.world.dir / "cloud").glob("store.before-restore-*"):
            shutil.rmtree(aside)
        self.start("cloud")
        return {"backup of second": copied_at_s}

    def broker_again(self, text):
        self.down.add("broker")
        self.world.broker.kill()
        self.world.broker_conf.write_text(text)
        self.start("broker")

    def begin_limit(self, step):
        """Less goes through after a restart: said to clients that speak MQTT 5, or found out by losing what is larger."""
        size = step.facts["bytes"]
        if step.facts["said"]:
            return self.broker_again(re.sub(r"max_packet_size \d+", f"max_packet_size {size}", self.world.broker_text))
        return self.broker_again(f"message_size_limit {size}\n" + self.world.broker_text)

    def end_limit(self, step):
        self.broker_again(self.world.broker_text)

    def begin_acl(self, step):
        old, new = WRONG_ACLS[step.facts["wrong"]]
        self.set_acl(self.world.acl_text.replace(old + "\n", new + "\n"))

    def end_acl(self, step):
        self.set_acl(self.world.acl_text)

    def set_acl(self, text):
        self.world.acl_file.write_text(text)
        self.world.broker.child.send_signal(signal.SIGHUP)
