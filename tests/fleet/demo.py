#!/usr/bin/env python3
"""The demo of a whole region: hundreds of sites, one broker, one region, and weather from a scenario.

    demo.py BIN_DIR [--sites 547] [--keep] [--weather FILE] [--rate 0.2]

Plays the weather once and compares the books: what all sites have taken in against what the region has. The last line is the
comparison as JSON; exit 0 only when nothing is missing. With --keep the page's URL and a token are printed when the region
stands, and the weather begins again and again, until Ctrl-C.
"""
import argparse
import json
import pathlib
import signal
import sys
import tempfile
import threading
import time

import live_region
import road
import weather

WAIT_S = 120


def say(text):
    print(f"  {text}", flush=True)


def feed(region, folder, rate):
    """The real agents take in what producers post; the others make it themselves."""
    producers = [road.Producer(region, fac, folder / f"{fac}.accepted", n + 1, per_post=1, pause=1 / rate, documents=False) for n, fac in enumerate(region.real)]
    for p in producers:
        p.start()
    return producers


def what_to_look_at(region, token):
    page = f"http://127.0.0.1:{region.page_port}/"
    say(f"the region's page: {page}")
    say(f"sign in with this token to acknowledge, close and retry: {token}")
    say(f"a clinic's own page: http://127.0.0.1:{region.pages[region.real[0]]}/")
    say("look at: the overview while an outage goes on; a site of tongan (a thin line, its backlog and ETA); findings; models, version 2.5.0; quarantine of huli; gaps of haicang")


def compare(region):
    """Until the region has everything, or for as long as that may take."""
    region.tell(*(f"{what} {n} 0" for n in region.cores for what in ("rate", "telemetry")))
    books = {}

    def same():
        nonlocal books
        books = region.books()
        books["missing"] = books["accepted"] - sum(books[what] for what in ("committed", "duplicates", "quarantined", "gaps"))
        return books["missing"] == 0 and region.stand()["waiting"] == 0 and region.drained()

    try:
        road.wait_for("the drain", same, WAIT_S, 0.5)
    except RuntimeError as late:
        say(str(late))
    return books


def play(region, folder, args, ending):
    begun = time.monotonic()
    region.up()
    token = region.cloud_cli("token", "add", "demo", "--role", "operator").stdout.strip()
    region.work()
    producers = feed(region, folder, args.rate)
    try:
        say(f"{args.sites} sites in six districts greet the region, each with some days of work that it has not heard of")
        road.wait_for("all links", region.all_linked, WAIT_S, 0.2)
        road.wait_for("what was waiting", lambda: region.stand()["waiting"] < args.sites, WAIT_S, 0.2)
        say(f"all are linked, {region.books()['committed']} records are there after {time.monotonic() - begun:.0f} s")
        if args.keep:
            what_to_look_at(region, token)
            say("Ctrl-C ends it; the weather:")
        while not ending.is_set():
            region.play(say, ending)
            if not args.keep:
                break
            say("the weather begins again")
    finally:
        for p in producers:
            p.ending.set()
    for p in producers:
        p.finish()
    books = compare(region)
    print(json.dumps(books), flush=True)
    return 0 if books["missing"] == 0 else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bin")
    parser.add_argument("--sites", type=int, default=live_region.WHOLE)
    parser.add_argument("--keep", action="store_true", help="leave it running, with the weather again and again, until Ctrl-C")
    parser.add_argument("--weather", type=pathlib.Path, help="the scenario; default: tests/fleet/weather/typhoon.toml")
    parser.add_argument("--rate", type=float, default=0.2, help="records that a site takes in each second")
    args = parser.parse_args()
    if not 0 < args.rate <= 10:
        parser.error(f"--rate {args.rate}: more than 0, at most 10")
    for end in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(end, lambda number, _: sys.exit(128 + number))
    live_region.many_files()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="egret-region-"))
    region, failed = None, True
    try:
        region = live_region.LiveRegion(folder, args.bin, args.sites, args.rate, weather_file=args.weather)
        code = play(region, folder, args, threading.Event())
        failed = code != 0
        return code
    except (weather.Wrong, ValueError) as wrong:
        failed = False
        print(f"demo: {wrong}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        failed = False
        return 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is ending: a second Ctrl-C shall not cut that short
        if region is not None:
            region.stop()
        road.leave(folder, not failed)


if __name__ == "__main__":
    sys.exit(main())
