#!/usr/bin/env python3
"""Power cuts at chosen steps of what is done rarely and must be right: keys made, a damaged store salvaged, a backup taken,
confirmed and restored.

    power_steps.py BIN_DIR SHIM [--every]

Each command runs again and again from the same state, with the power going at another step on the disk each time, until it
runs through; then it is run once more without a cut, and what it promises must hold. By default a sample of the steps, with
--every all of them.
"""
import argparse
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

import power
import road

SITE = "north"


class Bench:
    def __init__(self, home, bin_dir, shim, every, chance):
        self.home, self.bin, self.shim, self.every, self.chance = home, pathlib.Path(bin_dir), shim, every, chance
        self.state = home / "state"

    def fresh(self, template=None):
        shutil.rmtree(self.state, ignore_errors=True)
        if template:
            shutil.copytree(template, self.state, symlinks=True)
        else:
            self.state.mkdir()
        self.disk = power.Disk(self.state, self.home / "journal", self.shim)
        self.disk.power_on()

    def run(self, *argv, fuse=None, **more):
        """Under the shim; fuse None: without it."""
        env = {**os.environ, **(self.disk.env(fuse=fuse) if fuse is not None else {})}
        return subprocess.run([str(a) for a in argv], capture_output=True, text=True, env=env, **more)

    def cut(self, kept=None):
        return self.disk.cut(self.chance, kept)

    def steps(self, template, command, check, near_end=10):
        """Runs command(fuse) with the power going at chosen steps. check(done): done is None when it was cut. Returns (cuts, steps)."""
        self.fresh(template)
        done = command(1_000_000)
        assert done.returncode == 0, done.stderr
        self.disk.play()
        whole = self.count()
        self.cut("nothing")
        check(done)
        chosen = range(1, whole + 1) if self.every else sorted({*self.chance.sample(range(1, whole + 1), min(10, whole)), *range(max(1, whole - near_end), whole + 1)})
        cuts = 0
        for fuse in chosen:
            self.fresh(template)
            done = command(fuse)
            cuts += done.returncode == -9
            cut = self.cut()
            try:
                check(done if done.returncode == 0 else None)
            except AssertionError as wrong:
                raise AssertionError(f"power gone at step {fuse} of {whole}, {cut}: {wrong}") from None
        return cuts, whole

    def count(self):
        """Steps on the disk that the fuse counts: at least one for each entry of the journal that changed something."""
        entries, at = 0, 0
        data = (self.home / "journal").read_bytes()
        while at + power.HEADER.size <= len(data):
            what, first, second, length, *_ = power.HEADER.unpack_from(data, at)
            entries += 2 if what == b"s" else 1
            at += power.HEADER.size + first + second + length
        return entries


def expect(promise, holds, more=""):
    if not holds:
        raise AssertionError(f"{promise} {more}")


# ---- keys ----

def keys_of_a_site(b):
    """After a cut init runs again and ends well; a key it has told of is the one that stays."""
    argv = [b.bin / "egret-agent", "init", "--facility", SITE, "--region-key", "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
            "--broker", "mqtt://127.0.0.1:1", "--state-dir", b.state / "lib" / SITE, "--config", b.state / "etc" / "agent.toml", "--json"]

    def check(done):
        again = b.run(*argv)
        expect("init runs again", again.returncode == 0, again.stderr)
        expect("a key that was told stays", done is None or json.loads(done.stdout)["site_public_key"] == json.loads(again.stdout)["site_public_key"])

    return b.steps(None, lambda fuse: b.run(*argv, fuse=fuse), check)


def keys_of_a_region(b):
    argv = [b.bin / "egret-cloud", "init", "--config", b.state / "etc" / "cloud.toml", "--state-dir", b.state / "lib" / "cloud", "--broker", "mqtt://127.0.0.1:1", "--json"]

    def check(done):
        again = b.run(*argv)
        expect("init runs again", again.returncode == 0, again.stderr)
        expect("a key that was told stays", done is None or json.loads(done.stdout)["region_key"] == json.loads(again.stdout)["region_key"])

    return b.steps(None, lambda fuse: b.run(*argv, fuse=fuse), check)


