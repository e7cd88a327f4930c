#!/usr/bin/env python3
"""The change feed as a Parquet file: what a real region's feed has in its lines is what another implementation reads in the
file, digit for digit; what is cut off or is no feed makes no file.

    parquet_test.py BIN_DIR        77: npm cannot be reached
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import road

SITE = "clinic"
SKIPPED = 77
SCHEMA = [["cursor", "Utf8", False], ["change", "Utf8", False], ["facility", "Utf8", False], ["kind", "Utf8", True], ["epoch", "Utf8", False], ["stream", "Utf8", False],
          ["seq", "Uint64", False], ["content_sha256", "Utf8", True], ["record", "Utf8", True], ["body", "Binary", True]]
CSV = "cursor,change,facility,kind,epoch,stream,seq,content_sha256\n"
TOOL = road.ROOT / "packaging/parquet/changes-to-parquet.mjs"
READER = pathlib.Path(__file__).parent / "parquet"


def expect(what, seen, wanted):
    if seen != wanted:
        raise SystemExit(f"{what}: {seen!r}, expected {wanted!r}")


class Columns:
    """The tool and the reader, in a folder where npm has put what they need."""

    def __init__(self, folder):
        self.dir = pathlib.Path(os.environ.get("EGRET_NPM_DIR", folder / "npm"))
        self.dir.mkdir(parents=True, exist_ok=True)
        for file in (TOOL, READER / "package.json", READER / "read.mjs"):
            (self.dir / file.name).write_text(file.read_text())
        self.out = folder / "out"
        self.out.mkdir()

    def install(self):
        ours = json.loads((road.ROOT / "packaging/parquet/package.json").read_text())["dependencies"]
        tested = json.loads((READER / "package.json").read_text())["dependencies"]
        expect("what is tested is what is named", {name: tested.get(name) for name in ours}, ours)
        return road.npm_install(self.dir, "parquet-wasm")

    def write(self, name, feed, code=0):
        done = subprocess.run(["node", "changes-to-parquet.mjs", self.out / name], cwd=self.dir, input=feed.encode() if isinstance(feed, str) else feed, capture_output=True)
        expect(f"{name}: {done.stderr.decode()[-2000:]}", done.returncode, code)
        expect(f"{name}: nothing half is left", (self.out / f"{name}.part").exists(), False)
        return json.loads(done.stdout) if code == 0 else done.stderr.decode()

    def read(self, name):
        done = subprocess.run(["node", "read.mjs", self.out / name], cwd=self.dir, capture_output=True, text=True)
        expect(f"{name}: {done.stderr[-2000:]}", done.returncode, 0)
        lines = done.stdout.split("\n")[:-1]
        expect("the declared schema", json.loads(lines[0]), SCHEMA)
        return [json.loads(line) for line in lines[1:]]


def row_of(line):
    """What a line must become; the record is its text, not its meaning."""
    got = json.loads(line)
    record = line[line.index(',"record":') + len(',"record":'):-1] if "record" in got else None
    return {"cursor": got["cursor"], "change": got["change"], "facility": got["facility"], "kind": got.get("kind"), "epoch": got["epoch"], "stream": got["stream"],
            "seq": str(got["seq"]), "content_sha256": got.get("content_sha256"), "record": record, "body": got.get("body_hex")}


def line_of(seq, **more):
    head = f'{{"cursor":"9f3c000000000000-{seq}-0","change":"applied","facility":"{SITE}","epoch":"00000000000000ff","stream":"result","seq":{seq}'
    return head + "".join(f',"{k}":{v}' for k, v in more.items()) + "}"


def check_feed(r, columns):
    """What came the whole road."""
    model = json.loads(r.ask(SITE, "POST", "/v1/records", json.dumps([road.model_def("retina-screen", "2.4.1")]))[1])["results"][0]["model_ref"]
    for n in range(20):
        result = {"logical_id": road.uuid_of("parquet", str(n)), "version": 1, "status": "final", "run_id": road.uuid_of("run", str(n)), "scenario": {"system": "urn:s", "code": "s"},
                  "code": [{"system": road.LOINC, "code": "71490-7"}], "value": {"text": "one\u2028two \u00e9 \"three\""}, "prob": 0.5, "prob_kind": "calibrated", "critical": False, "gradable": True,
                  "model_ref": model, "t_effective": "2026-03-01T08:30:00+08:00", "t_issued": "2026-03-01T08:30:00+08:00", "phi": {"subject": {"system": "urn:p", "value": f"P-{n}"}}}
        # The digits of a decimal, as Python would not write them.
        text = json.dumps({"sens": 4, "purpose": ["care"], "ai_result": result}).replace('"prob": 0.5', '"prob": 0.930')
        status, answer = r.ask(SITE, "POST", "/v1/records", f"[{text}]")
        expect(f"taken ({answer})", status, 201)
    road.wait_for("the region to have all", r.drained)
    feed = r.cloud_cli("changes", "--records").stdout
    lines = feed.split("\n")[:-1]
    expect("lines", len(lines) > 20, True)
    expect("with their digits", feed.count("0.930"), 20)
    said = columns.write("all.parquet", feed)
    expect("what it says", said, {"rows": len(lines), "cursor": json.loads(lines[-1])["cursor"]})
    expect("row for row", columns.read("all.parquet"), [row_of(line) for line in lines])
    expect("for its owner alone", (columns.out / "all.parquet").stat().st_mode & 0o777, 0o600)
    table = r.cloud_cli("changes", "--csv").stdout
    columns.write("table.parquet", table)
    expect("the same from CSV", columns.read("table.parquet"), [{**row_of(line), "record": None} for line in lines])
    # An erased one has neither kind nor content.
    r.cloud_cli("erase", f"{SITE}/{road.uuid_of('parquet', '3')}", "--commit", "--reason", "asked for")
    erased = r.cloud_cli("changes", "--records").stdout
    columns.write("erased.parquet", erased)
    rows = columns.read("erased.parquet")
    expect("row for row", rows, [row_of(line) for line in erased.split("\n")[:-1]])
    expect("what is deleted has no record", {row["record"] for row in rows if row["change"] == "deleted"}, {None})
    return len(lines)


def check_made_up(columns):
    """What a small region's feed does not have: many row groups, the largest numbers, bodies of a schema that nobody knows."""
    many = [line_of(n, kind='"event"', content_sha256='"ab"', record='{"n":%d}' % n) for n in range(1, 45_001)]
    columns.write("many.parquet", "\n".join(many) + "\n")
    rows = columns.read("many.parquet")
    expect("every row", [(row["seq"], row["record"]) for row in rows], [(str(n), '{"n":%d}' % n) for n in range(1, 45_001)])
    odd = [line_of((1 << 64) - 1, kind='"x"', content_sha256='"ab"', record='{"a":"},\\"record\\":{","b":1.500e-400}'), line_of(2, kind='"unknown"', content_sha256='"cd"', body_hex='"00ff"'), line_of(3)]
    columns.write("odd.parquet", "\n".join(odd) + "\n")
    expect("odd ones", columns.read("odd.parquet"), [row_of(line) for line in odd])
    expect("nothing at all", columns.write("empty.parquet", ""), {"rows": 0, "cursor": None})
    expect("is no file", (columns.out / "empty.parquet").exists(), False)
    expect("of a table neither", (columns.write("empty.parquet", CSV), (columns.out / "empty.parquet").exists()), ({"rows": 0, "cursor": None}, False))


