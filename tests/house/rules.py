#!/usr/bin/env python3
"""The rules of the house, as tests with advice. Each finding is one line: `file:line: what: do this instead`.

Rules look at text only, need nothing but Python, and have no list of exempt files. tests/house/rules_test.py shows each of
them a snippet that breaks it.
"""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = (".h", ".cpp")
FUNCTION_LINES_MAX = 60

# Who may look into whom.
ROOMS = {
    "schemas": {"schemas"},
    "edge": {"edge", "schemas"},
    "agent": {"agent", "edge", "schemas"},
    "cloud": {"cloud", "schemas"},
}

# Sans-I/O: everything these decide comes in as events, and the same objects run in the simulator.
CORE = re.compile(r"^(edge/(session|lanes|timers|judge|cut)|cloud/(reconciler|committer|credit|merge/))[a-z_0-9]*\.(h|cpp)$")
CORE_FORBIDDEN = [
    (r"#include <chrono>|\b\w+_clock::|\bclock_gettime\b|\bgettimeofday\b|\bstd::time\b|\btime\(nullptr\)|\btime\(0\)",
     "reads a clock", "take `now` from step()"),
    (r"#include <random>|\brandom_device\b|\bmt19937|\bstd::rand\b|\brand\(\)|\bgetrandom\b|\bOsEntropy\b|schemas/entropy\.h",
     "draws chance of its own", "take it from the Entropy that is handed in"),
    (r"#include <(thread|mutex|shared_mutex|condition_variable|future|atomic|semaphore|latch|barrier)>"
     r"|\bstd::(thread|jthread|mutex|atomic|async)\b|\bpthread_",
     "knows threads", "one thread calls step(); hand over in the daemon"),
    (r"#include [<\"](mqtt/|MQTT)|\bmqtt::|\bMQTTAsync",
     "knows Paho", "return a Publish action, let the link carry it out"),
    (r"#include [<\"]boost/(asio|beast)|\basio::",
     "knows Asio", "return an action, let the daemon carry it out"),
    (r"#include [<\"](rocksdb/|schemas/kv_rocksdb)|\brocksdb::",
     "knows RocksDB", "read through the interface that is handed in"),
]

# What reads untrusted bytes of the wire.
DECODERS = re.compile(r"^(schemas/(frame|codec|chain|seal|gcm|hpke|topics)|cloud/fold)\.(h|cpp)$")
LIMIT = re.compile(r"\bconstexpr\s+[\w:<>]+\s+(k\w*(?:Max|Min|Bytes|Limit|Ms|Percent)\w*)\s*(?:=|\{)")
WORKSHOP = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
# Written in two parts so that this file does not find itself.
MACHINE_PATH = re.compile("(?<![\\w.~}$])/(?:" + "|".join(["work" + "/", "root" + "/", "home" + "/\\w", "Users" + "/", "tmp" + "/\\w*egret"]) + ")")


def tracked():
    """Files of the project: what git knows, and what it does not know yet but would take."""
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            check=True, capture_output=True).stdout
    return sorted(name for name in listed.decode().split("\0") if name and (ROOT / name).is_file())


