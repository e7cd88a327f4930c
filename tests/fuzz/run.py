#!/usr/bin/env python3
"""Runs the fuzz entries, each from a corpus that begins with the project's samples.

    run.py BIN_DIR CORPUS_DIR [--minutes N] [NAME...]

What was found stays in CORPUS_DIR and the next run goes on from it. Exit 1 when an entry crashed, ran out of time or
memory on one input, or could not run; the input lies in CORPUS_DIR/NAME.found, and NAME_fuzz FILE replays it.
"""
import argparse
import json
import os
import pathlib
import re
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


SEEDS = {"frame": frame_seeds, "codec": codec_seeds, "record_json": json_seeds, "record_body": body_seeds}


def fuzz(program, corpus, seeds, seconds):
    """(executions, inputs kept, what went wrong)"""
    corpus.mkdir(parents=True, exist_ok=True)
    for n, seed in enumerate(seeds):
        (corpus / f"seed-{n:04}").write_bytes(seed)
    found = corpus.with_suffix(".found")
    found.mkdir(exist_ok=True)
    argv = [str(program), str(corpus), f"-artifact_prefix={found}/", f"-max_total_time={seconds}", "-print_final_stats=1", "-timeout=10",
            "-rss_limit_mb=2048"]
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", env={**os.environ, "ASAN_OPTIONS": "detect_leaks=1"})
    executions = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
    count = int(executions[1]) if executions else 0
    wrong = "" if done.returncode == 0 and count > 0 else done.stderr[-4000:]
    return count, len(list(corpus.iterdir())), wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bin", type=pathlib.Path)
    parser.add_argument("corpus", type=pathlib.Path)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SEEDS)}; all when none is named")
    parser.add_argument("--minutes", type=float, default=1, help="for each of them")
    args = parser.parse_args()
    if unknown := set(args.names) - set(SEEDS):
        parser.error(f"{', '.join(unknown)}: known are {', '.join(SEEDS)}")
    passed = failed = 0
    for name in args.names or SEEDS:
        count, kept, wrong = fuzz(args.bin / f"{name}_fuzz", args.corpus / name, SEEDS[name](), int(args.minutes * 60))
        print(f"{name:<12} {count:>12,} executions  {kept:>6,} inputs  {'FAILED' if wrong else 'ok'}", flush=True)
        if wrong:
            print(wrong, file=sys.stderr)
        passed, failed = passed + (not wrong), failed + bool(wrong)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
