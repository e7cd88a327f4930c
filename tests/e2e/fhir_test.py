#!/usr/bin/env python3
"""The FHIR facade of a real region: results that came over the whole road, read as a client reads them; what clients write, through
races and a kill; bulk exports of both; and, where npm is to be had, an independent validator and two clients of others.

    fhir_test.py BIN_DIR [--clients]
"""
import http.client
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading

import road

SITE, HOSPITAL = "clinic", "hospital"
TIME = "2026-03-01T08:30:00+08:00"
IDS = [road.uuid_of("fhir", str(n)) for n in range(3)]
SKIPPED = 77


class Facade:
    """A client that keeps everything it was sent, for the validator."""

    def __init__(self, port, token):
        self.port, self.token, self.seen = port, token, []

    def ask(self, method, address, body=None, **headers):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            kind = "application/json-patch+json" if method == "PATCH" else "application/fhir+json"
            sent = {"Content-Type": kind, **{k.replace("_", "-"): v for k, v in headers.items()}}
            if self.token:
                sent["Authorization"] = f"Bearer {self.token}"
            c.request(method, "/fhir/" + address, None if body is None else json.dumps(body), sent)
            r = c.getresponse()
            text = r.read().decode()
            resource = json.loads(text) if "json" in (r.getheader("Content-Type") or "") and text else None
            if resource is not None and "resourceType" in resource:
                self.seen.append(resource)
            return r.status, resource, dict(r.getheaders())
        finally:
            c.close()

    def get(self, address, status=200):
        got, resource, _ = self.ask("GET", address)
        expect(f"GET {address} ({json.dumps(resource)[:300]})", got, status)
        return resource

    def found(self, address):
        out = []
        while address:
            bundle = self.get(address)
            out += [e["resource"] for e in bundle.get("entry", []) if e["search"]["mode"] == "match"]
            following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
            address = following[0].split("/fhir/", 1)[1] if following else None
        return out


def expect(what, seen, wanted):
    if seen != wanted:
        raise SystemExit(f"{what}: {seen!r}, expected {wanted!r}")


def post(r, fac, *records):
    status, answer = r.ask(fac, "POST", "/v1/records", json.dumps(list(records)))
    if status != 201:
        raise SystemExit(f"{fac}: {status} {answer}")
    return json.loads(answer)["results"]


def settled(r):
    return r.drained() and json.loads(r.cloud_cli("views", "--json").stdout) == {"made_anew": False, "blocks_behind": 0}


def result(n, model, version=1, **more):
    return {"sens": 4, "purpose": ["care"], "ai_result": {
        "logical_id": IDS[n], "version": version, "status": "preliminary", "run_id": road.uuid_of("run", str(n)),
        "scenario": {"system": "urn:sample:scenario", "code": "screening"}, "code": [{"system": road.LOINC, "code": "71490-7", "display": "Retinopathy grade"}],
        "value": {"quantity": {"value": 1.5, "unit": "mm"}}, "prob": 0.93, "prob_kind": "calibrated", "critical": False, "gradable": n != 2, "model_ref": model,
        "t_effective": TIME, "t_issued": TIME, "t_infer": TIME, "components": [{"code": [{"system": road.LOINC, "code": "71491-5"}], "value": {"text": "none"}, "prob": 0.5}],
        "interp": ["a"], "body_site": {"system": "urn:sample:site", "code": "eye"},
        "phi": {"subject": {"system": "urn:sample:patient", "value": "P-4711"}, "accession": "A-1", "study_uid": "1.2.840.1", "sop_uid": ["1.2.840.1.1"], "sex": "female", "birth_year": 1961,
                "conclusion": "see image", "encounter_no": "E-1", "specimen_id": "S-1"}, **more}}


