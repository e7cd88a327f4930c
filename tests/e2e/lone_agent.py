"""One real egret-agent without a broker: what the tests of its doors and commands talk to."""
import http.client
import json
import pathlib
import re
import resource
import signal
import socket
import subprocess

from road import Process, UnixHttp, free_port, uuid_of, wait_for

REGION_KEY = "09" + 31 * "00"  # the base point: a public key that nobody needs to have
HASH = 64 * "a"


def record(n, **changes):
    """An AI result as a producer posts it; `changes` go over its fields, None takes one out."""
    result = {"version": 1, "status": "preliminary", "run_id": uuid_of("run", str(n)), "scenario": {"system": "urn:s", "code": "screening"},
              "code": [{"system": "http://loinc.org", "code": "71490-7"}], "value": {"integer": n}, "critical": False, "gradable": True,
              "model_ref": HASH, "t_effective": "2026-03-01T08:30:00+08:00", "t_issued": "2026-03-01T08:31:00+08:00", "source_system": "test",
              "phi": {"subject": {"system": "urn:p", "value": f"P-{n}"}, "source_result_id": f"R-{n}"}}
    result.update(changes)
    return {"sens": 4, "purpose": ["care"], "ai_result": {k: v for k, v in result.items() if v is not None}}


def critical(n):
    return record(n, critical=True, critical_code={"system": "urn:c", "code": "now"}, ack_deadline_s=1800)


def telemetry(n):
    return {"time_unit": "s", "resource": {"host": "h"}, "series": [{"name": "load", "unit": "1", "kind": "gauge", "points": [[1_800_000_000 + n, n]]}]}


def lines(records):
    return "\n".join(r if isinstance(r, str) else json.dumps(r) for r in records).encode()


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:400]!r}"


class LoneAgent:
    def __init__(self, folder, bin_dir, name="clinic-1", budget_mb=256, connections_max=256, start=True):
        self.dir = pathlib.Path(folder)
        self.bin = pathlib.Path(bin_dir)
        self.name = name
        self.config = self.dir / f"{name}.toml"
        self.state = self.dir / name
        self.socket = str(self.dir / f"{name}.sock")
        self.log = self.dir / f"{name}.log"
        done = subprocess.run([self.bin / "egret-agent", "init", "--facility", name, "--region-key", REGION_KEY, "--broker", f"mqtt://127.0.0.1:{free_port()}",
                               "--state-dir", self.state, "--config", self.config, "--set", f"doors.unix_socket={self.socket}", "--set", "doors.http=127.0.0.1:0",
                               "--set", f"buffer.budget_mb={budget_mb}", "--set", f"doors.connections_max={connections_max}"], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        self.process = Process(name, [str(self.bin / "egret-agent"), "run", "--config", str(self.config)], self.log)
        if start:
            self.start()

    def start(self):
        seen = self.log.stat().st_size if self.log.exists() else 0
        self.process.start()
        self.port = int(wait_for("ready", lambda: re.search(r"ready: .*http=127\.0\.0\.1:(\d+)", self.log.read_text()[seen:]))[1])

    def kill(self):
        self.process.kill()

    def end(self):
        return self.process.end()

    def limit_files(self, size):
        """No file of the agent can grow past `size`: what a full or failing disk does. None: no limit."""
        unlimited = resource.RLIM_INFINITY
        resource.prlimit(self.process.child.pid, resource.RLIMIT_FSIZE, (unlimited if size is None else size, unlimited))

    def connect(self, tcp=False):
        """A bare connection, for what no HTTP client sends."""
        s = socket.create_connection(("127.0.0.1", self.port), 20) if tcp else socket.socket(socket.AF_UNIX)
        s.settimeout(20)
        if not tcp:
            s.connect(self.socket)
        return s

    def client(self, tcp=False):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30) if tcp else UnixHttp(self.socket)

    def ask(self, method, path, body=None, kind="application/json", headers=None, client=None, tcp=False):
        c = client or self.client(tcp)
        try:
            given = {"Content-Type": kind} if kind and body is not None else {}
            c.request(method, path, body, {**given, **(headers or {})})
            r = c.getresponse()
            return Answer(r.status, r.headers, r.read())
        finally:
            if client is None:
                c.close()

    def post(self, body, kind="application/json", path="/v1/records", **more):
        if not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        return self.ask("POST", path, body.encode() if isinstance(body, str) else body, kind, **more)

    def post_lines(self, records, **more):
        return self.post(lines(records), "application/x-ndjson", **more)

    def post_document(self, body, kind="application/octet-stream", query="", **more):
        return self.post(body, kind, "/v1/documents" + query, **more)

    def status(self):
        return self.ask("GET", "/v1/status").json


def raw_answers(s, limit=1 << 20):
    """Everything a bare connection answers until it is closed."""
    got = b""
    while len(got) < limit:
        try:
            piece = s.recv(65536)
        except ConnectionResetError:
            break
        if not piece:
            break
        got += piece
    return got