# ---- a region with records, and a site with some that wait ----

def made_by_a_road(home, bin_dir):
    """Returns (folder of a region that holds records and a backup of fewer, folder of a site with records that wait)."""
    r = road.Road(home / "road", bin_dir, [SITE], tls=False, safe="commit", cloud_settings={"herd_window_s": "1"})
    producer = None
    try:
        r.up()
        road.wait_for("the link", lambda: (r.status(SITE) or {}).get("linked"), 30)
        producer = road.Producer(r, SITE, home / "accepted", 7, per_post=10, pause=0.05, documents=False)
        producer.start()
        time.sleep(1.5)
        r.cloud_cli("backup", r.dir / "backup")
        time.sleep(1)
        r.broker.kill()
        road.wait_for("records that wait", lambda: r.status(SITE)["waiting"]["records"] > 50)
        producer.finish()
    finally:
        if producer:
            producer.ending.set()
        r.stop()
    region = home / "region"
    region.mkdir()
    shutil.copytree(r.dir / "cloud", region / "cloud", ignore=shutil.ignore_patterns("*.sock"))
    shutil.copytree(r.dir / "backup", region / "backup")
    return region, r.dir


def digest(b, state):
    verified = b.run(b.bin / "egret-cloud", "verify", "--json", "--state-dir", state)
    return json.loads(verified.stdout)["digest"] if verified.returncode == 0 else None


def a_restore(b, region):
    """The old store or the backup, whole; never an empty one that has forgotten its sites."""
    state, backup = b.state / "cloud", b.state / "backup"
    b.fresh(region)
    before, after = digest(b, state), digest_of_copy(b, backup)
    expect("the backup is older", before and after and before != after)
    argv = [b.bin / "egret-cloud", "restore", backup, "--state-dir", state, "--json"]

    def check(done):
        now = digest(b, state)
        expect("after a restore that ended the backup is there", done is None or now == after, f"{now}")
        if not (state / "store").exists():
            config = b.home / "cloud.toml"
            if not config.exists():
                b.run(b.bin / "egret-cloud", "init", "--config", config, "--state-dir", b.home / "unused", "--broker", "mqtt://127.0.0.1:1")
                config.write_text(config.read_text().replace(str(b.home / "unused"), str(state)))
            served = b.run(b.bin / "egret-cloud", "serve", "--config", config, timeout=20)
            expect("the service does not begin an empty store", served.returncode == 78 and not (state / "store").exists(), served.stderr)
        else:
            expect("the old store or the backup", now in (before, after), f"{now}")
        again = b.run(*argv)
        expect("a restore runs again", again.returncode == 0, again.stderr)
        expect("and ends with the backup", digest(b, state) == after)

    return b.steps(region, lambda fuse: b.run(*argv, fuse=fuse), check, near_end=14)


def digest_of_copy(b, copy):
    state = b.home / "copy"
    shutil.rmtree(state, ignore_errors=True)
    shutil.copytree(copy, state / "store")
    return digest(b, state)


def a_backup(b, region):
    """A backup that was reported is there, and one that was confirmed stays, whoever copied it without a sync."""
    state, made, elsewhere = b.state / "cloud", b.state / "made", b.state / "elsewhere"
    b.fresh(region)
    done = b.run(b.bin / "egret-cloud", "backup", made, "--state-dir", state, fuse=0)
    expect("a backup is made", done.returncode == 0, done.stderr)
    b.cut("nothing")
    expect("a backup that was reported is there", made.exists() and digest_of_copy(b, made) == digest(b, state))
    done = b.run(sys.executable, "-c", "import shutil, sys; shutil.copytree(sys.argv[1], sys.argv[2])", made, elsewhere, fuse=0)
    expect("it is copied", done.returncode == 0, done.stderr)
    done = b.run(b.bin / "egret-cloud", "backup", "confirm", elsewhere, "--same-filesystem", "--state-dir", state, fuse=0)
    expect("the copy is confirmed", done.returncode == 0, done.stderr)
    b.cut("nothing")
    expect("a copy that was confirmed is there", elsewhere.exists() and digest_of_copy(b, elsewhere) == digest(b, state))
    return 2, 2


