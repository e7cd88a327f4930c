#!/usr/bin/env python3
"""The demo: five sites, a broker, the region; power and links fail; then the books are compared.

    demo.py BIN_DIR [--keep]

Prints what happens in plain words. The last line is the checker's JSON; exit 0 only when nothing is missing.
With --keep the sites stay fed and the page's URL is the last line, until Ctrl-C.
"""
import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import road

SITES = ["gulangyu", "jimei", "siming", "tongan", "xiangan"]
OUTAGE_S = 10


def say(text):
    print(f"  {text}", flush=True)


def totals(r):
    statuses = [r.status(f) for f in SITES]
    rows = [row for s in statuses if s for row in s["rows"]]
    return {"accepted": sum(s["accepted"] for s in statuses if s), "waiting": sum(s["waiting"]["records"] for s in statuses if s),
            "purged": sum(row["purged"] for row in rows)}


def back_up_and_confirm(r, folder, elsewhere):
    r.cloud_cli("backup", folder / "backup")
    elsewhere.mkdir(mode=0o700)
    shutil.copytree(folder / "backup", elsewhere / "copy")
    alike = ["--same-filesystem"] if os.stat(elsewhere).st_dev == os.stat(r.dir).st_dev else []
    return json.loads(r.cloud_cli("backup", "confirm", elsewhere / "copy", "--json", *alike).stdout)


def outage(r, folder, elsewhere):
    """Ten seconds without a broker. One site and the region are killed meanwhile; the region is backed up.
    Returns (faults, what the backup holds)."""
    r.broker.kill()
    back_at = time.monotonic() + OUTAGE_S
    time.sleep(2)
    r.agents["jimei"].kill()
    r.agents["jimei"].start()
    time.sleep(2)
    r.cloud.kill()
    r.cloud.start()
    say("meanwhile one site and the region have lost power (kill -9) and are up again")
    road.wait_for("the region", lambda: r.page("/api/facilities"))
    confirmed = back_up_and_confirm(r, folder, elsewhere)
    say(f"the region is backed up to other storage, read back and confirmed: {confirmed['records']} records; the sites may delete what it holds")
    time.sleep(max(0, back_at - time.monotonic()))
    r.broker.start()
    return 3, confirmed


def story(r, folder, elsewhere, producers):
    """Everything that happens, told while it does. Returns (faults, records purged, restores)."""
    say("five sites take results, telemetry and documents in and send them to the region")
    time.sleep(3)
    say(f"so far: {totals(r)['accepted']} records accepted, page at http://127.0.0.1:{r.page_port}/")

    say("the broker goes away for ten seconds")
    faults, confirmed = outage(r, folder, elsewhere)
    road.wait_for("the link", r.linked, 60)
    say(f"all are linked again; {totals(r)['waiting']} records wait at the sites, none is lost")
    purged = road.wait_for("the purge", lambda: totals(r)["purged"], 60, 0.2)
    say(f"the sites have deleted {purged} records that the backup holds")
    time.sleep(2)

    say("the region's disk is lost: it is restored from the backup, and asks the sites for what came after")
    r.cloud.kill()
    was = totals(r)
    r.cloud_cli("restore", elsewhere / "copy")
    r.cloud.start()
    say(f"restored, without {was['accepted'] - was['waiting'] - confirmed['records']} records that it had acknowledged since; the sites still have them")
    time.sleep(2)
    for p in producers:
        p.ending.set()
    for p in producers:
        p.finish()
    return faults + 1, purged, 1


def compare(r, folder, facts):
    """Exports until the region has everything, or for as long as that may take. Returns the checker's last word."""
    faults, purged, restores = facts
    export = folder / "export.ndjson"
    logs = sorted(folder.glob("*.accepted"))
    done = None

    def complete():
        nonlocal done
        r.export(export)
        done = r.run(sys.executable, road.ROOT / "tests/e2e/check_road.py", "--log", *logs, "--export", export, "--faults", faults,
                     "--purged", purged, "--restores", restores, check=False)
        return done.returncode == 0

    try:
        road.wait_for("the drain", lambda: r.drained() and r.linked(), 60, 0.2)
        # Sites may still believe ACKs of before the restore; their next HELLO tells them.
        road.wait_for("the refill", complete, 75, 0.5)
    except RuntimeError as late:
        say(str(late))
        complete()
    return done


def feed(r, folder, begin=0, **pace):
    producers = [road.Producer(r, fac, folder / f"{fac}.{begin}.accepted", begin + n + 1, **pace) for n, fac in enumerate(SITES)]
    for p in producers:
        p.start()
    return producers


def play(r, folder, elsewhere, keep):
    begun = time.monotonic()
    r.up()
    producers = feed(r, folder)
    try:
        facts = story(r, folder, elsewhere, producers)
        done = compare(r, folder, facts)
        verified = r.cloud_cli("verify", check=False)
        say("verify: " + verified.stdout.splitlines()[0])
        say(f"all of it took {time.monotonic() - begun:.0f} s")
        print(done.stdout.strip() or done.stderr.strip(), flush=True)
        if keep:
            producers += feed(r, folder, begin=100, per_post=5, pause=2, documents=False)
            say(f"left running; the page is at http://127.0.0.1:{r.page_port}/ and Ctrl-C ends it")
            signal.pause()
        return done.returncode or verified.returncode
    finally:
        for p in producers:
            p.ending.set()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bin")
    parser.add_argument("--keep", action="store_true", help="leave it running at the end, until Ctrl-C")
    args = parser.parse_args()
    for end in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(end, lambda number, _: sys.exit(128 + number))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="egret-demo-"))
    # /dev/shm is another file system: the copy of the backup that counts lies there.
    elsewhere = pathlib.Path("/dev/shm" if os.path.isdir("/dev/shm") else folder) / f"{folder.name}-backup"
    r = road.Road(folder, args.bin, SITES)
    failed = True
    try:
        code = play(r, folder, elsewhere, args.keep)
        failed = code != 0
        return code
    except KeyboardInterrupt:
        failed = False
        return 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is ending: a second Ctrl-C shall not cut that short
        r.stop()
        shutil.rmtree(elsewhere, ignore_errors=True)
        road.leave(folder, not failed)


if __name__ == "__main__":
    sys.exit(main())
