#!/usr/bin/env python3
"""The command line of egret-agent, by real binaries, a real Mosquitto and a real region.    cli_test.py BIN_DIR [unittest arguments]"""
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from lone_agent import REGION_KEY, LoneAgent, lines, record, telemetry
from road import Road, free_port, wait_for

BIN = None
MIB = 1 << 20
COMMANDS = ["run", "init", "status", "put", "check-config", "doctor", "queue", "support", "logs"]


class Done:
    def __init__(self, argv, **options):
        done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=120, **options)
        self.code, self.out, self.err, self.argv = done.returncode, done.stdout, done.stderr, argv

    @property
    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"{' '.join(map(str, self.argv[1:]))}: exit {self.code}\n{self.out}{self.err}"


def agent(*argv, **options):
    return Done([BIN / "egret-agent", *argv], **options)


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="egret-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)

    def assert_done(self, done, code, out="", err=""):
        self.assertEqual(done.code, code, done)
        self.assertIn(out, done.out, done)
        self.assertIn(err, done.err, done)
        return done


class Usage(Case):
    def test_every_command_has_a_help_with_an_example(self):
        self.assert_done(agent("--help"), 0, "Exit: 0 ok, 1 found a problem, 2 wrong usage")
        self.assertRegex(agent("--version").out, r"^egret-agent \d+\.\d+\.\d+")
        for command in [[c] for c in COMMANDS] + [["queue", "unpark"]]:
            done = self.assert_done(agent(*command, "--help"), 0, f"egret-agent {command[0]}")
            self.assertRegex(done.out, r"Examples?: egret-agent ")
            self.assertEqual(done.err, "")

    def test_the_options_of_every_example_exist(self):
        for command in COMMANDS:
            told = agent(command, "--help").out
            for example in re.search(r"Examples?: (.*)", told)[1].split(";"):
                for option in re.findall(r"--[a-z-]+", example):
                    self.assertRegex(told, rf"\n  (-\w,)?{option}[ \n]", example)

    def test_wrong_usage_is_2_and_names_what_is_wrong(self):
        for argv, says in [([], "subcommand is required"), (["frobnicate"], "frobnicate: no such command"), (["status", "--nope"], "--nope"), (["put"], "file is required"),
                           (["init", "--facility", "a"], "required"), (["queue"], "subcommand is required"), (["check-config", "--config"], "--config"), (["run", "now"], "now"),
                           (["init", "--facility", "a", "--region-key", REGION_KEY, "--broker", "mqtt://b", "--set", "colour=red", "--config", self.folder / "x"], "colour=red"),
                           (["init", "--facility", "Clinic One", "--region-key", REGION_KEY, "--broker", "mqtt://b", "--config", self.folder / "x"], "a-z, 0-9 and -")]:
            done = self.assert_done(agent(*argv), 2, err=says)
            self.assertEqual(done.out, "")
        self.assertFalse((self.folder / "x").exists())


