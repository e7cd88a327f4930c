#!/usr/bin/env python3
"""The metrics of a real agent and a real region: what promtool says of them, that each is written about and nothing else is, that
rules and dashboards use none that is not there, what survives a kill, and the same by OTLP.

    metrics_test.py BIN_DIR
"""
import http.server
import json
import pathlib
import subprocess
import sys
import tempfile
import threading

import exposed
import road
from results_test import result

SITE = "clinic-7"
PATIENT = "P-4711"


def expect(what, seen, wanted):
    if seen != wanted:
        raise SystemExit(f"{what}: {seen!r}, expected {wanted!r}")


class Receiver:
    """Takes OTLP, and keeps the newest set of each service."""

    def __init__(self):
        self.sets, self.paths = {}, set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for resource in body["resourceMetrics"]:
                    who = {a["key"]: a["value"]["stringValue"] for a in resource["resource"]["attributes"]}
                    outer.sets[who["service.name"]] = (who, [m for scope in resource["scopeMetrics"] for m in scope["metrics"]])
                outer.paths.add((self.path, self.headers["Content-Type"]))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def agent_scrape(r):
    return exposed.Scrape(r.ask(SITE, "GET", "/metrics")[1].decode())


def cloud_scrape(r):
    return exposed.Scrape(r.page("/metrics"))


def check_promtool(scrape, of):
    done = subprocess.run(["promtool", "check", "metrics"], input=scrape.text, capture_output=True, text=True)
    expect(f"promtool check metrics of the {of}", (done.returncode, done.stdout + done.stderr), (0, ""))


def check_reference(scrapes):
    """Both ways: what is exposed is written about as it is, and nothing else is."""
    seen = {name: (scrape.types[name], scrape.labels[name]) for scrape in scrapes for name in scrape.types}
    written = exposed.documented()
    for name in sorted(seen.keys() | written.keys()):
        expect(f"METRICS.md about {name}", written.get(name), seen.get(name))


def check_users(scrapes, folder):
    """Every name in a rule, its test or a dashboard is in a scrape; every query of a dashboard is one."""
    there = {name for scrape in scrapes for name in scrape.types}
    uses = exposed.expressions() + [("alerts_test.yml", (exposed.PROMETHEUS / "alerts_test.yml").read_text())]
    used = 0
    for where, text in uses:
        for name in exposed.names_in(text):
            used += 1
            if not any(scrape.family(name) for scrape in scrapes):
                raise SystemExit(f"{where}: {name} is in no scrape")
    rules = [{"record": f"q:{n}", "expr": expr} for n, (where, expr) in enumerate(exposed.expressions()) if ".json" in where and "variable" not in where]
    file = folder / "queries.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboards", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", "--lint=none", file], capture_output=True, text=True)
    expect(f"the dashboards' queries ({done.stdout}{done.stderr})", done.returncode, 0)
    print(f"{used} names in rules and dashboards, {len(rules)} queries, {len(there)} metrics")


def check_kept(r, before):
    """What the agent promises goes on counting after a kill."""
    kept = {name: before.values[f"egret_agent_records_{name}_total"] for name in ("accepted", "shed", "refused")}
    expect("accepted and refused before", (kept["accepted"] > 0, kept["refused"] > 0), (True, True))
    r.agents[SITE].kill()
    r.agents[SITE].start()
    road.wait_for("the agent again", lambda: r.status(SITE))
    after = agent_scrape(r)
    expect("over a kill", {name: after.values[f"egret_agent_records_{name}_total"] for name in kept}, kept)
    expect("while what counts the process begins anew", after.values["egret_agent_commits_total"], 0)


def check_otlp(r, receiver):
    road.wait_for("both by OTLP", lambda: {"egret-agent", "egret-cloud"} <= receiver.sets.keys(), 30)
    expect("where to and as what", receiver.paths, {("/v1/metrics", "application/json")})
    for service, scrape in (("egret-agent", agent_scrape(r)), ("egret-cloud", cloud_scrape(r))):
        known = {scrape.family(series.split("{")[0]) for series, value in scrape.values.items() if abs(value) < 1e300}
        road.wait_for(f"the same metrics of {service} by OTLP", lambda: {m["name"] for m in receiver.sets[service][1]} == known, 30)
    expect("who", receiver.sets["egret-agent"][0]["service.instance.id"], SITE)
    accepted = str(int(agent_scrape(r).values["egret_agent_records_accepted_total"]))

    def pushed():
        of = next(m for m in receiver.sets["egret-agent"][1] if m["name"] == "egret_agent_records_accepted_total")
        return of["sum"]["dataPoints"][0]["asInt"]
    # What was counted since the last push comes with the next.
    road.wait_for(f"{accepted} accepted, by OTLP", lambda: pushed() == accepted, 30)


def check_bounded(r):
    """Without metrics.sites_max no facility is named, and the number of series is that of every region."""
    r.cloud.end()
    r.cloud_config.write_text(r.cloud_config.read_text().replace("sites_max = 5", "sites_max = 0"))
    r.cloud.start()
    road.wait_for("the region's figures", lambda: "egret_cloud_facilities 1" in (r.page("/metrics") or ""))
    plain = cloud_scrape(r)
    if SITE in plain.text or "egret_cloud_site_" in plain.text:
        raise SystemExit("a facility is named though nobody asked for it")
    return plain


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="metrics-"))
    good = False
    receiver = Receiver()
    to = f"http://127.0.0.1:{receiver.port}/v1/metrics"
    r = road.Road(folder, sys.argv[1], [SITE], tls=False, cloud_settings={"sites_max": "5", "otlp": f'"{to}"', "otlp_every_s": "1"},
                  agent_settings={"metrics.otlp": to, "metrics.otlp_every_s": "1"})
    try:
        r.up()
        status, answer = r.ask(SITE, "POST", "/v1/records", json.dumps([result(road.uuid_of("metrics", str(n)), 1, critical=n == 0) for n in range(20)]))
        expect(f"post ({answer[:200]})", status, 201)
        expect("a bad one", r.ask(SITE, "POST", "/v1/records", '{"sens": 4}')[0], 400)
        road.wait_for("all of it", lambda: r.drained() and "egret_cloud_critical_findings_waiting 1\n" in (r.page("/metrics") or ""), 60)
        road.wait_for("the refusal on the disk", lambda: agent_scrape(r).values["egret_agent_records_refused_total"] == 1)
        # Refusals are kept with the next record that is accepted.
        expect("a good one", r.ask(SITE, "POST", "/v1/records", json.dumps(result(road.uuid_of("metrics", "last"), 1)))[0], 201)
        agent, cloud = agent_scrape(r), cloud_scrape(r)
        for scrape, of in ((agent, "agent"), (cloud, "region")):
            check_promtool(scrape, of)
            if PATIENT in scrape.text:
                raise SystemExit(f"a patient in the metrics of the {of}")
        check_reference([agent, cloud])
        check_users([agent, cloud], folder)
        check_otlp(r, receiver)
        check_kept(r, agent)
        plain = check_bounded(r)
        check_promtool(plain, "region without named sites")
        print(f"series: an agent {agent.series()}; a region {plain.series()}, with sites_max = n up to 10 n more: with 1 site {cloud.series()}")
        good = True
        print("ok: metrics are clean, written about, used as they are, kept over a kill, and the same by OTLP")
    finally:
        r.stop()
        road.leave(folder, good)


if __name__ == "__main__":
    main()
