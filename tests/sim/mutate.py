#!/usr/bin/env python3
"""Changes the core at random, one small change at a time, and asks whether any test notices.

A change swaps a comparison, drops a statement, is off by one, or turns a condition round. The changed file alone is
compiled and linked with the objects of a build that is there; then run the core's unit tests and seeds of the simulator.
A change that nothing notices is a survivor: it is equal to the original, or a guard that another one backs, or a hole.
tests/sim/mutate_known.txt says of each known survivor which it is.

  mutate.py BUILD_DIR --count 200          the whole; BUILD_DIR has egret-sim and unit-mutants built
  mutate.py BUILD_DIR --count 12 --seed 7  a sample
  mutate.py BUILD_DIR --only edge/lanes.cpp:44
exit 0 when at least 95 % of what compiled was killed, and every survivor is explained
"""
import argparse
import concurrent.futures
import glob
import json
import os
import random
import re
import shlex
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KNOWN = os.path.join(ROOT, "tests/sim/mutate_known.txt")
CORE = ["edge/session*.cpp", "edge/lanes.cpp", "edge/cut.cpp", "edge/judge.cpp", "edge/buffer*.cpp",
        "cloud/reconciler*.cpp", "cloud/store_kv.cpp", "cloud/fold.cpp", "cloud/committer.cpp", "cloud/claims.cpp"]
SECONDS_MAX = {"compile": 240, "link": 120, "unit": 150, "sim": 240}
KILLED_PERCENT_MIN = 95

SWAPS = {" < ": " <= ", " <= ": " < ", " > ": " >= ", " >= ": " > ", " == ": " != ", " != ": " == "}
LEFT_ALONE = re.compile(r"mutant\(|Mutant::|\bturn\(|\bmark\(|met_session|EGRET_INVARIANT|static_assert|^\s*(//|#|\*)|^namespace|^using")
DECLARES = re.compile(r"^\s*(const|constexpr|static|auto|using|struct|class|enum|case|default|template|public|private|"
                      r"(std::)?\w+(::\w+)*(<.*>)?[&*]? \w+( =|;|\{|\())")
# What only words or counts for people, not for the protocol.
WORDS = re.compile(r"\bnotice\(|Notice::|counts\.|std::string\(|\"[^\"]*\"|Error\{|set_(agent_version|wall_us|mono_ms|boot_id|"
                   r"link_bytes_per_s|disk_used|accepted_total|shed_total|refused_total|parked|w_falls_total|oldest)|"
                   r"h\.out\.|since = |why = |v\.\w+ = |reserve\(|vitals")


def changes_of(path):
    """Every change of one file: (path, line number, kind, before, after)."""
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        lines = f.read().split("\n")
    out = []
    inside = False
    previous = ";"
    for at, line in enumerate(lines):
        code = line.split("//")[0].rstrip()
        if code and not LEFT_ALONE.search(line) and not WORDS.search(line):
            out += [(path, at, kind, line, after) for kind, after in changes_of_line(code, previous)]
        inside = inside or bool(code)
        if code:
            previous = code
    return out


def changes_of_line(code, previous):
    for old, new in SWAPS.items():
        for m in re.finditer(re.escape(old), code):
            yield "swap", code[:m.start()] + new + code[m.end():]
    for old, new in ((" && ", " || "), (" || ", " && ")):
        for m in re.finditer(re.escape(old), code):
            yield "turn", code[:m.start()] + new + code[m.end():]
    m = re.match(r"^(\s*(?:\} else )?(?:if|while) \((?:[^;()]*(?:\([^()]*\)[^;()]*)*; )?)(.*)\)( \{| [^)]*;|)$", code)
    if m and m.group(2).count("(") == m.group(2).count(")") and m.group(3):
        yield "turn", f"{m.group(1)}!({m.group(2)})){m.group(3)}"
    for m in re.finditer(r"(?<![\w.'])(\d)(?![\w.'])", code):
        yield "off", code[:m.start()] + str(int(m.group(1)) + 1) + code[m.end():]
    for m in re.finditer(r"\.next\(\)", code):
        if not re.search(r"entropy", code):
            yield "off", code[:m.start()] + code[m.end():]
    whole = code.endswith(";") and previous[-1:] in ";{}:" and code.count("(") == code.count(")")
    if whole and code.startswith("  ") and not DECLARES.match(code) and not re.match(r"^\s*(return|\}|break)", code):
        yield "drop", re.match(r"\s*", code).group(0) + ";"


class Builder:
    """Compiles one changed file and links it into the programs that it is part of."""

    def __init__(self, build):
        self.build = build
        with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
            self.entries = json.load(f)
        self.links = {t: self.link_of(t) for t in ("egret-sim", "unit-mutants")}

    def link_of(self, target):
        listed = subprocess.run(["ninja", "-t", "commands", target], cwd=self.build, check=True, capture_output=True, text=True)
        command = listed.stdout.strip().split("\n")[-1]
        return [w for w in shlex.split(command) if w not in (":", "&&")]

    def program(self, target, path, changed, work):
        """The program with the changed file in it; raises CalledProcessError."""
        link = list(self.links[target])
        commands = [shlex.split(e["command"]) for e in self.entries if e["file"] == os.path.join(ROOT, path)]
        command = next(c for c in commands if "egret_sim_world.dir" in c[c.index("-o") + 1])
        made = os.path.join(work, "changed.o")
        if not os.path.exists(made):
            compiler = [w for w in command if not re.match(r"-O\d|-g\d?$|-W", w)] + ["-O1", "-w"]
            compiler[compiler.index("-o") + 1] = made
            compiler[compiler.index("-c") + 1] = changed
            run(compiler, SECONDS_MAX["compile"], self.build)
        link[link.index("-o") + 1] = os.path.join(work, target)
        link.insert(link.index("-o"), made)  # before the library that has the unchanged one
        run(link, SECONDS_MAX["link"], self.build)
        return os.path.join(work, target)


