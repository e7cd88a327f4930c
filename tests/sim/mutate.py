#!/usr/bin/env python3
"""Changes the core at random, one small change at a time, and asks whether any test notices.

A change swaps a comparison, drops a statement, is off by one, or turns a condition round. The changed file alone is compiled
(-O1, never cached) and linked with the objects of a build that is there; then run the core's unit tests, then seeds of the
simulator, and the first that fails ends it. A change that nothing notices is a survivor: it is equal to the original, or a guard
that another one backs, or a hole. tests/sim/mutate_known.txt says of each known survivor which it is.

  mutate.py BUILD_DIR --json FILE              at least 200; stopped and called again it goes on: what fell stays fallen,
                                               what survived is tried again
  mutate.py BUILD_DIR --json FILE --count 400  200 more
  mutate.py BUILD_DIR --list tests/sim/mutate_once.txt   what survived once, and must fall now
  mutate.py BUILD_DIR --only edge/lanes.cpp:44
BUILD_DIR is of the preset `release` and has egret-sim and unit-mutants built.
exit 0 when at least 95 % of what compiled and is not equal to the original was killed (of fewer than 100: not asked), and
every survivor is explained; an explanation that begins with "equal:" says why nobody could tell
"""
import argparse
import concurrent.futures
import glob
import hashlib
import json
import os
import re
import resource
import shlex
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))
from decisions import no_decisions  # noqa: E402

KNOWN = os.path.join(ROOT, "tests/sim/mutate_known.txt")
CORE = ["edge/session*.cpp", "edge/lanes.cpp", "edge/cut.cpp", "edge/judge.cpp", "edge/buffer*.cpp", "cloud/reconciler*.cpp",
        "cloud/store*_kv.cpp", "cloud/txn_kv.cpp", "cloud/fold.cpp", "cloud/committer.cpp", "cloud/claims.cpp"]
KILLED_PERCENT_MIN, ENOUGH_TO_ASK = 95, 100
SEEDS_FIRST = 60  # most of what the simulator kills falls to these
# A change may loop or take all memory: processor time, for the machine may be busy; the clock, for it may sleep.
CPU_SECONDS_MAX, WALL_SECONDS_MAX, MEMORY_MAX = 60, 600, 4 << 30

# Tests with threads and clocks may fail of a busy machine.
CERTAIN = '~[#mqtt_test] ~"reading beside*" ~"* - PostgresBed"'
# Nothing here is about power cuts: a folder in memory syncs at once.
ENVIRONMENT = {**os.environ, **({"TMPDIR": "/dev/shm"} if os.path.isdir("/dev/shm") else {})}

SWAPS = {" < ": " <= ", " <= ": " < ", " > ": " >= ", " >= ": " > ", " == ": " != ", " != ": " == "}
TURNS = {" && ": " || ", " || ": " && ", "std::min(": "std::max(", "std::max(": "std::min("}
LEFT_ALONE = re.compile(r"mutant\(|Mutant::|\bturn\(|\bmark\(|met_session|EGRET_INVARIANT|static_assert|^\s*(//|#|\*)|^namespace|^using")
DECLARES = re.compile(r"^\s*(const|constexpr|static|auto|using|struct|class|enum|case|default|template|public|private|"
                      r"(std::)?\w+(::\w+)*(<.*>)?[&*]? \w+( =|;|\{|\())")
# What only words or counts for people, not for the protocol.
WORDS = re.compile(r"\bnotice\(|Notice::|counts\.|std::string\(|\"[^\"]*\"|Error\{|set_(agent_version|wall_us|mono_ms|boot_id|"
                   r"link_bytes_per_s|disk_used|disk_hours_left|certificate_ends_s|accepted_total|shed_total|refused_total|parked|w_falls_total|oldest)|"
                   r"h\.out\.|since = |why = |v\.\w+ = |reserve\(|vitals")


def changes_of(path):
    """Every change of one file: file, line number, kind, before, after."""
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        lines = f.read().split("\n")
    out = []
    previous = ";"
    begins = [0, *(m.end() for m in re.finditer("\n", "\n".join(lines)))]
    blocks = [part for part in no_decisions("\n".join(lines)) if "\n" in "\n".join(lines)[part[0]:part[1]]]
    for at, line in enumerate(lines):
        code = line.split("//")[0].rstrip()
        of_mutant = any(begin <= begins[at] < end for begin, end in blocks)
        if code and not of_mutant and not LEFT_ALONE.search(line) and not WORDS.search(line):
            out += [{"file": path, "line": at + 1, "kind": kind, "before": line.strip(), "after": after.strip()}
                    for kind, after in changes_of_line(code, previous)]
        if code:
            previous = code
    seen = {}
    for change in out:  # the same change of the same text, in another place
        text = (change["before"], change["after"])
        change["nth"] = seen[text] = seen.get(text, 0) + 1
    return out


