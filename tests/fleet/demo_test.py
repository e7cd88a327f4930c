#!/usr/bin/env python3
"""The demo of a region as a person meets it, with few sites: it comes up, the weather is to be seen, it ends, nothing stays behind.

    demo_test.py BIN_DIR
"""
import json
import os
import pathlib
import signal
import sys
import time
import unittest
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
import demo_test as small  # noqa: E402  (of e2e: one run of a demo in a folder of its own)
import road  # noqa: E402

SITES = 40
SQUALL = HERE / "weather" / "squall.toml"


class TheRegion(unittest.TestCase):
    def start(self, sites, *options):
        demo = small.Demo("--sites", str(sites), "--weather", str(SQUALL), *options, program=HERE / "demo.py")
        self.addCleanup(demo.close)
        return demo

    def get(self, path, token=None):
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {token}"} if token else {})
        return json.load(urllib.request.urlopen(request, timeout=10))

    def sites(self, test):
        return [row["facility"] for row in self.get("api/facilities")["facilities"] if test(row)]

    def test_keep_shows_every_site_and_the_weather_and_ctrl_c_ends_it_all(self):
        demo = self.start(SITES, "--keep")
        line = demo.read_to("the region's page")
        self.assertIsNotNone(line, "".join(demo.lines))
        self.url = line.split()[-1]
        token = demo.read_to("sign in with this token").split()[-1]
        self.assertEqual(self.get("api/whoami", token), {"name": "demo", "role": "operator"})
        self.assertIn("<html", urllib.request.urlopen(demo.read_to("a clinic's own page").split()[-1], timeout=10).read().decode())
        self.assertIsNotNone(demo.read_to("the weather:"))
        self.assertEqual(len(self.sites(lambda row: row["last_seen"] and row["records"] > 0)), SITES)
        gaps = []
        for what, seen in (("a critical finding", lambda: self.get("api/alerts")["alerts"]),
                           ("refused results", lambda: self.sites(lambda row: row["quarantined"] > 0 and row["facility"].startswith("huli"))),
                           ("the version that is not good", lambda: "2.5.0" in [m["version"] for m in self.get("api/models")["models"]]),
                           ("a site that waits", lambda: self.sites(lambda row: row["behind"] > 0)),
                           ("silent sites", lambda: len(self.sites(lambda row: row["attention"] == "silent" and row["facility"].startswith("xiangan"))) == 2),
                           ("a gap", lambda: gaps.extend(self.sites(lambda row: row["gap_records"] > 0)) or gaps)):
            with self.subTest(what):
                road.wait_for(what, seen, 120, 0.5)
        streams = self.get(f"api/completeness/{gaps[0]}")["streams"]
        self.assertEqual({(s["stream"], g["kind"]) for s in streams for g in s["gaps"]}, {("telemetry", "shed")})
        demo.run.send_signal(signal.SIGINT)
        time.sleep(0.05)
        demo.run.send_signal(signal.SIGINT)  # impatient
        self.assertEqual(demo.run.wait(20), 130)
        self.assertEqual(demo.processes(), [])
        self.assertEqual(os.listdir(demo.folder), [])

    def test_without_keep_the_books_agree_and_a_second_run_works(self):
        for _ in range(2):
            demo = self.start(12)
            said = demo.run.communicate()[0].splitlines()
            self.assertEqual(demo.run.returncode, 0, "\n".join(said))
            books = json.loads(said[-1])
            self.assertEqual((books["sites"], books["missing"], books["accepted"]), (12, 0, sum(books[what] for what in ("committed", "duplicates", "quarantined", "gaps"))))
            self.assertEqual(books["quarantined"], 3)
            self.assertGreater(books["gaps"], 0)
            self.assertEqual(demo.processes(), [])
            self.assertEqual(os.listdir(demo.folder), [])

    def test_what_is_not_understood_is_said_at_once(self):
        for options, words in ((("--sites", "3"), "6 to 5994 sites"), (("--sites", "12", "--rate", "99"), "at most 10"), (("--sites", "12", "--weather", "nowhere.toml"), "nowhere.toml")):
            demo = small.Demo(*options, program=HERE / "demo.py")
            self.addCleanup(demo.close)
            said = demo.run.communicate()[0]
            self.assertEqual(demo.run.returncode, 2, said)
            self.assertIn(words, said)


if __name__ == "__main__":
    small.BIN = sys.argv.pop(1)
    unittest.main(verbosity=2)
