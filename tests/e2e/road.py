"""The whole road in processes: Mosquitto, egret-cloud, egret-agent, producers. Used by the demo and the end-to-end tests.

Everything lives in one folder; every process is a child in a group of its own and is gone when `Road.stop` returns.
When the driver dies without a word (kill -9), the kernel kills its children: setpriv asks for that. Its signal is tied to
the thread that starts a child, so start processes from the main thread only.
"""
import base64
import hashlib
import http.client
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data"


def free_port():
    """Below the ports that the system gives to outgoing connections: none of those takes it before its owner listens."""
    while True:
        port = random.SystemRandom().randrange(20000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


class Lived:
    """Seconds that this process has lived through: a machine that stood still (a snapshot of it was taken, it was moved) has
    kept everybody from working, so nobody is late by that."""

    def __init__(self):
        self.seconds = self.stood_still = 0.0
        self.last = time.monotonic()

    def now(self):
        """To be asked every second or two."""
        passed = time.monotonic() - self.last
        self.last += passed
        self.seconds += min(passed, 2.0)
        self.stood_still += max(0.0, passed - 2.0)
        return self.seconds


def wait_for(what, test, seconds=20.0, step=0.05):
    lived = Lived()
    while lived.now() < seconds:
        got = test()
        if got:
            return got
        time.sleep(step)
    raise RuntimeError(f"{what}: not within {seconds:.0f} s")


def tied(argv):
    """The command, made to die with the process that starts it."""
    return ["setpriv", "--pdeathsig", "KILL", "--", *map(str, argv)]


def leave(folder, good):
    """The end of a program: its folder goes when all was good, and is named when not."""
    if good:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"logs are in {folder}", file=sys.stderr)


class UnixHttp(http.client.HTTPConnection):
    def __init__(self, path, timeout=30):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Process:
    """A child that can be killed, ended and started again."""

    def __init__(self, name, argv, log, env=None):
        self.name, self.argv, self.log, self.env = name, argv, log, env
        self.child = None

    def start(self):
        assert threading.current_thread() is threading.main_thread()
        out = open(self.log, "ab")
        # Set by env, behind setpriv: a library to be loaded first is not loaded into setpriv.
        argv = ["env", *(f"{k}={v}" for k, v in (self.env or {}).items()), *self.argv]
        self.child = subprocess.Popen(tied(argv), stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True)
        out.close()

    def alive(self):
        return self.child is not None and self.child.poll() is None

    def kill(self, how=signal.SIGKILL):
        if self.child is None:
            return
        if self.alive():
            os.killpg(self.child.pid, how)
        self.child.wait()

    def ask_to_end(self):
        if self.alive():
            self.child.send_signal(signal.SIGTERM)

    def end(self, seconds=5.0):
        """SIGTERM; SIGKILL when that takes too long. Returns the seconds it took."""
        begun = time.monotonic()
        self.ask_to_end()
        if self.child is not None:
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        return time.monotonic() - begun