AGENT_MISTAKES = [  # line, key, value as shown, what is allowed
    ("facility = \"Clinic One\"", "facility", "'Clinic One'", "1 to 32 characters of a-z, 0-9 and - are allowed"),
    ("region_key = \"abc\"", "region_key", "'abc'", "64 hexadecimal digits are allowed"),
    ("state_dir = 7", "state_dir", "7", "a path (text in quotes) is allowed"),
    ("site_key_file = \"\"", "site_key_file", "''", "a path (text in quotes) is allowed"),
    ("facilty = \"x\"", "facilty", "'x'", "did you mean facility?"),
    ("colour = \"red\"", "colour", "'red'", "allowed here: facility, region_key"),
    ("log = \"debug\"", "log", "'debug'", "a table [log] is allowed"),
    ("[broker]", None, None, None),
    ("uri = \"http://broker\"", "broker.uri", "'http://broker'", "mqtt://host[:port] or mqtts://host[:port] is allowed"),
    ("password_file = true", "broker.password_file", "true", "a path (text in quotes), or \"\" for none, is allowed"),
    ("ca_file = 3.5", "broker.ca_file", "3.5", "a path (text in quotes), or \"\" for none, is allowed"),
    ("cert_file = [\"a\"]", "broker.cert_file", "[ 'a' ]", "a path (text in quotes), or \"\" for none, is allowed"),
    ("key_file = 2020-01-01", "broker.key_file", "2020-01-01", "a path (text in quotes), or \"\" for none, is allowed"),
    ("frame_kb_max = 4", "broker.frame_kb_max", "4", "from 8 to 1024 is allowed"),
    ("password = \"secret\"", "broker.password", "(not shown)", "allowed here: broker.uri, broker.password_file"),
    ("[doors]", None, None, None),
    ("http = \"0.0.0.0:8477\"", "doors.http", "'0.0.0.0:8477'", "a loopback address and port"),
    ("connections_max = 0", "doors.connections_max", "0", "from 1 to 4096 is allowed"),
    ("[buffer]", None, None, None),
    ("budget_mb = \"4096\"", "buffer.budget_mb", "'4096'", "from 32 to 1048576 is allowed"),
    ("zstd_level = 20", "buffer.zstd_level", "20", "from 0 to 19 is allowed"),
    ("budget_gb = 4", "buffer.budget_gb", "4", "did you mean buffer.budget_mb?"),
    ("[store]", "store", "a table", "no such setting")]
CLOUD_MISTAKES = [
    ("state_dir = 7", "state_dir", "7", "a folder is allowed"),
    ("listen = \"8478\"", "listen", "\"8478\"", "host:port"),
    ("lease_s = 29", "lease_s", "29", "from 30 to 3600"),
    ("herd_window_s = 301", "herd_window_s", "301", "from 0 to 300"),
    ("lease = 60", "lease", "60", "no such setting"),
    ("colour = \"red\"", "colour", "\"red\"", "no such setting; allowed here: state_dir, listen"),
    ("broker.uri = \"http://broker\"", "broker.uri", "\"http://broker\"", "mqtt://host"),
    ("broker.user = true", "broker.user", "true", "a name is allowed"),
    ("broker.password_file = 5", "broker.password_file", "5", "a file is allowed"),
    ("broker.ca_file = 1.5", "broker.ca_file", "1.5", "a file is allowed"),
    ("broker.cert_file = true", "broker.cert_file", "true", "a file is allowed"),
    ("broker.key_file = []", "broker.key_file", "[]", "a file is allowed"),
    ("broker.shared = \"maybe\"", "broker.shared", "\"maybe\"", "yes or no"),
    ("broker.queue_messages = 15", "broker.queue_messages", "15", "from 16 to 10000000"),
    ("broker.password = \"x\"", "broker.password", "(not shown)", "allowed here: broker.uri"),
    ("safe.policy = \"never\"", "safe.policy", "\"never\"", "default, backup, age or commit"),
    ("safe.age_h = 0", "safe.age_h", "0", "from 1 to 8760"),
    ("safe.keep = 3", "safe.keep", "3", "no such setting"),
    ("log.level = \"loud\"", "log.level", "\"loud\"", "debug, info, warn or error"),
    ("log.colour = false", "log.colour", "false", "no such setting")]


