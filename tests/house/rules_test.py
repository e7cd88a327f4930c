#!/usr/bin/env python3
"""Each rule of the house meets a snippet that breaks it, and one that does not."""
import unittest

import rules


def findings(rule, name, text):
    return list(rule(name, text))


class Rules(unittest.TestCase):
    def test_a_room_that_looks_where_it_may_not_is_found(self):
        rule = next(r for r in rules.RULES if "room" in r.__name__)
        self.assertTrue(findings(rule, "edge/a.cpp", '#include "cloud/store.h"\n'))
        self.assertTrue(findings(rule, "schemas/a.h", '#include "edge/view.h"\n'))
        self.assertFalse(findings(rule, "agent/a.cpp", '#include "edge/view.h"\n'))

    def test_a_clock_a_thread_or_a_library_in_the_core_is_found(self):
        rule = next(r for r in rules.RULES if "core" in r.__name__)
        for line in ("auto t = std::chrono::steady_clock::now();", "#include <thread>", "#include <random>", "#include <rocksdb/db.h>",
                     "#include <boost/asio.hpp>", "#include <MQTTAsync.h>"):
            self.assertTrue(findings(rule, "edge/session_x.cpp", line + "\n"), line)
            self.assertFalse(findings(rule, "edge/link.cpp", line + "\n"), line)

    def test_a_long_function_in_the_core_is_found(self):
        body = "int f(int a) {\n" + "  a++;\n" * 70 + "  return a;\n}\n"
        self.assertTrue(findings(rules.functions_fit_on_a_screen, "cloud/reconciler.cpp", body))
        self.assertFalse(findings(rules.functions_fit_on_a_screen, "cloud/reconciler.cpp", "int f(int a) {\n  return a;\n}\n"))

    def test_a_limit_outside_its_file_is_found(self):
        line = "constexpr size_t kThingBytesMax = 7;\n"
        self.assertTrue(findings(rules.limits_in_one_file, "edge/session.cpp", line))
        self.assertTrue(findings(rules.limits_in_one_file, "cloud/fold.cpp", line))
        self.assertFalse(findings(rules.limits_in_one_file, "schemas/limits.h", line))

    def test_a_header_without_a_promise_is_found(self):
        self.assertTrue(findings(rules.headers_open_with_a_promise, "edge/x.h", "#pragma once\n"))

    def test_a_phrase_that_nobody_says_is_found(self):
        tree = {"agent/x.h": 'inline constexpr Phrase well{"well", "好"};\n', "agent/x.cpp": "said(words::well, in);\n"}
        self.assertFalse(list(rules.phrases_are_said(list(tree), tree.get)))
        tree["agent/x.cpp"] = "said(words::others, in);\n"
        self.assertTrue(list(rules.phrases_are_said(list(tree), tree.get)))

    def test_a_log_line_without_an_event_is_found(self):
        self.assertTrue(findings(rules.what_is_logged_is_an_event, "cloud/x.cpp", 'spdlog::info("{}", patient);\n'))
        self.assertTrue(findings(rules.what_is_logged_is_an_event, "agent/x.cpp", 'sd_journal_print(6, "x");\n'))
        self.assertFalse(findings(rules.what_is_logged_is_an_event, "cloud/x.cpp", '#include <spdlog/fmt/fmt.h>\nlog("ready");\n'))

    def test_an_event_that_nobody_tells_of_is_found(self):
        tree = {"agent/events.h": '    {"ready", LogLevel::info, ""},\n', "agent/x.cpp": 'log("ready", 1);\n'}
        self.assertFalse(list(rules.events_are_told(list(tree), tree.get)))
        tree["agent/x.cpp"] = 'log("ended");\n'
        self.assertTrue(list(rules.events_are_told(list(tree), tree.get)))

    def test_the_tree_keeps_the_rules(self):
        self.assertEqual(rules.main(), 0)


if __name__ == "__main__":
    unittest.main()
