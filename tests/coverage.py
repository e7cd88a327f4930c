#!/usr/bin/env python3
"""Branch coverage of the core by the unit tests and 2,000 seeds of the simulator.

    coverage.py BUILD_DIR [--missing] [--seeds N] [--json FILE]

BUILD_DIR is of the preset `coverage`. A branch is one outcome of one condition, as clang counts them: `a && b` has four. Left out
is what is no decision of the product; decisions.py says by which rules. Exit 1 when a group is under its limit.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys

from decisions import no_decisions

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIMIT = 98.0
GROUPS = {
    "edge/session": "edge/session*.cpp",
    "edge/lanes": "edge/lanes.cpp",
    "edge/buffer": "edge/buffer*.cpp",
    "cloud/reconciler": "cloud/reconciler*.cpp",
}


def run_all(build, profile_dir, seeds):
    programs = [["unit-edge", "-#", "~[#link_test]"], ["unit-cloud"], ["egret-sim", "--seeds", str(seeds), "--jobs", "2"]]
    for argv in programs:
        env = {"LLVM_PROFILE_FILE": str(profile_dir / f"{argv[0]}-%m.profraw"), "PATH": "/usr/bin:/bin"}
        done = subprocess.run([str(build / "bin" / argv[0]), *argv[1:]], env=env, capture_output=True, text=True, cwd=ROOT)
        if done.returncode != 0:
            raise SystemExit(f"{argv[0]}: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return [str(build / "bin" / argv[0]) for argv in programs]


def exported(build, seeds):
    profiles = build / "profiles"
    profiles.mkdir(exist_ok=True)
    for old in profiles.glob("*.profraw"):
        old.unlink()
    binaries = run_all(build, profiles, seeds)
    merged = profiles / "all.profdata"
    subprocess.run(["llvm-profdata-19", "merge", "-o", merged, *profiles.glob("*.profraw")], check=True)
    sources = sorted(str(path) for pattern in GROUPS.values() for path in ROOT.glob(pattern))
    objects = [word for binary in binaries[1:] for word in ("-object", binary)]
    out = subprocess.run(["llvm-cov-19", "export", binaries[0], *objects, "-instr-profile", merged, *sources], check=True, capture_output=True)
    return json.loads(out.stdout)["data"][0]["files"]


def branches_of(entry):
    """{(line, column, outcome): times} of one file; a template or an inlined copy counts with the others."""
    text = pathlib.Path(entry["filename"]).read_text()
    begins = [0, *(m.end() for m in re.finditer("\n", text))]
    parts = no_decisions(text)
    taken = {}
    for line, column, _, _, true_count, false_count, *_ in entry["branches"]:
        at = begins[line - 1] + len(text[begins[line - 1]:].encode()[:column - 1].decode())
        if any(begin <= at < end for begin, end in parts):
            continue
        for outcome, count in ((True, true_count), (False, false_count)):
            taken[line, column, outcome] = taken.get((line, column, outcome), 0) + count
    return taken


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--missing", action="store_true", help="name each outcome that never came")
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    by_file = {pathlib.Path(e["filename"]).relative_to(ROOT): branches_of(e) for e in exported(args.build.resolve(), args.seeds)}
    report, under = {}, False
    for group, pattern in GROUPS.items():
        files = {name: taken for name, taken in by_file.items() if name.match(pattern)}
        total = sum(len(taken) for taken in files.values())
        hit = sum(count > 0 for taken in files.values() for count in taken.values())
        percent = 100 * hit / total
        under |= percent < LIMIT
        report[group] = {"branches": total, "taken": hit, "percent": round(percent, 2)}
        print(f"{group:18} {hit:5} of {total:5} branches  {percent:6.2f} %  {'ok' if percent >= LIMIT else f'under {LIMIT} %'}")
        for name, taken in sorted(files.items()) if args.missing else []:
            source = (ROOT / name).read_text().splitlines()
            for (line, column, outcome), count in sorted(taken.items()):
                if not count:
                    print(f"  {name}:{line}:{column} never {str(outcome).lower()}: {source[line - 1].strip()}")
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n")
    return 1 if under else 0


if __name__ == "__main__":
    sys.exit(main())
