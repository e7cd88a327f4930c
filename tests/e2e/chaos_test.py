#!/usr/bin/env python3
"""A short chaos and its report: well formed, fit to be published, and "broken" when the promise is broken.

    chaos_test.py BIN_DIR
"""
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "chaos"))
import nemesis
import report

BIN = pathlib.Path(sys.argv.pop(1))
SECTIONS = ["Verdict", "What was promised", "Versions", "Topology", "Counts", "Healing", "Faults", "Timeline", "Again"]


class Chaos(unittest.TestCase):
    def run_it(self, *more):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        done = subprocess.run([sys.executable, HERE / "chaos.py", BIN, "--report", folder.name, *more], capture_output=True, text=True)
        print(done.stdout, done.stderr, sep="\n", flush=True)
        at = pathlib.Path(folder.name)
        return done.returncode, json.loads((at / "chaos.json").read_text()), (at / "chaos.md").read_text()

    def test_the_promise_holds_and_the_report_can_be_published(self):
        code, made, text = self.run_it("--seconds", "15")
        self.assertEqual((code, made["verdict"]), (0, "held"))
        counts = made["counts"]
        self.assertGreater(counts["accepted"], 1000)
        self.assertEqual((counts["missing"], counts["twice"], counts["altered"]), (0, 0, 0))
        self.assertEqual(sum(r["faults"] for r in made["rounds"]), len(made["timeline"]))
        self.assertGreaterEqual(len(made["timeline"]), 5)
        self.assertTrue(all(e["fault"] in report.FAULTS for e in made["timeline"]))
        self.assertEqual([line[3:] for line in text.splitlines() if line.startswith("## ")], SECTIONS)
        self.assertIn(f"--seed {made['seed']}", text)
        self.assertEqual(report.not_to_be_published(text + json.dumps(made)), [])

    def test_a_disk_that_forgets_what_it_called_synced_breaks_it_and_the_report_says_so(self):
        code, made, text = self.run_it("--seconds", "0", "--control", "disk")
        self.assertEqual((code, made["verdict"]), (1, "broken"))
        self.assertGreater(made["counts"]["missing"], 0)
        self.assertIn("BROKEN", text.splitlines()[0])
        broken = [c["what"] for c in made["checks"] if not c["held"]]
        self.assertIn("every accepted record is committed, or a gap names it", broken)
        self.assertEqual(report.not_to_be_published(text + json.dumps(made)), [])


class Nemesis(unittest.TestCase):
    def plan(self, seed, **more):
        return nemesis.plan(random.Random(seed), ["east", "west"], 30, 10, **more)

    def test_the_seed_decides_the_plan(self):
        self.assertEqual(self.plan(5), self.plan(5))
        self.assertNotEqual(self.plan(5), self.plan(6))

    def test_every_fault_is_known_to_the_report_and_can_be_done_and_undone(self):
        self.assertEqual(set(nemesis.WEIGHTS), set(report.FAULTS))
        for fault in nemesis.WEIGHTS:
            self.assertTrue(hasattr(nemesis.Nemesis, "begin_" + fault))
            if fault not in ("reset", "backup", "restore"):
                self.assertTrue(hasattr(nemesis.Nemesis, "end_" + fault))

    def test_every_fault_is_drawn_and_no_two_get_into_each_others_way(self):
        seen = set()
        for seed in range(200):
            steps = self.plan(seed, slow=seed % 3 == 0)
            seen |= {s.fault for s in steps}
            for a in steps:
                for b in steps:
                    if a is not b and a.locks() & b.locks():
                        self.assertTrue(a.at + a.lasts <= b.at or b.at + b.lasts <= a.at, (a, b))
        self.assertEqual(seen, set(nemesis.WEIGHTS))

    def test_a_quick_plan_heals_soon(self):
        for seed in range(200):
            for s in self.plan(seed, quick=True, clear={"east"}):
                self.assertLessEqual(s.lasts, 4)
                self.assertFalse(nemesis.heals_slowly(s, {"east"}))

    def test_what_must_not_be_published_is_seen(self):
        for text in ("logs in /tmp/some-1", "listens on 127.0.0.1", "Patient/12"):
            self.assertNotEqual(report.not_to_be_published(text), [])


if __name__ == "__main__":
    unittest.main()
