#!/usr/bin/env python3
"""Holds the region's export against the producers' own log: was everything that was accepted committed, once, as it was?

    check_road.py --log FILE... --export FILE [--faults N] [--purged N] [--restores N] [--gaps-tell]

Log: a line a record that got its 2xx: facility, kind, SHA-256 of its body, and (for --gaps-tell: a missing record is
accounted for when a gap names its place) epoch, lane and number. Export: `egret-cloud export --raw`. The
content hash of an exported record is recomputed from its bytes, never believed. digest = SHA-256 over the sorted
(facility, kind, content hash), each as name, zero byte, kind as one byte, 32 bytes.
Prints one line of JSON; exit 1 when anything is missing, doubled, altered or not accounted for.
"""
import argparse
import base64
import hashlib
import json
import sys

KINDS = {"ai_result": 1, "review": 2, "identity_link": 3, "retraction": 4, "model_def": 5, "telemetry_batch": 6,
         "source_document": 7, "document_part": 8, "agent_event": 9}


def key_of(facility, kind, content):
    return facility.encode() + b"\0" + bytes([KINDS[kind]]) + bytes.fromhex(content)


def digest_of(keys):
    return hashlib.sha256(b"".join(sorted(keys))).hexdigest()


def read_log(paths):
    """{key: where it stood}"""
    accepted = {}
    for path in paths:
        with open(path) as lines:
            for line in lines:
                if line.endswith("\n"):
                    facility, kind, content, *place = line.split()
                    accepted.setdefault(key_of(facility, kind, content), (facility, *place))
    return accepted


def in_a_gap(place, gaps):
    facility, epoch, lane, number = place
    return any(gap["first"] <= int(number) <= gap["last"] for gap in gaps.get((facility, epoch, lane), []))


def read_export(path):
    """(applied keys with their count, altered records, {(facility, epoch, lane): gaps})"""
    applied, altered, gaps = {}, 0, {}
    with open(path) as lines:
        for line in lines:
            row = json.loads(line)
            if "gap" in row:
                gaps.setdefault((row["facility"], row["epoch"], row["stream"]), []).append(row["gap"])
                continue
            if row.get("disposition") != "applied":
                continue
            content = hashlib.sha256(base64.b64decode(row["body_b64"])).hexdigest()
            if content != row["content_sha256"]:
                altered += 1
            key = key_of(row["facility"], row["kind"], content)
            applied[key] = applied.get(key, 0) + 1
    return applied, altered, gaps


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", nargs="+", required=True)
    parser.add_argument("--export", required=True)
    parser.add_argument("--faults", type=int, default=0)
    parser.add_argument("--purged", type=int, default=0)
    parser.add_argument("--restores", type=int, default=0)
    parser.add_argument("--gaps-tell", action="store_true")
    args = parser.parse_args()
    accepted = read_log(args.log)
    applied, altered, gaps = read_export(args.export)
    told = set()
    if args.gaps_tell:
        told = {k for k, place in accepted.items() if k not in applied and in_a_gap(place, gaps)}
    missing = [k for k in accepted if k not in applied and k not in told]
    doubled = sum(n - 1 for n in applied.values())
    # A request whose answer was lost may have been kept without a 2xx: committed, and in nobody's log.
    of_accepted = [k for k in applied if k in accepted]
    agree = digest_of(of_accepted) == digest_of(accepted.keys() - told) and altered == 0
    print(json.dumps({"accepted": len(accepted), "committed": len(applied), "missing": len(missing), "duplicates": doubled,
                      "digests_agree": agree, "faults_injected": args.faults, "purged": args.purged, "restores": args.restores,
                      "altered": altered, "in_gaps": sum(g["last"] - g["first"] + 1 for of in gaps.values() for g in of),
                      **({"told_by_gaps": len(told)} if args.gaps_tell else {})}, separators=(",", ":")))
    return 0 if not missing and doubled == 0 and agree and accepted else 1


if __name__ == "__main__":
    sys.exit(main())