def without_comments_and_strings(text):
    """The same text, line for line, with comments and the insides of strings blanked."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)

    def blank(found):
        part = found[0]
        if part.startswith("'") and re.match(r"\w", text[found.start() - 1 : found.start()] or " "):
            return part  # a digit separator: 65'535
        kept = '""' if part[0] in '"R' else ""
        return kept + re.sub(r"[^\n]", " ", part[len(kept):])

    return pattern.sub(blank, text)


def matches(text, pattern):
    for found in re.finditer(pattern, text):
        yield text.count("\n", 0, found.start()) + 1, found


# ---- one function a rule: (name, text) -> findings (line, message) ----

def rooms(name, text):
    room = name.split("/")[0]
    if room not in ROOMS or not name.endswith(SOURCE):
        return
    for line, found in matches(text, r'(?m)^\s*#\s*include\s+["<](schemas|edge|agent|cloud|tests|packaging)/'):
        if found[1] not in ROOMS[room]:
            yield line, (f"{room} includes {found[1]}: {room} may look into {', '.join(sorted(ROOMS[room]))} only; "
                         "move what both need down to schemas")


def core_is_pure(name, text):
    if not CORE.match(name):
        return
    code = without_comments_and_strings(text)
    # Names of includes stand in quotes: look for those in the text itself.
    for pattern, what, advice in CORE_FORBIDDEN:
        for line, found in matches(text, pattern):
            at = text.rfind("\n", 0, found.start()) + 1
            line_text = text[at:].split("\n", 1)[0]
            if line_text.lstrip().startswith("#include") or found[0] in code[at : at + len(line_text)]:
                yield line, f"{found[0].strip()}: the core {what}: {advice}"


def functions(code):
    """(first line, last line) of every function body at namespace or class level; `code` is without comments."""
    stack = []
    start = 0  # where the statement in hand began
    parens = 0
    for at, c in enumerate(code):
        if c == "(":
            parens += 1
        elif c == ")":
            parens -= 1
        elif c == "{":
            head = code[start:at]
            inside = any(kind == "function" for kind, _ in stack)
            if inside or parens > 0:
                kind = "block"
            elif re.search(r"\b(namespace|class|struct|union|enum)\b[^()=;]*$", head) or re.match(r'\s*extern\s+""\s*$', head):
                kind = "scope"
            elif "(" in head and not re.search(r"=\s*$", head) and not re.match(r"\s*(inline |static |constexpr )*[\w:<>, ]+\s\w+\s*=", head):
                kind = "function"
            else:
                kind = "block"
            begin = start + len(head) - len(head.lstrip())
            stack.append((kind, code.count("\n", 0, begin) + 1))
            if kind != "block":
                start = at + 1
        elif c == "}":
            if not stack:
                continue
            kind, first = stack.pop()
            if kind == "function":
                yield first, code.count("\n", 0, at) + 1
            if kind != "block" or not any(k == "function" for k, _ in stack):
                start = at + 1
        elif c == ";" and parens == 0:
            start = at + 1
        elif c == "\n" and code[start:at].lstrip().startswith("#"):
            start = at + 1


def functions_fit_on_a_screen(name, text):
    if not CORE.match(name):
        return
    for first, last in functions(without_comments_and_strings(text)):
        if last - first + 1 > FUNCTION_LINES_MAX:
            yield first, (f"{last - first + 1} lines: a function fits on a screen ({FUNCTION_LINES_MAX}); "
                          "give a decision in it a name and a function of its own")


def limits_in_one_file(name, text):
    if not CORE.match(name) and not DECODERS.match(name):
        return
    for line, found in matches(without_comments_and_strings(text), LIMIT):
        yield line, f"{found[1]}: a limit outside schemas/limits.h: move it there, where the compiler checks how limits relate"


def headers_open_with_a_promise(name, text):
    if name.split("/")[0] not in ROOMS or not name.endswith(".h"):
        return
    if not re.match(r"// \w[\w -]*: ", text):
        yield 1, "a header opens with a comment: `// Name: what it is`, `// Promises: …`, `// Leaves to others: …`"
    if "\n#pragma once\n" not in text:
        yield 1, "a header is included once: add #pragma once after the opening comment"


def nothing_is_left_for_later(name, text):
    if name.endswith(SOURCE + (".py", ".proto", ".md", ".cmake", ".sh")) and not name.startswith(("tests/house/", "tests/data/")):
        for line, found in matches(text, WORKSHOP):
            yield line, f"{found[0]}: finish it, or file it where work is planned; the tree holds what is done"


def no_paths_of_one_machine(name, text):
    if name.startswith("tests/data/"):
        return
    for line, found in matches(text, MACHINE_PATH):
        yield line, f"{found[0]}: a path of one machine: take it from an option, the source folder or a temporary folder"


def what_is_logged_is_an_event(name, text):
    """Both programs write through their tables of events; schemas/log.cpp alone knows how."""
    if not name.endswith(SOURCE) or name == "schemas/log.cpp":
        return
    for line, found in matches(without_comments_and_strings(text), r"\bspdlog::\w+|\bsd_journal_\w+"):
        yield line, f'{found[0]}: log("event_id", …) of agent/log.h or cloud/log.h, with a row in that room\'s events.h'


RULES = [rooms, core_is_pure, functions_fit_on_a_screen, limits_in_one_file, headers_open_with_a_promise,
         nothing_is_left_for_later, no_paths_of_one_machine,
         what_is_logged_is_an_event]


# ---- rules about the whole tree: (names, read) -> findings (file, line, message) ----

def map_names_every_folder(names, read):
    """README's map has every folder at the top, and every folder of tests and packaging; and names none that is not there."""
    folders = {n.split("/")[0] for n in names if "/" in n and not n.startswith(".")}
    folders |= {"/".join(n.split("/")[:2]) for n in names if re.match(r"(tests|packaging|agent|cloud)/[^/]+/", n)}
    readme = read("README.md")
    mapped = {m[1]: readme.count("\n", 0, m.start()) + 1 for m in re.finditer(r"(?m)^\| `([\w/.-]+)/`", readme)}
    for folder in sorted(folders - mapped.keys()):
        yield "README.md", 1, f"{folder}/ is not on the map of the rooms: add a row | `{folder}/` | what it holds |"
    for folder in sorted(mapped.keys() - folders):
        yield "README.md", mapped[folder], f"the map names {folder}/, which is not there: take the row out"