def run(command, seconds, cwd=None):
    return subprocess.run(command, cwd=cwd, check=True, timeout=seconds, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace")


def last_word(output, pattern):
    found = re.findall(pattern, output or "", re.M)
    return found[0].strip() if found else "an abort"


def try_change(builder, change, seeds):
    path, at, kind, before, after = change
    begun = time.monotonic()
    record = {"file": path, "line": at + 1, "kind": kind, "before": before.strip(), "after": after.strip()}
    with tempfile.TemporaryDirectory(prefix="egret-mutate-") as work:
        changed = os.path.join(work, os.path.basename(path))
        with open(os.path.join(ROOT, path), encoding="utf-8") as f:
            lines = f.read().split("\n")
        lines[at] = after
        with open(changed, "w", encoding="utf-8") as f:
            f.write("\n".join(lines))
        record["result"], record["by"] = verdict(builder, path, changed, work, seeds)
    record["seconds"] = round(time.monotonic() - begun, 1)
    return record


def verdict(builder, path, changed, work, seeds):
    unit = "unit-mutants"
    for target, args in ((unit, ["-a"]), ("egret-sim", ["--seeds", str(seeds), "--jobs", "1"])):
        try:
            program = builder.program(target, path, changed, work)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return "did not compile", ""
        try:
            run([program, *args], SECONDS_MAX["unit" if target == unit else "sim"], builder.build)
        except subprocess.TimeoutExpired:
            return "killed", f"{target}: does not end"
        except subprocess.CalledProcessError as e:
            if target == unit:
                return "killed", f"{unit}: " + last_word(e.stdout, r"^-{20,}\n([^\n]+)\n")
            return "killed", last_word(e.stdout, r"^(seed \d+: .*)$")
    return "survived", ""


def explained():
    """before => after of each known survivor."""
    known = {}
    if os.path.exists(KNOWN):
        with open(KNOWN, encoding="utf-8") as f:
            entries = f.read().split("\n\n")
        for entry in entries:
            lines = [line for line in entry.split("\n") if line and not line.startswith("#")]
            if len(lines) >= 4:
                known[(lines[0], lines[1].removeprefix("- "), lines[2].removeprefix("+ "))] = " ".join(lines[3:])
    return known


def show(r):
    print(f"{r['result']:<16}{r['file']}:{r['line']} {r['kind']}  {r['seconds']} s  {r['by']}", flush=True)
    if r["result"] == "survived":
        print(f"    - {r['before']}\n    + {r['after']}\n    {r['why'] or 'NOT EXPLAINED'}", flush=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("build")
    ap.add_argument("--count", type=int, default=200, help="how many that compile")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--seeds", type=int, default=300, help="of the simulator, for each change")
    ap.add_argument("--jobs", type=int, default=2)
    ap.add_argument("--only", help="FILE, or FILE:LINE")
    ap.add_argument("--json", help="a line a change into this file")
    a = ap.parse_args()
    files = sorted(os.path.relpath(f, ROOT) for pattern in CORE for f in glob.glob(os.path.join(ROOT, pattern)))
    changes = [c for f in files for c in changes_of(f)]
    if a.only:
        changes = [c for c in changes if a.only in (c[0], f"{c[0]}:{c[1] + 1}")]
    random.Random(a.seed).shuffle(changes)
    builder = Builder(os.path.abspath(a.build))
    known = explained()
    results, begun = [], time.monotonic()
    out = open(a.json, "w", encoding="utf-8") if a.json else None
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        waiting, left = set(), iter(changes)
        while True:
            compiled = sum(r["result"] != "did not compile" for r in results)
            while len(waiting) < a.jobs and compiled + len(waiting) < a.count:
                change = next(left, None)
                if change is None:
                    break
                waiting.add(pool.submit(try_change, builder, change, a.seeds))
            if not waiting:
                break
            done, waiting = concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
            for r in (f.result() for f in done):
                r["why"] = known.get((r["file"], r["before"], r["after"]), "")
                results.append(r)
                show(r)
                if out:
                    print(json.dumps(r), file=out, flush=True)
    return summary(results, len(changes), time.monotonic() - begun)


def summary(results, candidates, seconds):
    count = {w: sum(r["result"] == w for r in results) for w in ("killed", "survived", "did not compile")}
    compiled = count["killed"] + count["survived"]
    dark = [r for r in results if r["result"] == "survived" and not r["why"]]
    by_unit = sum(r["by"].startswith("unit-") for r in results)
    percent = 100 * count["killed"] / max(compiled, 1)
    print(f"{compiled} of {candidates} possible changes tried in {seconds:.0f} s ({count['did not compile']} more did not compile): "
          f"{count['killed']} killed = {percent:.1f} % ({by_unit} by unit tests, {count['killed'] - by_unit} by the simulator), "
          f"{count['survived']} survived, {len(dark)} of them not explained")
    return 0 if percent >= KILLED_PERCENT_MIN and not dark else 1


if __name__ == "__main__":
    sys.exit(main())
