"""Run by systemd_test.py inside: the installed units, started, watched, killed and stopped by systemd itself."""
import json
import os
import pathlib
import pwd
import re
import signal
import subprocess
import time
import unittest

import road

ETC = pathlib.Path("/etc/egret")
SITES = {"clinic-7": ("egret-agent", ETC / "agent.toml"), "clinic-8": ("egret-agent@clinic-8", ETC / "agents/clinic-8.toml")}
SERVICES = ["egret-cloud", *(unit for unit, _ in SITES.values())]
RECORD = {"sens": 1, "purpose": ["care"], "model_def": {"model_id": "m", "vendor": "v", "name": "n", "version": "1", "weights_sha256": 64 * "a",
          "intended_use": "x", "autonomy": "assist"}}


def run(*argv, check=True):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True)
    if check and done.returncode != 0:
        raise RuntimeError(f"{argv}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def show(unit, name):
    return run("systemctl", "show", unit, "-p", name, "--value").stdout.strip()


def secret(path, word, user):
    path.write_text(word + "\n")
    os.chown(path, pwd.getpwnam(user).pw_uid, -1)
    path.chmod(0o600)


class Services(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        run("systemd-sysusers")
        run("systemd-tmpfiles", "--create", "egret.conf")
        run("systemctl", "daemon-reload")
        # Broker and its words for everybody; the rest is done as packaging/INSTALL.md says.
        cls.road = r = road.Road("/srv/broker", "/usr/bin", list(SITES), tls=False)
        r.make_broker()
        r.broker.start()
        cls.addClassCleanup(r.broker.end)
        road.wait_for("broker", r.broker_listens)
        key = json.loads(run("egret-cloud", "init", "--broker", r.uri, "--json").stdout)["region_key"]
        secret(ETC / "cloud.password", r.passwords["egret-cloud"], "egret-cloud")
        config = (ETC / "cloud.toml").read_text()
        config = re.sub(r"(?m)^#password_file = .*", 'password_file = "cloud.password"', config)
        (ETC / "cloud.toml").write_text(re.sub(r"(?m)^#listen = .*", f'listen = "127.0.0.1:{r.page_port}"', config))
        for site, (unit, config) in SITES.items():
            more = ["--state-dir", f"/var/lib/egret-agents/{site}"] if "@" in unit else []
            run_dir = f"/run/egret-agents/{site}" if "@" in unit else "/run/egret-agent"
            made = json.loads(run("egret-agent", "init", "--facility", site, "--region-key", key, "--broker", r.uri, "--config", config, *more, "--json",
                                  "--set", f"doors.unix_socket={run_dir}/agent.sock", "--set", f"doors.http=127.0.0.1:{road.free_port()}",
                                  "--set", f"broker.password_file={config}.password", "--set", "broker.reconnect_max_s=2").stdout)
            secret(pathlib.Path(f"{config}.password"), r.passwords[site], "egret-agent")
            run("egret-cloud", "facility", "add", site, "--key", made["site_public_key"])
        for unit in SERVICES:
            run("systemctl", "start", unit)

    def facility(self, site):
        return next(f for f in json.loads(run("egret-cloud", "facilities", "--json").stdout)["facilities"] if f["facility"] == site)

    def put(self, site, version):
        record = {**RECORD, "model_def": {**RECORD["model_def"], "version": version}}
        pathlib.Path("/srv/record.json").write_text(json.dumps(record))
        run("egret-agent", "put", "--config", SITES[site][1], "/srv/record.json")

    def committed(self, site):
        return sum(row["w"] for row in self.facility(site)["rows"])

    def test_1_they_start_and_a_record_goes_all_the_way(self):
        for unit in SERVICES:
            self.assertEqual(show(unit, "ActiveState"), "active")
        for site in SITES:
            self.put(site, "1")
            road.wait_for(site, lambda: self.committed(site) >= 1, 40, 0.3)

    def test_2_they_hold_no_right_beyond_their_folders(self):
        for unit in SERVICES:
            facts = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{show(unit, 'MainPID')}/status").read_text().splitlines() if ":\t" in line)
            self.assertNotEqual(facts["Uid"].split()[0], "0")
            self.assertEqual((facts["NoNewPrivs"], facts["Seccomp"]), ("1", "2"))
            self.assertEqual((int(facts["CapEff"], 16), int(facts["CapBnd"], 16)), (0, 0))
        for folder in ("/var/lib/egret-agent", "/var/lib/egret-agents/clinic-8", "/var/lib/egret-cloud"):
            self.assertEqual(os.stat(folder).st_mode & 0o777, 0o700)

    def test_3_the_watchdog_hears_them(self):
        before = {unit: show(unit, "WatchdogTimestampMonotonic") for unit in SERVICES}
        time.sleep(3)
        for unit in SERVICES:
            self.assertGreater(int(show(unit, "WatchdogTimestampMonotonic")), int(before[unit]))
            self.assertEqual(show(unit, "NRestarts"), "0")

    def test_4_a_killed_service_comes_back_with_all_it_had(self):
        self.put("clinic-7", "2")
        for unit in ("egret-agent", "egret-cloud"):
            os.kill(int(show(unit, "MainPID")), signal.SIGKILL)
        for unit in ("egret-agent", "egret-cloud"):
            road.wait_for(unit, lambda: show(unit, "NRestarts") == "1" and show(unit, "ActiveState") == "active", 10)
        self.put("clinic-7", "3")
        # Its herd window is the default: the first try may take half a minute.
        road.wait_for("all", lambda: self.committed("clinic-7") >= 3, 60, 0.5)

    def test_5_a_stop_is_clean_and_takes_under_two_seconds(self):
        for unit in reversed(SERVICES):
            begun = time.monotonic()
            run("systemctl", "stop", unit)
            self.assertLess(time.monotonic() - begun, 2)
            self.assertEqual((show(unit, "Result"), show(unit, "ExecMainStatus")), ("success", "0"))

    def test_6_a_configuration_that_cannot_be_used_is_not_tried_again_and_the_journal_knows_why(self):
        config = SITES["clinic-7"][1]
        config.write_text("bogus = 1\n" + config.read_text())
        self.assertNotEqual(run("systemctl", "start", "egret-agent", check=False).returncode, 0)
        time.sleep(3)
        self.assertEqual((show("egret-agent", "ActiveState"), show("egret-agent", "ExecMainStatus"), show("egret-agent", "NRestarts")), ("failed", "78", "0"))
        lines = run("journalctl", "-q", "-o", "json", "-u", "egret-agent").stdout.splitlines()
        said = {(row["PRIORITY"], row["MESSAGE"]) for row in map(json.loads, lines) if row.get("SYSLOG_IDENTIFIER") == "egret-agent"}
        self.assertIn(("6", "stopping"), said)
        events = {row.get("EGRET_EVENT") for row in map(json.loads, lines)}
        self.assertLessEqual({"ready", "stopping", "config_mistake"}, events)
        self.assertIn("clinic-7", {row.get("EGRET_FACILITY") for row in map(json.loads, lines)})
        self.assertTrue(any(level == "3" and "agent.toml:1: bogus" in message for level, message in said), said)
        self.assertFalse(any(message.startswith("<") for _, message in said), said)


if __name__ == "__main__":
    unittest.main(verbosity=2)