# ---- a store that was set aside ----

def a_salvage(b, site):
    """The list of files is destroyed, the records are not: all of them are in the new store in the end, whatever was cut."""
    template = b.home / "site"
    template.mkdir()
    shutil.copytree(site / SITE, template / SITE)
    waiting = names_in(b, template / SITE / "store")
    expect("records wait", len(waiting) > 50)
    (template / SITE / "store" / "CURRENT").write_bytes(b"not a name")
    config = b.home / "agent.toml"
    config.write_text((site / f"{SITE}.toml").read_text().replace(f"'{site / SITE}'", f"'{b.state / SITE}'").replace(str(site / f"{SITE}.sock"), str(b.home / "a.sock")))
    agent = [str(b.bin / "egret-agent"), "run", "--config", str(config)]

    def salvaged():
        try:
            c = road.UnixHttp(str(b.home / "a.sock"), 5)
            c.request("GET", "/healthz")
            c.getresponse().read()
        except OSError:
            return False
        return not list((b.state / SITE).glob("store.damaged-*[0-9]")) and list((b.state / SITE).glob("store.salvaged-*"))

    def run_until(fuse, ends):
        child = subprocess.Popen(agent, env={**os.environ, **(b.disk.env(fuse=fuse) if fuse else {})}, stderr=subprocess.PIPE, text=True, start_new_session=True)
        try:
            road.wait_for("the salvage", lambda: child.poll() is not None or ends(), 20)
        finally:
            child.terminate()
            child.wait(10)
            said = child.stderr.read()
            child.stderr.close()
        return subprocess.CompletedProcess(agent, child.returncode, "", said)

    def check(done):
        expect("a salvage that ended has everything", done is None or names_in(b, b.state / SITE / "store") >= waiting)
        after = run_until(0, salvaged)
        expect("the agent ends well", after.returncode == 0, after.stderr)
        missing = waiting - names_in(b, b.state / SITE / "store")
        expect("all records are in the new store", not missing, f"{len(missing)} of {len(waiting)} are not\n{after.stderr}")

    return b.steps(template, lambda fuse: run_until(fuse, salvaged), check, near_end=0)


def names_in(b, store):
    """The producers' ids of the results that a site's store would send."""
    copy = b.home / "look"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(store, copy)
    done = b.run(b.bin / "wire-look", "cut", copy, SITE, b.home / "bodies", b.home / "frames")
    expect("the store can be read", done.returncode == 0, done.stderr)
    return set(re.findall(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}-[0-9]+", (b.home / "bodies").read_bytes()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bin")
    parser.add_argument("shim")
    parser.add_argument("--every", action="store_true")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    home = pathlib.Path(tempfile.mkdtemp(prefix="egret-steps-"))
    b = Bench(home, args.bin, args.shim, args.every, random.Random(args.seed))
    good = False
    try:
        region, site = made_by_a_road(home, args.bin)
        for name, test in [("keys of a site", lambda: keys_of_a_site(b)), ("keys of a region", lambda: keys_of_a_region(b)), ("a backup", lambda: a_backup(b, region)),
                           ("a restore", lambda: a_restore(b, region)), ("a salvage", lambda: a_salvage(b, site))]:
            begun = time.monotonic()
            cuts, steps = test()
            print(f"{name}: {cuts} power cuts, of {steps} steps, {time.monotonic() - begun:.0f} s", flush=True)
        good = True
        return 0
    finally:
        if good:
            shutil.rmtree(home, ignore_errors=True)
        else:
            print(f"what is left is in {home}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
