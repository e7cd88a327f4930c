#!/usr/bin/env python3
"""Two reconcilers over one PostgreSQL with the same webhook: one of them tells, the other when that one is killed.

    alerts_several_test.py BIN_DIR
"""
import pathlib
import sys
import tempfile
import time

import postgres
import region
import road
from alerts_test import SECRET, SITE, Receiver, expect, ids, post
from results_test import result

EACH = 10


def told(receiver):
    return {e["result"] for e in receiver.taken}


def run(r, receiver):
    receiver.start()
    r.up()
    posted = 0

    def all_told(what):
        nonlocal posted
        for n in range(posted, posted + EACH):
            post(r, SITE, result(ids(n), 1, critical=True))
        posted += EACH
        begun = time.monotonic()
        road.wait_for(f"what was posted {what} to be told", lambda: len(told(receiver)) == posted, 60, 0.1)
        print(f"{what}: {EACH} told after {time.monotonic() - begun:.1f} s, {receiver.again} of all told twice", flush=True)

    all_told("with two reconcilers")
    expect("told twice with both there", receiver.again, 0)
    for n, cloud in enumerate(r.clouds):
        cloud.kill()
        all_told(f"with number {n} killed")
        cloud.start()
        road.wait_for("it to be back", r.healthy, 60)
        all_told("with both again")
    expect("every finding once by its id", len(receiver.taken), posted)
    expect("signed", receiver.bad, [])
    # A kill between the receiver's answer and the note of it, or one that was slow: a word or two, not all of them.
    if receiver.again > 2 * len(r.clouds):
        raise SystemExit(f"{receiver.again} of {posted} words came twice")


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="alerts-several-"))
    secret = folder / "secret"
    secret.write_bytes(SECRET + b"\n")
    receiver = Receiver(road.free_port())
    cluster = postgres.Postgres()
    settings = {"herd_window_s": "0", "webhook": f'"http://127.0.0.1:{receiver.port}/alerts"', "webhook_secret_file": f'"{secret}"'}
    r = region.Region(folder, sys.argv[1], [SITE], cluster.url(), 2, cloud_settings=settings)
    good = False
    try:
        run(r, receiver)
        good = True
        print("ok: of two reconcilers one tells, whichever is killed; nothing left out")
    finally:
        r.stop()
        cluster.stop()
        road.leave(folder, good)


if __name__ == "__main__":
    main()
