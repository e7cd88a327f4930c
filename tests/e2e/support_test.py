#!/usr/bin/env python3
"""What the agent says to people and to whoever helps: the support file, both languages, and its log.    support_test.py BIN_DIR

Marked strings are planted wherever a patient's data or a secret goes through a real agent; none may be in the support file.
"""
import base64
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from lone_agent import LoneAgent, record, telemetry
from road import wait_for

BIN = None
PATIENT = "Qzwzhang-张三"  # in records, taken in and refused
SECRET = "qzwhush"  # in files and places of the configuration


def run(*argv, code=0, **env):
    clean = {k: v for k, v in os.environ.items() if k not in ("LANG", "LC_ALL", "LC_MESSAGES")}
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=120, env={**clean, **env})
    assert done.returncode == code, f"{argv}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def forms(planted):
    """How a planted string might stand in a text."""
    raw = planted.encode()
    return [raw, raw.hex().encode(), base64.b64encode(raw).rstrip(b"=")[:-1], json.dumps(planted)[1:-1].encode()]


class AgentCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="egret-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        (cls.folder / "password").write_text(f"{SECRET}-password\n")
        (cls.folder / "password").chmod(0o600)
        cls.agent = LoneAgent(cls.folder, BIN, start=False)
        text, n = re.subn(r"(?m)^#?password_file = .*$", 'password_file = "password"', cls.agent.config.read_text())
        assert n == 1
        cls.agent.config.write_text(text)
        cls.agent.start()
        cls.addClassCleanup(cls.agent.kill)
        cls.plant()

    @classmethod
    def plant(cls):
        subject = {"system": "urn:p", "value": PATIENT}
        assert cls.agent.post(record(1, phi={"subject": subject, "source_result_id": PATIENT})).status == 201
        refused = [record(2, prob=PATIENT), record(3, **{PATIENT: PATIENT}), {PATIENT: 1}, record(4, phi={"subject": subject, PATIENT: PATIENT}), [PATIENT], {**record(5), "sens": PATIENT}]
        for one in refused:
            assert cls.agent.post(json.dumps(one, ensure_ascii=False)).status == 400, one
        series = telemetry(1)
        series["series"][0]["labels"] = {PATIENT: [PATIENT]}
        assert cls.agent.post(json.dumps(series, ensure_ascii=False), path="/v1/telemetry").status == 400
        cls.agent.post_document(PATIENT.encode(), "text/plain", "?name=Qzwzhang")
        cls.agent.post(record(6), headers={"Idempotency-Key": "Qzwzhang"})
        cls.agent.ask("GET", "/v1/Qzwzhang")
        (cls.agent.state / f"{PATIENT}.pdf").write_text(PATIENT)


class Support(AgentCase):
    def assert_clean(self, text):
        key = (self.agent.state / "site.key").read_text().strip()
        self.assertEqual(len(key), 64)
        for planted in (PATIENT, "Qzwzhang", SECRET, key):
            for form in forms(planted):
                self.assertNotIn(form.lower(), text.lower(), planted)

    def support(self, *argv, **env):
        file = self.folder / f"support-{len(list(self.folder.glob('support-*')))}.json"
        done = run(BIN / "egret-agent", "support", file, "--config", self.agent.config, *argv, **env)
        self.assert_clean(file.read_bytes())
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        return json.loads(file.read_text()), file, done

    def test_the_file_tells_what_a_helper_needs(self):
        told, file, done = self.support()
        self.assertIn("no patient data", done.stdout)
        self.assertEqual(told["agent"]["status"]["facility"], "clinic-1")
        self.assertGreaterEqual(told["agent"]["status"]["counters"]["commits"], 1)
        self.assertTrue(any("event=ready" in line for line in told["agent"]["log"]), told["agent"]["log"])
        self.assertIn("config_ok", [f["id"] for f in told["findings"]])
        self.assertIn("tcp_unreachable", [f["id"] for f in told["findings"]])
        self.assertIn("password", told["configuration"]["settings"]["broker.password_file"])
        self.assertGreater(told["disk"]["free_mib"], 0)
        self.assertEqual(told["disk"]["other_files"], 1)
        self.assertIn("store", told["disk"]["bytes"])
        self.assertRegex(told["versions"]["egret"], r"^\d+\.\d+\.\d+$")
        self.assertGreater(file.read_text().count("\n"), 50, "a person reads it line by line")

    def test_why_records_were_refused_is_told_by_code_and_field(self):
        told, _, _ = self.support("--offline")
        reasons = {(r["code"], r["field"]): r["records"] for r in told["agent"]["status"]["refusals"]}
        self.assertIn(("bad_input", "ai_result.prob"), reasons)
        self.assertGreaterEqual(sum(reasons.values()), 7, reasons)
        page = self.agent.ask("GET", "/", tcp=True).body.decode()
        self.assertIn("ai_result.prob", page)
        self.assertIn("不符合记录格式", page)

    def test_the_page_offers_it(self):
        page = self.agent.ask("GET", "/", tcp=True)
        self.assertIn(b'href="v1/support" download="egret-clinic-1-support.json"', page.body)
        self.assert_clean(page.body)
        answer = self.agent.ask("GET", "/v1/support", tcp=True)
        self.assertEqual(answer.status, 200)
        self.assert_clean(answer.body)
        self.assertIn("site_key_ok", [f["id"] for f in answer.json["findings"]])
        self.assertEqual(self.agent.ask("GET", "/v1/support", tcp=True, headers={"Origin": "http://evil.example"}).status, 403)

    def test_a_file_that_is_there_is_not_written_over(self):
        there = self.folder / "there"
        there.write_text("mine")
        self.assertIn("File exists", run(BIN / "egret-agent", "support", there, "--config", self.agent.config, "--offline", code=74).stderr)
        self.assertEqual(there.read_text(), "mine")

    def test_without_an_agent_and_with_a_broken_configuration_it_is_written_all_the_same(self):
        broken = self.folder / "broken.toml"
        for text, lines in ((self.agent.config.read_text() + f'secret_word = "{SECRET}"\n', 1), (re.sub(r"mqtt://", f"mqtt://clinic-1:{SECRET}@", self.agent.config.read_text()), 1), (f'= "{SECRET}"', 1)):
            broken.write_text(text)
            out = run(BIN / "egret-agent", "support", "-", "--config", broken, "--offline").stdout
            self.assert_clean(out.encode())
            told = json.loads(out)
            self.assertEqual(len(told["configuration"]["lines_with_mistakes"]), lines, out)
            self.assertEqual({f["id"] for f in told["findings"]}, {"config_mistake"})
            self.assertIn("not_asked", told["agent"])
        for command in ("doctor", "check-config"):
            broken.write_text(re.sub(r"mqtt://", f"mqtt://clinic-1:{SECRET}@", self.agent.config.read_text()))
            done = run(BIN / "egret-agent", command, "--config", broken, code=78 if command == "check-config" else 1)
            self.assert_clean((done.stdout + done.stderr).encode())


