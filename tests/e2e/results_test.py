#!/usr/bin/env python3
"""What becomes of results, through the real road: posted at two sites, committed, and read in the region by page, command line and API.

    results_test.py BIN_DIR
"""
import json
import pathlib
import shutil
import struct
import sys
import tempfile

import road

OWNER, HOSPITAL = "clinic", "hospital"
TIME = "2026-03-01T08:30:00+08:00"
MODEL = "ab" * 32
FIRST, SECOND, THIRD = (road.uuid_of("results", str(n)) for n in range(3))


def result(logical_id, version, status="preliminary", critical=False, value="grade 2", **more):
    extra = {"critical_code": {"system": "urn:sample", "code": "dr-4"}, "ack_deadline_s": 600} if critical else {}
    return {"sens": 4, "purpose": ["care"], "ai_result": {
        "logical_id": logical_id, "version": version, "status": status, "run_id": road.uuid_of("run", logical_id),
        "scenario": {"system": "urn:sample:scenario", "code": "screening"}, "code": [{"system": road.LOINC, "code": "71490-7"}], "value": {"text": value},
        "critical": critical, "gradable": True, "model_ref": MODEL, "t_effective": TIME, "t_issued": TIME,
        "phi": {"subject": {"system": "urn:sample:patient", "value": "P-4711"}}, **extra, **more}}


def statement(kind, **fields):
    return {"sens": 4, "purpose": ["care"], kind: {"t": TIME, **fields}}


def post(r, fac, *records):
    status, answer = r.ask(fac, "POST", "/v1/records", json.dumps(list(records)))
    if status != 201:
        raise SystemExit(f"{fac}: {status} {answer}")


def cloud_json(r, *argv):
    return json.loads(r.cloud_cli(*argv, "--json").stdout)


def settled(r):
    return r.drained() and cloud_json(r, "views") == {"made_anew": False, "blocks_behind": 0}


def expect(what, seen, wanted):
    if seen != wanted:
        raise SystemExit(f"{what}: {seen!r}, expected {wanted!r}")


def some(view, *keys):
    return {k: view[k] for k in keys}


def api(r, path):
    return json.loads(r.page(path))


RANGE = ["--model", MODEL, "--from", "2026-03-01", "--to", "2026-03-01"]


def check_recall(r):
    """A preview changes nothing; a commit marks what is there and what comes, once, by site, status and review."""
    seen = cloud_json(r, "recall", *RANGE)
    seen = {k: v for k, v in seen.items() if not k.startswith("readers")}  # not told to a viewer
    expect("a preview", [(f["facility"], f["results"], f["retracted"]) for f in seen["facilities"]], [(OWNER, 3, 1)])
    expect("nothing is marked by it", cloud_json(r, "result", f"{OWNER}/{FIRST}")["recalls"], [])
    expect("the API's preview", api(r, f"/api/recalls/preview?model={MODEL}&from=2026-03-01&to=2026-03-01"), seen)
    expect("another day", cloud_json(r, "recall", "--model", MODEL, "--from", "2026-03-02")["results"], 0)
    for argv, code in ((["--model", "nobody"], 1), (["--model", MODEL, "--from", "yesterday"], 2), ([], 2), ([*RANGE, "--commit"], 2),
                       (["--undo", "9", "--reason", "x"], 1)):
        expect(f"recall {argv}", r.cloud_cli("recall", *argv, check=False).returncode, code)
    order = cloud_json(r, "recall", *RANGE, "--commit", "--reason", "drift at night", "--by", "dr-q")
    expect("the order", some(order, "id", "order", "by", "reason", "undone"), {"id": 1, "order": "recall", "by": "dr-q", "reason": "drift at night", "undone": False})
    expect("it marks", cloud_json(r, "result", f"{OWNER}/{FIRST}")["recalls"], [1])
    lines = r.cloud_cli("recall", "--show", "1", "--results", "--json").stdout.splitlines()
    read_by = {v["result"]: [x["reviewer"] for x in v["read_by"]] for v in map(json.loads, lines)}
    expect("who has read it", read_by, {FIRST: ["r-1"], SECOND: [], THIRD: []})
    expect("the API says the same", api(r, "/api/recalls/1")["touches"]["results"], 3)
    # One that comes later is marked too.
    fourth = road.uuid_of("results", "late")
    post(r, HOSPITAL, result(fourth, 1))
    road.wait_for("the views to follow", lambda: settled(r))
    expect("a late one", cloud_json(r, "result", f"{HOSPITAL}/{fourth}")["recalls"], [1])
    expect("by site", {f["facility"]: f["results"] for f in cloud_json(r, "recall", "--show", "1")["facilities"]}, {OWNER: 3, HOSPITAL: 1})
    if "egret_cloud_views_behind_blocks 0" not in r.page("/metrics"):
        raise SystemExit("the metrics do not say that the views are up to date")


