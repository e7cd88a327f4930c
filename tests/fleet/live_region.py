"""A whole region on one machine: Mosquitto, egret-cloud, a few real agents, and the cores of all others in fleet-region, at
work on real samples, with weather (weather.py). Used by the demo of a region, by the figures of the dashboard and by tests.

Promises: names are a district of Xiamen and a number, none is a real institution's; nothing of it outlives `stop`, nor the
process that started it (road.py). Start it from the main thread.
"""
import json
import pathlib
import random
import resource
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import road  # noqa: E402
import weather  # noqa: E402

DISTRICTS = {"siming": 96, "huli": 88, "jimei": 92, "haicang": 74, "tongan": 112, "xiangan": 85}
WHOLE = sum(DISTRICTS.values())  # 547
MOST = 999  # of a district
REAL = ["siming-001", "huli-001", "jimei-001"]  # these are agents, with disks and doors
RESULTS_OF_A_MODEL = 300
SERIES_SHOWN = 40
SETTINGS = {"lease_s": "30", "silent_after_s": "45", "herd_window_s": "10"}  # an outage is to be seen within a minute


def many_files():
    """Hundreds of links are as many open files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192) if hard != resource.RLIM_INFINITY else 8192, hard))


def names(sites):
    """So many, each district's share of them, at least one of each."""
    if not len(DISTRICTS) <= sites <= MOST * len(DISTRICTS):
        raise ValueError(f"{len(DISTRICTS)} to {MOST * len(DISTRICTS)} sites are allowed")
    shares = {d: max(1, sites * n // WHOLE) for d, n in DISTRICTS.items()}
    for district in list(DISTRICTS) * sites:
        if sum(shares.values()) >= sites:
            break
        shares[district] += 1
    return [f"{district}-{n:03}" for district, count in shares.items() for n in range(1, count + 1)]


def said_of(name):
    """What people call it, and its district."""
    district, number = name.split("-")
    shown = {"tongan": "Tong'an", "xiangan": "Xiang'an"}.get(district, district.capitalize())
    return {"district": shown, "name": f"{shown} clinic {int(number)}"}


def write_samples(folder, models):
    """A file a model, and telemetry, as samples.h reads them."""
    folder.mkdir()
    chance = random.Random(1)
    lines = road.unzstd(road.DATA / "fhir/synthea/Observation.ndjson.zst").splitlines()
    for model in models:
        out = [json.dumps(road.model_def(model.name, model.version))]
        for n, line in enumerate(chance.sample(lines, RESULTS_OF_A_MODEL)):
            score = chance.betavariate(10 * model.score, 10 * (1 - model.score)) if 0 < model.score < 1 else model.score
            graded = f'"gradable":{str(chance.random() >= model.ungradable).lower()},"prob":{score:.3f},"prob_kind":"calibrated"'
            out.append(road.ai_result(line, "00" * 32, 50 * n + 1).replace('"gradable":true', graded))
        (folder / f"{model.file}.ndjson").write_text("\n".join(out) + "\n")
    scrapes = [json.loads(s) for s in road.unzstd(road.DATA / "telemetry/prometheus/node-exporter-2s.ndjson.zst").splitlines()[:20]]
    requests = []
    for scrape in scrapes:
        if "body" not in scrape:
            continue
        request = json.loads(road.telemetry(scrape))
        request["series"] = request["series"][:SERIES_SHOWN]
        for series in request["series"]:
            series["points"][0][0] = {"#digits": "@MS@"}
        requests.append(road.json_with_digits(request))
    (folder / "telemetry.ndjson").write_text("\n".join(requests) + "\n")


class LiveRegion(road.Road):
    """`rate`: records that a site takes in each second; `past`: (days, records of a day) that it has worked before."""

    def __init__(self, folder, bin_dir, sites=WHOLE, rate=0.2, past=(15, 10), real=REAL, weather_file=None, cloud_settings=None):
        self.all = names(sites)
        self.real = [name for name in real if name in self.all]
        self.cores = [name for name in self.all if name not in self.real]
        self.rate, self.past = rate, past
        self.pages = {}  # of the real ones: port
        self.weather = weather.read(weather_file or pathlib.Path(__file__).with_name("weather") / "typhoon.toml", self.cores)
        self.fleet, self.heard, self.lock = None, {}, threading.Lock()
        super().__init__(folder, bin_dir, self.real, tls=False, safe="commit", cloud_settings={**SETTINGS, **(cloud_settings or {})})

    # ---- bringing up ----

    def make(self):
        self.dir.mkdir(parents=True, exist_ok=True)
        self.facilities = self.all
        self.make_broker()
        self.facilities = self.real
        self.make_cloud()
        for fac in self.real:
            self.pages[fac] = road.free_port()
            self.agent_settings["doors.http"] = f"127.0.0.1:{self.pages[fac]}"
            self.make_agent(fac)
        write_samples(self.dir / "samples", self.weather.models)

    def up(self):
        super().up()
        listed = self.run(self.bin / "fleet-region", "keys", *self.cores).stdout
        for line in listed.splitlines():
            name, key = line.split()
            self.control("facility.add", fac=name, key=key, **said_of(name))
        for name in self.real:
            self.control("facility.set", fac=name, **said_of(name))
        log = open(self.dir / "fleet.log", "ab")
        self.fleet = subprocess.Popen(road.tied([self.bin / "fleet-region", "run", self.uri, self.region_key, self.dir, self.dir / "samples"]), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=log, text=True, start_new_session=True)
        log.close()
        threading.Thread(target=self.listen, daemon=True).start()
        usual = self.weather.models[0]
        self.tell(*(f"site {n}" for n in self.cores), *(weather.model_command(usual).replace("NAME", n) for n in self.cores))
        self.tell(*(f"past {n} {self.past[0]} {self.past[1]}" for n in self.cores if self.past[0] > 0))

    def work(self):
        """They greet the region and begin."""
        self.tell(*(f"power {n} on" for n in self.cores), *(f"telemetry {n} {weather.TELEMETRY_S}" for n in self.cores), *(f"rate {n} {self.rate}" for n in self.cores))

    def control(self, command, **args):
        c = road.UnixHttp(str(self.dir / "cloud" / "control.sock"))
        c.request("POST", f"/control/{command}", "".join(f"{k}={v}\n" for k, v in args.items()))
        answer = c.getresponse().read().decode()
        c.close()
        if not answer.startswith("0\n"):
            raise RuntimeError(f"{command}: {args.get('fac')}: {answer}")

    def stop(self):
        if self.fleet is not None:
            self.fleet.kill()
            self.fleet.wait()
        super().stop()

    # ---- the cores ----

    def tell(self, *commands):
        with self.lock:
            self.fleet.stdin.write("".join(c + "\n" for c in commands))
            self.fleet.stdin.flush()

    def listen(self):
        for line in self.fleet.stdout:
            self.heard = json.loads(line)

    def stand(self):
        """What fleet-region said last: sites, on, linked, behind, accepted, waiting, shed, refused."""
        if self.fleet.poll() is not None:
            raise RuntimeError(f"fleet-region has ended: {(self.dir / 'fleet.log').read_text()[-500:]}")
        return self.heard

    def all_linked(self):
        return self.stand().get("linked") == len(self.cores) and self.linked()

    # ---- weather ----

    def play(self, say, ending):
        """Once through it, from now on. `ending`: a threading.Event that stops it."""
        begun = time.monotonic()
        for change in self.weather.changes:
            if ending.wait(max(0, begun + change.at - time.monotonic())):
                return
            self.tell(*change.commands)
            say(change.say)
        ending.wait(max(0, begun + self.weather.lasts_s - time.monotonic()))

    # ---- the books ----

    def books(self):
        """What the sites have taken in, and where the region says that it is."""
        rows = json.loads(self.page("/api/facilities") or '{"facilities":[]}')["facilities"]
        mine = [row for row in rows if row["facility"] in set(self.all)]
        statuses = [self.status(fac) or {"accepted": 0} for fac in self.real]
        return {"sites": len(mine), "accepted": self.stand()["accepted"] + sum(s["accepted"] for s in statuses), "committed": sum(r["records"] for r in mine),
                "duplicates": sum(r["duplicates"] for r in mine), "quarantined": sum(r["quarantined"] for r in mine), "gaps": sum(r["gap_records"] for r in mine)}