def samples_name_their_origin(names, read):
    data = {n.split("/")[2] for n in names if n.startswith("tests/data/") and n.count("/") > 2}
    for origin in sorted(data):
        if f"tests/data/{origin}/ORIGIN.md" not in names:
            yield f"tests/data/{origin}", 1, "samples without ORIGIN.md: say where they come from and under which licence"
        elif "icen" not in read(f"tests/data/{origin}/ORIGIN.md"):
            yield f"tests/data/{origin}/ORIGIN.md", 1, "no licence named: add one line with it"


def phrases_are_said(names, read):
    """A phrase (schemas/phrase.h) is said somewhere, as words::NAME, or in the table below it."""
    said = {found for n in names if n.startswith("agent/") and n.endswith(SOURCE) for found in re.findall(r"\bwords::(\w+)", read(n))}
    for name in names:
        if not name.startswith("agent/") or not name.endswith(".h"):
            continue
        text = read(name)
        for line, found in matches(text, r"\bconstexpr Phrase (\w+)"):
            if found[1] not in said and len(re.findall(rf"\b{found[1]}\b", re.sub(r'"[^"]*"', "", text))) < 2:
                yield name, line, f"words::{found[1]}: nobody says it: take it out"


def events_are_told(names, read):
    """Each row of a table of events is told of somewhere in its room."""
    for table in ("agent/events.h", "cloud/events.h"):
        if table not in names:
            continue
        room = table.split("/")[0] + "/"
        told = {found for n in names if n.startswith(room) and n.endswith(SOURCE) for found in re.findall(r'\b(?:log|message)\("(\w+)"', read(n))}
        for line, found in matches(read(table), r'(?m)^    \{"(\w+)", LogLevel'):
            if found[1] not in told:
                yield table, line, f"{found[1]}: nobody tells of it: take the row out"


TREE_RULES = [map_names_every_folder, samples_name_their_origin, phrases_are_said, events_are_told]


def check(names, read):
    """All findings, as lines."""
    lines = []
    for name in names:
        if name.endswith((".zst", ".dcm", ".png", ".bin")) or name.startswith("tests/data/"):
            continue
        text = read(name)
        for rule in RULES:
            lines += [f"{name}:{line}: {message}" for line, message in rule(name, text)]
    for rule in TREE_RULES:
        lines += [f"{name}:{line}: {message}" for name, line, message in rule(names, read)]
    return lines


def main():
    lines = check(tracked(), lambda name: (ROOT / name).read_text(encoding="utf-8", errors="replace"))
    print("\n".join(lines))
    if lines:
        print(f"{len(lines)} findings")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