class Road:
    def __init__(self, folder, bin_dir, facilities, tls=True, safe="default", budget_mb=256, preload=None, cloud_settings=None,
                 agent_settings=None):
        self.dir = pathlib.Path(folder)
        self.bin = pathlib.Path(bin_dir)
        self.facilities = facilities
        self.tls, self.safe, self.budget_mb = tls, safe, budget_mb
        self.port = free_port()
        self.page_port = free_port()
        self.agent_port = self.port  # where the agents find the broker: a relay's, when one is put in between
        self.broker = self.cloud = None
        self.agents = {}
        self.site_keys = {}  # as the region knows them
        self.preload = preload or {}
        # Few sites: the defaults are for hundreds that come back at once.
        self.cloud_settings = {"herd_window_s": "2", **(cloud_settings or {})}  # of cloud.toml, as TOML literals
        self.agent_settings = {"broker.reconnect_max_s": "3", **(agent_settings or {})}  # of agent.toml: {"buffer.zstd_level": "0"}

    # ---- bringing up ----

    def run(self, *argv, check=True):
        done = subprocess.run(tied(argv), capture_output=True, text=True)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, argv))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def make_broker(self):
        d = self.dir / "broker"
        d.mkdir(parents=True, exist_ok=True)
        os.chmod(d, 0o700)
        self.passwords = {}
        users = []
        for user in ["egret-cloud", *self.facilities]:
            word = base64.b32encode(os.urandom(15)).decode()
            self.passwords[user] = word
            users.append(f"{user}:{word}")
            secret = self.dir / f"{user}.password"
            secret.write_text(word + "\n")
            secret.chmod(0o600)
        (d / "passwords").write_text("\n".join(users) + "\n")
        (d / "passwords").chmod(0o600)
        self.run("mosquitto_passwd", "-U", d / "passwords")
        shutil.copy(ROOT / "packaging" / "mosquitto" / "egret.acl", d / "acl")
        (d / "acl").chmod(0o600)
        conf = (ROOT / "packaging" / "mosquitto" / "egret.conf").read_text()
        if self.tls:
            self.run(ROOT / "packaging" / "mosquitto" / "keys", self.dir / "tls", "localhost", "127.0.0.1")
        lines = []
        for line in conf.splitlines():
            if line.startswith("listener"):
                line = f"listener {self.port} 127.0.0.1"
            elif line.startswith(("cafile", "certfile", "keyfile", "tls_version")):
                if not self.tls:
                    continue
                line = {"cafile": f"cafile {self.dir}/tls/ca.pem", "certfile": f"certfile {self.dir}/tls/broker.pem",
                        "keyfile": f"keyfile {self.dir}/tls/broker.key"}.get(line.split()[0], line)
            line = line.replace("/etc/mosquitto/egret.passwords", str(d / "passwords")).replace("/etc/mosquitto/egret.acl", str(d / "acl"))
            lines.append(line)
        if os.geteuid() == 0:
            lines.append("user root")
        (d / "mosquitto.conf").write_text("\n".join(lines) + "\n")
        self.broker = Process("broker", ["mosquitto", "-c", str(d / "mosquitto.conf")], self.dir / "broker.log")

    @property
    def uri(self):
        return f"{'mqtts' if self.tls else 'mqtt'}://127.0.0.1:{self.port}"

    @property
    def agent_uri(self):
        return self.uri.replace(f":{self.port}", f":{self.agent_port}")

    def make_cloud(self):
        state = self.dir / "cloud"
        config = self.dir / "cloud.toml"
        made = json.loads(self.run(self.bin / "egret-cloud", "init", "--config", config, "--state-dir", state, "--broker", self.uri, "--json").stdout)
        self.region_key = made["region_key"]
        text = config.read_text()
        settings = {"lease_s": "30", "listen": f'"127.0.0.1:{self.page_port}"',
                    "password_file": f'"{self.dir}/egret-cloud.password"', "policy": f'"{self.safe}"', **self.cloud_settings}
        if self.tls:
            settings["ca_file"] = f'"{self.dir}/tls/ca.pem"'
        for key, value in settings.items():
            text = re.sub(rf"^#?{key} = .*$", f"{key} = {value}", text, flags=re.M)
        config.write_text(text)
        self.cloud_config = config
        self.cloud = Process("cloud", [str(self.bin / "egret-cloud"), "serve", "--config", str(config)], self.dir / "cloud.log", self.preload.get("cloud"))

    def make_agent(self, fac):
        config = self.dir / f"{fac}.toml"
        argv = [self.bin / "egret-agent", "init", "--facility", fac, "--region-key", self.region_key, "--broker", self.agent_uri,
                "--state-dir", self.dir / fac, "--config", config, "--json"]
        settings = {"doors.http": "", "doors.unix_socket": self.socket(fac), "broker.password_file": f"{self.dir}/{fac}.password", "buffer.budget_mb": self.budget_mb,
                    **self.agent_settings}
        for key, value in settings.items():
            argv += ["--set", f"{key}={value}"]
        if self.tls:
            argv += ["--set", f"broker.ca_file={self.dir}/tls/ca.pem"]
        self.site_keys[fac] = json.loads(self.run(*argv).stdout)["site_public_key"]
        self.run(self.bin / "egret-cloud", "facility", "add", fac, "--key", self.site_keys[fac], "--config", self.cloud_config)
        self.agents[fac] = Process(fac, [str(self.bin / "egret-agent"), "run", "--config", str(config)], self.dir / f"{fac}.log", self.preload.get("agent"))

    def socket(self, fac):
        return str(self.dir / f"{fac}.sock")

    def make(self):
        """Keys, configurations and state of everybody; nothing runs yet."""
        self.dir.mkdir(parents=True, exist_ok=True)
        self.make_broker()
        self.make_cloud()
        for fac in self.facilities:
            self.make_agent(fac)

    def up(self):
        self.make()
        self.broker.start()
        wait_for("broker", self.broker_listens)
        self.cloud.start()
        wait_for("cloud", lambda: self.page("/healthz") is not None)
        for fac in self.facilities:
            self.agents[fac].start()
        for fac in self.facilities:
            wait_for(fac, lambda: self.status(fac))

    def processes(self):
        return [p for p in [self.broker, self.cloud, *self.agents.values()] if p]

    def linked(self):
        return all((self.status(fac) or {}).get("linked") for fac in self.facilities)

    def export(self, file):
        with open(file, "w") as out:
            subprocess.run(tied([self.bin / "egret-cloud", "export", "--raw", "--config", self.cloud_config]), stdout=out, check=True)

    def stop(self):
        for process in reversed(self.processes()):
            process.ask_to_end()
        for process in reversed(self.processes()):
            process.end(3)

    # ---- asking ----

    def broker_listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 0.5).close()
            return True
        except OSError:
            return False

    def page(self, path):
        c = http.client.HTTPConnection("127.0.0.1", self.page_port, timeout=5)
        try:
            c.request("GET", path)
            return c.getresponse().read().decode()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            c.close()

    def ask(self, fac, method, path, body=None, kind="application/json", timeout=30):
        c = UnixHttp(self.socket(fac), timeout)
        try:
            c.request(method, path, body, {"Content-Type": kind} if body is not None else {})
            r = c.getresponse()
            return r.status, r.read()
        finally:
            c.close()

    def status(self, fac):
        try:
            code, body = self.ask(fac, "GET", "/v1/status", timeout=5)
            return json.loads(body) if code == 200 else None
        except (OSError, http.client.HTTPException, ValueError):
            return None

    def cloud_cli(self, *argv, check=True):
        return self.run(self.bin / "egret-cloud", *argv, "--config", self.cloud_config, check=check)

    def drained(self):
        for fac in self.facilities:
            status = self.status(fac)
            if status is None or status["waiting"]["records"] > 0:
                return False
        return True


