#!/usr/bin/env python3
"""The demo: five sites, a broker, the region; power and links fail; then the books are compared.

    demo.py BIN_DIR [--keep]

Prints what happens in plain words. The last line is the checker's JSON; exit 0 only when nothing is missing.
"""
import argparse
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import road

SITES = ["gulangyu", "jimei", "siming", "tongan", "xiangan"]


def say(text):
    print(f"  {text}", flush=True)


def totals(r):
    statuses = [r.status(f) for f in SITES]
    rows = [row for s in statuses if s for row in s["rows"]]
    return {"accepted": sum(s["accepted"] for s in statuses if s), "waiting": sum(s["waiting"]["records"] for s in statuses if s),
            "purged": sum(row["purged"] for row in rows), "falls": sum(s["counters"]["w_falls"] for s in statuses if s)}


def back_up_and_confirm(r, folder):
    r.cloud_cli("backup", folder / "backup")
    # /dev/shm is another file system: the copy that counts lies there.
    elsewhere = pathlib.Path(tempfile.mkdtemp(prefix="egret-backup-", dir="/dev/shm" if pathlib.Path("/dev/shm").is_dir() else None))
    shutil.copytree(folder / "backup", elsewhere / "copy")
    confirmed = json.loads(r.cloud_cli("backup", "confirm", elsewhere / "copy", "--json", *(["--same-filesystem"] if not str(elsewhere).startswith("/dev/shm") else [])).stdout)
    return elsewhere, confirmed


def story(r, folder, producers, keep):
    faults = 0
    say("five sites take results, telemetry and documents in and send them to the region")
    time.sleep(4)
    say(f"so far: {totals(r)['accepted']} records accepted, page at http://127.0.0.1:{r.page_port}/")

    say("the broker goes away for ten seconds; meanwhile one site and the region lose power (kill -9)")
    r.broker.kill()
    faults += 1
    time.sleep(3)
    victim = r.agents["jimei"]
    victim.kill()
    faults += 1
    victim.start()
    time.sleep(3)
    r.cloud.kill()
    faults += 1
    r.cloud.start()
    time.sleep(4)
    r.broker.start()
    road.wait_for("the link", lambda: all((r.status(f) or {}).get("linked") for f in SITES), 40)
    say(f"all are linked again; {totals(r)['waiting']} records wait at the sites, none is lost")

    elsewhere, confirmed = back_up_and_confirm(r, folder)
    say(f"the region is backed up to other storage, read back and confirmed: {confirmed['records']} records; the sites may delete what it holds")
    purged = road.wait_for("the purge", lambda: (lambda p: p if p > 0 else None)(totals(r)["purged"]), 75, 0.5)
    say(f"the sites have deleted {purged} records that the backup holds")

    say("the region's disk is lost: it is restored from the backup, and asks the sites for what came after")
    r.cloud.kill()
    faults += 1
    restored = json.loads(r.cloud_cli("restore", elsewhere / "copy", "--json").stdout)
    r.cloud.start()
    shutil.rmtree(elsewhere)
    say(f"restored; {len(restored['behind'])} sites were ahead of the backup")
    time.sleep(2)

    for p in producers:
        p.finish()
    road.wait_for("the drain", lambda: r.drained() and all((r.status(f) or {}).get("linked") for f in SITES), 60, 0.3)
    # ACKs of before the restore may still be believed for a moment: the next HELLO tells.
    time.sleep(1)
    export = folder / "export.ndjson"

    def complete():
        with open(export, "w") as out:
            subprocess.run([str(r.bin / "egret-cloud"), "export", "--raw", "--config", str(r.cloud_config)], stdout=out, check=True)
        return check(folder, export, faults, purged).returncode == 0

    try:
        road.wait_for("the refill", complete, 75, 1.0)
    except RuntimeError:
        pass
    verified = r.cloud_cli("verify", check=False)
    say("verify: " + verified.stdout.splitlines()[0])
    done = check(folder, export, faults, purged)
    if keep:
        print(json.dumps(json.loads(done.stdout), indent=None))
        print(f"  left running; the page is at http://127.0.0.1:{r.page_port}/ and Ctrl-C ends it", flush=True)
        signal.pause()
    print(done.stdout.strip(), flush=True)
    return done.returncode or verified.returncode


def check(folder, export, faults, purged):
    logs = [str(p) for p in sorted(folder.glob("*.accepted"))]
    return subprocess.run([sys.executable, str(road.ROOT / "tests/e2e/check_road.py"), "--log", *logs, "--export", str(export), "--faults", str(faults),
                           "--purged", str(purged), "--restores", "1"], capture_output=True, text=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bin")
    parser.add_argument("--keep", action="store_true", help="leave it running at the end, until Ctrl-C")
    args = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="egret-demo-"))
    r = road.Road(folder, args.bin, SITES)
    producers = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    failed = True
    try:
        r.up()
        producers = [road.Producer(r, fac, folder / f"{fac}.accepted", seed + 1) for seed, fac in enumerate(SITES)]
        for p in producers:
            p.start()
        code = story(r, folder, producers, args.keep)
        failed = code != 0
        return code
    except KeyboardInterrupt:
        failed = False
        return 130
    finally:
        for p in producers:
            p.ending.set()
        r.stop()
        if failed:
            print(f"  logs are in {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
