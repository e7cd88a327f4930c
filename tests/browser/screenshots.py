#!/usr/bin/env python3
"""The pictures of the README: a region of 547 sites in a typhoon, one of its sites, and a clinic's own page, as Chromium shows them.

    screenshots.py BIN_DIR [OUT_DIR=packaging/screenshots]

Each is a palette PNG under 150 KB (pngquant). Exit 1 when one is not.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / name) for name in ("e2e", "fleet", "browser")]
import browser_test  # noqa: E402
import live_region  # noqa: E402
import road  # noqa: E402

BYTES_MAX = 150 * 1024
WAIT_S = 300
WIDTH, HEIGHT = 1280, 900


def site_of(region, what):
    """The first that this happens to."""
    change = next(c for c in region.weather.changes if f"({what}:" in c.say)
    return change.commands[0].split()[1]


def shoot(region, work, out, pictures):
    shutil.copy(ROOT / "tests" / "browser" / "screenshots.mjs", work / "screenshots.mjs")
    subprocess.run(["node", "screenshots.mjs"], cwd=work, check=True, timeout=WAIT_S, env={
        **os.environ, "EGRET_CHROMIUM": shutil.which("chromium"), "EGRET_PICTURES": json.dumps(pictures), "EGRET_SHOTS": str(out), "EGRET_SIZE": f"{WIDTH}x{HEIGHT}"})


def small(out, pictures):
    good = True
    for picture in pictures:
        file = out / f"{picture['name']}.png"
        subprocess.run(["pngquant", "--force", "--skip-if-larger", "--speed", "1", "--output", file, "64", file], check=False)
        print(f"{file.relative_to(ROOT) if file.is_relative_to(ROOT) else file}: {file.stat().st_size / 1024:.0f} KB")
        good = good and file.stat().st_size <= BYTES_MAX
    return good


def attention(region):
    rows = json.loads(region.page("/api/facilities") or '{"facilities":[]}')["facilities"]
    return [row["attention"] for row in rows]


def main():
    bin_dir = pathlib.Path(sys.argv[1])
    out = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else ROOT / "packaging" / "screenshots").resolve()
    out.mkdir(parents=True, exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="screenshots-"))
    work = browser_test.tools(pathlib.Path(os.environ.get("EGRET_NPM_DIR", folder / "npm")))
    if work is None or shutil.which("chromium") is None or shutil.which("pngquant") is None:
        print("chromium, pngquant and npm's packages are wanted", file=sys.stderr)
        return 1
    live_region.many_files()
    region = live_region.LiveRegion(folder, bin_dir, past=(15, 6))
    ending = threading.Event()
    good = False
    try:
        region.up()
        region.work()
        road.wait_for("all links", region.all_linked, WAIT_S, 0.2)
        road.wait_for("what was waiting", lambda: region.stand()["waiting"] < len(region.all), WAIT_S, 0.2)
        threading.Thread(target=region.play, args=(print, ending), daemon=True).start()
        road.wait_for("silent sites", lambda: attention(region).count("silent") >= 40, WAIT_S, 0.5)
        page = f"http://127.0.0.1:{region.page_port}/"
        pictures = [{"name": "overview", "url": page, "wait": ".tile"}, {"name": "overview-dark-zh", "url": page, "wait": ".tile", "dark": True, "locale": "zh-CN"},
                    {"name": "site", "url": f"{page}#/site/{site_of(region, 'thin line')}", "wait": "main table"},
                    {"name": "clinic", "url": f"http://127.0.0.1:{region.pages[region.real[0]]}/", "wait": "h1"}]
        shoot(region, work, out, pictures)
        good = small(out, pictures)
    finally:
        ending.set()
        region.stop()
        road.leave(folder, good)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