class Languages(AgentCase):
    def test_doctor_speaks_chinese_when_asked_or_by_the_environment(self):
        doctor = [BIN / "egret-agent", "doctor", "--config", self.agent.config]
        english = run(*doctor, code=1).stdout
        chinese = run(*doctor, "--lang", "zh", code=1).stdout
        levels = lambda text: [line.split()[1] for line in text.splitlines() if "->" not in line]
        self.assertEqual(levels(english), levels(chinese))
        self.assertEqual(english.count("->"), chinese.count("->"))
        self.assertIn("请检查防火墙", chinese)
        self.assertTrue(english.isascii())
        self.assertEqual(len([line for line in chinese.splitlines() if line.startswith("故障")]), 1, chinese)
        by_environment = run(*doctor, code=1, LANG="zh_CN.UTF-8").stdout
        self.assertIn("请检查防火墙", by_environment)
        self.assertTrue(run(*doctor, "--lang", "en", code=1, LANG="zh_CN.UTF-8").stdout.isascii())

    def test_json_is_english_whatever_the_language_and_has_ids(self):
        told = [json.loads(run(BIN / "egret-agent", "doctor", "--json", "--offline", "--config", self.agent.config, *lang).stdout) for lang in ([], ["--lang", "zh"])]
        self.assertEqual([c["id"] for c in told[0]], [c["id"] for c in told[1]])
        self.assertEqual([c["message"] for c in told[0] if c["check"] != "disk"], [c["message"] for c in told[1] if c["check"] != "disk"])
        self.assertEqual([c["check"] for c in told[0]], ["config", "state_dir", "site_key", "disk", "clock", "agent"])

    def test_status_names_the_lanes_in_chinese(self):
        text = run(BIN / "egret-agent", "status", "--config", self.agent.config, "--lang", "zh").stdout
        for word in ("危急", "结果", "遥测", "大件", "未连接，已"):
            self.assertIn(word, text)

    def test_a_notice_is_told_in_both_languages(self):
        self.agent.limit_files(0)
        try:
            self.assertIn(self.agent.post(record(1001)).status, (503, 507))
        finally:
            self.agent.limit_files(None)
        wait_for("the store is open again", lambda: self.agent.post(record(1001)).status == 201)
        notice = next(n for n in self.agent.status()["notices"] if n["event"] == "store_failed")
        self.assertIn("the store failed (", notice["text"])
        self.assertIn("存储失败（", notice["text_zh"])
        page = self.agent.ask("GET", "/", tcp=True).body.decode()
        self.assertIn("the store failed (", page)
        self.assertIn("存储失败（", page)
        # Its log is a file, which could not grow either; the latest lines are kept all the same.
        self.assertRegex("\n".join(self.agent.ask("GET", "/v1/support").json["agent"]["log"]), r'level=warn event=store_failed msg="the store failed .*" why=')


class Logs(unittest.TestCase):
    def test_every_event_can_be_explained(self):
        for program in ("egret-agent", "egret-cloud"):
            events = json.loads(run(BIN / program, "logs", "--list", "--json").stdout)
            self.assertGreater(len(events), 20)
            self.assertEqual(len({e["id"] for e in events}), len(events))
            for event in events:
                self.assertTrue(event["means"] and event["todo"] and event["level"] in ("debug", "info", "warn", "error"), event)
                self.assertEqual(len(event["fields"]), len(set(re.findall(r"\{\d\}", event["text"]))), event)
            text = run(BIN / program, "logs", "--explain", "cannot_start").stdout
            self.assertIn(next(e for e in events if e["id"] == "cannot_start")["todo"], text)
            self.assertEqual(json.loads(run(BIN / program, "logs", "--explain", "cannot_start", "--json").stdout)[0]["id"], "cannot_start")
            self.assertIn("no such event", run(BIN / program, "logs", "--explain", "nope", code=2).stderr)
            self.assertEqual(len(run(BIN / program, "logs").stdout.splitlines()), len(events))

    def test_the_agent_explains_in_chinese(self):
        self.assertIn("请检查磁盘", run(BIN / "egret-agent", "logs", "--explain", "store_failed", "--lang", "zh").stdout)


if __name__ == "__main__":
    BIN = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
