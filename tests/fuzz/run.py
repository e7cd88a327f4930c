#!/usr/bin/env python3
"""Runs the fuzz entries, each from a corpus that begins with the project's samples and the entry's own seeds.

    run.py BIN_DIR CORPUS_DIR [--seconds N] [NAME...]      libFuzzer, N seconds each
    run.py BIN_DIR CORPUS_DIR --replay                     no fuzzing: seeds and what once broke an entry, each once

What was found stays in CORPUS_DIR and the next run goes on from it. Exit 1 when an entry crashed, ran out of time or
memory on one input, or could not run; the input lies in CORPUS_DIR/NAME.found, and NAME_fuzz FILE replays it.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data"
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
import road  # noqa: E402


def json_seeds():
    yield from (path.read_bytes() for path in sorted((DATA / "json" / "JSONTestSuite").glob("*.json")) if path.stat().st_size < 4096)
    ref = "ab" * 32
    lines = road.unzstd(DATA / "fhir/synthea/Observation.ndjson.zst").splitlines()[:200:10]
    results = [road.ai_result(line, ref, n) for n, line in enumerate(lines)]
    yield from (r.encode() for r in results)
    yield "\n".join(results[:3]).encode()
    yield json.dumps(road.model_def(*road.MODELS[0])).encode()
    scrapes = [json.loads(s) for s in road.unzstd(DATA / "telemetry/prometheus/node-exporter-2s.ndjson.zst").splitlines()[:3]]
    yield from (road.telemetry(s).encode() for s in scrapes if "body" in s)


def body_seeds():
    edits = bytes([0, 0, 7, 1, 1, 0, 40, 2, 2, 0, 90, 30, 3, 1, 0, 8])
    for seed in json_seeds():
        if seed.startswith(b'{"') and b"\n" not in seed:
            yield seed
            yield seed + b"\0" + edits


def codec_seeds():
    """codec 1, the length of what comes out, a zstd frame."""
    for path in sorted(DATA.rglob("*.json"))[:40] + sorted((DATA / "documents").iterdir()):
        raw = path.read_bytes()[:4096]
        packed = subprocess.run(["zstd", "-cq", "-3", f"--stream-size={len(raw)}"], input=raw, check=True, capture_output=True).stdout
        yield bytes([1]) + len(raw).to_bytes(3, "big") + packed
        yield bytes([0]) + len(raw).to_bytes(3, "big") + raw


def frame_seeds():
    for vector in json.loads((DATA / "frames" / "vectors.json").read_text()):
        yield bytes.fromhex(vector["frame"])


# Seeds out of the samples, beside those that an entry makes itself.
SAMPLES = {"frame": frame_seeds, "codec": codec_seeds, "record_json": json_seeds, "record_body": body_seeds}
PARTS = 8
REGRESSIONS = pathlib.Path(__file__).resolve().parent / "regressions"


def entries(binaries):
    return subprocess.run([binaries / "fuzz-replay", "--list"], check=True, capture_output=True, text=True).stdout.split()


def write_seeds(binaries, corpus):
    subprocess.run([binaries / "fuzz-replay", "--seeds", corpus], check=True)
    for name, seeds in SAMPLES.items():
        for n, seed in enumerate(seeds()):
            (corpus / name / f"seed-{n:04}").write_bytes(seed)


def replay(binaries, corpus):
    """In several processes: a link that was cut takes up to a second to say so, without any work."""
    shutil.rmtree(corpus, ignore_errors=True)
    corpus.mkdir(parents=True)
    write_seeds(binaries, corpus)
    parts = [subprocess.Popen([binaries / "fuzz-replay", f"{k}/{PARTS}", corpus, REGRESSIONS], stdout=subprocess.PIPE, text=True)
             for k in range(PARTS)]
    inputs = dict.fromkeys(entries(binaries), 0)
    for part in parts:
        for line in part.communicate()[0].splitlines():
            name, count = line.split()
            inputs[name] += int(count)
    for name, count in inputs.items():
        print(f"{name:<16}{count:>6} inputs")
    broken = [part for part in parts if part.returncode != 0]
    idle = [name for name, count in inputs.items() if count == 0]
    print(f"{len(inputs)} entries; without an input: {', '.join(idle) or 'none'}; {'BROKEN' if broken else 'all ran'}")
    return 1 if broken or idle else 0


def fuzz(program, corpus, regressions, seconds):
    """(executions, coverage with the seeds, coverage at the end, inputs kept, what went wrong)"""
    found = corpus.with_suffix(".found")
    found.mkdir(exist_ok=True)
    folders = [str(corpus)] + ([str(regressions)] if regressions.is_dir() else [])
    argv = [str(program), *folders, f"-artifact_prefix={found}/", f"-max_total_time={seconds}", "-print_final_stats=1", "-timeout=20",
            "-rss_limit_mb=2048", "-close_fd_mask=1"]
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", env={**os.environ, "ASAN_OPTIONS": "detect_leaks=1"})
    executions = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
    covered = [int(n) for n in re.findall(r"\bcov: (\d+)", done.stderr)] or [0]
    count = int(executions[1]) if executions else 0
    wrong = ""
    if done.returncode != 0 or count == 0:
        inputs = re.findall(r"Test unit written to (\S+)", done.stderr)
        wrong = done.stderr[-6000:] + "".join(f"\nrun it again: {program} {name}" for name in inputs)
    return count, covered[0], covered[-1], len(list(corpus.iterdir())), wrong


def run_all(names, args):
    print(f"{'entry':<16}{'executions':>12}{'a second':>10}{'covered':>9}{'new':>6}{'inputs':>8}", flush=True)
    failed = []
    for name in names:
        count, seeded, covered, kept, wrong = fuzz(args.bin / f"{name}_fuzz", args.corpus / name, REGRESSIONS / name, args.seconds)
        print(f"{name:<16}{count:>12,}{count / max(args.seconds, 1):>10,.0f}{covered:>9,}{covered - seeded:>6,}{kept:>8,}"
              f"{'  FAILED' if wrong else ''}", flush=True)
        if wrong:
            print(wrong, file=sys.stderr)
            failed.append(name)
    print(f"{len(names) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bin", type=pathlib.Path)
    parser.add_argument("corpus", type=pathlib.Path)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of the entries; all when none is named")
    parser.add_argument("--seconds", type=int, default=60, help="for each of them")
    parser.add_argument("--replay", action="store_true")
    args = parser.parse_args()
    known = entries(args.bin)
    if unknown := set(args.names) - set(known):
        parser.error(f"{', '.join(unknown)}: known are {', '.join(known)}")
    if args.replay:
        return replay(args.bin, args.corpus)
    write_seeds(args.bin, args.corpus)
    return run_all(args.names or known, args)


if __name__ == "__main__":
    sys.exit(main())