def changes_of_line(code, previous):
    for old, new in SWAPS.items():
        for m in re.finditer(re.escape(old), code):
            yield "swap", code[:m.start()] + new + code[m.end():]
    for old, new in TURNS.items():
        for m in re.finditer(re.escape(old), code):
            yield "turn", code[:m.start()] + new + code[m.end():]
    m = re.match(r"^(\s*(?:\} else )?(?:if|while) \((?:[^;()]*(?:\([^()]*\)[^;()]*)*; )?)(.*)\)( \{| [^)]*;|)$", code)
    if m and m.group(2).count("(") == m.group(2).count(")") and m.group(3):
        yield "turn", f"{m.group(1)}!({m.group(2)})){m.group(3)}"
    for m in re.finditer(r"\b(true|false)\b", code):
        yield "turn", code[:m.start()] + {"true": "false", "false": "true"}[m.group()] + code[m.end():]
    for m in re.finditer(r"(?<![\w.'])(\d)(?![\w.'])", code):
        yield "off", code[:m.start()] + str(int(m.group(1)) + 1) + code[m.end():]
    for m in re.finditer(r"\.next\(\)", code):
        if not re.search(r"entropy", code):
            yield "off", code[:m.start()] + code[m.end():]
    whole = code.endswith(";") and previous[-1:] in ";{}:" and code.count("(") == code.count(")")
    if whole and code.startswith("  ") and not DECLARES.match(code) and not re.match(r"^\s*(return|\}|break)", code):
        yield "drop", ";"


def name_of(change):
    """The same whatever else of the file changes."""
    return "\n".join((change["file"], change["before"], change["after"], str(change["nth"])))


def drawn(changes, seed):
    """In an order by chance that other changes of the files do not upset."""
    return sorted(changes, key=lambda c: hashlib.sha256(f"{seed}\n{name_of(c)}".encode()).digest())


class Builder:
    """Compiles one changed file and links it into the programs that it is part of."""

    def __init__(self, build):
        self.build = build
        with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
            commands = [shlex.split(entry["command"]) for entry in json.load(f)]
        self.compilers = {command[-1]: command for command in commands if "egret_sim_world.dir" in " ".join(command)}
        self.links = {t: self.link_of(t) for t in ("egret-sim", "unit-mutants")}

    def link_of(self, target):
        listed = subprocess.run(["ninja", "-t", "commands", target], cwd=self.build, check=True, capture_output=True, text=True)
        command = listed.stdout.strip().split("\n")[-1]
        return [w for w in shlex.split(command) if w not in (":", "&&")]

    def object_of(self, path, changed, work):
        command = self.compilers[os.path.join(ROOT, path)]
        command = [w for w in command if not re.match(r"-O\d|-g\d?$|-W", w) and not w.endswith("ccache")] + ["-O1", "-w"]
        command[command.index("-o") + 1] = os.path.join(work, "changed.o")
        command[command.index("-c") + 1] = changed
        run(command, self.build)

    def program(self, target, work):
        link = list(self.links[target])
        link[link.index("-o") + 1] = os.path.join(work, target)
        link.insert(link.index("-o"), os.path.join(work, "changed.o"))  # before the library that has the unchanged one
        run(link, self.build)
        return os.path.join(work, target)


def bounded():
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS_MAX, CPU_SECONDS_MAX))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(command, cwd):
    return subprocess.run(command, cwd=cwd, check=True, timeout=WALL_SECONDS_MAX, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", preexec_fn=bounded, env=ENVIRONMENT)


def failure_of(command, cwd):
    """How the program fails, in a few words; nothing when it does not."""
    try:
        run(command, cwd)
    except subprocess.TimeoutExpired:
        return "does not end"
    except subprocess.CalledProcessError as e:
        if e.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
            return "does not end"
        found = re.search(r"^-{20,}\n([^\n]+)\n|^(seed \d+: .*)$", e.stdout or "", re.M)
        return (found[1] or found[2]).strip() if found else "an abort"
    return ""


def try_change(builder, change, seeds):
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="egret-mutate-") as work:
        changed = os.path.join(work, os.path.basename(change["file"]))
        with open(os.path.join(ROOT, change["file"]), encoding="utf-8") as f:
            lines = f.read().split("\n")
        lines[change["line"] - 1] = change["after"]
        with open(changed, "w", encoding="utf-8") as f:
            f.write("\n".join(lines))
        result, by = verdict(builder, change["file"], changed, work, seeds)
    return {**change, "result": result, "by": by, "seconds": round(time.monotonic() - begun, 1)}


def verdict(builder, path, changed, work, seeds):
    try:
        builder.object_of(path, changed, work)
    except subprocess.CalledProcessError:
        return "did not compile", ""
    first = min(seeds, SEEDS_FIRST)
    trials = [("unit-mutants", ["-a", "-#", CERTAIN]), ("egret-sim", ["--jobs", "1", "--seeds", str(first)])]
    if seeds > first:
        trials.append(("egret-sim", ["--jobs", "1", "--from", str(first + 1), "--seeds", str(seeds - first)]))
    program = {}
    for target, args in trials:
        program[target] = program.get(target) or builder.program(target, work)
        by = failure_of([program[target], *args], builder.build)
        if by:
            return "killed", f"{target}: {by}"
    return "survived", ""


