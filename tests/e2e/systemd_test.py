#!/usr/bin/env python3
"""The installed services under a real systemd: it runs as process 1 of namespaces of its own, on a copy of / in memory.

    systemd_test.py BUILD_DIR         wants root, for namespaces and mounts; leaves nothing behind

What is tested stands in systemd_inside.py, which that systemd runs.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve()
ROOT = HERE.parents[2]

# After a new mount and process namespace: an overlay over /, of which only memory is written to.
BOOT = """
set -e
folder=$1 repository=$2
root=$folder/root
mount --make-rprivate /
mount -t tmpfs -o size=2g tmpfs "$folder"
mkdir -p "$root" "$folder/upper" "$folder/work"
mount -t overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" overlay "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mkdir -p "$root/run/egret-test/repository" "$root/run/egret-test/out"
mount --bind "$repository" "$root/run/egret-test/repository"
mount --bind "$3" "$root/run/egret-test/out"
cp -a "$3/stage/." "$root/"
cp "$3"/egret-test.* "$root/etc/systemd/system/"
cd "$root"
mkdir -p old-root
pivot_root . old-root
export container=egret-test
exec /lib/systemd/systemd --system --unit=egret-test.target --log-target=null --show-status=0
"""
TARGET = """[Unit]
Requires=basic.target egret-test.service
After=basic.target
AllowIsolate=yes
"""
SERVICE = """[Unit]
After=basic.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c '/usr/bin/python3 /run/egret-test/repository/tests/e2e/systemd_inside.py; systemctl --no-block exit $?'
StandardOutput=file:/run/egret-test/out/said
StandardError=inherit
"""


def cgroup2():
    return pathlib.Path(next(line.split()[1] for line in open("/proc/self/mounts") if line.split()[2] == "cgroup2"))


def boot(folder, out):
    group = cgroup2() / f"egret-test-{os.getpid()}"
    group.mkdir()
    try:
        # The shell moves itself there first, so that the new systemd sees nothing above.
        enter = f'echo $$ > "{group}/cgroup.procs"; exec unshare --cgroup --mount --pid --fork --uts --ipc --kill-child bash -c "$0" boot "$@"'
        return subprocess.run(["setpriv", "--pdeathsig", "KILL", "--", "bash", "-c", enter, BOOT, folder, ROOT, out], timeout=240).returncode
    finally:
        for inner in sorted(group.rglob("*"), reverse=True):
            if inner.is_dir():
                inner.rmdir()
        group.rmdir()


def main(build):
    if os.geteuid() != 0:
        sys.exit("systemd_test.py: wants root")
    with tempfile.TemporaryDirectory(prefix="egret-systemd-") as folder, tempfile.TemporaryDirectory(prefix="egret-systemd-out-") as out:
        subprocess.run(["cmake", "-E", "env", f"DESTDIR={out}/stage", "cmake", "--install", build, "--prefix", "/usr"], check=True, stdout=subprocess.DEVNULL)
        (pathlib.Path(out) / "egret-test.target").write_text(TARGET)
        (pathlib.Path(out) / "egret-test.service").write_text(SERVICE)
        code = boot(folder, out)
        said = pathlib.Path(out) / "said"
        text = said.read_text() if said.exists() else "systemd did not come up\n"
        print(text, end="")
        return code if code or re.search(r"^OK", text, re.M) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