class Configuration(Case):
    def write(self, name, mistakes):
        file = self.folder / name
        file.write_text("\n".join(m[0] for m in mistakes) + "\n")
        return file

    def assert_said(self, name, mistakes, said):
        wanted = [(i + 1, *m[1:]) for i, m in enumerate(mistakes) if m[1]]
        self.assertGreaterEqual(len(wanted), 20)
        self.assertEqual(len(said), len(wanted), "\n".join(said))
        for (line, key, value, allowed), text in zip(wanted, said):
            self.assertTrue(text.startswith(f"{name}:{line}: {key}: {value}: "), text)
            self.assertIn(allowed, text)

    def test_twenty_mistakes_are_twenty_messages_with_file_line_key_value_and_what_is_allowed(self):
        file = self.write("agent.toml", AGENT_MISTAKES)
        for argv in (["check-config"], ["run"]):
            done = self.assert_done(agent(*argv, "--config", file), 78)
            self.assertEqual(done.out, "")
            self.assert_said("agent.toml", AGENT_MISTAKES, done.err.splitlines())
        told = agent("check-config", "--config", file, "--json")
        self.assertEqual(told.code, 78)
        self.assertEqual([(m["file"], m["line"], m["key"], m["value"]) for m in told.json],
                         [("agent.toml", i + 1, m[1], m[2]) for i, m in enumerate(AGENT_MISTAKES) if m[1]])
        self.assertEqual(agent("doctor", "--config", file).code, 1)

    def test_twenty_mistakes_of_the_region_are_twenty_messages_too(self):
        file = self.write("cloud.toml", CLOUD_MISTAKES)
        for argv in (["serve"], ["facilities"]):
            done = Done([BIN / "egret-cloud", *argv, "--config", file])
            self.assertEqual(done.code, 78, done)
            self.assert_said(str(file), CLOUD_MISTAKES, done.err.splitlines())

    def test_a_right_file_is_ok_and_one_that_is_not_there_says_what_to_do(self):
        file = self.folder / "right.toml"
        self.assertEqual(agent("init", "--facility", "a", "--region-key", REGION_KEY, "--broker", "mqtt://b", "--state-dir", self.folder / "a", "--config", file).code, 0)
        self.assert_done(agent("check-config", "--config", file), 0, f"{file}: ok")
        self.assertEqual(agent("check-config", "--config", file, "--json").json, [])
        for command in ("check-config", "run", "status", "queue unpark", "put -"):
            self.assert_done(agent(*command.split(), "--config", self.folder / "none", input="{}"), 78, err="egret-agent init")


class Init(Case):
    def init(self, name, *more, facility="clinic-1"):
        return agent("init", "--facility", facility, "--region-key", REGION_KEY, "--broker", "mqtts://broker.example:8883", "--config", self.folder / f"{name}.toml",
                     "--state-dir", self.folder / name, *more)

    def test_it_makes_key_and_folder_for_one_user_and_a_configuration_without_secrets_for_all(self):
        done = self.assert_done(self.init("one"), 0)
        key = re.search(r"^site public key: ([0-9a-f]{64})$", done.out, re.M)[1]
        self.assertTrue(done.out.endswith(f"egret-cloud facility add clinic-1 --key {key}\n"), done)
        self.assertEqual([(self.folder / f).stat().st_mode & 0o777 for f in ("one", "one/site.key", "one.toml")], [0o700, 0o600, 0o644])

    def test_again_it_keeps_what_is_there(self):
        first = self.init("two", "--json").json
        text = (self.folder / "two.toml").read_text()
        self.assertEqual(self.init("two", "--json").json, first)
        self.assertEqual((self.folder / "two.toml").read_text(), text)
        self.assert_done(self.init("two", facility="clinic-2"), 1, err="names facility clinic-1")
        self.assertEqual(set(first), {"facility", "config", "state_dir", "site_public_key", "cloud_command"})

    def test_a_folder_that_is_there_keeps_its_mode_and_odd_names_are_quoted(self):
        (self.folder / 'th"ree').mkdir(mode=0o755)
        made = self.init('th"ree', "--json").json
        self.assertEqual(made["state_dir"], str(self.folder / 'th"ree'))
        self.assertEqual((self.folder / 'th"ree').stat().st_mode & 0o777, 0o755)

    def test_what_cannot_be_made_is_74(self):
        (self.folder / "file").write_text("")
        self.assert_done(self.init("file/below"), 74, err="file: cannot be made")
        self.assert_done(agent("init", "--facility", "a", "--region-key", REGION_KEY, "--broker", "mqtt://b", "--config", self.folder / "file" / "c.toml",
                               "--state-dir", self.folder / "four"), 74, err="file: cannot be made")

    def test_a_key_that_others_can_read_is_refused_with_the_command_that_mends_it(self):
        self.init("five")
        (self.folder / "five" / "site.key").chmod(0o644)
        self.assert_done(self.init("five"), 78, err="chmod 600")
        self.assert_done(agent("run", "--config", self.folder / "five.toml"), 78, err="chmod 600")
        (self.folder / "five" / "site.key").unlink()
        self.assert_done(agent("run", "--config", self.folder / "five.toml"), 78, err="egret-agent init")


