#!/usr/bin/env python3
"""The dashboard of a real region in a real browser (Chromium): agents, a broker and the cloud run; checks.mjs clicks.

    browser_test.py BIN_DIR [SHOTS_DIR] [--fast]

--fast leaves out the checks that wait for the region's clocks (packaging/test; `packaging/test --browser` runs all).

One site has a thin line, one is cut off, one (odd-site) says of itself what no honest agent does: a text that would run as a script, in every string that
a site or an operator can say. Skipped (77) where npm's packages or Chromium cannot be had, or the dashboard was not built.
"""
import asyncio
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
import line  # noqa: E402
import road  # noqa: E402

ODD, THIN, CUT = "odd-1", "thin-1", "cut-1"
SITES = ["haicang-1", "haicang-2", "siming-1", THIN, CUT, ODD]
SKIPPED = 77
HOSTILE = "<img src=x onerror=planted=1>"  # as long as an agent's version may be
DISTRICTS = {"haicang-1": "海沧区", "haicang-2": "海沧区", "siming-1": HOSTILE}
SETTINGS = {"silent_after_s": "30"}  # two greetings of a site, at the lease that road.py sets


class ThinLine(line.Line):
    """Hands on what comes from near at a rate; what comes back at once."""
    bytes_per_s = 10_000_000

    async def connect(self, near, to_near):
        to_near.transport.is_near = True
        await super().connect(near, to_near)

    async def carry(self, source, sink):
        thin = not getattr(sink.transport, "is_near", False)
        try:
            while data := await source.read(2048):
                if thin:
                    await asyncio.sleep(len(data) / self.bytes_per_s)
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.transport.abort()


class Region(road.Road):
    """A road whose odd site is no agent, and one of whose agents has a thin line."""

    def make(self):
        self.thin = ThinLine(self.port, 0)
        super().make()
        self.facilities = [fac for fac in self.facilities if fac != ODD]

    def make_agent(self, fac):
        if fac == ODD:
            key = self.run(self.bin / "odd-site", "key").stdout.strip()
            self.cloud_cli("facility", "add", ODD, "--key", key, "--name", "Odd " + HOSTILE)
            return
        self.agent_port = self.thin.port if fac == THIN else self.port
        super().make_agent(fac)

    def start_odd(self):
        """From the main thread."""
        log = open(self.dir / "odd.log", "ab")
        argv = [self.bin / "odd-site", "run", ODD, self.uri, self.region_key, self.dir / f"{ODD}.password", HOSTILE]
        self.odd = subprocess.Popen(road.tied(argv), stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True)
        log.close()

    def stop(self):
        if getattr(self, "odd", None):
            self.odd.kill()
            self.odd.wait()
        super().stop()


class Deeds(http.server.BaseHTTPRequestHandler):
    """What checks.mjs asks to be done to the region: POST /NAME with JSON."""
    road = None

    def do_POST(self):
        size = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(size).decode()
        try:
            said = getattr(self, "do_" + self.path[1:].replace("-", "_"))(json.loads(body) if body else None)
            self.send_response(200)
        except Exception as error:  # told to the one that asked
            said = repr(error)
            self.send_response(500)
        text = json.dumps(said).encode()
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass

    def do_stop_cloud(self, _):
        self.road.cloud.kill()

    def do_end_cloud(self, _):
        return self.road.cloud.end()

    def do_cut(self, fac):
        self.road.agents[fac].kill()

    def do_post(self, what):
        fac, first, count = what
        return post(self.road, fac, range(first, first + count))

    def do_thin(self, what):
        """A backlog behind a thin line: of a model of its own, and nothing critical in it."""
        records, self.road.thin.bytes_per_s = what
        for first in range(0, records, 2000):
            post(self.road, THIN, [n for n in range(100_000 + first, 102_000 + first) if n % 50 != 0], "thin")

    def do_gap(self, _):
        self.road.odd.stdin.write(b"gap\n")
        self.road.odd.stdin.flush()

    def do_audit(self, _):
        return [json.loads(one) for one in self.road.cloud_cli("audit", "--json").stdout.splitlines()]


