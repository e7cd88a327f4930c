#!/usr/bin/env python3
"""What becomes of results, through the real road: posted at two sites, committed, and read in the region by page, command line and API.

    results_test.py BIN_DIR
"""
import json
import pathlib
import shutil
import sys
import tempfile

import road

OWNER, HOSPITAL = "clinic", "hospital"
TIME = "2026-03-01T08:30:00+08:00"
FIRST, SECOND, THIRD = (road.uuid_of("results", str(n)) for n in range(3))


def result(logical_id, version, status="preliminary", critical=False, value="grade 2", **more):
    extra = {"critical_code": {"system": "urn:sample", "code": "dr-4"}, "ack_deadline_s": 600} if critical else {}
    return {"sens": 4, "purpose": ["care"], "ai_result": {
        "logical_id": logical_id, "version": version, "status": status, "run_id": road.uuid_of("run", logical_id),
        "scenario": {"system": "urn:sample:scenario", "code": "screening"}, "code": [{"system": road.LOINC, "code": "71490-7"}], "value": {"text": value},
        "critical": critical, "gradable": True, "model_ref": "ab" * 32, "t_effective": TIME, "t_issued": TIME,
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

    # Thrown away and made anew: the same, but for when it changed.
    before = [cloud_json(r, "result", f"{OWNER}/{x}") for x in (FIRST, SECOND, THIRD)]
    r.cloud_cli("views", "--rebuild")
    road.wait_for("the views to be made anew", lambda: settled(r))
    after = [cloud_json(r, "result", f"{OWNER}/{x}") for x in (FIRST, SECOND, THIRD)]
    for view in before + after:
        view.pop("changed")
    expect("made anew", after, before)

    # And after a kill.
    r.cloud.kill()
    r.cloud.start()
    road.wait_for("the region to serve", lambda: settled(r))
    expect("after a kill", cloud_json(r, "alerts", "--withdrawn")[0]["result"], FIRST)

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