class Put(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.agent = LoneAgent(cls.folder, BIN, budget_mb=32)
        cls.addClassCleanup(cls.agent.kill)

    def put(self, *argv, **options):
        return agent("put", *argv, "--socket", self.agent.socket, **options)

    def file(self, name, content):
        file = self.folder / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    def test_records_in_every_form_a_file_may_have(self):
        forms = {"one line": json.dumps(record(1)), "over many lines": json.dumps(record(2), indent=2), "an array": json.dumps([record(3), record(4)], indent=1),
                 "a record a line": lines([record(5), "", record(6)]), "crlf": lines([record(7), record(8)]).replace(b"\n", b"\r\n")}
        for count, (form, text) in zip((1, 1, 2, 2, 2), forms.items()):
            with self.subTest(form):
                file = self.file("form", text)
                self.assert_done(self.put(file), 0, err=f"{count} accepted, 0 refused")
                self.assert_done(self.put("-", input=file.read_text()), 0, err=f"{count} accepted, 0 refused")
        self.assert_done(agent("put", "--config", self.agent.config, self.file("form", forms["one line"])), 0, err="1 accepted")
        self.assert_done(agent("put", "--url", f"http://127.0.0.1:{self.agent.port}", self.file("form", forms["one line"])), 0, err="1 accepted")

    def test_a_bad_line_is_named_by_its_line_in_the_file_and_exit_is_1(self):
        many = [record(i) for i in range(5000)]
        many[4711] = record(4711, prob=2)
        many[17] = '{"sens":'
        done = self.assert_done(self.put(self.file("many", lines(many))), 1, err="4998 accepted, 2 refused")
        self.assertRegex(done.err, r"(?m)^line 18: malformed JSON")
        self.assertRegex(done.err, r"(?m)^line 4712: ai_result\.prob: .*allowed 0 to 1")
        told = [json.loads(t) for t in self.put(self.file("many", lines(many)), "--json").out.splitlines()]
        self.assertEqual(len(told), 5000)
        self.assertEqual([t["file_line"] for t in told if t["result"]["outcome"] == "rejected"], [18, 4712])

    def test_a_broken_first_line_does_not_hide_the_others(self):
        self.assert_done(self.put(self.file("first", lines(['{"sens":4,', record(1), record(2)]))), 1, err="2 accepted, 1 refused")

    def test_documents_and_telemetry(self):
        done = self.assert_done(self.put("--document", "--media-type", "text/plain; charset=utf-8", "--name", "scan of 李 & co?.txt", self.file("letter", "a letter")), 0)
        self.assertEqual((done.json["parts"], done.json["media_type"]), (1, "text/plain; charset=utf-8"))
        self.assert_done(self.put("--document", self.file("large", bytes(16 * MIB + 1))), 1, err="at most 16,777,216")
        self.assert_done(self.put("--telemetry", self.file("t", json.dumps(telemetry(1)))), 0, '"stream":"telemetry"')
        self.assert_done(self.put("--telemetry", self.file("t", "{}")), 1, err="series: missing")

    def test_what_goes_wrong_on_the_way_has_an_exit_code_of_its_own(self):
        self.assert_done(self.put(self.folder / "none"), 74, err="none: cannot be read: No such file")
        self.assert_done(self.put(self.folder), 74, err="is a folder")
        good = self.file("good", json.dumps(record(1)))
        self.assert_done(agent("put", good, "--socket", self.folder / "nobody"), 69, err="systemctl start egret-agent")
        self.assert_done(agent("put", good, "--url", f"http://127.0.0.1:{free_port()}"), 69, err="no agent answers")
        self.assert_done(agent("put", good, "--url", "ftp://x"), 78, err="http://host:port")
        self.assert_done(agent("put", "--document", good, "--url", "ftp://x"), 78, err="http://host:port")
        self.assert_done(agent("put", good, "--socket", "/" + 200 * "x"), 78, err="at most 107 characters")
        self.assert_done(self.put(self.file("empty", "")), 1, err="nothing there")
        self.assert_done(self.put(good, "--idempotency-key", "two words"), 1, err="Idempotency-Key")

    def test_unpark_says_how_many(self):
        self.assertEqual(self.assert_done(agent("queue", "unpark", "--socket", self.agent.socket), 0).json, {"unparked": 0})
        self.assert_done(agent("queue", "unpark", "--socket", self.folder / "nobody"), 69, err="no agent answers")

    def test_z_a_full_buffer_is_75(self):
        filler = self.file("filler", random.Random(3).randbytes(4 * MIB))
        for _ in range(8):
            done = self.put("--document", filler)
            if done.code != 0:
                break
            filler.write_bytes(random.Random(_).randbytes(4 * MIB))
        self.assert_done(done, 75, err="disk budget is used up")
        late = self.file("late", lines([record(i) for i in range(2000)]))
        for _ in range(50):  # RocksDB gives some room back now and then
            while self.agent.post_lines([record(i) for i in range(2000)]).status == 201:
                pass
            done = self.put(late)
            if done.code != 0:
                break
        self.assert_done(done, 75, err="0 accepted, 2000 refused")


class Status(Case):
    def test_plain_words_for_an_agent_that_stopped_one_without_a_link_and_one_with_a_backlog(self):
        lone = LoneAgent(self.folder, BIN, start=False)
        self.addCleanup(lone.kill)
        self.assert_done(agent("status", "--config", lone.config), 1, err="start it with systemctl start egret-agent")
        stopped = agent("status", "--json", "--config", lone.config)
        self.assertEqual((stopped.code, stopped.json), (1, {"running": False}))
        lone.start()
        said = self.assert_done(agent("status", "--config", lone.config), 0, "clinic-1  (agent ").out
        self.assertRegex(said, r"NOT linked for \d+ s: \S")
        self.assertRegex(said, r"result +nothing")
        lone.post_lines([record(i) for i in range(1500)])
        lone.post(telemetry(1), path="/v1/telemetry")
        said = agent("status", "--socket", lone.socket).out
        self.assertRegex(said, r"result +1,500 records, \d+ (bytes|KiB), oldest \d+ s")
        self.assertRegex(said, r"telemetry +1 record, ")
        self.assertRegex(said, r"accepted 1,501 records; shed 0; refused 0;")
        self.assertRegex(said, r"disk: \d+ (bytes|KiB|MiB) of 256 MiB used")
        told = agent("status", "--json", "--socket", lone.socket).json
        self.assertEqual((told["linked"], told["waiting"]["records"], told["lanes"]["result"]["records"]), (False, 1501, 1500))

    def test_watch_says_it_again_until_it_is_stopped(self):
        lone = LoneAgent(self.folder, BIN, name="clinic-2")
        self.addCleanup(lone.kill)
        watch = subprocess.Popen([BIN / "egret-agent", "status", "--watch", "--json", "--socket", lone.socket], stdout=subprocess.PIPE, text=True)
        self.addCleanup(watch.kill)
        seen = [json.loads(watch.stdout.readline())["facility"] for _ in range(3)]
        self.assertEqual(seen, 3 * ["clinic-2"])
        watch.send_signal(signal.SIGINT)
        watch.wait(5)
        watch.stdout.close()

    def test_an_agent_that_hangs_is_told_from_one_that_is_not_there(self):
        lone = LoneAgent(self.folder, BIN, name="clinic-3")
        self.addCleanup(lone.kill)
        lone.process.child.send_signal(signal.SIGSTOP)
        self.assert_done(agent("status", "--socket", lone.socket), 1, err="does not answer within 10 s")

    def test_who_may_not_open_the_socket_is_told_so(self):
        lone = LoneAgent(self.folder, BIN, name="clinic-4")
        self.addCleanup(lone.kill)
        os.chmod(lone.socket, 0)
        options, binary = as_nobody(self.folder)
        self.assert_done(Done([binary, "status", "--socket", lone.socket], **options), 1, err="may not be opened by this user")


def as_nobody(folder):
    """Options of a process, and a binary, for a user to whom permissions apply."""
    if os.geteuid() != 0:
        return {}, BIN / "egret-agent"
    folder.chmod(0o755)
    binary = folder / "egret-agent"
    if not binary.exists():
        shutil.copy(BIN / "egret-agent", binary)
    return {"user": 65534, "group": 65534, "extra_groups": []}, binary


class Doctor(Case):
    """Everything well; then each thing broken, one at a time."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.road = Road(cls.folder, BIN, ["clinic-1"])
        cls.addClassCleanup(cls.road.stop)
        cls.road.make_broker()
        cls.road.make_cloud()
        cls.road.make_agent("clinic-1")
        cls.road.broker.start()
        wait_for("broker", cls.road.broker_listens)
        cls.road.cloud.start()
        wait_for("cloud", lambda: cls.road.page("/healthz") is not None)
        cls.config = (cls.folder / "clinic-1.toml").read_text()

    def doctor(self, *argv, config=None, **options):
        return agent("doctor", "--json", "--config", config or self.folder / "clinic-1.toml", *argv, **options)

    def broken(self, key, value, **more):
        """A configuration with other values, under a name of its own."""
        text = self.config
        for k, v in {key: value, **more}.items():
            text, n = re.subn(rf"(?m)^#?{k} = .*$", lambda _: f'{k} = "{v}"', text)
            self.assertEqual(n, 1, k)
        handle, name = tempfile.mkstemp(suffix=".toml", dir=self.folder)
        os.write(handle, text.encode())
        os.close(handle)
        return name

    def assert_found(self, done, check, says, todo, level="fail", code=1):
        self.assertEqual(done.code, code, done)
        found = [c for c in done.json if c["check"] == check and c["level"] == level]
        self.assertEqual(len(found), 1, done)
        self.assertRegex(found[0]["message"], says)
        self.assertRegex(found[0]["todo"], todo)
        for c in done.json:
            self.assertEqual(bool(c["todo"]), c["level"] != "ok", c)
        if level == "fail":
            self.assertEqual([c["check"] for c in done.json if c["level"] == "fail"], [check], done)

    def test_with_everything_well_each_line_says_so(self):
        done = self.assert_done(self.doctor(), 0)
        levels = [(c["check"], c["level"]) for c in done.json if c["check"] != "clock"]
        self.assertEqual(levels, [("config", "ok"), ("state_dir", "ok"), ("site_key", "ok"), ("disk", "ok"), ("agent", "warn"), ("tls", "ok"), ("dns", "ok"), ("tcp", "ok"),
                                  ("tls", "ok"), ("login", "ok"), ("hello", "ok")])
        clock = next(c for c in done.json if c["check"] == "clock")
        if clock["level"] == "warn":
            self.assertIn("timesyncd", clock["todo"])
        else:
            self.assertRegex(clock["message"], r"synchronised, off by at most \d+ ms")
        self.assertRegex(agent("doctor", "--config", self.folder / "clinic-1.toml").out, r"(?m)^ok    hello      the cloud answered in \d+ ms$")
        offline = self.assert_done(self.doctor("--offline"), 0)
        self.assertFalse({"dns", "tcp", "login", "hello"} & {c["check"] for c in offline.json})

    def test_what_is_broken_on_the_way_is_named(self):
        other = self.folder / "other-tls"
        self.road.run(pathlib.Path(__file__).parents[2] / "packaging/mosquitto/keys", other, "localhost")
        (self.folder / "wrong.password").write_text("wrong\n")
        (self.folder / "garbage.pem").write_text("no certificate\n")
        port, nobody = self.road.port, free_port()
        for config, check, says, todo in [
                (self.broken("uri", "mqtts://no-such-host.invalid:8883"), "dns", "no-such-host.invalid: ", "name service"),
                (self.broken("uri", f"mqtts://127.0.0.1:{nobody}"), "tcp", f"127.0.0.1:{nobody}: Connection refused", "that the broker runs"),
                (self.broken("ca_file", other / "ca.pem"), "tls", "not accepted: (unable to get local issuer|self-signed|certificate signature failure)", "broker.ca_file"),
                (self.broken("uri", f"mqtts://127.1:{port}"), "tls", "hostname mismatch", "as its certificate does: localhost"),
                (self.broken("ca_file", self.folder / "garbage.pem"), "tls", "broker.ca_file: .*garbage.pem: no certificate", "PEM"),
                (self.broken("ca_file", self.folder / "none.pem"), "tls", "broker.ca_file: .*none.pem: no certificate", "PEM"),
                (self.broken("cert_file", self.road.dir / "tls/broker.pem", key_file=other / "broker.key"), "tls", "cert_file and broker.key_file: .*mismatch", "key that belongs to it"),
                (self.broken("password_file", self.folder / "wrong.password"), "login", "(?i)not authori[sz]ed|user name or password", "broker.password_file"),
                (self.broken("password_file", self.folder / "none.password"), "login", "none.password: No such file", "put the password there")]:
            with self.subTest(check + " " + says):
                done = self.doctor(config=config)
                self.assert_found(done, check, says, todo)

    def test_a_port_without_TLS_and_one_with_it_are_told_apart(self):
        with socket.create_server(("127.0.0.1", 0)) as plain:
            def talk():
                try:
                    while True:
                        s, _ = plain.accept()
                        s.recv(10)
                        s.sendall(b"\x20\x02\x00\x05")
                        s.close()
                except OSError:
                    pass
            threading.Thread(target=talk, daemon=True).start()
            self.assert_found(self.doctor(config=self.broken("uri", f"mqtts://127.0.0.1:{plain.getsockname()[1]}")), "tls", "no TLS with 127.0.0.1", "TLS port")
            plain.shutdown(socket.SHUT_RDWR)
        config = self.broken("uri", f"mqtt://127.0.0.1:{self.road.port}")
        pathlib.Path(config).write_text(pathlib.Path(config).read_text().replace("ca_file =", "#ca_file ="))
        self.assert_found(self.doctor(config=config), "login", r"\S", "TLS")

    def test_what_is_broken_on_this_server_is_named(self):
        (self.folder / "a-file").write_text("")
        lost = self.folder / "lost"
        lost.mkdir(mode=0o700)
        for config, check, says, todo in [(self.broken("state_dir", self.folder / "none", site_key_file=self.folder / "clinic-1/site.key"), "state_dir", "none: No such file", "egret-agent init"),
                                          (self.broken("state_dir", self.folder / "a-file", site_key_file=self.folder / "clinic-1/site.key"), "state_dir", "is not a folder", "name a folder"),
                                          (self.broken("site_key_file", self.folder / "none.key"), "site_key", "no such key", "egret-agent init")]:
            with self.subTest(check + " " + says):
                done = self.doctor("--offline", config=config)
                done.out = json.dumps([c for c in done.json if c["check"] != "disk" or "not known" not in c["message"]])
                self.assert_found(done, check, says, todo)
        open_key = self.folder / "open.key"
        shutil.copy(self.folder / "clinic-1/site.key", open_key)
        open_key.chmod(0o644)
        self.assert_found(self.doctor("--offline", config=self.broken("site_key_file", open_key)), "site_key", "others can read it", "600")
        loose = self.folder / "loose"
        loose.mkdir(mode=0o755)
        self.assert_found(self.doctor("--offline", config=self.broken("state_dir", loose, site_key_file=self.folder / "clinic-1/site.key")), "state_dir", "others may look into it", "chmod 700", "warn", 0)

    def test_a_state_folder_that_cannot_be_written_to_is_named(self):
        options, binary = as_nobody(self.folder)
        locked = self.folder / "locked"
        locked.mkdir()
        key = self.folder / "nobody.key"
        shutil.copy(self.folder / "clinic-1/site.key", key)
        if "user" in options:
            os.chown(key, 65534, 65534)
        locked.chmod(0o555)
        config = self.broken("state_dir", locked, site_key_file=key)
        os.chmod(config, 0o644)
        done = Done([binary, "doctor", "--json", "--offline", "--config", config], **options)
        done.out = json.dumps([c for c in done.json if c["check"] != "tls"])
        self.assert_found(done, "state_dir", "locked: cannot be written to: Permission denied", "chown")

    def test_a_broker_that_lets_this_site_in_but_not_speak_is_named(self):
        acl = self.folder / "broker/acl"
        right = acl.read_text()
        wrong = right.replace("pattern write es1/+/%u/u/#\n", "")
        self.assertNotEqual(wrong, right)
        try:
            acl.write_text(wrong)
            self.road.broker.child.send_signal(signal.SIGHUP)
            done = wait_for("the rules", lambda: (d := self.doctor()).code != 0 and d)
            self.assert_found(done, "hello", "(?i)the broker refuses this site's message: .*not authori[sz]ed", "access rules")
        finally:
            acl.write_text(right)
            self.road.broker.child.send_signal(signal.SIGHUP)
            wait_for("the rules", lambda: self.doctor().code == 0)

    def test_y_a_cloud_that_does_not_answer_is_told_from_a_broker_that_does_not(self):
        unknown = self.broken("region_key", REGION_KEY)
        with ThreadPoolExecutor() as pool:
            strange = pool.submit(self.doctor, config=unknown)
            time.sleep(3)  # it has been said, and the cloud cannot open it
            self.road.cloud.end()
            gone = self.doctor()
            self.road.cloud.start()
        for done in (strange.result(), gone):
            self.assert_found(done, "hello", "no answer from the cloud within 10 s", "egret-cloud serve runs.*region_key.*facility add clinic-1 --key [0-9a-f]{64}.*access rules")
            self.assertIn(("login", "ok"), [(c["check"], c["level"]) for c in done.json])
        wait_for("cloud", lambda: self.road.page("/healthz") is not None)

    def test_z_a_linked_agent_answers_for_itself_and_its_status_says_when_all_is_drained(self):
        self.road.agents["clinic-1"].start()
        wait_for("the link", lambda: (s := self.road.status("clinic-1")) and s["linked"])
        done = self.assert_done(self.doctor(), 0)
        self.assertIn(("agent", "runs and is linked to the cloud"), [(c["check"], c["message"]) for c in done.json])
        self.assertIn(("hello", "the running agent has the cloud's answer"), [(c["check"], c["message"]) for c in done.json])
        self.road.ask("clinic-1", "POST", "/v1/records", lines([record(i) for i in range(500)]), "application/x-ndjson")
        wait_for("drained", self.road.drained)
        said = agent("status", "--socket", self.road.socket("clinic-1")).out
        self.assertRegex(said, r"linked to the cloud for \d+ s")
        self.assertEqual(len(re.findall(r"(?m)^    \w+ +nothing$", said)), 4, said)
        self.assertIn("accepted 500 records", said)
        self.road.broker.kill()
        wait_for("the loss to be seen", lambda: not self.road.status("clinic-1")["linked"])
        self.assertRegex(agent("status", "--socket", self.road.socket("clinic-1")).out, r"NOT linked for \d+ s: \S")
        self.assert_found(self.doctor(), "tcp", "Connection refused", "that the broker runs")


if __name__ == "__main__":
    BIN = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
