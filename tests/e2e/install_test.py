#!/usr/bin/env python3
"""What `cmake --install` leaves on a host: programs that run, units that systemd finds nothing wrong with, examples that hold.

    install_test.py BUILD_DIR
"""
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

BUILD = ""
UNITS = ["egret-agent.service", "egret-agent@.service", "egret-cloud.service"]
EXPOSURE_MAX = 2.0  # of 10, as `systemd-analyze security` counts


def run(*argv, **more):
    return subprocess.run([str(a) for a in argv], capture_output=True, text=True, **more)


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="egret-install-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.prefix = pathlib.Path(cls.folder.name) / "usr"
        done = run("cmake", "--install", BUILD, "--prefix", cls.prefix)
        assert done.returncode == 0, done.stdout + done.stderr
        cls.units = cls.prefix / "lib/systemd/system"
        cls.docs = cls.prefix / "share/doc/egret"

    def test_everything_that_a_host_needs_is_there(self):
        for name in ["bin/egret-agent", "bin/egret-cloud", *(f"lib/systemd/system/{u}" for u in UNITS), "lib/sysusers.d/egret.conf",
                     "lib/tmpfiles.d/egret.conf", *(f"share/doc/egret/{d}" for d in ["README.md", "INSTALL.md", "LICENSE", "examples/agent.toml",
                     "examples/cloud.toml", "mosquitto/egret.conf", "mosquitto/egret.acl", "schemas/es1.md", "schemas/record.proto"])]:
            self.assertTrue((self.prefix / name).is_file(), name)
        self.assertTrue((self.docs / "mosquitto/keys").stat().st_mode & 0o100)

    def test_the_programs_run(self):
        for name in ("egret-agent", "egret-cloud"):
            done = run(self.prefix / "bin" / name, "--version")
            self.assertEqual((done.returncode, done.stdout.split()[0]), (0, name))

    def test_systemd_finds_nothing_wrong_with_the_units(self):
        done = run("systemd-analyze", "verify", "--man=no", *(self.units / unit for unit in UNITS))
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_a_unit_with_a_mistake_is_found(self):
        text = (self.units / UNITS[0]).read_text().replace("Type=notify", "Type=notfy")
        wrong = pathlib.Path(self.folder.name) / "wrong.service"
        wrong.write_text(text)
        self.assertIn("notfy", run("systemd-analyze", "verify", "--man=no", wrong).stderr)

    def test_the_units_leave_little_open(self):
        for unit in UNITS:
            done = run("systemd-analyze", "security", "--offline=true", "--no-pager", self.units / unit)
            exposure = float(re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)[1])
            self.assertLessEqual(exposure, EXPOSURE_MAX, done.stdout)

    def test_units_name_programs_and_documents_where_they_were_put(self):
        for unit in UNITS:
            text = (self.units / unit).read_text()
            self.assertTrue(pathlib.Path(re.search(r"^ExecStart=(\S+)", text, re.M)[1]).is_file())
            self.assertTrue(pathlib.Path(re.search(r"^Documentation=file://(\S+)", text, re.M)[1]).is_file())

    def test_a_staged_installation_names_the_paths_it_will_have(self):
        with tempfile.TemporaryDirectory(prefix="egret-stage-") as stage:
            done = run("cmake", "-E", "env", f"DESTDIR={stage}", "cmake", "--install", BUILD, "--prefix", "/usr")
            self.assertEqual(done.returncode, 0, done.stderr)
            for unit in UNITS:
                text = (pathlib.Path(stage) / "usr/lib/systemd/system" / unit).read_text()
                self.assertRegex(text, r"(?m)^ExecStart=/usr/bin/egret-")
                self.assertNotIn(stage, text)

    def test_the_examples_pass_check_config(self):
        for name in ("agent", "cloud"):
            done = run(self.prefix / f"bin/egret-{name}", "check-config", "--config", self.docs / f"examples/{name}.toml")
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_check_config_names_a_mistake_of_an_example(self):
        for name in ("agent", "cloud"):
            wrong = pathlib.Path(self.folder.name) / f"{name}.toml"
            wrong.write_text("colour = 1\n" + (self.docs / f"examples/{name}.toml").read_text())
            done = run(self.prefix / f"bin/egret-{name}", "check-config", "--config", wrong)
            self.assertEqual(done.returncode, 78)
            self.assertIn(f"{name}.toml:1: colour", done.stderr)

    def test_the_users_of_the_units_are_those_that_sysusers_makes(self):
        made = set(re.findall(r"^u (\S+)", (self.prefix / "lib/sysusers.d/egret.conf").read_text(), re.M))
        wanted = {re.search(r"^User=(\S+)", (self.units / unit).read_text(), re.M)[1] for unit in UNITS}
        self.assertEqual(made, wanted)
        done = run("systemd-sysusers", "--dry-run", self.prefix / "lib/sysusers.d/egret.conf")
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    BUILD = sys.argv.pop(1)
    unittest.main(verbosity=2)
