"""The dashboard at full rate: 547 sites that all change each second, a real broker, region and Chromium. Used by bench.py.

What a person waits for and what a screen on the wall costs: the first view from a cold start (a browser of its own each time, that
has settled and holds nothing of ours), the bundle as it crosses the line, and, over a minute of watching, the processor time of all processes of the
browser and of egret-cloud.
"""
import gzip
import http.client
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / name) for name in ("e2e", "fleet", "browser")]
import browser_test  # noqa: E402
import live_region  # noqa: E402
import road  # noqa: E402

COLD_STARTS = 5
WAIT_S = 180
TICKS = os.sysconf("SC_CLK_TCK")


class Cannot(Exception):
    """The browser or what drives it is not there."""


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        try:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def descendants(pid):
    """All processes below it."""
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents.setdefault(int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]), []).append(int(entry.name))
            except OSError:
                pass
    found, look = [], [pid]
    while look:
        children = parents.get(look.pop(), [])
        found += children
        look += children
    return found


def bundle_bytes(region):
    """What a browser loads for the first view, as it crosses the line."""
    c = http.client.HTTPConnection("127.0.0.1", region.page_port, timeout=10)

    def compressed(path):
        c.request("GET", path, headers={"Accept-Encoding": "gzip"})
        answer = c.getresponse()
        body = answer.read()
        return len(body), gzip.decompress(body).decode() if answer.getheader("Content-Encoding") == "gzip" else body.decode()

    total, page = compressed("/")
    for path in re.findall(r'(?:src|href)="(assets/[^"]+)"', page):
        total += compressed("/" + path)[0]
    c.close()
    return total


def changes_a_second(region, seconds=5):
    """Sites that the stream tells of in each second: the rate is what is promised, or the figures mean nothing."""
    c = http.client.HTTPConnection("127.0.0.1", region.page_port, timeout=10)
    c.request("GET", "/api/live")
    answer = c.getresponse()
    told, begun = [], None
    while begun is None or time.monotonic() - begun < seconds:
        line = answer.readline()
        if line.startswith(b"data: "):
            if begun is None:
                begun = time.monotonic()  # everything
            else:
                told.append(len(json.loads(line[6:])["sites"]))
    c.close()
    return sum(told) / (time.monotonic() - begun)


def browser(work, region, sites):
    shutil.copy(ROOT / "tests" / "bench" / "dashboard.mjs", work / "dashboard.mjs")
    return subprocess.Popen(["node", "dashboard.mjs"], cwd=work, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={
        **os.environ, "EGRET_PAGE": f"http://127.0.0.1:{region.page_port}/", "EGRET_CHROMIUM": shutil.which("chromium"), "EGRET_SITES": str(sites), "EGRET_COLD": str(COLD_STARTS)})


def watch(region, work, seconds, results):
    node = browser(work, region, len(region.all))
    try:
        cold = json.loads(node.stdout.readline())["first_view_ms"]
        if not node.stdout.readline().startswith("watching"):
            raise RuntimeError("the browser shows nothing")
        pids = descendants(node.pid)
        before = cpu_seconds(pids), cpu_seconds([region.cloud.child.pid]), time.monotonic()
        time.sleep(seconds)
        passed = time.monotonic() - before[2]
        now = descendants(node.pid)
        of_browser, of_cloud = (cpu_seconds(now) - before[0]) / passed, (cpu_seconds([region.cloud.child.pid]) - before[1]) / passed
        node.stdin.close()
        seen = json.loads(node.stdout.readline())["seconds_seen"]
        if node.wait(30) != 0:
            raise RuntimeError("the browser failed")
    finally:
        if node.poll() is None:
            node.kill()
            node.wait()
    rate = changes_a_second(region)
    results.add("dashboard_first_view", statistics.median(cold) / 1000, f"{len(region.all)} sites on the screen; {', '.join(f'{ms:.0f}' for ms in sorted(cold))} ms")
    results.add("dashboard_bundle", bundle_bytes(region) / 1024, "compressed, all that the first view loads")
    results.add("dashboard_browser", of_browser, f"over {passed:.0f} s, {len(now)} processes; {rate:.0f} sites change each second, {seen} of {passed:.0f} seconds were shown")
    results.add("dashboard_rate", rate / len(region.all), f"changes a second of each site; egret-cloud took {of_cloud:.2f} of a core beside that, and to commit {region.rate * len(region.all):.0f} records a second")


def dashboard(bin_dir, folder, seconds, results, sites=live_region.WHOLE):
    """Throws Cannot."""
    if shutil.which("chromium") is None:
        raise Cannot("chromium is not installed")
    work = browser_test.tools(pathlib.Path(os.environ.get("EGRET_NPM_DIR", folder / "npm")))
    if work is None:
        raise Cannot("npm's packages cannot be had")
    live_region.many_files()
    region = live_region.LiveRegion(folder / "region", bin_dir, sites, rate=1.0, past=(15, 4), real=[])
    try:
        region.up()
        if "assets/app.js" not in (region.page("/") or ""):
            raise Cannot("the dashboard was not built")
        region.work()
        road.wait_for("all links", region.all_linked, WAIT_S, 0.2)
        road.wait_for("what was waiting", lambda: region.stand()["waiting"] < sites * 3, WAIT_S, 0.2)
        watch(region, work, seconds, results)
    finally:
        region.stop()