def check_undo(r):
    cloud_json(r, "recall", "--undo", "1", "--reason", "false alarm", "--by", "dr-q")
    expect("undone", cloud_json(r, "result", f"{OWNER}/{FIRST}")["recalls"], [])
    expect("and written down", [(o["id"], o["order"]) for o in cloud_json(r, "recall", "--list")], [(1, "recall"), (2, "undo")])
    expect("once", r.cloud_cli("recall", "--undo", "1", "--reason", "again", check=False).returncode, 2)


def check_patients(r):
    """Two identifiers become one patient and are parted again, at either's word; nothing is rewritten."""
    def link(verdict, t):
        post(r, HOSPITAL, {"sens": 4, "purpose": ["care"], "identity_link": {
            "phi": {"a": {"system": "urn:sample:patient", "value": "P-4711"}, "b": {"system": "urn:hospital", "value": "H-1"}},
            "verdict": verdict, "authority": "register", "t": t}})
        road.wait_for("the views to follow", lambda: settled(r))
        return cloud_json(r, "patient", "--system", "urn:hospital", "--value", "H-1")
    joined = link("same", TIME)
    expect("joined", (len(joined["names"]), len(joined["results"])), (2, 4))
    expect("by whom", [(x["by"], x["authority"], x["same"]) for x in joined["links"]], [(HOSPITAL, "register", True)])
    parted = link("not_same", TIME.replace("08:30", "09:30"))
    expect("parted", (len(parted["names"]), len(parted["results"]), len(parted["links"])), (1, 0, 2))
    if "4711" in json.dumps([joined, parted]) or "H-1" in json.dumps([joined, parted]):
        raise SystemExit("a view shows an identifier")


def check_live(r):
    """What comes late from a backlog is history."""
    def points(*values):
        status, answer = r.ask(OWNER, "POST", "/v1/telemetry", json.dumps({"time_unit": "s", "resource": {"host": "h"}, "series": [
            {"name": "load", "unit": "1", "kind": "gauge", "points": list(values)}]}))
        expect(f"telemetry ({answer})", status, 201)
        road.wait_for("the views to follow", lambda: settled(r))
        return [(v["name"], v["value"]) for v in cloud_json(r, "live", "--facility", OWNER)]
    now = 1_800_000_000
    expect("a gauge", points([now, 1.5]), [("load", 1.5)])
    expect("a later one", points([now + 5, 2.5]), [("load", 2.5)])
    expect("a backlog", points([now + 9, 7.5, ["historical"]]), [("load", 2.5)])
    expect("an older one", points([now + 1, 8.5]), [("load", 2.5)])


def check_erasure(r):
    name = f"{OWNER}/{SECOND}"
    patient = ["patient", "--system", "urn:sample:patient", "--value", "P-4711"]
    expect("the patient's results", len(cloud_json(r, *patient)["results"]), 4)
    r.cloud_cli("erase", name)
    expect("a preview erases nothing", r.cloud_cli("result", name, check=False).returncode, 0)
    expect("erased", cloud_json(r, "erase", name, "--commit", "--reason", "order 7", "--by", "dr-q"), {"erased": 3})
    road.wait_for("the views to follow", lambda: settled(r))
    expect("it is gone", r.cloud_cli("result", name, check=False).returncode, 1)
    expect("from the patient, too", len(cloud_json(r, *patient)["results"]), 3)
    expect("and all is still proved", some(cloud_json(r, "verify"), "views", "wrong"), {"views": "as_made_anew", "wrong": 0})


def check_retention(r):
    """Telemetry is kept for its days, then as minutes and hours; what a hold covers is kept, and a clock that leaps deletes nothing."""
    r.cloud.end()
    clock = r.dir / "later.clock"

    def later(days, *argv, check=True):
        clock.write_bytes(struct.pack("=q", days * 86400))
        return r.run("env", f"LD_PRELOAD={r.bin / 'clock-shim.so'}", f"EGRET_CLOCK_OFFSET={clock}", r.bin / "egret-cloud", *argv, "--config", r.cloud_config, check=check)

    digest = cloud_json(r, "verify")["digest"]
    hold = json.loads(later(0, "hold", "add", "--class", "telemetry", "--reason", "audit", "--json").stdout)
    for days in (1, 30, 59, 88, 117):
        done = json.loads(later(days, "retention", "--run", "--json").stdout)
    expect("held", (done["expired"]["telemetry"], done["held"]), (0, 4))
    later(117, "hold", "release", str(hold["id"]), "--reason", "closed")
    expect("kept for its days", json.loads(later(117, "retention", "--run", "--json").stdout)["expired"]["telemetry"], 4)
    expect("nothing is due", [c["blocks_due"] for c in json.loads(later(117, "retention", "--json").stdout).values() if isinstance(c, dict)], [0] * 4)
    hours = [json.loads(line) for line in later(117, "history", OWNER, "--series", "load", "--json").stdout.splitlines()]
    expect("an hour of it", [some(h, "points", "min", "max", "sum", "last") for h in hours], [{"points": 4, "min": 1.5, "max": 8.5, "sum": 20, "last": 7.5}])
    expect("all is still proved", some(cloud_json(r, "verify"), "views", "wrong", "digest"), {"views": "as_made_anew", "wrong": 0, "digest": digest})
    leapt = later(400, "retention", "--run", check=False)
    expect(f"a leap ({leapt.stderr})", (leapt.returncode, "--clock-is-right" in leapt.stderr), (1, True))
    r.cloud.start()
    road.wait_for("the region to serve", lambda: settled(r))