def model(r, fac, name):
    said = road.model_def(name + HOSTILE, "2.4.1 " + HOSTILE)
    said["model_def"]["vendor"] = "Sample " + HOSTILE
    status, answer = r.ask(fac, "POST", "/v1/records", json.dumps(said))
    if status != 201:
        raise RuntimeError(f"model: {status}: {answer[:300]}")
    return json.loads(answer)["results"][0].get("model_ref", "00" * 32)


def post(r, fac, numbers, name="lung-nodule "):
    lines = road.unzstd(road.DATA / "fhir/synthea/Observation.ndjson.zst").splitlines()
    ref = model(r, fac, name)
    batch = [road.ai_result(lines[n % len(lines)], ref, n) for n in numbers]
    status, answer = r.ask(fac, "POST", "/v1/records", "\n".join(batch).encode(), "application/x-ndjson")
    if status != 201:
        raise RuntimeError(f"{status}: {answer[:300]}")
    return len(batch)


def tools(work):
    """npm's packages beside a copy of checks.mjs; None: they cannot be had."""
    work.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "checks.mjs"):
        shutil.copy(HERE / name, work / name)
    return work if road.npm_install(work, "axe-core") else None


def settle(r):
    """Districts are said, everybody has greeted and sent, and the views have followed."""
    for fac, district in DISTRICTS.items():
        r.cloud_cli("facility", "set", fac, "--district", district)
    r.cloud_cli("facility", "set", "haicang-2", "--name", "海沧二所 " + HOSTILE)
    r.start_odd()
    road.wait_for("links", r.linked)
    for n, fac in enumerate(r.facilities):
        post(r, fac, range(1000 * n, 1000 * n + 60))
    road.wait_for("everything to arrive", r.drained)
    road.wait_for("the odd site", lambda: json.loads(r.cloud_cli("quarantine", "ls", "--json").stdout), 60)
    road.wait_for("the views to follow", lambda: json.loads(r.cloud_cli("views", "--json").stdout)["blocks_behind"] == 0)


def run_checks(r, work, shots, chromium):
    tokens = {role: r.cloud_cli("token", "add", "t-" + role, "--role", role).stdout.strip() for role in ("viewer", "operator", "auditor")}
    Deeds.road = r
    deeds = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Deeds)
    threading.Thread(target=deeds.serve_forever, daemon=True).start()
    checks = subprocess.Popen(["node", "checks.mjs"], cwd=work, stdout=subprocess.PIPE, text=True, env={
        **os.environ, "EGRET_PAGE": f"http://127.0.0.1:{r.page_port}/", "EGRET_DEEDS": f"http://127.0.0.1:{deeds.server_port}/", "EGRET_SHOTS": str(shots),
        "EGRET_CHROMIUM": chromium, "EGRET_TOKENS": json.dumps(tokens), "EGRET_SITES": json.dumps(SITES), "EGRET_HOSTILE": HOSTILE})
    # Children are started by this thread alone (road.py): it starts what a check asks for.
    for said in checks.stdout:
        if said.startswith("start "):
            name = said.split()[1]
            (r.cloud if name == "cloud" else r.agents[name]).start()
        else:
            print(said, end="", flush=True)
    return checks.wait() == 0


def main():
    args = [arg for arg in sys.argv[1:] if arg != "--fast"]
    if "--fast" in sys.argv:
        os.environ["EGRET_CHECKS"] = "fast"
    bin_dir = pathlib.Path(args[0])
    folder = pathlib.Path(tempfile.mkdtemp(prefix="browser-"))
    shots = pathlib.Path(args[1]).resolve() if len(args) > 1 else folder / "shots"
    shots.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium")
    if chromium is None:
        print("skipped: chromium is not installed")
        return SKIPPED
    work = tools(pathlib.Path(os.environ.get("EGRET_NPM_DIR", folder / "npm")))
    if work is None:
        return SKIPPED
    r = Region(folder, bin_dir, SITES, tls=False, cloud_settings=SETTINGS)
    good = False
    try:
        r.up()
        if "assets/app.js" not in (r.page("/") or ""):
            print("skipped: the dashboard was not built")
            return SKIPPED
        settle(r)
        good = run_checks(r, work, shots, chromium)
    finally:
        r.stop()
        road.leave(folder, good)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
