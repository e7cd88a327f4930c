#!/usr/bin/env python3
"""The dashboard of a real region in a real browser (Chromium): agents, a broker and the cloud run; checks.mjs clicks.

    browser_test.py BIN_DIR [SHOTS_DIR]

Skipped (77) where npm's packages or Chromium cannot be had, or the dashboard was not built.
"""
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
import road  # noqa: E402

SITES = ["haicang-1", "haicang-2", "siming-1"]
SKIPPED = 77
HOSTILE = "<img src=x onerror=window.planted=1>"


class Deeds(http.server.BaseHTTPRequestHandler):
    """What checks.mjs asks to be done to the region: POST /NAME."""
    road = None

    def do_POST(self):
        size = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(size).decode()
        try:
            said = getattr(self, "do_" + self.path[1:].replace("-", "_"))(body)
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

    def do_post(self, body):
        fac, first, count = json.loads(body)
        return post(self.road, fac, first, count)


def post(r, fac, first, count):
    lines = road.unzstd(road.DATA / "fhir/synthea/Observation.ndjson.zst").splitlines()
    status, answer = r.ask(fac, "POST", "/v1/records", json.dumps(road.model_def("lung-nodule " + HOSTILE, "2.4.1")))
    ref = json.loads(answer)["results"][0].get("model_ref", "00" * 32)
    batch = [road.ai_result(lines[n % len(lines)], ref, n) for n in range(first, first + count)]
    status, answer = r.ask(fac, "POST", "/v1/records", "\n".join(batch).encode(), "application/x-ndjson")
    if status != 201:
        raise RuntimeError(f"{status}: {answer[:300]}")
    return count


def tools(work):
    """npm's packages beside a copy of checks.mjs; None: they cannot be had."""
    work.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "checks.mjs"):
        shutil.copy(HERE / name, work / name)
    if (work / "node_modules" / "axe-core").exists():
        return work
    try:
        got = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock"], cwd=work, capture_output=True, text=True, timeout=300)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"skipped: npm: {error}")
        return None
    if got.returncode != 0:
        print(f"skipped: npm cannot install: {got.stderr.strip()[-200:]}")
        return None
    return work


def main():
    bin_dir = pathlib.Path(sys.argv[1])
    folder = pathlib.Path(tempfile.mkdtemp(prefix="browser-"))
    shots = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else folder / "shots"
    shots.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium")
    if chromium is None:
        print("skipped: chromium is not installed")
        return SKIPPED
    work = tools(pathlib.Path(os.environ.get("EGRET_NPM_DIR", folder / "npm")))
    if work is None:
        return SKIPPED
    r = road.Road(folder, bin_dir, SITES, tls=False)
    good = False
    try:
        r.up()
        if "assets/app.js" not in (r.page("/") or ""):
            print("skipped: the dashboard was not built")
            return SKIPPED
        road.wait_for("links", r.linked)
        for n, fac in enumerate(SITES):
            post(r, fac, 1000 * n, 60)
        road.wait_for("everything to arrive", r.drained)
        road.wait_for("the views to follow", lambda: json.loads(r.cloud_cli("views", "--json").stdout)["blocks_behind"] == 0)
        tokens = {role: r.cloud_cli("token", "add", "t-" + role, "--role", role).stdout.strip() for role in ("viewer", "operator")}
        Deeds.road = r
        deeds = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Deeds)
        threading.Thread(target=deeds.serve_forever, daemon=True).start()
        checks = subprocess.Popen(["node", "checks.mjs"], cwd=work, stdout=subprocess.PIPE, text=True, env={
            **os.environ, "EGRET_PAGE": f"http://127.0.0.1:{r.page_port}/", "EGRET_DEEDS": f"http://127.0.0.1:{deeds.server_port}/", "EGRET_SHOTS": str(shots),
            "EGRET_CHROMIUM": chromium, "EGRET_TOKENS": json.dumps(tokens), "EGRET_SITES": json.dumps(SITES)})
        # Children are started by this thread alone (road.py): it starts the cloud again when a check asks for it.
        for line in checks.stdout:
            if line.strip() == "start cloud":
                r.cloud.start()
            else:
                print(line, end="", flush=True)
        good = checks.wait() == 0
    finally:
        r.stop()
        road.leave(folder, good)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