def check_refusals(columns):
    good = line_of(1, kind='"x"', content_sha256='"ab"', record='{"secret":4711}')
    for name, feed, said in (("cut", good + "\n" + good[:-20], "line 2: is cut off"), ("cut in a record", good + "\n" + good[:-2] + "\n", "line 2"), ("no feed", "[4711]\n", "line 1"),
                             ("no JSON", good + "\nsecret 4711\n", "line 2"), ("no seq", '{"cursor":"a","change":"applied"}\n', "line 1"), ("empty line", good + "\n\n", "line 2"),
                             ("a number too large", line_of(1 << 64) + "\n", "line 1"), ("a body that is none", line_of(1, body_hex='"0g"') + "\n", "line 1"), ("bytes", good.encode() + b"\n\xff\xfe4711\n", "line 2: is not UTF-8"),
                             ("CSV of others", CSV + "a,b\n", "line 2"), ("CSV without a head", "c,applied,clinic,x,e,result,1,4711\n", "line 1")):
        text = columns.write("none.parquet", feed, 65)
        expect(f"{name}: {text}", (said in text, "4711" in text or "secret" in text, (columns.out / "none.parquet").exists()), (True, False, False))
    (columns.out / "there.parquet").write_text("mine")
    expect("over nothing", "there already" in columns.write("there.parquet", good + "\n", 73), True)
    expect("it is as it was", (columns.out / "there.parquet").read_text(), "mine")
    expect("no folder", "ENOENT" in columns.write("no/where.parquet", good + "\n", 73), True)
    for args, code in (([], 64), (["--what"], 64), (["a", "b"], 64), (["--help"], 0)):
        done = subprocess.run(["node", "changes-to-parquet.mjs", *args], cwd=columns.dir, input=b"", capture_output=True, text=False)
        expect(f"usage {args}", (done.returncode, b"Exit codes" in done.stdout + done.stderr), (code, True))


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="parquet-"))
    good = False
    r = road.Road(folder, sys.argv[1], [SITE], tls=False)
    try:
        columns = Columns(folder)
        if not columns.install():
            good = True
            return SKIPPED
        check_made_up(columns)
        check_refusals(columns)
        r.up()
        rows = check_feed(r, columns)
        good = True
        print(f"ok: {rows} changes of a region, and 45,003 made up, read by another implementation as they were")
    finally:
        r.stop()
        road.leave(folder, good)
    return 0


if __name__ == "__main__":
    sys.exit(main())
