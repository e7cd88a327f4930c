#!/usr/bin/env python3
"""Nobody between site and region reads a patient's name: not on the wire, not in topics, logs, metrics, pages or errors.

    wire.py BIN_DIR

The name stands in records of each kind that may hold one, in a document and in an idempotency key. Frames are not compressed
(buffer.zstd_level = 0: codec `stored`), so a name in a frame that was not sealed would be found by plain search. That the
search works is shown twice: it finds the name in what the agent's own store gives to the seal, and in the captured frames
once the region's key has opened them. A wrong region key opens none.
"""
import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import road
import tee

SITE = "north"
NAMES = ["Zyxhilde", "Quuxenberg", "欧阳测锋", "PATID-7391-ZQ"]
FULL = "Zyxhilde Quuxenberg 欧阳测锋 PATID-7391-ZQ"
TIME = "2026-03-01T08:30:00+08:00"


def spellings(word):
    """How a careless program may write it."""
    plain = word.encode()
    out = {plain, plain.lower(), plain.upper(), word.encode("utf-16-le"), word.encode("utf-16-be"), plain.hex().encode(), plain.hex().upper().encode(),
           json.dumps(word)[1:-1].encode(), "".join(f"%{b:02X}" for b in plain).encode(), word.encode("gb18030")}
    for shift in range(3):  # of base64, what does not depend on the neighbours
        coded = base64.b64encode(bytes(shift) + plain)
        out.add(coded[4 if shift else 0:len(coded) // 4 * 4 - 4])
    return {s for s in out if len(s) >= 6}


PATTERNS = {name: spellings(name) for name in NAMES}


def found(data):
    """{name: how often}, of any spelling."""
    counts = {name: sum(data.count(s) for s in patterns) for name, patterns in PATTERNS.items()}
    return {name: n for name, n in counts.items() if n}


def result(n):
    return {"sens": 4, "purpose": ["care"], "ai_result": {
        "version": 1, "status": "preliminary", "run_id": road.uuid_of("wire", str(n)), "scenario": {"system": "urn:sample:scenario", "code": "screening"},
        "code": [{"system": road.LOINC, "code": "24606-6"}], "critical": False, "gradable": True, "model_ref": "ab" * 32, "t_effective": TIME, "t_issued": TIME,
        "value": {"text": f"as told by {FULL}"}, "source_system": "sample-ai",
        "phi": {"subject": {"system": "urn:sample:patient", "value": FULL}, "accession": NAMES[0], "placer_no": NAMES[3], "encounter_no": NAMES[2],
                "conclusion": f"{FULL}: nothing found, visit {n}", "source_result_id": f"{NAMES[1]}-{n}"}}}


def records(n):
    lead = {"sens": 4, "purpose": ["care"]}
    return [
        result(n),
        {**lead, "review": {"logical_id": road.uuid_of("review", str(n)), "version_seen": 1, "reviewer": "p-17", "role": "physician", "verdict": "agreed", "site": "edge",
                            "t": TIME, "phi": {"note": f"{FULL} was told"}}},
        {**lead, "identity_link": {"phi": {"a": {"system": "urn:a", "value": FULL}, "b": {"system": "urn:b", "value": f"{NAMES[3]}-{n}"}}, "verdict": "same",
                                   "authority": "register", "t": TIME}},
    ]


def wrong_posts():
    """(path, content type, body): each refused, each with the name where it went wrong."""
    name = FULL
    broken = json.loads(json.dumps(result(0)))
    broken["ai_result"]["version"] = name
    twice = json.loads(json.dumps(result(0)))
    twice["ai_result"]["status"] = name
    long = json.loads(json.dumps(result(0)))
    long["ai_result"]["phi"]["accession"] = name * 10
    time_ = json.loads(json.dumps(result(0)))
    time_["ai_result"]["t_issued"] = name
    model = json.loads(json.dumps(result(0)))
    model["ai_result"]["model_ref"] = name
    unknown = json.loads(json.dumps(result(0)))
    unknown["ai_result"]["phi"][NAMES[1]] = 1
    out = [("/v1/records", "application/json", json.dumps(j, ensure_ascii=False).encode()) for j in (broken, twice, long, time_, model, unknown, {"kind": name}, name, {name: 1})]
    out += [("/v1/records", "application/json", f'{{"sens": 4, "{name}'.encode()), ("/v1/records", "application/x-ndjson", f"{name}\n{{}}\n".encode()),
            ("/v1/records", name.encode("ascii", "replace").decode(), b"{}"), ("/v1/records", "application/json", NAMES[1].encode() + b"\xff\xfe"),
            ("/v1/telemetry", "application/json", json.dumps({"time_unit": "ms", "series": [{"name": name, "points": [[1, name]]}]}).encode()),
            (f"/v1/{NAMES[1]}", "application/json", b"{}")]
    return out


class Checks:
    """Places that were searched; a name in one is a finding."""

    def __init__(self):
        self.places = self.bytes = 0
        self.findings = []

    def clean(self, place, data):
        data = data.encode() if isinstance(data, str) else data
        self.places += 1
        self.bytes += len(data)
        if names := found(data):
            self.findings.append(f"{place}: {names}")

    def that(self, promise, holds):
        if not holds:
            self.findings.append(promise)


class Tapped(road.Road):
    """A road whose clients reach the broker through a tee."""

    def tap(self):
        self.tee = tee.Tee(self.port)

    @property
    def uri(self):
        return f"mqtt://127.0.0.1:{self.tee.port}"


def post(r, n):
    """One of everything; returns how many records were accepted."""
    body = "\n".join(json.dumps(x, ensure_ascii=False) for x in records(n)).encode()
    c = road.UnixHttp(r.socket(SITE))
    c.request("POST", "/v1/records", body, {"Content-Type": "application/x-ndjson", "Idempotency-Key": f"{NAMES[1]}-{n}"})
    answer = c.getresponse()
    text = answer.read()
    if answer.status != 201:
        raise RuntimeError(f"refused: {text.decode()}")
    status, more = r.ask(SITE, "POST", "/v1/documents", f"{FULL} {n}\n".encode() * 2000, "text/plain")
    if status != 201:
        raise RuntimeError(f"refused: {more.decode()}")
    return len(json.loads(text)["results"]) + len(json.loads(more)["records"])


def write_list(path, items):
    path.write_bytes(b"".join(len(i).to_bytes(4, "little") + i for i in items))


def before_sealing(r, folder, sent, checks):
    """The control: what the agent's store gives to the seal holds the name, and what the seal gives does not."""
    shutil.copytree(folder / SITE / "store", folder / "copy")
    made = json.loads(r.run(r.bin / "wire-look", "cut", folder / "copy", SITE, folder / "bodies", folder / "frames").stdout)
    bodies = found((folder / "bodies").read_bytes())
    checks.that("the search finds every name in the agent's frames before they are sealed", set(bodies) == set(NAMES))
    checks.that("frames are made with codec stored", made["batches"] > 0 and made["stored"] == made["batches"])
    checks.that("all that was accepted is in them", made["records"] == sent)
    checks.clean("the same frames, sealed", (folder / "frames").read_bytes())
    print(f"before sealing: {made}, names found {bodies}")


def on_the_wire(r, folder, checks):
    streams = r.tee.captured()
    for i, stream in enumerate(streams):
        checks.clean(f"connection {i // 2}, {'up' if i % 2 == 0 else 'down'}", stream)
    messages = [m for s in streams for m in tee.messages(s)]
    checks.that("the capture holds the site's topics", any(b"/" + SITE.encode() + b"/u/b" in s for s in streams))
    frames = [payload for topic, payload in messages if not topic.endswith("/p")]
    write_list(folder / "captured", frames)
    right = folder / "cloud" / "region-1.key"
    wrong = folder / "wrong.key"
    wrong.write_text(os.urandom(32).hex() + "\n")
    look = lambda key: json.loads(r.run(r.bin / "wire-look", "open", key, SITE, folder / "captured", folder / "opened").stdout)
    closed = look(wrong)
    checks.that("a wrong region key opens nothing", closed["up"] > 0 and closed["down"] > 0 and closed["opened_up"] == closed["opened_down"] == 0)
    checks.that("and gives no byte", (folder / "opened").stat().st_size == 0)
    opened = look(right)
    checks.that("the region's key opens every frame", 0 < opened["up"] == opened["opened_up"] and 0 < opened["down"] == opened["opened_down"])
    names = found((folder / "opened").read_bytes())
    checks.that("the search finds every name in the captured frames once they are opened", set(names) == set(NAMES))
    print(f"on the wire: {sum(map(len, streams))} bytes on {len(streams) // 2} connections, {opened}; with a wrong key {closed['opened_up'] + closed['opened_down']} opened; "
          f"names found in the opened {names}")


def beside_the_wire(r, checks):
    for path in ("/metrics", "/api/facilities", "/healthz", "/"):
        checks.clean(f"the region's {path}", r.page(path))
    checks.clean("the agent's status", json.dumps(r.status(SITE), ensure_ascii=False))
    checks.clean("egret-agent status", r.run(r.bin / "egret-agent", "status", "--config", r.dir / f"{SITE}.toml", check=False).stdout)
    for command in (["facilities"], ["facilities", "--json"], ["gaps"], ["incidents"], ["quarantine", "ls"], ["verify"]):
        checks.clean(f"egret-cloud {' '.join(command)}", r.cloud_cli(*command, check=False).stdout)
    for process in r.processes():
        checks.clean(f"the log of {process.name}", process.log.read_bytes())


def refusals(r, checks):
    for path, kind, body in wrong_posts():
        status, answer = r.ask(SITE, "POST", path, body, kind)
        checks.that(f"refused: {kind} {len(body)} bytes: {status}", 400 <= status < 500)
        checks.clean(f"the answer to {path} ({kind}): {answer.decode(errors='replace')[:200]}", answer)


def run(r, folder, checks):
    r.tap()
    r.make()
    agent = r.agents[SITE]
    agent.start()
    road.wait_for(SITE, lambda: r.status(SITE))
    sent = post(r, 1)
    agent.end()
    before_sealing(r, folder, sent, checks)
    r.broker.start()
    road.wait_for("broker", r.broker_listens)
    r.cloud.start()
    road.wait_for("cloud", lambda: r.page("/healthz") is not None)
    agent.start()
    road.wait_for("the link", lambda: (r.status(SITE) or {}).get("linked"), 60)
    for n in range(2, 6):
        sent += post(r, n)
        time.sleep(0.2)
    refusals(r, checks)
    road.wait_for("the drain", r.drained, 60)
    agent.kill()  # its will, a second run and its HELLO cross the wire too
    agent.start()
    road.wait_for("the link", lambda: (r.status(SITE) or {}).get("linked"), 60)
    sent += post(r, 6)
    road.wait_for("the drain", r.drained, 60)
    beside_the_wire(r, checks)
    exported = r.cloud_cli("export", "--raw").stdout.count('"applied"')
    checks.that(f"all {sent} records have arrived, not {exported}", exported >= sent)
    r.stop()
    checks.clean("the log of the agent that stopped", agent.log.read_bytes())
    on_the_wire(r, folder, checks)


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="egret-wire-"))
    r = Tapped(folder, sys.argv[1], [SITE], tls=False, safe="commit", cloud_settings={"herd_window_s": "1", "level": '"debug"'},
               agent_settings={"buffer.zstd_level": "0", "log.level": "debug"})
    checks, good = Checks(), False
    try:
        run(r, folder, checks)
        for finding in checks.findings:
            print(f"finding: {finding}")
        good = not checks.findings
        print(f"{checks.places} places, {checks.bytes} bytes searched, {len(checks.findings)} findings")
        return 0 if good else 1
    finally:
        r.stop()
        r.tee.close()
        road.leave(folder, good)


if __name__ == "__main__":
    sys.exit(main())
