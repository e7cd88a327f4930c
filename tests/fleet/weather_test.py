#!/usr/bin/env python3
"""Weather files: what is wrong with one is said before anything runs, and the same file is the same weather.

    weather_test.py
"""
import pathlib
import tempfile
import unittest

import live_region
import weather

MODEL = '[[model]]\nname = "m"\nversion = "1"\n'
OUTAGE = '[[weather]]\nat = "1s"\nfor = "2s"\nwhat = "outage"\nwhere = "3 of huli"\nsay = "x"\n'
SITES = live_region.names(60)


def read(text, sites=SITES):
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(text)
        file.flush()
        return weather.read(pathlib.Path(file.name), sites)


class Files(unittest.TestCase):
    def test_those_of_the_project_are_right_for_the_whole_region_and_for_a_small_one(self):
        for file in pathlib.Path(__file__).with_name("weather").glob("*.toml"):
            for sites in (live_region.WHOLE, 40, 12):
                read_ = weather.read(file, [s for s in live_region.names(sites) if s not in live_region.REAL])
                self.assertEqual({c.say.split(":")[0] for c in read_.changes if not c.commands}, set(), file)

    def test_a_change_begins_and_ends_for_the_sites_that_are_meant(self):
        first, last = read('lasts = "5s"\n' + MODEL + OUTAGE).changes
        self.assertEqual((first.at, last.at, len(first.commands)), (1, 3, 3))
        self.assertTrue(all(c.startswith("line huli-") and c.endswith(" cut") for c in first.commands))
        self.assertEqual([c.replace(" cut", " whole") for c in first.commands], list(last.commands))
        self.assertEqual(read('lasts = "5s"\n' + MODEL + OUTAGE).changes[0], first)

    def test_what_is_wrong_names_the_entry_and_what_is_allowed(self):
        good = 'lasts = "5s"\n' + MODEL + OUTAGE
        for change, words in (
            (("outage", "flood"), "weather 1: what = \"flood\": allowed: outage"),
            (("3 of huli", "3 of gulou"), "weather 1: where = \"gulou\": no such district or site"),
            (('at = "1s"', "at = 1"), "weather 1: at: of the wrong type"),
            (('at = "1s"', 'at = "soon"'), 'weather 1: at: "soon": a number and s, m or h'),
            (('say = "x"', 'sey = "x"'), "weather 1: sey: no such key; allowed: at, for, say, what, where"),
            (('for = "2s"\n', ""), "weather 1: for: missing"),
            (('lasts = "5s"', 'lasts = "2s"'), "ends after that"),
            (("[[model]]", "[[modell]]"), "modell: no such key"),
            (('version = "1"', 'version = "1"\nscore = 7'), "model 1: score = 7: 0 to 1"),
            (('lasts = "5s"', "lasts = "), "Invalid value"),
        ):
            with self.subTest(words), self.assertRaises(weather.Wrong) as caught:
                read(good.replace(*change))
            self.assertIn(words, str(caught.exception))


class Names(unittest.TestCase):
    def test_every_district_has_its_share_and_no_name_comes_twice(self):
        for sites in (6, 12, 40, 547, 2000):
            names = live_region.names(sites)
            self.assertEqual((len(names), len(set(names))), (sites, sites))
            self.assertEqual({n.split("-")[0] for n in names}, set(live_region.DISTRICTS))
        for sites in (0, 5, 10_000):
            with self.assertRaises(ValueError):
                live_region.names(sites)


if __name__ == "__main__":
    unittest.main(verbosity=2)
