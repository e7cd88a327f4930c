"""What of the core's text is no decision of the product: coverage.py counts no branch there, mutate.py changes nothing.

  - what EGRET_INVARIANT asks, for its other outcome ends the program;
  - mutant(...), off(...) and turn(...), which no installed program knows, what is asked only behind them (`mutant(m) && ...`),
    what they alone lead to, and functions that a comment gives to a mutant ("// The mutant ...");
  - the default that a switch over all names of an enum does not have.
"""
import re


def end_of_group(text, at, ends=")};"):
    """Where the parenthesis or block ends whose inside `at` is in; of a bare statement, its semicolon."""
    depth = 0
    while at < len(text):
        depth += {"(": 1, "{": 1, ")": -1, "}": -1}.get(text[at], 0)
        if (depth < 0 or (depth == 0 and text[at] == ";")) and text[at] in ends:
            return at
        at += 1
    return at


def no_decisions(text):
    """The parts of a file that are no decisions of the product, as (begin, end); see the top of this file."""
    switches = "|".join(["mutant", "off", "turn", *re.findall(r"^bool (\w+)\(\) \{\n  return (?:mutant|off)\(", text, re.M)])
    parts = [(m.start(), end_of_group(text, m.end())) for m in re.finditer(r"EGRET_INVARIANT\(", text)]
    for m in re.finditer(rf"!?\b(?:{switches})\(", text):
        end = end_of_group(text, m.end()) + 1
        parts.append((m.start(), end_of_group(text, end) if text[end:].lstrip().startswith("&&") else end))
    for m in re.finditer(r"if \((?:mutant|off)\(", text):
        body = end_of_group(text, m.start() + len("if (")) + 1
        parts.append((m.start(), end_of_group(text, body + len(" {"), "}") if text.startswith(" {", body) else end_of_group(text, body)))
    for m in re.finditer(r"^// The mutant .*\n(?:\w.*\n)", text, re.M):
        parts.append((m.start(), text.index("\n}\n", m.end())))
    parts += [(m.end(), m.end() + 1) for m in re.finditer(r"\bswitch \(", text)]
    return parts