# ---- producers ----

def unzstd(path):
    return subprocess.run(["zstd", "-dcq", str(path)], check=True, capture_output=True).stdout.decode()


def uuid_of(*parts):
    return str(uuid.UUID(bytes=hashlib.sha256("\0".join(parts).encode()).digest()[:16], version=4))


MODELS = [("retina-screen", "2.4.1"), ("chest-ct-nodule", "1.9.0"), ("ecg-rhythm", "3.0.2")]
LOINC = "http://loinc.org"
VALUE = re.compile(r'"valueQuantity":\{"value":(-?[0-9.eE+-]+)')


def model_def(name, version):
    return {"sens": 1, "purpose": ["care"], "model_def": {"model_id": name, "vendor": "Sample Imaging", "name": name, "version": version,
            "weights_sha256": hashlib.sha256(f"{name} {version}".encode()).hexdigest(), "intended_use": "decision support", "autonomy": "assist"}}


def json_with_digits(value):
    """json.dumps, but a str under the key '#digits' goes out as the bare number it is."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return re.sub(r'\{"#digits":"([^"]*)"\}', r"\1", text)


def ai_result(line, model_ref, n):
    """A Synthea Observation or DiagnosticReport as the result of a model; the number keeps its digits."""
    resource = json.loads(line)
    found = VALUE.search(line)
    coding = resource["code"]["coding"][0]
    result = {"version": 1, "status": "preliminary", "run_id": uuid_of(resource["id"], str(n)), "scenario": {"system": "urn:sample:scenario", "code": "screening"},
              "code": [{"system": coding["system"], "code": coding["code"]}], "critical": n % 50 == 0, "gradable": True, "model_ref": model_ref,
              "t_effective": resource["effectiveDateTime"], "t_issued": resource["issued"],
              "phi": {"subject": {"system": "urn:sample:patient", "value": resource["subject"]["reference"][-12:]}, "source_result_id": f"{resource['id']}-{n}"},
              "source_system": "sample-ai"}
    if result["critical"]:
        result["critical_code"] = {"system": "urn:sample:critical", "code": "now"}
        result["ack_deadline_s"] = 1800
    if found and "valueQuantity" in resource:
        unit = resource["valueQuantity"].get("code") or "1"
        result["value"] = {"quantity": {"value": {"#digits": found[1]}, "unit": unit}}
    else:
        result["value"] = {"text": (resource["code"].get("text") or "see report")[:200]}
    return json_with_digits({"sens": 4, "purpose": ["care"], "ai_result": result})


SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{([^}]*)\})? (\S+)$')


def telemetry(scrape):
    """One recorded Prometheus scrape as POST /v1/telemetry."""
    series = []
    for line in scrape["body"].splitlines():
        found = SAMPLE.match(line)
        if not found or found[3] in ("NaN", "+Inf", "-Inf"):
            continue
        labels = dict(re.findall(r'([a-zA-Z_][a-zA-Z0-9_]*)="([^"]*)"', found[2] or ""))
        labels = {k: v for k, v in labels.items() if v}
        series.append({"name": found[1], "unit": "1", "kind": "gauge", **({"labels": labels} if labels else {}),
                       "points": [[scrape["ts_ms"], {"#digits": found[3]}]]})
    return json_with_digits({"time_unit": "ms", "resource": {"host": "edge-node-01"}, "series": series[:120]})


class Producer(threading.Thread):
    """Posts real samples to one agent at a steady rate, sends again what got no answer, and logs what was accepted.

    The log is the oracle: a line a record with a 2xx: facility, kind, content hash as the door said it, and its place.
    """

    def __init__(self, road, fac, log, seed, per_post=20, pause=0.15, documents=True):
        super().__init__(daemon=True)
        self.road, self.fac, self.seed = road, fac, seed
        self.per_post, self.pause, self.documents = per_post, pause, documents
        self.log = open(log, "w")
        self.ending = threading.Event()
        self.resting = threading.Event()  # while set, nothing new is posted
        self.accepted = self.retries = 0
        self.wrong = []
        self.document_hashes = []

    def post(self, path, body, kind="application/json"):
        """Until it has an answer that is not "later"."""
        while not self.ending.is_set():
            try:
                status, answer = self.road.ask(self.fac, "POST", path, body, kind)
                if status not in (429, 503, 507):
                    return status, json.loads(answer)
            except (OSError, http.client.HTTPException, ValueError):
                pass
            self.retries += 1
            self.ending.wait(0.2)
        return None, None

    def note(self, r):
        self.log.write(f"{self.fac} {r['kind']} {r['content_sha256']} {r['epoch']} {r['stream']} {r['seq']}\n")
        self.log.flush()
        self.accepted += 1

    def take(self, status, answer):
        if status is None:
            return
        if status != 201:
            self.wrong.append((status, answer))
        for r in answer.get("results", []):
            if r["outcome"] == "accepted":
                self.note(r)

    def run(self):
        chance = random.Random(self.seed)
        lines = unzstd(DATA / "fhir/synthea/Observation.ndjson.zst").splitlines() + unzstd(DATA / "fhir/synthea/DiagnosticReport.ndjson.zst").splitlines()
        scrapes = [json.loads(s) for s in unzstd(DATA / "telemetry/prometheus/node-exporter-2s.ndjson.zst").splitlines()]
        scrapes = [s for s in scrapes if s["status"] == 0 or "body" in s]
        documents = [(DATA / "documents/tid1500-fhir__dcmqi-ct-liver.dcm", "application/dicom"), (DATA / "documents/synthea-bundle.json", "application/fhir+json")]
        refs = []
        for name, version in MODELS:
            body = json.dumps(model_def(name, version))
            status, answer = self.post("/v1/records", body)
            if status is None:
                return
            self.take(status, answer)
            refs.append(answer["results"][0].get("model_ref", "00" * 32))
        n, turn = 0, 0
        while not self.ending.is_set():
            batch = [ai_result(chance.choice(lines), chance.choice(refs), self.seed * 10_000_000 + n + i) for i in range(self.per_post)]
            n += self.per_post
            self.take(*self.post("/v1/records", "\n".join(batch).encode(), "application/x-ndjson"))
            if turn % 4 == 0:
                scrape = dict(scrapes[turn // 4 % len(scrapes)])
                scrape["ts_ms"] += turn * 1000 + self.seed
                self.take(*self.post("/v1/telemetry", telemetry(scrape).encode()))
            if self.documents and turn % 40 == 7:
                path, kind = documents[turn // 40 % 2]
                content = path.read_bytes()
                status, answer = self.post("/v1/documents", content, kind)
                if status == 201:
                    for r in answer["records"]:
                        self.note(r)
                    self.document_hashes.append(hashlib.sha256(content).hexdigest())
                elif status is not None:
                    self.wrong.append((status, answer))
            turn += 1
            self.ending.wait(self.pause)
            while self.resting.is_set() and not self.ending.wait(0.05):
                pass

    def finish(self):
        self.ending.set()
        self.join(30)
        self.log.close()


def npm_install(work, known):
    """npm's packages of work/package.json; False, with a word about why: they cannot be had. `known`: one of them."""
    if (work / "node_modules" / known).exists():
        return True
    try:
        got = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--omit=optional", "--ignore-scripts", "--no-package-lock"], cwd=work, capture_output=True, text=True, timeout=300)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"skipped: npm: {error}")
        return False
    if got.returncode != 0:
        print(f"skipped: npm cannot install: {got.stderr.strip()[-200:]}")
    return got.returncode == 0
