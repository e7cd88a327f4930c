#!/usr/bin/env python3
"""Critical findings through the real road: told by webhook, topic and log exactly once each by id, while the receiver is away and
the region is killed; waited for, acknowledged, escalated, withdrawn; and the change feed beside them.

    alerts_test.py BIN_DIR
"""
import hashlib
import hmac
import http.client
import http.server
import json
import pathlib
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time

import road
from results_test import result, statement

SITE, OTHER = "clinic-7", "clinic-8"
SECRET = b"a secret of some length"
PATIENT = "P-4711"


def expect(what, seen, wanted):
    if seen != wanted:
        raise SystemExit(f"{what}: {seen!r}, expected {wanted!r}")


class Receiver:
    """A webhook's receiver that is there or not, and answers badly at times; keeps what it took."""

    def __init__(self, port):
        self.port, self.server, self.thread = port, None, None
        self.taken, self.bodies, self.mood = [], {}, iter(())
        self.bad, self.again = [], 0

    def start(self, answers=()):
        self.mood = iter(answers)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                fields = dict(part.split("=") for part in self.headers["Egret-Signature"].split(","))
                good = hmac.new(SECRET, fields["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
                if fields["v1"] != good or abs(time.time() - int(fields["t"])) > 300:
                    outer.bad.append(body)
                status = next(outer.mood, 200)
                event = self.headers["Egret-Event"]
                # What was taken and whose answer got lost comes again: known by its id.
                if status == 200 or status == "lost":
                    if event not in outer.bodies:
                        outer.taken.append(json.loads(body))
                    else:
                        outer.again += 1
                        if outer.bodies[event] != body:
                            outer.bad.append(body)
                    outer.bodies[event] = body
                if status == "lost":
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response(status)
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def post(r, fac, *records):
    status, answer = r.ask(fac, "POST", "/v1/records", json.dumps(list(records)))
    expect(f"post ({answer[:200]})", status, 201)


def call(r, method, path, token=None, body=None, timeout=40):
    c = http.client.HTTPConnection("127.0.0.1", r.page_port, timeout=timeout)
    c.request(method, path, body, {"Authorization": f"Bearer {token}"} if token else {})
    answer = c.getresponse()
    text = answer.read().decode()
    return answer.status, text, answer.getheader("Egret-Cursor"), answer.getheader("Egret-More")


def ids(n):
    return road.uuid_of("alerts", str(n))


def words(taken, about=None):
    return [e["event"] for e in taken if about is None or e["result"] == about]


def check_webhook(r, receiver, log_lines, mqtt_lines):
    """Thirty critical results of two sites, sent twice; kills and a receiver that is away: each is told once by id."""
    chance = random.Random(5)
    receiver.start([500, 404, "lost", 200, "lost"])
    for n in range(30):
        fac = (SITE, OTHER)[n % 2]
        post(r, fac, result(ids(n), 1, critical=True))
        if n % 10 == 4:
            receiver.stop()
        if n % 10 == 7:
            receiver.start([503])
        if n % 6 == 5:
            time.sleep(chance.random() * 0.4)
            r.cloud.kill()
            r.cloud.start()
        if n % 5 == 0:
            post(r, fac, result(ids(n), 1, critical=True))  # once more
    road.wait_for("everything to be told", lambda: len(set(e["result"] for e in receiver.taken)) == 30, 90)
    road.wait_for("the log and the topic", lambda: len(log_lines) >= 30 and len(mqtt_lines()) >= 30, 60)
    time.sleep(1.5)
    expect("each once", sorted(words(receiver.taken)), ["opened"] * 30)
    expect("signed", receiver.bad, [])
    expect("in the log", len({line.split("finding ")[1].split(" event")[0] for line in log_lines}), 30)
    expect("on the topic", len({json.loads(line.split(" ", 1)[1])["result"] for line in mqtt_lines()}), 30)
    for line in mqtt_lines():
        topic, payload = line.split(" ", 1)
        expect("the topic names the site", topic, f"egret/alerts/{json.loads(payload)['facility']}")
    everything = json.dumps(receiver.taken) + "".join(log_lines) + "".join(mqtt_lines()) + r.cloud.log.read_text()
    if PATIENT in everything or "grade" in everything:
        raise SystemExit("a patient is told of")


def check_life(r, receiver):
    """Waiting for news, acknowledging, escalation, withdrawal."""
    operator = r.cloud_cli("token", "add", "ward-3", "--role", "operator").stdout.strip()
    viewer = r.cloud_cli("token", "add", "board", "--role", "viewer").stdout.strip()
    status, text, _, _ = call(r, "GET", "/api/alerts")
    here = json.loads(text)["cursor"]
    expect("all of them", len(json.loads(text)["alerts"]), 30)

    got = {}
    waiter = threading.Thread(target=lambda: got.update(answer=call(r, "GET", f"/api/alerts?wait=30s&after={here}", viewer), at=time.monotonic()))
    waiter.start()
    time.sleep(0.5)
    begun = time.monotonic()
    slow, fast = ids(100), ids(101)
    post(r, SITE, result(fast, 1, critical=True, ack_deadline_s=600), result(slow, 1, critical=True, ack_deadline_s=2))
    waiter.join(35)
    news = json.loads(got["answer"][1])["alerts"]
    expect("news", sorted(words(news)), ["opened", "opened"])
    print(f"a waiting reader heard of a critical result {got['at'] - begun:.2f} s after it was posted at the site")

    path = f"/api/alerts/{SITE}/{fast}"
    expect("a viewer may not", call(r, "POST", path + "/acknowledge", viewer)[0], 403)
    expect("nor nobody", call(r, "POST", path + "/acknowledge")[0], 401)
    status, text, _, _ = call(r, "POST", path + "/acknowledge", operator, json.dumps({"note": "told the ward"}))
    expect(f"acknowledged ({text})", (status, json.loads(text)["by"]), (200, "ward-3"))
    expect("once", call(r, "POST", path + "/acknowledge", operator)[0], 409)
    road.wait_for("escalations", lambda: words(receiver.taken, slow).count("escalated") == 3, 30)
    expect("by the command line", r.cloud_cli("alerts", "--acknowledge", f"{SITE}/{slow}", "--by", "dr-q").returncode, 0)
    expect("once", r.cloud_cli("alerts", "--acknowledge", f"{SITE}/{slow}", "--by", "dr-q", check=False).returncode, 1)
    waiting = json.loads(r.cloud_cli("alerts", "--waiting", "--json", check=False).stdout)
    expect("who still waits", {slow, fast} & {a["result"] for a in waiting}, set())

    # Taken back.
    post(r, SITE, statement("retraction", logical_id=ids(0), version=2, reason="wrong_patient"), result(fast, 2, status="corrected"))
    road.wait_for("withdrawals", lambda: "withdrawn" in words(receiver.taken, ids(0)) and "withdrawn" in words(receiver.taken, fast), 30)
    expect("the life of one", words(receiver.taken, fast), ["opened", "acknowledged", "withdrawn"])
    expect("and of another", words(receiver.taken, slow), ["opened", "escalated", "escalated", "escalated", "acknowledged"])

    # Views made anew open nothing again.
    before = r.cloud_cli("alerts", "--events").stdout
    r.cloud_cli("views", "--rebuild")
    road.wait_for("the views to be made anew", lambda: json.loads(r.cloud_cli("views", "--json").stdout)["blocks_behind"] == 0)
    time.sleep(1.5)
    expect("made anew", r.cloud_cli("alerts", "--events").stdout, before)
    expect("verified", r.cloud_cli("verify").returncode, 0)


def check_changes(r):
    """Every record, in order, in pages of any size, by two ways; nothing of a patient but for who may."""
    fhir = r.cloud_cli("token", "add", "his", "--role", "fhir").stdout.strip()
    seen, after, more = [], "", "yes"
    while more == "yes":
        status, text, after, more = call(r, "GET", f"/api/changes?lines=7&after={after}")
        expect(f"a page ({text[:100]})", status, 200)
        seen += text.splitlines()
    expect("no patient", PATIENT in "".join(seen), False)
    whole = r.cloud_cli("changes").stdout.splitlines()
    expect("by both ways", seen, whole)
    expect("each once", len({(json.loads(x)["facility"], json.loads(x)["content_sha256"]) for x in whole}), len(whole))
    exported = [json.loads(x) for x in r.cloud_cli("export").stdout.splitlines()]
    applied = [x for x in exported if x.get("disposition") == "applied"]
    expect("as many as the export has", len(whole), len(applied))
    expect("from the middle", r.cloud_cli("changes", "--after", json.loads(whole[9])["cursor"]).stdout.splitlines(), whole[10:])
    expect("CSV", len(r.cloud_cli("changes", "--csv").stdout.splitlines()), len(whole) + 1)
    expect("patients, for a viewer", call(r, "GET", "/api/changes?records=1")[0], 403)
    expect("patients, for clinical systems", PATIENT in call(r, "GET", "/api/changes?records=1", fhir)[1], True)
    got = {}
    waiter = threading.Thread(target=lambda: got.update(answer=call(r, "GET", f"/api/changes?wait=30s&after={after}")))
    waiter.start()
    time.sleep(0.3)
    post(r, OTHER, result(ids(200), 1))
    waiter.join(35)
    expect("news", [json.loads(x)["kind"] for x in got["answer"][1].splitlines()], ["ai_result"])

    # A backup is taken, more comes, the backup is restored: the old cursor is told so, and begun again nothing is missing.
    late = got["answer"][2]
    r.run(r.bin / "egret-cloud", "backup", r.dir / "copy", "--config", r.cloud_config)
    post(r, OTHER, result(ids(201), 1))
    road.wait_for("it to arrive", lambda: len(call(r, "GET", f"/api/changes?after={late}")[1].splitlines()) == 1)
    r.cloud.end()
    r.cloud_cli("restore", r.dir / "copy")
    r.cloud.start()
    road.wait_for("the region", lambda: r.page("/healthz"))
    status, text, _, _ = call(r, "GET", f"/api/changes?after={late}")
    expect("a cursor of before", status, 410)
    again = json.loads(text)["cursor"]
    road.wait_for("what was lost to come again", lambda: len(call(r, "GET", f"/api/changes?lines=10000&after={again}")[1].splitlines()) == len(whole) + 2, 60)


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="alerts-"))
    good = False
    receiver = Receiver(road.free_port())
    secret = folder / "secret"
    secret.write_bytes(SECRET + b"\n")
    log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    log.bind(str(folder / "log"))
    log_lines = []

    def listen():
        while True:
            log_lines.append(log.recv(4096).decode())

    threading.Thread(target=listen, daemon=True).start()
    r = road.Road(folder, sys.argv[1], [SITE, OTHER], tls=False, cloud_settings={
        "webhook": f'"http://127.0.0.1:{receiver.port}/alerts"', "webhook_secret_file": f'"{secret}"', "mqtt": '"yes"', "syslog": f'"{folder}/log"'})
    ear = None
    try:
        r.make()
        with open(folder / "broker" / "acl", "a") as acl:
            acl.write("\nuser clinic-7\ntopic read egret/alerts/+\n")
        r.broker.start()
        road.wait_for("broker", r.broker_listens)
        heard = open(folder / "mqtt.log", "wb")
        ear = subprocess.Popen(road.tied(["mosquitto_sub", "-p", str(r.port), "-u", SITE, "-P", r.passwords[SITE], "-i", "ear", "-t", "egret/alerts/+", "-q", "1", "-F", "%t %p"]), stdout=heard)
        r.cloud.start()
        road.wait_for("cloud", lambda: r.page("/healthz") is not None)
        for fac in r.facilities:
            r.agents[fac].start()
        for fac in r.facilities:
            road.wait_for(fac, lambda: r.status(fac))
        check_webhook(r, receiver, log_lines, lambda: (folder / "mqtt.log").read_text().splitlines())
        check_life(r, receiver)
        check_changes(r)
        good = True
        print("ok: critical findings told once each by three ways, answered, escalated, taken back; every change in order")
    finally:
        if ear:
            ear.kill()
        r.stop()
        road.leave(folder, good)


if __name__ == "__main__":
    main()