def check_results(r, f, model):
    statement = f.get("metadata")
    expect("the statement", (statement["resourceType"], statement["fhirVersion"]), ("CapabilityStatement", "4.0.1"))
    first = f"{IDS[0].replace('-', '')}{SITE}"
    status, observation, headers = f.ask("GET", f"Observation/{first}")
    expect("a result", (status, observation["status"], observation["meta"]["security"][0]["code"]), (200, "final", "AIAST"))
    expect("its digits", observation["extension"][0]["valueDecimal"], 0.93)
    expect("not sent twice", f.ask("GET", f"Observation/{first}", If_None_Match=headers["ETag"])[0], 304)
    patient = observation["subject"]["reference"].split("/")[1]
    expect("of the patient", len(f.found(f"Observation?patient={patient}&_count=1&_include=Observation:device&_revinclude=Provenance:target")), 3)
    expect("by the model", len(f.found(f"Observation?device=Device/{model}&_sort=-date")), 3)
    expect("by identifier", len(f.found("Observation?subject:identifier=urn:sample:patient|P-4711")), 3)
    expect("runs", len(f.found(f"DiagnosticReport?patient={patient}&_include=DiagnosticReport:result")), 3)
    expect("patients", [p["id"] for p in f.found("Patient?identifier=urn:sample:patient|P-4711")], [patient])
    device = f.get(f"Device/{model}")
    expect("the model", (device["version"][0]["value"], device["modelNumber"]), ("2.4.1", "retina-screen"))
    provenance = f.found(f"Provenance?target=Observation/{first}")
    expect("who said it", sorted(p["agent"][0]["type"]["coding"][0]["code"] for p in provenance), ["author", "verifier"])
    expect("found by its agent", len(f.found(f"Provenance?agent=Device/{model}")), 4)
    history = f.get(f"Observation/{first}/_history")
    expect("its history", [e["resource"]["status"] for e in history["entry"]], ["final", "preliminary"])
    for entry in history["entry"]:
        expect("a version", f.get(f"Observation/{first}/_history/{entry['resource']['meta']['versionId']}")["status"], entry["resource"]["status"])
    expect("the type's history", len(f.get("Observation/_history")["entry"]), 4)
    expect("counted", f.get("Observation?_summary=count")["total"], 3)
    expect("a site's own", f.ask("PUT", f"Observation/{first}", observation)[0], 403)
    return patient


def check_roles(r, f):
    viewer = r.cloud_cli("token", "add", "looker", "--role", "viewer").stdout.strip()
    for token, status in ((None, 401), (viewer, 403), ("egret_0", 401)):
        got, body, _ = Facade(f.port, token).ask("GET", "Patient")
        expect("who may not", (got, body["resourceType"]), (status, "OperationOutcome"))


def check_writes(r, f):
    observation = {"resourceType": "Observation", "status": "final", "code": {"coding": [{"system": road.LOINC, "code": "8867-4"}]}, "subject": {"reference": "Patient/absent"}}
    status, made, headers = f.ask("POST", "Observation", observation)
    expect("created", (status, headers["ETag"]), (201, 'W/"1"'))
    expect("found at once", [o["id"] for o in f.found("Observation?code=8867-4")], [made["id"]])
    status, made, _ = f.ask("PUT", f"Observation/{made['id']}", {**made, "status": "amended"}, If_Match='W/"1"')
    expect("updated", (status, made["meta"]["versionId"]), (200, "2"))
    expect("too late", f.ask("PUT", f"Observation/{made['id']}", made, If_Match='W/"1"')[0], 412)
    expect("patched", f.ask("PATCH", f"Observation/{made['id']}", [{"op": "add", "path": "/valueInteger", "value": 72}])[1]["valueInteger"], 72)
    expect("no JSON", f.ask("POST", "Observation", {"resourceType": "Observation"})[0], 400)
    large = {"resourceType": "Bundle", "type": "batch", "entry": [{"note": "x" * (3 << 20)}]}
    try:
        expect("too large", f.ask("POST", "", large)[0], 413)
    except (ConnectionError, BrokenPipeError):
        pass  # refused while it was being sent
    # Real resources of others, in one transaction.
    bundle = json.loads((road.DATA / "documents/synthea-bundle.json").read_text())
    kept = [e for e in bundle["entry"] if e["resource"]["resourceType"] in ("Patient", "Observation", "DiagnosticReport", "ImagingStudy")]
    urls = {e["fullUrl"] for e in kept}
    for entry in kept:
        entry["request"] = {"method": "POST", "url": entry["resource"]["resourceType"]}
        entry["resource"] = without_strangers(entry["resource"], urls)
    expect("it is one with many", len(kept) > 20, True)
    status, answered, _ = f.ask("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": kept})
    expect(f"a transaction ({json.dumps(answered)[:300]})", (status, {e["response"]["status"] for e in answered["entry"]}), (200, {"201 Created"}))
    expect("in order", [e["resource"]["resourceType"] for e in answered["entry"]], [e["resource"]["resourceType"] for e in kept])
    someone = next(e["resource"]["id"] for e in answered["entry"] if e["resource"]["resourceType"] == "Patient")
    wanted = sum(e["resource"]["resourceType"] == "Observation" for e in kept)
    expect("of the patient", len(f.found(f"Observation?patient={someone}&_count=7")), wanted)


