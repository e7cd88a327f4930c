#!/usr/bin/env python3
"""Half of the region's line to its broker is lost, and nobody is told: the region hears again within a minute.

    half_open_test.py BIN_DIR
"""
import pathlib
import random
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import road
import world

NOTICED_S = 70  # 2.5 keep-alives of 20 s, and Paho looks every few seconds
SENT_AGAIN_S = 60  # what sites have repeated in vain waits for its turn: 5, 10, 20, 40 s


def connects(r):
    """How often the region's two connections were made."""
    return sum(int(n) for n in re.findall(r"^egret_cloud_broker_connects_total\{.*\} (\d+)", r.page("/metrics") or "", re.M))


def run(r, folder):
    r.up()
    producer = road.Producer(r, "north", folder / "north.accepted", 1, per_post=5, pause=0.2)
    producer.start()
    try:
        road.wait_for("the first records", lambda: r.linked() and producer.accepted > 100, 30)
        assert connects(r) == 2, connects(r)
        r.proxy.set("cloud", "down", cut=True, dead="silence")
        road.wait_for("a frame that is lost", lambda: r.proxy.count()["cloud"]["down"]["swallowed"] > 0)
        r.proxy.calm()
        lived = road.Lived()
        road.wait_for("a new connection", lambda: lived.now() and connects(r) >= 3, NOTICED_S, 0.5)
        print(f"noticed after {lived.now():.0f} s", flush=True)
        producer.resting.set()
        road.wait_for("what was sent in vain", lambda: lived.now() and not r.behind(), SENT_AGAIN_S, 0.5)
        print(f"everything arrived after {lived.now():.0f} s", flush=True)
    finally:
        producer.ending.set()


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="egret-half-open-"))
    r = world.World(folder, sys.argv[1], ["north"], random.Random(1))
    good = False
    try:
        run(r, folder)
        good = True
    finally:
        r.stop()
        road.leave(folder, good)


if __name__ == "__main__":
    main()
