#!/usr/bin/env python3
"""The checker itself: it passes a true export, and exits 1 when one record is dropped, doubled or altered."""
import base64
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

CHECKER = pathlib.Path(__file__).with_name("check_road.py")


class CheckRoad(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.rows, log = [], []
        for n in range(20):
            body = f"body {n}".encode()
            content = hashlib.sha256(body).hexdigest()
            kind = ["ai_result", "telemetry_batch", "document_part"][n % 3]
            log.append(f"clinic-{n % 2} {kind} {content} 00000000000000ab result {n + 1}\n")
            self.rows.append({"facility": f"clinic-{n % 2}", "kind": kind, "content_sha256": content, "disposition": "applied",
                              "seq": n + 1, "body_b64": base64.b64encode(body).decode()})
        self.log = pathlib.Path(self.folder.name) / "log"
        self.log.write_text("".join(log))

    def check(self, *more):
        export = pathlib.Path(self.folder.name) / "export"
        export.write_text("".join(json.dumps(r) + "\n" for r in self.rows))
        done = subprocess.run([sys.executable, str(CHECKER), "--log", str(self.log), "--export", str(export), *more], capture_output=True, text=True)
        return done.returncode, json.loads(done.stdout)

    def test_a_true_export_passes(self):
        code, result = self.check()
        self.assertEqual(code, 0)
        self.assertEqual((result["accepted"], result["committed"], result["missing"], result["duplicates"]), (20, 20, 0, 0))
        self.assertTrue(result["digests_agree"])

    def test_a_dropped_record_is_missing(self):
        del self.rows[7]
        code, result = self.check()
        self.assertEqual((code, result["missing"]), (1, 1))

    def test_a_doubled_record_is_a_duplicate(self):
        self.rows.append(self.rows[3])
        code, result = self.check()
        self.assertEqual((code, result["duplicates"]), (1, 1))

    def test_an_altered_record_breaks_the_digest(self):
        self.rows[5]["body_b64"] = base64.b64encode(b"body 5, edited").decode()
        code, result = self.check()
        self.assertEqual(code, 1)
        self.assertFalse(result["digests_agree"])

    def test_a_believed_hash_does_not_hide_an_altered_body(self):
        self.rows[5]["body_b64"] = base64.b64encode(b"x").decode()
        self.rows[5]["content_sha256"] = hashlib.sha256(b"x").hexdigest()
        self.assertEqual(self.check()[0], 1)

    def gap(self, **changes):
        return {"facility": "clinic-1", "epoch": "00000000000000ab", "stream": "result", "gap": {"first": 7, "last": 8, "kind": "purged"}, **changes}

    def test_a_gap_accounts_for_what_it_names_only_when_it_is_asked(self):
        del self.rows[7]
        self.rows.append(self.gap())
        self.assertEqual(self.check()[0], 1)
        code, result = self.check("--gaps-tell")
        self.assertEqual((code, result["missing"], result["told_by_gaps"], result["digests_agree"]), (0, 0, 1, True))

    def test_a_gap_elsewhere_accounts_for_nothing(self):
        del self.rows[7]
        for changes in ({"epoch": "00000000000000ac"}, {"stream": "bulk"}, {"facility": "clinic-0"}, {"gap": {"first": 9, "last": 20, "kind": "shed"}}):
            self.rows.append(self.gap(**changes))
        code, result = self.check("--gaps-tell")
        self.assertEqual((code, result["missing"]), (1, 1))


if __name__ == "__main__":
    unittest.main()