def without_strangers(value, urls):
    """Without references to what is not in the Bundle."""
    if isinstance(value, list):
        return [v for v in (without_strangers(v, urls) for v in value) if v not in ({}, None)]
    if isinstance(value, dict):
        if value.get("reference", "").startswith("urn:") and value["reference"] not in urls:
            return None
        return {k: v for k, v in ((k, without_strangers(v, urls)) for k, v in value.items()) if v not in ({}, [], None)}
    return value


def check_race(f):
    """Fifty clients want the same patient made: one is."""
    answers = []

    def one():
        body = {"resourceType": "Patient", "identifier": [{"system": "urn:race", "value": "1"}]}
        answers.append(Facade(f.port, f.token).ask("POST", "Patient", body, If_None_Exist="identifier=urn:race|1")[0])

    threads = [threading.Thread(target=one) for _ in range(50)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    expect("one created", sorted(answers), [200] * 49 + [201])
    expect("and there", len(f.found("Patient?identifier=urn:race|1")), 1)


def serves(f):
    try:
        return f.ask("GET", "metadata")[0] == 200
    except (OSError, http.client.HTTPException, ValueError):
        return False


def exported(f, address, status=200):
    """The manifest of a bulk export, and its lines by type: only what nobody else may have."""
    got, body, headers = f.ask("GET", address, Prefer="respond-async")
    expect(f"{address} ({body})", got, 202)
    at = headers["Content-Location"].split("/fhir/", 1)[1]

    def ended():
        state, answer, more = f.ask("GET", at)
        if state == 202:
            expect("it says how far it is", (bool(more["X-Progress"]), more["Retry-After"]), (True, "2"))
        return state != 202 and (state, answer)

    state, manifest = road.wait_for("the export", ended, seconds=60)
    expect(f"{address}: its end ({manifest})", state, status)
    lines = {}
    for one in manifest.get("output", []):
        texts = fetched(f, one["url"]).splitlines()
        expect("as many as were counted", len(texts), one["count"])
        lines.setdefault(one["type"], []).extend(json.loads(text) for text in texts)
    for resources in lines.values():
        f.seen += resources
    return at, manifest, lines


def fetched(f, url, token=None, status=200):
    c = http.client.HTTPConnection("127.0.0.1", f.port, timeout=30)
    try:
        c.request("GET", "/fhir/" + url.split("/fhir/", 1)[1], headers={"Authorization": f"Bearer {token or f.token}"})
        r = c.getresponse()
        text = r.read().decode()
        expect(f"GET {url}", r.status, status)
        if status == 200:
            expect("its type", r.getheader("Content-Type"), "application/fhir+ndjson")
        return text
    finally:
        c.close()


def check_export(r, f):
    """Everything at once: what paging search gives, exact at its moment while clients go on writing, and the same after a kill."""
    types = ("DiagnosticReport", "Device", "ImagingStudy", "Observation", "Patient", "Provenance")
    in_order = lambda resources: sorted(json.dumps(x, sort_keys=True) for x in resources)
    made = f.ask("POST", "ImagingStudy", {"resourceType": "ImagingStudy", "status": "available", "subject": {"reference": "Patient/absent"}})[0]
    expect("a study, too", made, 201)
    expect("without the preference", f.ask("GET", "$export")[0], 400)
    at, manifest, lines = exported(f, "$export")
    for kind in types:
        expect(f"all of {kind}", in_order(lines.get(kind, [])), in_order(f.found(f"{kind}?_count=17")))
    expect("something of it", [kind for kind in types if not lines.get(kind)], [])
    # Writers at work: each of theirs is in the export, if it was done before, and is not, if it was begun after.
    before, after = [], []

    def write(into):
        body = f.ask("POST", "Patient", {"resourceType": "Patient", "gender": "other"})
        expect("written", body[0], 201)
        into.append(body[1]["id"])

    for _ in range(5):
        write(before)
    status, _, headers = f.ask("GET", "Patient/$export?_type=Patient", Prefer="respond-async")
    expect("asked for", status, 202)
    for _ in range(5):
        write(after)
    second = headers["Content-Location"].split("/fhir/", 1)[1]
    road.wait_for("the export", lambda: f.ask("GET", second)[0] == 200)
    its = f.get(second)
    there = {json.loads(line)["id"] for one in its["output"] for line in fetched(f, one["url"]).splitlines()}
    expect("exact", (there.issuperset(before), there.isdisjoint(after)), (True, True))
    # The next one has the rest, and nothing of before that says when it changed.
    _, _, lately = exported(f, f"$export?_type=Patient,Observation&_since={its['transactionTime']}")
    stated = [p["id"] for p in lately["Patient"] if "lastUpdated" in p["meta"]]
    expect("since then", (sorted(stated), lately.get("Observation", [])), (sorted(after), []))
    # Another client sees nothing of it; nobody does after it was deleted, and after a kill what was done is there.
    other = r.cloud_cli("token", "add", "other-ward", "--role", "fhir").stdout.strip()
    fetched(f, manifest["output"][0]["url"], other, 404)
    expect("another's", Facade(f.port, other).ask("GET", at)[0], 404)
    expect("deleted", (f.ask("DELETE", second)[0], f.ask("GET", second)[0]), (202, 404))
    r.cloud.kill()
    r.cloud.start()
    road.wait_for("the region to serve", lambda: serves(f) and settled(r))
    expect("after a kill", f.get(at), manifest)
    again = [json.loads(line) for one in manifest["output"] if one["type"] == "Observation" for line in fetched(f, one["url"]).splitlines()]
    expect("line for line", in_order(again), in_order(lines["Observation"]))


def check_erasure(r, f):
    """An erasure ends every export that may hold what was erased."""
    at, _, lines = exported(f, "$export?_type=Observation")
    expect("it is there", any(IDS[2].replace("-", "") in o["id"] for o in lines["Observation"]), True)
    r.cloud_cli("erase", f"{SITE}/{IDS[2]}", "--reason", "asked for", "--commit")
    status, body, _ = f.ask("GET", at)
    expect("ended", (status, "erased" in body["issue"][0]["diagnostics"]), (500, True))
    road.wait_for("its files to go", lambda: not list((r.dir / "cloud" / "exports").rglob("Observation*")))
    _, _, lines = exported(f, "$export?_type=Observation")
    expect("without it", sorted(o["id"] for o in lines["Observation"]), sorted(o["id"] for o in f.found("Observation")))
    expect("and it is gone", any(IDS[2].replace("-", "") in o["id"] for o in lines["Observation"]), False)


def check_kill(r, f):
    """What got its 201 is there after a kill -9 at any moment."""
    made, ending = [], threading.Event()

    def write():
        mine = Facade(f.port, f.token)
        while not ending.is_set():
            try:
                status, body, _ = mine.ask("POST", "Patient", {"resourceType": "Patient", "gender": "other"})
            except (OSError, http.client.HTTPException, ValueError):
                ending.wait(0.05)
                continue
            if status == 201:
                made.append(body["id"])

    writers = [threading.Thread(target=write) for _ in range(4)]
    for w in writers:
        w.start()
    for _ in range(3):
        before = len(made)
        road.wait_for("writes", lambda: len(made) > before + 20, seconds=60)
        r.cloud.kill()
        r.cloud.start()
    ending.set()
    for w in writers:
        w.join()
    road.wait_for("the region to serve", lambda: serves(f) and settled(r))
    for one in made:
        f.get(f"Patient/{one}")
    verdict = json.loads(r.cloud_cli("verify", "--json").stdout)
    expect("all is proved", (verdict["wrong"], verdict["views"]), (0, "as_made_anew"))
    if r.cloud_cli("facility", "add", "region", "--key", "ab" * 32, check=False).returncode != 2:
        raise SystemExit("a site was let in under the region's own name")
    r.cloud_cli("views", "--rebuild")
    road.wait_for("the views to be made anew", lambda: settled(r))
    f.get(f"Patient/{made[-1]}")
    log = (r.dir / "cloud.log").read_text()
    if "P-4711" in log or "urn:race" in log:  # hashes stand in it, too
        raise SystemExit("the log shows what was asked")
    return made


def check_audit(r, f, made):
    """Who read and wrote what: everything that got its 201, over the kills; who read a result and a patient; and no patient's data."""
    def entries(*argv):
        return [json.loads(line) for line in r.cloud_cli("audit", "--json", *argv).stdout.splitlines()]

    f.get(f"Patient/{made[0]}")
    road.wait_for("the read", lambda: any(e["what"] == "GET /fhir/*: read Patient" and e["status"] == 200 for e in entries("--who", "ward")), seconds=5)
    log = entries()
    created = sum(e["what"] == "POST /fhir/*: create Patient" and e["step"] == "done" and e["status"] == 201 for e in log)
    if created < len(made):
        raise SystemExit(f"{len(made)} were told that theirs is stored, the log has {created}")
    first = f"{SITE}/{IDS[0]}"
    expect("who has read a result", {(e["who"], e["role"]) for e in entries("--result", first) if e["step"] == "read"}, {("ward", "fhir")})
    expect("who has read of a patient", {e["who"] for e in entries("--patient", "urn:sample:patient|P-4711")}, {"ward"})
    refused = [e for e in log if e["step"] == "refused"]
    expect("who was refused", {(e["who"], e["status"]) for e in refused} >= {("looker", 403), (None, 401)}, True)
    readers = json.loads(r.cloud_cli("recall", "--model", "retina-screen", "--json").stdout)["readers"]
    expect("a recall says who has read", [(x["who"], x["results"]) for x in readers], [("ward", 3)])
    verdict = json.loads(r.cloud_cli("audit", "--verify", "--json").stdout)
    expect("the log is whole", (verdict["wrong"], verdict["roots"] >= 1, verdict["entries"] >= len(log)), (0, True, True))
    known = f"{verdict['last']}:{verdict['c']}"
    expect("and has this end", r.cloud_cli("audit", "--verify", "--known", known, check=False).returncode, 0)
    expect("and no other", r.cloud_cli("audit", "--verify", "--known", f"{verdict['last']}:{'ab' * 32}", check=False).returncode, 1)
    expect("no number", r.cloud_cli("audit", "--verify", "--known", "x", check=False).returncode, 2)
    text = r.cloud_cli("audit", "--json").stdout
    for secret in ("P-4711", "urn:", "absent", made[0], f.token):
        if secret in text:
            raise SystemExit("the audit log shows what it must not")
    # Commands are in it, too.
    expect("commands", {e["what"] for e in log if e["what"].startswith("control ")} >= {"control facility.add", "control views.rebuild"}, True)
    auditor = r.cloud_cli("token", "add", "aud", "--role", "auditor").stdout.strip()
    c = http.client.HTTPConnection("127.0.0.1", f.port, timeout=30)
    c.request("GET", f"/api/audit?result={first}", headers={"Authorization": f"Bearer {auditor}"})
    expect("the auditor's view", {e["who"] for e in json.loads(c.getresponse().read())["entries"]}, {"ward"})


def check_restriction(r, f):
    """A patient's results are kept and not used, by an order that can be lifted."""
    first = f"{IDS[0].replace('-', '')}{SITE}"
    before, _, lines = exported(f, "$export?_type=Observation,Patient")
    expect("it is exported", "P-4711" in json.dumps(lines), True)
    order = json.loads(r.cloud_cli("restrict", "add", "--system", "urn:sample:patient", "--value", "P-4711", "--reason", "disputed", "--by", "dr-q", "--json").stdout)
    expect("the order", (order["order"], order["by"], order["lifted"]), ("restrict", "dr-q", False))
    expect("restricted already", r.cloud_cli("restrict", "add", "--result", f"{SITE}/{IDS[1]}", "--reason", "x", check=False).returncode, 1)
    f.get(f"Observation/{first}", 403)
    expect("the export before has ended", f.ask("GET", before)[0], 500)
    expect("in no export", "P-4711" in json.dumps(exported(f, "$export?_since=2000-01-01T00:00:00Z")[2]), False)
    expect("in no list", f.found("Observation?subject:identifier=urn:sample:patient|P-4711"), [])
    if "P-4711" in r.cloud_cli("export").stdout or "P-4711" not in r.cloud_cli("export", "--restricted").stdout:
        raise SystemExit("the export shows what is restricted, or does not when it is asked to")
    expect("it is said", json.loads(r.cloud_cli("result", f"{SITE}/{IDS[0]}", "--json").stdout)["restricted"], [order["id"]])
    r.cloud_cli("restrict", "lift", str(order["id"]), "--reason", "settled")
    expect("lifted", [json.loads(line).get("lifted") for line in r.cloud_cli("restrict", "list", "--json").stdout.splitlines()], [True, None])
    f.get(f"Observation/{first}")


def check_clients(f, folder, patient):
    """An independent validator on all that was emitted, and two clients of others."""
    here = pathlib.Path(__file__).parent / "fhir"
    work = pathlib.Path(os.environ.get("EGRET_NPM_DIR", folder / "npm"))
    work.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "validate.mjs", "clients.mjs"):
        (work / name).write_text((here / name).read_text())
    if not road.npm_install(work, "fhir-kit-client"):
        return False
    emitted = folder / "emitted.ndjson"
    emitted.write_text("".join(json.dumps(x) + "\n" for x in f.seen))
    done = subprocess.run(["node", "validate.mjs", emitted], cwd=work, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"the validator finds:\n{done.stdout}{done.stderr[:6000]}")
    print(f"valid: {done.stdout.strip()}")
    # It must be able to fail.
    bad = folder / "bad.ndjson"
    bad.write_text(json.dumps({"resourceType": "Observation", "status": "final", "colour": "blue"}) + "\n")
    if subprocess.run(["node", "validate.mjs", bad], cwd=work, capture_output=True).returncode == 0:
        raise SystemExit("the validator finds nothing in what is wrong")
    done = subprocess.run(["node", "clients.mjs", f"http://127.0.0.1:{f.port}/fhir", f.token, patient], cwd=work, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"the clients fail:\n{done.stdout}{done.stderr[-3000:]}")
    return True


