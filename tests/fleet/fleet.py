#!/usr/bin/env python3
"""Many sites come back at once, each with a day's backlog: their cores in one process, a real Mosquitto, a real region.

    fleet.py BIN_DIR [--sites 547] [--records 2000] [--herd 30] [--json]

Exit 1 unless every site is greeted within 60 s, everything is acknowledged and stored, the broker's queue stays below half
of its limit for one client and the broker drops nothing.
"""
import argparse
import json
import pathlib
import re
import resource
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import road  # noqa: E402

GREETED_WITHIN_S = 60


def make_road(folder, args, sites):
    r = road.Road(folder, args.bin, [*sites, "egret-watch"], tls=False,
                  cloud_settings={"herd_window_s": str(args.herd), "lease_s": "120"})
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    r.make_broker()
    with open(r.dir / "broker" / "acl", "a") as acl:
        acl.write("\nuser egret-watch\ntopic read $SYS/#\n")
    with open(r.dir / "broker" / "mosquitto.conf", "a") as conf:
        conf.write("sys_interval 1\n")
    r.make_cloud()
    return r


def register(r, sites):
    for name, key in sites.items():
        c = road.UnixHttp(str(r.dir / "cloud" / "control.sock"))
        c.request("POST", "/control/facility.add", f"fac={name}\nkey={key}\n")
        answer = c.getresponse().read().decode()
        c.close()
        if not answer.startswith("0\n"):
            raise RuntimeError(f"{name}: {answer}")


def run(folder, args):
    listed = subprocess.run([args.bin / "fleet-agents", "keys", str(args.sites)], check=True, capture_output=True, text=True).stdout
    sites = dict(line.split() for line in listed.splitlines())
    r = make_road(folder, args, sites)
    try:
        r.broker.start()
        road.wait_for("broker", r.broker_listens)
        r.cloud.start()
        road.wait_for("cloud", lambda: r.page("/healthz") is not None)
        register(r, sites)
        argv = [args.bin / "fleet-agents", "run", args.sites, args.records, args.herd, r.uri, r.region_key, folder]
        done = subprocess.run(road.tied(argv), capture_output=True, text=True, timeout=500)
        if not done.stdout.startswith("{"):
            raise RuntimeError(f"fleet-agents: exit {done.returncode}: {done.stderr[-2000:]}")
        figures = json.loads(done.stdout)
        metrics = r.page("/metrics") or ""
        figures["stored"] = sum(int(float(n)) for n in re.findall(r'^egret_cloud_records_total\{[^}]*"applied"\} (\S+)$', metrics, re.M))
        figures["region_dropped"] = sum(int(float(n)) for n in re.findall(r"^egret_cloud_(?:queue|frames)_dropped_total(?:\{[^}]*\})? (\S+)$", metrics, re.M))
        figures["limit"] = int(re.search(r"max_queued_messages (\d+)", (r.dir / "broker" / "mosquitto.conf").read_text())[1])
        return figures
    finally:
        r.stop()


def judge(f):
    wrong = []
    if f["greeted"] != f["sites"] or f["greeted_max_ms"] > GREETED_WITHIN_S * 1000:
        wrong.append(f"{f['greeted']} of {f['sites']} sites were greeted, the last after {f['greeted_max_ms'] / 1000:.1f} s; allowed {GREETED_WITHIN_S} s")
    if f["drained"] != f["sites"] or f["stored"] != f["sites"] * f["records"]:
        wrong.append(f"{f['drained']} of {f['sites']} sites are drained, {f['stored']} records stored of {f['sites'] * f['records']}")
    if f["broker_samples"] == 0 or f["broker_peak"] * 2 >= f["limit"]:
        wrong.append(f"the broker held {f['broker_peak']} messages ({f['broker_samples']} looks); allowed is less than half of {f['limit']}")
    if f["broker_dropped"] > 0:
        wrong.append(f"the broker dropped {f['broker_dropped']}")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bin", type=pathlib.Path)
    parser.add_argument("--sites", type=int, default=547)
    parser.add_argument("--records", type=int, default=2000, help="waiting at each site")
    parser.add_argument("--herd", type=int, default=30, help="seconds over which the region spreads their first tries")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192) if hard != resource.RLIM_INFINITY else 8192, hard))
    folder = tempfile.mkdtemp(prefix="egret-fleet-")
    figures = run(folder, args)
    wrong = judge(figures)
    if args.json:
        print(json.dumps(figures))
    else:
        print(f"{figures['sites']} sites with {figures['records']} records each: greeted p50 {figures['greeted_p50_ms'] / 1000:.1f} s, "
              f"p99 {figures['greeted_p99_ms'] / 1000:.1f} s, last {figures['greeted_max_ms'] / 1000:.1f} s; told to wait {figures['told_to_wait']} times; "
              f"all acknowledged after {figures['drained_ms'] / 1000:.1f} s; broker held at most {figures['broker_peak']} messages of "
              f"{figures['limit']}, dropped {figures['broker_dropped']}; {figures['resent']} frames sent again; {figures['threads']} threads")
    for line in wrong:
        print(f"FAILED: {line}", file=sys.stderr)
    road.leave(folder, not wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