def check(r):
    # A critical result, and its correction; a review by another site; one that is retracted before it was ever stated.
    post(r, OWNER, result(FIRST, 1, critical=True))
    post(r, OWNER, statement("retraction", logical_id=THIRD, version=2, reason="wrong_patient"))
    post(r, OWNER, result(SECOND, 3))
    post(r, HOSPITAL, statement("review", logical_id=FIRST, version_seen=1, result_facility=OWNER, reviewer="r-1", role="specialist", verdict="agreed", site="edge"))
    # Another site's word about a result of the same name is about its own.
    post(r, HOSPITAL, statement("retraction", logical_id=FIRST, version=2, reason="test_data"))
    road.wait_for("the views to follow", lambda: settled(r))
    first = cloud_json(r, "result", f"{OWNER}/{FIRST}")
    expect("the reviewed result", some(first, "version", "status", "critical", "alert", "verdict", "retracted", "issues"),
           {"version": 1, "status": "final", "critical": True, "alert": "open", "verdict": "agreed", "retracted": False, "issues": []})
    expect("its history", [h["kind"] for h in first["history"]], ["version", "review"])
    expect("open alerts", [a["result"] for a in cloud_json(r, "alerts")], [FIRST])
    expect("the page's API", json.loads(r.page(f"/api/results/{OWNER}/{FIRST}")), first)
    expect("the worklist", sorted((w["result"], w["issues"][0]["kind"]) for w in cloud_json(r, "worklist", "--facility", OWNER)),
           sorted([(SECOND, "missing_version"), (THIRD, "missing_version")]))
    expect("the other site's own", cloud_json(r, "result", f"{HOSPITAL}/{FIRST}")["retracted"], True)

    # What was missing comes; the critical one is corrected.
    post(r, OWNER, result(THIRD, 1, status="final"), result(SECOND, 1), result(SECOND, 2, status="final"), result(FIRST, 2, status="corrected", value="grade 1"))
    road.wait_for("the views to follow", lambda: settled(r))
    third = cloud_json(r, "result", f"{OWNER}/{THIRD}")
    expect("retracted before it came", some(third, "retracted", "reason", "status", "version"),
           {"retracted": True, "reason": "wrong_patient", "status": "entered_in_error", "version": 1})
    second = cloud_json(r, "result", f"{OWNER}/{SECOND}")
    expect("a step back", some(second, "version", "status"), {"version": 2, "status": "final"})
    expect("is named", [i["kind"] for i in second["issues"]], ["illegal_step"])
    first = cloud_json(r, "result", f"{OWNER}/{FIRST}")
    expect("the corrected one", some(first, "version", "status", "alert", "review"),
           {"version": 2, "status": "corrected", "alert": "withdrawn", "review": None})
    expect("withdrawn alerts", [a["result"] for a in cloud_json(r, "alerts", "--withdrawn")], [FIRST])
    expect("open alerts", cloud_json(r, "alerts"), [])
    if "P-4711" in json.dumps([first, second, third]):
        raise SystemExit("a view shows the patient")

    check_recall(r)

    # Thrown away and made anew: the same, but for when it changed.
    before = [cloud_json(r, "result", f"{OWNER}/{x}") for x in (FIRST, SECOND, THIRD)]
    r.cloud_cli("views", "--rebuild")
    road.wait_for("the views to be made anew", lambda: settled(r))
    after = [cloud_json(r, "result", f"{OWNER}/{x}") for x in (FIRST, SECOND, THIRD)]
    for view in before + after:
        view.pop("changed")
    expect("made anew", after, before)
    expect("the views, proved", some(cloud_json(r, "verify"), "views", "results", "wrong"), {"views": "as_made_anew", "results": 5, "wrong": 0})
    expect("the recall, made anew", cloud_json(r, "result", f"{OWNER}/{FIRST}")["recalls"], [1])
    check_undo(r)
    check_patients(r)
    check_live(r)
    check_erasure(r)

    # And after a kill.
    r.cloud.kill()
    r.cloud.start()
    road.wait_for("the region to serve", lambda: settled(r))
    expect("after a kill", cloud_json(r, "alerts", "--withdrawn")[0]["result"], FIRST)

    check_retention(r)

    # What is asked wrongly.
    for name, code in ((f"{OWNER}/{road.uuid_of('nothing')}", 1), ("clinic", 2), (f"Clinic!/{FIRST}", 2)):
        expect(f"result {name}", r.cloud_cli("result", name, check=False).returncode, code)


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="results-"))
    good = False
    r = road.Road(folder, sys.argv[1], [OWNER, HOSPITAL], tls=False)
    try:
        r.up()
        check(r)
        good = True
        print("ok: results as the rules say, read in three ways, made anew, and after a kill")
    finally:
        r.stop()
        road.leave(folder, good)


if __name__ == "__main__":
    main()
