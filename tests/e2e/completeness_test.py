#!/usr/bin/env python3
"""How far the region is complete: by command line and API, and as a signed statement that the site proves without a link.

    completeness_test.py BIN_DIR
"""
import http.client
import json
import pathlib
import sys
import tempfile

import road

SITE, OTHER = "clinic-7", "clinic-8"


def expect(what, seen, wanted):
    if seen != wanted:
        raise SystemExit(f"{what}: {seen!r}, expected {wanted!r}")


def post(r, fac, first, count):
    records = [{"sens": 1, "purpose": ["quality"], "agent_event": {
        "boot_id": road.uuid_of("boot", fac), "counter": 1 + first + n, "name": "test.event", "severity": "info", "t": "2026-03-01T08:30:00Z"}} for n in range(count)]
    status, answer = r.ask(fac, "POST", "/v1/records", json.dumps(records))
    expect(f"post to {fac} ({answer[:200]})", status, 201)


def ask(r, path, token=None, host=None):
    c = http.client.HTTPConnection("127.0.0.1", r.page_port, timeout=10)
    c.request("GET", path, headers={**({"Authorization": f"Bearer {token}"} if token else {}), **({"X-Forwarded-For": host} if host else {})})
    answer = c.getresponse()
    return answer.status, answer.read().decode()


def statement(r, fac, name):
    file = r.dir / name
    file.write_text(r.cloud_cli("completeness", fac, "--statement").stdout)
    return file


def verify(r, fac, file, key, *more):
    return r.run(r.bin / "egret-agent", "verify-statement", file, "--key", key, "--config", r.dir / f"{fac}.toml", *more, check=False)


def check(r):
    post(r, SITE, 0, 300)
    post(r, OTHER, 0, 5)
    road.wait_for("everything to arrive", r.drained)
    road.wait_for("the views to follow", lambda: json.loads(r.cloud_cli("views", "--json").stdout)["blocks_behind"] == 0)

    one = json.loads(r.cloud_cli("completeness", SITE, "--json").stdout)
    expect("complete", (one["complete"], one["missing"], one["gap_records"]), (True, 0, 0))
    results = [s for s in one["streams"] if s["stream"] == "result"]
    expect("its stream", [(s["complete_to"], s["claimed_to"]) for s in results], [(300, 300)])
    expect("today's records", sum(d["received"] for d in one["days"]), 300)
    expect("today", one["days"][-1]["partial"], True)
    listed = json.loads(r.cloud_cli("completeness", "--json").stdout)["facilities"]
    expect("all sites", sorted((f["facility"], f["complete"]) for f in listed), [(SITE, True), (OTHER, True)])
    if "complete to" not in r.cloud_cli("completeness").stdout:
        raise SystemExit("the table has no head")
    expect("nobody", r.cloud_cli("completeness", "nobody", check=False).returncode, 1)
    expect("a statement of all", r.cloud_cli("completeness", "--statement", check=False).returncode, 2)

    # The API: who may, and the same answers.
    status, body = ask(r, f"/api/completeness/{SITE}")
    expect("by the API", (status, json.loads(body)["streams"]), (200, one["streams"]))
    expect("nobody by the API", ask(r, "/api/completeness/nobody")[0], 404)
    token = r.cloud_cli("token", "add", "auditor-1", "--role", "auditor").stdout.strip()
    expect("through a proxy", ask(r, f"/api/completeness/{SITE}", host="10.0.0.1")[0], 401)
    expect("through a proxy, with a token", ask(r, f"/api/completeness/{SITE}", token, "10.0.0.1")[0], 200)
    admin = r.cloud_cli("token", "add", "root-1", "--role", "admin").stdout.strip()
    expect("another role", ask(r, f"/api/completeness/{SITE}", admin)[0], 403)
    r.cloud_cli("token", "remove", "auditor-1")
    expect("removed", ask(r, f"/api/completeness/{SITE}", token)[0], 401)
    if token in r.cloud.log.read_text() or token in (r.dir / "cloud" / "tokens").read_text():
        raise SystemExit("a token is kept")

    # Signed: proven at the site, with and without the agent running, and against nothing else.
    key = json.loads(r.run(r.bin / "egret-cloud", "init", "--config", r.cloud_config, "--broker", r.uri, "--json").stdout)["statement_key"]
    file = statement(r, SITE, "site.statement")
    done = verify(r, SITE, file, key, "--json")
    expect(f"it holds ({done.stderr})", done.returncode, 0)
    told = json.loads(done.stdout)
    expect("proven", ([row["verdict"] for row in told["rows"] if row["complete_to"] == 300], told["lacks"]), (["proven"], 0))
    by_api = r.dir / "api.statement"
    by_api.write_text(ask(r, f"/api/completeness/{SITE}/statement")[1])
    expect("the API's", verify(r, SITE, by_api, key).returncode, 0)
    changed = r.dir / "changed.statement"
    text = file.read_text()
    changed.write_text(text.replace('"complete_to":300', '"complete_to":299', 1))
    done = verify(r, SITE, changed, key)
    expect("a changed number", (done.returncode, "changed" in done.stderr), (1, True))
    done = verify(r, SITE, statement(r, OTHER, "other.statement"), key)
    expect("another site's", (done.returncode, "it is about facility clinic-8" in done.stderr), (1, True))
    done = verify(r, SITE, file, "ab" * 32)
    expect("another signer", (done.returncode, "another key" in done.stderr), (1, True))
    expect("no key", verify(r, SITE, file, "ab").returncode, 2)
    expect("no file", verify(r, SITE, r.dir / "none", key).returncode, 74)

    # The site goes on while the region is away: what it lacks is counted, and the old statement still holds.
    r.cloud.end()
    post(r, SITE, 1000, 7)
    done = verify(r, SITE, file, key, "--json")
    expect("what is newer", (done.returncode, json.loads(done.stdout)["lacks"]), (0, 7))
    r.agents[SITE].end()
    expect("beside no agent", verify(r, SITE, file, key).returncode, 0)


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="completeness-"))
    good = False
    r = road.Road(folder, sys.argv[1], [SITE, OTHER], tls=False)
    try:
        r.up()
        check(r)
        good = True
        print("ok: complete in numbers, by whom it may be asked, and proven at the site")
    finally:
        r.stop()
        road.leave(folder, good)


if __name__ == "__main__":
    main()