def entries_of(path):
    """Each entry: file, - before, + after, words."""
    out = []
    with open(path, encoding="utf-8") as f:
        text = "\n".join(line for line in f.read().split("\n") if not line.startswith("#"))
    for entry in text.split("\n\n"):
        lines = [line for line in entry.split("\n") if line]
        if len(lines) >= 4:
            out.append(((lines[0], lines[1].removeprefix("- "), lines[2].removeprefix("+ ")), " ".join(lines[3:])))
    return out


def listed(changes, path):
    """The changes that a file names; a name that is none any more is an error."""
    by_text = {}
    for c in changes:
        by_text.setdefault((c["file"], c["before"], c["after"]), []).append(c)
    gone = [text for text, _ in entries_of(path) if text not in by_text]
    if gone:
        raise SystemExit(f"{path} names what is no change of the present text; say it anew:\n" + "\n".join(map(str, gone)))
    return [c for text, _ in entries_of(path) for c in by_text[text]]


def show(r):
    print(f"{r['result']:<16}{r['file']}:{r['line']} {r['kind']}  {r['seconds']} s  {r['by']}", flush=True)
    if r["result"] == "survived":
        print(f"    - {r['before']}\n    + {r['after']}\n    {r['why'] or 'NOT EXPLAINED'}", flush=True)


class Results:
    """What is known of each change; kept in a file, one JSON a line, the last word on each counts."""

    def __init__(self, path, changes):
        self.out, self.known = None, {}
        if not path:
            return
        now = {name_of(c): c for c in changes}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                for line in f:
                    r = json.loads(line)
                    if name_of(r) in now:
                        self.known[name_of(r)] = {**r, "line": now[name_of(r)]["line"]}
        self.out = open(path, "a", encoding="utf-8")

    def add(self, r):
        self.known[name_of(r)] = r
        if self.out:
            print(json.dumps(r), file=self.out, flush=True)

    def compiled(self):
        return [r for r in self.known.values() if r["result"] != "did not compile"]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("build")
    ap.add_argument("--count", type=int, default=200, help="how many that compile")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--seeds", type=int, default=300, help="of the simulator, for each change")
    ap.add_argument("--jobs", type=int, default=2)
    ap.add_argument("--only", help="FILE, or FILE:LINE")
    ap.add_argument("--list", help="the changes that this file names")
    ap.add_argument("--json", help="the results are kept here")
    a = ap.parse_args()
    files = sorted(os.path.relpath(f, ROOT) for pattern in CORE for f in glob.glob(os.path.join(ROOT, pattern)))
    changes = [c for f in files for c in changes_of(f)]
    chosen = drawn(changes, a.seed)
    if a.only:
        chosen = [c for c in chosen if a.only in (c["file"], f"{c['file']}:{c['line']}")]
    if a.list:
        chosen = listed(changes, a.list)
    results = Results(a.json, changes)
    why = dict(entries_of(KNOWN))
    builder = Builder(os.path.abspath(a.build))
    begun = time.monotonic()
    # Of what is known, survivors alone are tried again: the tests have changed.
    settled = {name for name, r in results.known.items() if r["result"] != "survived"}
    left = iter([c for c in chosen if name_of(c) not in settled])
    compiled = sum(results.known[n]["result"] == "killed" for n in settled)
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        waiting = set()
        while True:
            while len(waiting) < a.jobs and compiled + len(waiting) < a.count and (change := next(left, None)):
                waiting.add(pool.submit(try_change, builder, change, a.seeds))
            if not waiting:
                break
            done, waiting = concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
            for r in (f.result() for f in done):
                compiled += r["result"] != "did not compile"
                r["why"] = why.get((r["file"], r["before"], r["after"]), "")
                results.add(r)
                show(r)
    return summary(results, len(changes), time.monotonic() - begun, why)


def summary(results, candidates, seconds, why):
    compiled = results.compiled()
    killed = [r for r in compiled if r["result"] == "killed"]
    survived = [r for r in compiled if r["result"] == "survived"]
    dark = [r for r in survived if not why.get((r["file"], r["before"], r["after"]))]
    by_unit = sum(r["by"].startswith("unit-") for r in killed)
    equal = sum(why.get((r["file"], r["before"], r["after"]), "").startswith("equal:") for r in survived)
    percent = 100 * len(killed) / max(len(compiled) - equal, 1)
    print(f"{len(compiled)} of {candidates} possible changes tried ({len(results.known) - len(compiled)} more did not compile; "
          f"{seconds:.0f} s this time): {len(killed)} killed ({by_unit} by unit tests, {len(killed) - by_unit} by the simulator), "
          f"{len(survived)} survived, {equal} of them equal to the original, {len(dark)} not explained: {percent:.1f} % of those "
          f"that change anything were killed, {100 * len(killed) / max(len(compiled), 1):.1f} % of all")
    enough = len(compiled) < ENOUGH_TO_ASK or percent >= KILLED_PERCENT_MIN
    return 0 if compiled and enough and not dark else 1


if __name__ == "__main__":
    sys.exit(main())
