#!/usr/bin/env python3
"""The agent's HTTP door, held to its promises by a real egret-agent.    doors_test.py BIN_DIR [unittest arguments]"""
import hashlib
import json
import os
import pathlib
import random
import select
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from lone_agent import LoneAgent, critical, lines, raw_answers, record, telemetry
from road import DATA, Process, Road, UnixHttp, wait_for

BIN = None
SUITE = DATA / "json" / "JSONTestSuite"
MIB = 1 << 20
PATIENT = "Zzyxwiczówna"  # planted; occurs nowhere else


class AgentCase(unittest.TestCase):
    """A fresh agent a test class, ended whatever happens."""
    options = {}

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="egret-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        cls.agent = LoneAgent(cls.folder, BIN, **cls.options)
        cls.addClassCleanup(cls.agent.kill)

    def assert_refused(self, answer, status, code, field=None, says=""):
        self.assertEqual(answer.status, status, answer)
        body = answer.json
        error = body["error"] if "error" in body else body["results"][0]["error"]
        self.assertEqual(error["code"], code, answer)
        if field is not None:
            self.assertEqual(error["field"], field, answer)
        self.assertIn(says, error["message"])
        return error


class Records(AgentCase):
    def test_one_record_gets_the_place_it_was_given(self):
        answer = self.agent.post(record(1))
        self.assertEqual(answer.status, 201, answer)
        self.assertEqual((answer.json["accepted"], answer.json["rejected"]), (1, 0))
        got = answer.json["results"][0]
        self.assertEqual((got["outcome"], got["kind"], got["stream"]), ("accepted", "ai_result", "result"))
        self.assertRegex(got["epoch"], "^[0-9a-f]{16}$")
        self.assertRegex(got["content_sha256"], "^[0-9a-f]{64}$")
        status = self.agent.status()
        self.assertEqual(got["epoch"], status["epoch"])
        row = next(r for r in status["rows"] if r["stream"] == "result")
        self.assertEqual(row["head"], got["seq"])

    def test_places_are_dense_per_stream_and_follow_the_order_of_the_request(self):
        for posted in (self.agent.post([critical(i) if i % 3 == 0 else record(i) for i in range(100, 400)]),
                       self.agent.post_lines([critical(i) if i % 3 == 0 else record(i) for i in range(400, 1000)], tcp=True)):
            self.assertEqual(posted.status, 201, posted)
            for stream in ("critical", "result"):
                seqs = [r["seq"] for r in posted.json["results"] if r["stream"] == stream]
                self.assertGreater(len(seqs), 50)
                self.assertEqual(seqs, list(range(seqs[0], seqs[0] + len(seqs))))

    def test_a_thousand_lines_with_a_bad_one_are_999_accepted_and_one_named_by_line_and_field(self):
        posted = [record(i) for i in range(2000, 3000)]
        posted[416] = record(416, prob=1.7)
        answer = self.agent.post_lines(posted)
        self.assertEqual(answer.status, 207)
        self.assertEqual((answer.json["accepted"], answer.json["rejected"]), (999, 1))
        bad = [r for r in answer.json["results"] if r["outcome"] == "rejected"]
        self.assertEqual([(b["index"], b["line"]) for b in bad], [(416, 417)])
        self.assertEqual(bad[0]["error"]["field"], "ai_result.prob")
        self.assertTrue(bad[0]["error"]["message"].startswith("line 417: ai_result.prob: "), bad)
        short = self.agent.post_lines(posted, headers={"Prefer": "return=minimal"})
        self.assertEqual([r["line"] for r in short.json["results"]], [417])

    def test_empty_lines_are_skipped_and_counted(self):
        answer = self.agent.post_lines(["", record(1), "   ", "\r", "{", record(2), ""])
        self.assertEqual([(r["line"], r["outcome"]) for r in answer.json["results"]], [(2, "accepted"), (5, "rejected"), (6, "accepted")])

    def test_what_is_wrong_with_a_record_is_named_by_field_with_what_is_allowed(self):
        good = json.dumps(record(1))
        deep = 40 * "[" + 40 * "]"
        for body, code, field, says in [
                (good[:-5], "bad_input", "", "malformed JSON at byte"),
                (good + "x", "bad_input", "", "malformed JSON at byte 5"),
                (good + good, "bad_input", "", "malformed JSON"),
                ("", "bad_input", "", "nothing there"),
                ("[" + good, "bad_input", "", "not closed"),
                ("7", "bad_input", "", "must be an object"),
                (good.replace('"P-1"', '"\\ud800"'), "bad_input", "", "escape inside a string"),
                (good.replace('"P-1"', deep), "bad_input", "", "nested too deep, allowed 32 levels"),
                (100_000 * "[", "bad_input", "", "nested too deep"),
                (json.dumps(record(1, status=7)), "bad_input", "ai_result.status", "a number, must be a string"),
                (json.dumps(record(1, status="done")), "bad_input", "ai_result.status", "none of registered"),
                (json.dumps(record(1, gradable="yes")), "bad_input", "ai_result.gradable", "must be true or false"),
                (json.dumps(record(1, run_id="7")), "bad_input", "ai_result.run_id", "1 bytes, allowed"),
                (json.dumps(record(1, version=1.5)), "bad_input", "ai_result.version", "whole number"),
                (json.dumps(record(1, scenario=[])), "bad_input", "ai_result.scenario", "an array, must be an object"),
                (json.dumps(record(1, code=None)), "bad_input", "ai_result.code", "missing"),
                (json.dumps(record(1, statos="final")), "bad_input", "ai_result", "did you mean \"status\""),
                (good.replace('"version": 1', '"version": 1, "version": 1'), "bad_input", "ai_result.version", "twice"),
                (json.dumps({"kind": "x_ray", **record(1)}), "unknown_kind", "kind", "none of ai_result"),
                (json.dumps({"sens": 4, "purpose": ["care"]}), None, None, "")]:
            with self.subTest(body[:60]):
                answer = self.agent.post(body)
                self.assertEqual(answer.status, 400, answer)
                error = self.assert_refused(answer, 400, code or answer.json["results"][0]["error"]["code"], field, says)
                self.assertTrue(error["message"])
        wrong = good.encode().replace(b"P-1", b"P-\xff")
        self.assert_refused(self.agent.post(wrong), 400, "bad_input", "", "not UTF-8")
        foreign = {**record(1), "facility_id": "clinic-2"}
        self.assert_refused(self.agent.post(foreign), 400, "bad_input", "facility_id", "another facility's")

    def test_a_record_over_64_KiB_and_a_request_over_its_limits_are_413_with_the_limit(self):
        long = record(1, components=[{"code": [{"system": "s", "code": "c", "display": 200 * "x"}], "value": {"text": 1024 * "y"}} for _ in range(64)])
        self.assert_refused(self.agent.post(long), 413, "too_large", says="at most 65,016")
        self.assert_refused(self.agent.post(json.dumps(record(1)).replace("P-1", 300_000 * "x")), 413, "too_large", says="at most 262,144")
        self.assert_refused(self.agent.post_lines(10_001 * ["{}"]), 413, "too_large", says="more than 10,000 records")
        self.assert_refused(self.agent.post("[" + 10_000 * "{}," + "{}]"), 413, "too_large", says="more than 10,000 records")
        both = self.agent.post_lines([long, record(7)])
        self.assertEqual((both.status, both.json["accepted"]), (207, 1))
        self.assert_refused(self.agent.post(bytes(17 * MIB)), 413, "too_large", says="more than 16842752 bytes")

    def test_the_way_to_ask_is_told(self):
        for method, path, status, code in [("GET", "/v1/records", 405, "method_not_allowed"), ("POST", "/v1/status", 405, "method_not_allowed"),
                                           ("POST", "/v2/records", 404, "not_found"), ("DELETE", "/v1/documents", 405, "method_not_allowed"), ("PUT", "/", 405, "method_not_allowed"), ("GET", "/index.html", 404, "not_found")]:
            self.assert_refused(self.agent.ask(method, path, b"{}"), status, code)
        self.assert_refused(self.agent.post(record(1), kind="text/plain"), 415, "unsupported", "Content-Type")
        self.assert_refused(self.agent.post(record(1), kind=None), 415, "unsupported", "Content-Type")
        self.assert_refused(self.agent.post(record(1), headers={"Content-Encoding": "gzip"}), 415, "unsupported", "Content-Encoding")
        self.assertEqual(self.agent.post(record(1), kind="Application/JSON; charset=utf-8").status, 201)
        self.assertEqual(self.agent.ask("GET", "/healthz").json, {"status": "ok"})
        page = self.agent.ask("GET", "/")
        self.assertEqual(page.status, 200)
        self.assertIn("All is well" if b"All is well" in page.body else "Please look at this", page.body.decode())
        self.assertIn("无需处理" if b"All is well" in page.body else "请处理", page.body.decode())
        self.assertEqual(self.agent.ask("HEAD", "/healthz").status, 405)

    def test_a_web_page_cannot_post(self):
        for headers in ({"Origin": "https://example.org"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
            self.assert_refused(self.agent.post(record(1), headers=headers), 403, "forbidden")
        self.assert_refused(self.agent.post(record(1), headers={"Host": "attacker.example:8477"}, tcp=True), 403, "forbidden")

    def test_telemetry_is_taken_in_and_its_faults_are_named(self):
        answer = self.agent.post(telemetry(1), path="/v1/telemetry")
        self.assertEqual((answer.status, answer.json["results"][0]["stream"], answer.json["results"][0]["seq"] > 0), (201, "telemetry", True))
        wrong = telemetry(1)
        wrong["series"][0]["points"] = [[1_800_000_000, "high"]]
        self.assert_refused(self.agent.post(wrong, path="/v1/telemetry"), 400, "bad_input", "series[0].points[0]")
        self.assert_refused(self.agent.post({**telemetry(1), "time_unit": "h"}, path="/v1/telemetry"), 400, "bad_input", "time_unit")
        self.assert_refused(self.agent.post(b" " * (MIB + 1), path="/v1/telemetry"), 413, "too_large", says="1,048,576")


class Documents(AgentCase):
    options = {"budget_mb": 512}

    def test_any_bytes_up_to_16_MiB_are_taken_in_as_parts_of_32_KiB(self):
        chance = random.Random(5)
        for size, parts in [(0, 0), (1, 1), (32 * 1024, 1), (32 * 1024 + 1, 2), (16 * MIB, 512)]:
            body = chance.randbytes(size)
            answer = self.agent.post_document(body, "application/dicom")
            self.assertEqual(answer.status, 201, answer)
            got = answer.json
            self.assertEqual((got["sha256"], got["size_bytes"], got["parts"], got["media_type"]), (hashlib.sha256(body).hexdigest(), size, parts, "application/dicom"))
            self.assertEqual([r["kind"] for r in got["records"]], ["source_document"] + parts * ["document_part"])
            seqs = [r["seq"] for r in got["records"]]
            self.assertEqual(seqs, list(range(seqs[0], seqs[0] + parts + 1)))

    def test_a_document_over_16_MiB_is_413_whatever_way_it_comes(self):
        body = bytes(16 * MIB + 1)
        error = self.assert_refused(self.agent.post_document(body), 413, "too_large", says="16,777,217 bytes, at most 16,777,216")
        self.assertEqual(error["field"], "document")
        self.assert_refused(self.agent.post_document(bytes(40 * MIB)), 413, "too_large", says="more than 16842752")
        chunked = (bytes(MIB) for _ in range(20))
        self.assert_refused(self.agent.ask("POST", "/v1/documents", chunked, "x/y"), 413, "too_large", says="more than 16842752")

    def test_type_and_name_are_kept_and_judged(self):
        self.assertEqual(self.agent.post_document(b"x", "text/plain; charset=GB18030").json["media_type"], "text/plain; charset=GB18030")
        self.assertEqual(self.agent.post_document(b"x", None).json["media_type"], "application/octet-stream")
        self.assertEqual(self.agent.post_document(b"x", query="?name=scan%20of%20%E6%9D%8E.dcm").status, 201)
        for query, kind in [("?name=" + 300 * "n", "x/y"), ("?name=%ff", "x/y"), ("?name=a%0ab", "x/y"), ("?name=%zz", "x/y"), ("", "no type"), ("", "x/" + 200 * "y")]:
            with self.subTest(query + kind):
                answer = self.agent.post_document(b"x", kind, query)
                error = self.assert_refused(answer, 400, "bad_input")
                self.assertTrue(error["field"], error)


class Repeats(AgentCase):
    def repeat(self, body, key):
        return self.agent.post(body, headers={"Idempotency-Key": key})

    def accepted(self):
        return self.agent.status()["accepted"]

    def test_the_same_key_and_body_are_answered_the_same_and_taken_in_once(self):
        before = self.accepted()
        first = self.repeat(record(1), "order-1")
        again = [self.repeat(record(1), "order-1") for _ in range(3)]
        self.assertEqual(first.status, 201)
        self.assertEqual([a.body for a in again], 3 * [first.body])
        self.assertEqual(self.accepted(), before + 1)

    def test_repeats_that_come_at_once_wait_for_the_first(self):
        before = self.accepted()
        answers = []
        posters = [threading.Thread(target=lambda: answers.append(self.repeat(record(2), "order-2").body)) for _ in range(40)]
        for p in posters:
            p.start()
        for p in posters:
            p.join()
        self.assertEqual((len(answers), len(set(answers))), (40, 1))
        self.assertEqual(self.accepted(), before + 1)

    def test_another_body_under_the_same_key_is_not_lost(self):
        before = self.accepted()
        a, b = self.repeat(record(3), "order-3").json["results"][0], self.repeat(record(4), "order-3").json["results"][0]
        self.assertNotEqual(a["content_sha256"], b["content_sha256"])
        self.assertEqual(self.accepted(), before + 2)

    def test_after_a_restart_a_repeat_is_the_same_record_by_its_natural_key(self):
        first = self.repeat(record(5), "order-5").json["results"][0]
        self.agent.kill()
        self.agent.start()
        again = self.repeat(record(5), "order-5").json["results"][0]
        self.assertEqual((first["kind"], first["content_sha256"], first["logical_id"]), (again["kind"], again["content_sha256"], again["logical_id"]))
        self.assertNotEqual(first["epoch"], again["epoch"])

    def test_a_refusal_is_not_remembered_as_an_answer(self):
        bad = self.repeat("{", "order-6")
        self.assertEqual(bad.status, 400)
        self.assertEqual(self.repeat(record(6), "order-6").status, 201)

    def test_a_key_that_cannot_be_kept_is_refused_by_name(self):
        for key in (129 * "k", "two words", "ключ".encode()):
            answer = self.repeat(record(7), key)
            self.assert_refused(answer, 400, "bad_input", "Idempotency-Key", "128")


class JsonTestSuite(AgentCase):
    """nst/JSONTestSuite through the door: as a request, as a line, inside an array, as telemetry."""

    def files(self, prefix):
        found = sorted(SUITE.glob(prefix + "*.json"))
        self.assertGreater(len(found), 20)
        return [(f.name, f.read_bytes()) for f in found]

    def ways(self, text):
        yield self.client(), "/v1/records", "application/json", text
        yield self.client(), "/v1/records", "application/x-ndjson", text
        yield self.client(), "/v1/records", "application/json", b'[{"sens":1},' + text + b"]"
        yield self.client(), "/v1/telemetry", "application/json", text

    def client(self):
        return self.open

    def each(self, prefix, check):
        self.open = self.agent.client()
        for name, text in self.files(prefix):
            for client, path, kind, body in self.ways(text):
                with self.subTest(f"{name} {path} {kind}"):
                    answer = self.agent.ask("POST", path, body, kind, client=client)
                    self.assertLess(answer.status, 500, answer)
                    self.assertTrue(answer.json)
                    check(answer, path, kind)
        self.open.close()
        self.assertEqual(self.agent.ask("GET", "/healthz").status, 200)
        self.assertTrue(self.agent.process.alive())

    def test_every_text_that_is_no_JSON_is_refused(self):
        def refused(answer, path, kind):
            self.assertIn(answer.status, (400, 413))
            self.assertEqual(answer.json.get("accepted", 0), 0)
        self.each("n_", refused)

    def test_every_text_that_is_JSON_is_refused_for_its_schema_with_a_reason(self):
        def judged(answer, path, kind):
            self.assertIn(answer.status, (400, 413))
            errors = [answer.json["error"]] if "error" in answer.json else [r["error"] for r in answer.json["results"]]
            for error in errors:
                self.assertTrue(error["message"])
                if "ndjson" not in kind:  # a text of several lines is several lines there
                    self.assertNotIn("malformed", error["message"])
        self.each("y_", judged)

    def test_texts_that_may_go_either_way_do_no_harm(self):
        self.each("i_", lambda answer, path, kind: self.assertLess(answer.status, 500))


class BadClients(AgentCase):
    options = {"connections_max": 40}

    def say(self, data, tcp=False, then_close=False):
        with self.agent.connect(tcp) as s:
            s.sendall(data)
            if then_close:
                s.shutdown(socket.SHUT_WR)
            return raw_answers(s)

    def request(self, extra=b"", body=b"", length=None):
        size = len(body) if length is None else length
        return b"POST /v1/records HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + extra + (b"Content-Length: %d\r\n\r\n" % size if size is not None else b"\r\n") + body

    def assert_error(self, got, status, says=b""):
        self.assertTrue(got.startswith(b"HTTP/1.1 %d " % status), got[:300])
        self.assertIn(says, got)
        self.assertIn(b'"error":{"code":', got)

    def test_what_is_no_HTTP_is_told_so(self):
        self.assert_error(self.say(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"), 400, b"not an HTTP/1.1 request")
        self.assert_error(self.say(b"GET\r\n\r\n"), 400)
        self.assert_error(self.say(b"GET /healthz HTTP/9.9\r\n\r\n"), 400)
        self.assert_error(self.say(b"POST /v1/records HTTP/1.1\r\nNo colon here\r\n\r\n"), 400)

    def test_headers_over_8_KiB_are_431(self):
        self.assert_error(self.say(self.request(b"X-Long: " + 9000 * b"x" + b"\r\n")), 431, b"more than 8192 bytes")
        self.assert_error(self.say(self.request(b"".join(b"X-%d: y\r\n" % i for i in range(2000)))), 431)
        self.assert_error(self.say(b"GET /" + 9000 * b"a" + b" HTTP/1.1\r\n\r\n"), 431)

    def test_lengths_that_make_no_sense_are_refused(self):
        for length in (b"-1", b"1x", b"99999999999999999999999", b"0x10", b""):
            with self.subTest(length):
                got = self.say(b"POST /v1/records HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + length + b"\r\n\r\n")
                self.assertIn(got[:12], (b"HTTP/1.1 400", b"HTTP/1.1 413"))
        self.assert_error(self.say(self.request(length=1 << 40)), 413, b"more than 16842752 bytes")
        two = b"POST /v1/records HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"
        self.assert_error(self.say(two), 400)
        both = b"POST /v1/records HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        self.assert_error(self.say(both), 400)

    def test_a_request_that_ends_too_early_is_told_so_and_leaves_nothing(self):
        before = self.agent.status()["accepted"]
        body = json.dumps(record(1)).encode()
        self.assert_error(self.say(self.request(body=body, length=len(body) + 1), then_close=True), 400, b"ends before it is complete")
        self.assert_error(self.say(self.request(body=body)[:40], then_close=True), 400, b"ends before it is complete")
        chunk = b"POST /v1/records HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body
        self.assert_error(self.say(chunk, then_close=True), 400, b"ends before it is complete")
        self.assertEqual(self.agent.status()["accepted"], before)

    def test_chunked_bodies_are_read_and_bad_chunks_refused(self):
        body = json.dumps(record(2)).encode()
        head = b"POST /v1/records HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        pieces = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (body[:1], body[1:70], body[70:])) + b"0\r\n\r\n"
        self.assertTrue(self.say(head + pieces).startswith(b"HTTP/1.1 201 "))
        self.assert_error(self.say(head + b"zz\r\n" + body), 400)
        self.assert_error(self.say(head + b"ffffffffffffffffff\r\n" + body), 400)

    def test_pipelined_requests_are_answered_in_order(self):
        many = b"".join(self.request(b"Connection: close\r\n" if i == 19 else b"", json.dumps(record(100 + i)).encode()) for i in range(20))
        got = self.say(many, tcp=True)
        seqs = [json.loads(part.split(b"\r\n\r\n", 1)[1])["results"][0]["seq"] for part in got.split(b"HTTP/1.1 201 Created")[1:]]
        self.assertEqual(len(seqs), 20)
        self.assertEqual(seqs, sorted(seqs))

    def test_expect_100_continue_is_answered_before_the_body_is_sent(self):
        body = json.dumps(record(3)).encode()
        whole = self.request(b"Expect: 100-continue\r\nConnection: close\r\n", body)
        with self.agent.connect() as s:
            s.sendall(whole[:-len(body)])
            self.assertTrue(s.recv(1000).startswith(b"HTTP/1.1 100 "))
            s.sendall(body)
            self.assertTrue(raw_answers(s).startswith(b"HTTP/1.1 201 "))
        self.assert_error(self.say(self.request(b"Expect: 100-continue\r\n", length=1 << 30)), 413)

    def slow_client(self):
        """One that is let in: the door may still be busy closing the connection before."""
        s = self.agent.connect()
        s.sendall(b"POST /v1/rec")
        if not select.select([s], [], [], 0.3)[0]:
            return s
        s.close()
        return None

    def test_slow_clients_cost_connections_only_and_one_too_many_is_told_so(self):
        slow = []
        try:
            for i in range(39):
                s = self.agent.connect(tcp=i % 2 == 0)
                s.sendall(self.request(length=500)[: 20 + i])  # half a header
                slow.append(s)
            # The fortieth is served, and sees the others.
            wait_for("39 slow clients", lambda: self.agent.status()["counters"]["connections"] == 40, 5)
            slow.append(wait_for("the fortieth slow client", self.slow_client, 5))
            answer = self.agent.post(record(5))
            self.assert_refused(answer, 503, "busy", says="all 40 connections are in use")
            self.assertEqual(answer.headers["Retry-After"], "1")
        finally:
            for s in slow:
                s.close()
        wait_for("free connections", lambda: self.agent.post(record(6)).status == 201)

    def test_a_header_that_drips_in_is_cut_off_with_an_answer(self):
        with self.agent.connect() as s:
            begun = time.monotonic()
            got = b""
            s.settimeout(0.25)
            for byte in self.request(b"X-Slow: " + 400 * b"x"):
                try:
                    s.sendall(bytes([byte]))
                    got = s.recv(1000)
                    break
                except (socket.timeout, BrokenPipeError):
                    continue
            self.assert_error(got, 408, b"header: not complete after 10000 ms")
            self.assertLess(time.monotonic() - begun, 12)


class ThroughToTheRegion(unittest.TestCase):
    """What the door promises of the other end of the road, shown by the region's export."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="egret-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.road = Road(self.folder, BIN, ["clinic-1"], tls=False)
        self.addCleanup(self.road.stop)
        self.road.make_broker()
        self.road.make_cloud()
        self.road.make_agent("clinic-1")
        self.start_agent()

    def start_agent(self):
        self.road.agents["clinic-1"].start()
        wait_for("the agent", lambda: self.road.status("clinic-1"))

    def post(self, path, body, kind, headers=None):
        c = UnixHttp(self.road.socket("clinic-1"))
        c.request("POST", path, body, {"Content-Type": kind, **(headers or {})})
        answer = c.getresponse()
        self.addCleanup(c.close)
        self.assertEqual(answer.status, 201)
        return json.loads(answer.read())

    def test_documents_come_out_byte_for_byte_and_a_repeat_after_a_restart_is_one_record(self):
        chance = random.Random(11)
        documents = [chance.randbytes(size) for size in (1, 32 * 1024, 32 * 1024 + 1, MIB + 7, 16 * MIB)]
        for body in documents:
            self.post("/v1/documents?name=a%20name", body, "application/dicom")
        first = self.post("/v1/records", json.dumps(record(1)), "application/json", {"Idempotency-Key": "order-1"})["results"][0]
        self.road.agents["clinic-1"].kill()
        self.road.broker.start()
        wait_for("broker", self.road.broker_listens)
        self.road.cloud.start()
        wait_for("cloud", lambda: self.road.page("/healthz"))
        self.start_agent()
        again = self.post("/v1/records", json.dumps(record(1)), "application/json", {"Idempotency-Key": "order-1"})["results"][0]
        self.assertNotEqual((first["epoch"], first["seq"]), (again["epoch"], again["seq"]))
        wait_for("drained", self.road.drained, 60)
        out = self.folder / "documents"
        rows = [json.loads(line) for line in self.road.cloud_cli("export", "--documents", out).stdout.splitlines()]
        written = sorted(hashlib.sha256(f.read_bytes()).hexdigest() for f in out.rglob("*") if f.is_file())
        self.assertEqual(written, sorted(hashlib.sha256(d).hexdigest() for d in documents))
        same = [r for r in rows if r["content_sha256"] == first["content_sha256"]]
        self.assertEqual([r["disposition"] for r in same].count("applied"), 1, same)
        self.assertEqual({(r["epoch"], r["stream"], r["seq"]) for r in same} <= {(p["epoch"], p["stream"], p["seq"]) for p in (first, again)}, True, same)


class Full(AgentCase):
    options = {"budget_mb": 32}

    def when_full(self, ask):
        """The answer to `ask` when there is no room: RocksDB gives some back now and then, which is filled again."""
        for n in range(50):
            while self.agent.post_lines([record(n * 100 + i) for i in range(100)]).status == 201:
                pass
            answer = ask()
            if answer.status != 201:
                return answer
        self.fail("there is always room")

    def test_a_full_buffer_is_507_for_results_and_429_for_telemetry_and_critical_results_still_have_room(self):
        chance = random.Random(9)
        for n in range(60):
            answer = self.agent.post_document(chance.randbytes(MIB))
            if answer.status != 201:
                break
        self.assertGreater(n, 10)
        error = self.assert_refused(answer, 507, "disk_full", says="disk budget is used up")
        self.assertTrue(answer.headers["Retry-After"])
        used = self.agent.status()["disk"]["used_bytes"]
        self.assertLess(used, 32 * MIB)
        self.assertEqual(self.agent.post_document(chance.randbytes(16 * MIB)).status, 507)
        for size in (256, 16, 1):  # to the brim
            while self.agent.post_document(chance.randbytes(size * 1024)).status == 201:
                pass
        self.assert_refused(self.when_full(lambda: self.agent.post_lines([record(i) for i in range(100)])), 507, "disk_full")
        self.assert_refused(self.when_full(lambda: self.agent.post(telemetry(1), path="/v1/telemetry")), 429, "lane_full", says="telemetry")
        self.assertEqual(self.agent.post(critical(1)).status, 201)
        mixed = self.when_full(lambda: self.agent.post_lines([critical(2)] + [record(i) for i in range(1000)]))
        self.assertEqual((mixed.status, [r["outcome"] for r in mixed.json["results"]]), (207, ["accepted"] + 1000 * ["rejected"]))
        self.assertEqual(self.agent.status()["shed"], 0)
        self.assertLess(self.agent.status()["disk"]["used_bytes"], 32 * MIB)


class Durability(AgentCase):
    def test_two_hundred_posters_at_once_lose_nothing_and_each_has_a_place_of_its_own(self):
        before = self.agent.status()["accepted"]
        places, wrong = set(), []

        def post(n):
            try:
                answer = self.agent.post(record(n), tcp=n % 2 == 0)
                result = answer.json["results"][0]
                places.add((result["epoch"], result["stream"], result["seq"]))
            except Exception as e:  # shown below, in the thread of the test
                wrong.append(e)
        posters = [threading.Thread(target=post, args=(n,)) for n in range(200)]
        for p in posters:
            p.start()
        for p in posters:
            p.join()
        self.assertEqual(wrong, [])
        self.assertEqual(len(places), 200)
        self.agent.kill()
        self.agent.start()
        status = self.agent.status()
        self.assertEqual(status["accepted"], before + 200)
        self.assertEqual(status["waiting"]["records"], before + 200)
        self.assertEqual({(r["epoch"], r["stream"]) for r in status["rows"]} >= {p[:2] for p in places}, True)

    def test_a_store_that_fails_is_503_and_takes_in_again_when_it_can(self):
        before = self.agent.status()
        self.assertEqual(self.agent.post(record(1000)).status, 201)
        self.agent.limit_files(0)
        try:
            answer = self.agent.post(record(1001))
            self.assertIn(answer.status, (503, 507), answer)
            self.assertTrue(answer.headers["Retry-After"])
            self.assertTrue(answer.json["error"]["todo"])
            later = self.agent.post(record(1002))
            self.assertIn(later.status, (503, 507), later)
        finally:
            self.agent.limit_files(None)
        wait_for("the store is open again", lambda: self.agent.post(record(1001)).status == 201)
        after = self.agent.status()
        self.assertGreater(after["counters"]["reopens"], before["counters"]["reopens"])
        self.assertTrue(any("the store failed" in n["text"] for n in after["notices"]))
        self.assertGreaterEqual(after["accepted"], before["accepted"] + 2)

    def test_a_stop_answers_what_was_synced_and_loses_nothing(self):
        before = self.agent.status()["accepted"]
        accepted, broken, ending = [0], [0], threading.Event()
        lock = threading.Lock()

        def post(n):
            i = 0
            while not ending.is_set():
                i += 1
                try:
                    ok = self.agent.post(record(10_000 + 1000 * n + i)).status == 201
                    with lock:
                        accepted[0] += ok
                except OSError:
                    with lock:
                        broken[0] += 1
                    return
        posters = [threading.Thread(target=post, args=(n,)) for n in range(8)]
        for p in posters:
            p.start()
        time.sleep(0.7)
        seconds = self.agent.end()
        ending.set()
        for p in posters:
            p.join()
        self.assertLess(seconds, 2.0)
        self.assertEqual(self.agent.process.child.returncode, 0)
        self.agent.start()
        self.assertGreater(accepted[0], 5)
        self.assertEqual(self.agent.status()["accepted"], before + accepted[0])

    def test_a_request_that_is_on_its_way_during_a_stop_is_503_and_not_kept(self):
        before = self.agent.status()["accepted"]
        body = json.dumps(record(2000)).encode()
        with self.agent.connect() as s:
            s.sendall(b"POST /v1/records HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:-1])
            time.sleep(0.2)
            self.agent.process.child.send_signal(signal.SIGTERM)
            wait_for("the stop", lambda: "stopping" in self.agent.log.read_text().splitlines()[-1])
            s.sendall(body[-1:])
            answer = raw_answers(s)
        self.assertTrue(answer.startswith(b"HTTP/1.1 503 "), answer)
        self.assertIn(b"the agent is stopping", answer)
        self.assertEqual(self.agent.process.child.wait(5), 0)
        self.agent.start()
        self.assertEqual(self.agent.status()["accepted"], before)

    def test_a_second_agent_on_the_same_state_is_told_who_holds_it(self):
        second = Process("second", self.agent.process.argv, self.folder / "second.log")
        second.start()
        self.addCleanup(second.kill)
        self.assertEqual(second.child.wait(10), 75)
        said = (self.folder / "second.log").read_text()
        self.assertIn(str(self.agent.state), said)
        self.assertEqual(said.count("\n"), 1, said)
        self.assertEqual(self.agent.post(record(1)).status, 201)

    def test_a_socket_left_by_a_kill_is_replaced_and_a_file_in_its_place_is_not(self):
        self.agent.kill()
        self.assertTrue(pathlib.Path(self.agent.socket).is_socket())
        self.agent.start()
        self.agent.end()
        self.assertFalse(pathlib.Path(self.agent.socket).exists())
        pathlib.Path(self.agent.socket).write_text("somebody's")
        self.agent.process.start()
        self.assertEqual(self.agent.process.child.wait(10), 78)
        self.assertEqual(pathlib.Path(self.agent.socket).read_text(), "somebody's")
        self.assertIn("a file that is no socket is there", self.agent.log.read_text())
        pathlib.Path(self.agent.socket).unlink()
        self.agent.start()


class NothingOfAPatient(AgentCase):
    def test_no_answer_log_or_status_repeats_a_value_that_was_refused(self):
        name = json.dumps(PATIENT, ensure_ascii=False)
        bad = [record(1, **{f: PATIENT}) for f in ("status", "run_id", "model_ref", "t_effective", "version", "critical", "gradable", "prob", "value", "code", "scenario", "phi", "interp", "laterality", "evidence")]
        bad += [{PATIENT: 1}, {"kind": PATIENT}, {"facility_id": PATIENT, **record(1)}, PATIENT, [PATIENT], {**record(1), "sens": PATIENT}, {**record(1), "purpose": [PATIENT]}]
        bad += [record(1, phi={"subject": {"system": "s", "value": PATIENT}, PATIENT: 1}), record(1, phi={"subject": {"system": "s", "value": 70 * PATIENT}, "source_result_id": "R"})]
        texts = [json.dumps(b, ensure_ascii=False).encode() for b in bad]
        texts += [f'{{"sens":4,{name}'.encode(), f"{{{name}:{name}}} {name}".encode(), f"{name[:-1]}".encode(), PATIENT.encode() + b"\xff"]
        answers = []
        for text in texts:
            for kind in ("application/json", "application/x-ndjson"):
                answers.append(self.agent.post(text, kind))
            answers.append(self.agent.post(text, path="/v1/telemetry"))
        series = telemetry(1)
        series["series"][0].update(name=PATIENT, labels={PATIENT: PATIENT})
        answers.append(self.agent.post(json.dumps(series, ensure_ascii=False), path="/v1/telemetry"))
        ascii_name = PATIENT.encode().decode("latin-1")
        answers.append(self.agent.post_document(b"x", ascii_name))
        answers.append(self.agent.post_document(b"x", "x/y", "?name=" + "%5A%7A" * 200))
        answers.append(self.agent.ask("GET", "/" + "Zzyxwicz"))
        answers.append(self.agent.post(record(1), headers={"Idempotency-Key": ascii_name}))
        answers.append(self.agent.post(record(1), kind="x/Zzyxwicz"))
        for answer in answers:
            self.assertGreaterEqual(answer.status, 400, answer)
        said = [a.body for a in answers] + [self.agent.log.read_bytes(), self.agent.ask("GET", "/v1/status").body, self.agent.ask("GET", "/v1/support").body, self.agent.ask("GET", "/").body, self.agent.ask("GET", "/metrics").body]
        self.assertGreater(len(said), 80)
        for text in said:
            self.assertNotIn(b"yxwicz", text.lower())
        self.assertTrue(all(json.loads(a.body) for a in answers))


if __name__ == "__main__":
    BIN = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