def main():
    with_clients = "--clients" in sys.argv
    folder = pathlib.Path(tempfile.mkdtemp(prefix="fhir-"))
    good = False
    r = road.Road(folder, sys.argv[1], [SITE, HOSPITAL], tls=False)
    try:
        r.up()
        token = r.cloud_cli("token", "add", "ward", "--role", "fhir").stdout.strip()
        f = Facade(r.page_port, token)
        model = post(r, SITE, road.model_def("retina-screen", "2.4.1"))[0]["model_ref"]
        post(r, SITE, *[result(n, model) for n in range(3)])
        post(r, HOSPITAL, {"sens": 4, "purpose": ["care"], "review": {"logical_id": IDS[0], "version_seen": 1, "result_facility": SITE, "reviewer": "r-1", "role": "specialist",
                                                                     "verdict": "agreed", "site": "edge", "t": TIME}})
        road.wait_for("the views to follow", lambda: settled(r))
        patient = check_results(r, f, model)
        check_roles(r, f)
        check_writes(r, f)
        check_race(f)
        check_export(r, f)
        done = True
        if with_clients:
            done = check_clients(f, folder, patient)
        made = [] if with_clients else check_kill(r, f)
        if made:
            check_audit(r, f, made)
            check_restriction(r, f)
            check_erasure(r, f)
        good = True
        if not done:
            return SKIPPED
        print(f"ok: results as resources, what clients write, a race of 50, a bulk export, {len(made)} writes over kills, all of it in the audit log" if not with_clients else "ok: valid, and two clients of others did their round")
    finally:
        r.stop()
        road.leave(folder, good)
    return 0


if __name__ == "__main__":
    sys.exit(main())
