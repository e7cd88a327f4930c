"""Weather: what happens to the sites of a region, as a file that a person can read (weather/*.toml), and the commands of
fleet-region that make it happen.

Promises: a file that is wrong is refused before anything runs, with the number of the entry and what is allowed; the same file
and the same sites give the same weather.
Leaves to others: carrying the commands out (live_region.py), how a site meets it (core.h).
"""
import dataclasses
import random
import re
import tomllib

MOMENT = re.compile(r"(\d+)(s|m|h)")
SOME = re.compile(r"(\d+) of ([a-z0-9-]+)")

# What can happen: what is beside at, for, where and say, and whether it lasts.
KINDS = {
    "outage": ({}, True),
    "power cut": ({}, True),
    "thin line": ({"bytes_per_s": int}, True),
    "full disk": ({"size_kb": int}, True),
    "model": ({"model": str}, True),
    "critical": ({"count": int}, False),
    "refused": ({"count": int}, False),
}
TELEMETRY_S = 30  # between two of a site's own measurements
TELEMETRY_FILLS_S = 1


class Wrong(Exception):
    """The file, the entry, and what is allowed."""


@dataclasses.dataclass(frozen=True)
class Model:
    """A version of a model that sites work with: how many of its results people judge, and how many of those they reject."""
    name: str
    version: str
    ungradable: float
    reviewed: float
    rejected: float
    score: float  # the middle of what it says

    @property
    def file(self):
        return f"{self.name}-{self.version}"


@dataclasses.dataclass(frozen=True)
class Change:
    """At `at` seconds: commands, and what is told to who watches."""
    at: float
    commands: tuple
    say: str


@dataclasses.dataclass(frozen=True)
class Weather:
    models: tuple   # the first is what every site works with
    changes: tuple  # in order of time
    lasts_s: float  # then it may begin again


def seconds(text, where):
    found = MOMENT.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise Wrong(f'{where}: "{text}": a number and s, m or h is allowed: "90s"')
    return int(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]


def chosen(where, sites, entry, number):
    """The sites that "tongan", "tongan-007", "3 of huli" and "40 of all" mean."""
    def of(name):
        found = [s for s in sites if name == "all" or s == name or s.startswith(name + "-")]
        if not found:
            raise Wrong(f'{entry}: where = "{name}": no such district or site')
        return found

    some = SOME.fullmatch(where)
    if some is None:
        return of(where)
    found = of(some[2])
    return sorted(random.Random(f"{number} {where}").sample(found, min(int(some[1]), len(found))))


def model_of(table, entry):
    allowed = {"name": str, "version": str, "ungradable": (int, float), "reviewed": (int, float), "rejected": (int, float), "score": (int, float)}
    given = {"ungradable": 0.02, "reviewed": 0.2, "rejected": 0.04, "score": 0.2, **table}
    check(given, allowed, entry)
    for key in ("ungradable", "reviewed", "rejected", "score"):
        if not 0 <= given[key] <= 1:
            raise Wrong(f"{entry}: {key} = {given[key]}: 0 to 1 is allowed")
    return Model(**given)


def check(table, allowed, entry):
    for key, value in table.items():
        if key not in allowed:
            raise Wrong(f"{entry}: {key}: no such key; allowed: {', '.join(sorted(allowed))}")
        if not isinstance(value, allowed[key]) or isinstance(value, bool):
            raise Wrong(f"{entry}: {key}: of the wrong type")
    for key in allowed:
        if key not in table:
            raise Wrong(f"{entry}: {key}: missing")


def begins(what, table, models):
    """Commands for one site, NAME in the place of its name, when it begins and when it ends."""
    usual = models[0]
    if what == "outage":
        return ["line NAME cut"], ["line NAME whole"]
    if what == "power cut":
        return ["power NAME off"], ["power NAME on"]
    if what == "thin line":
        return [f"thin NAME {table['bytes_per_s']}"], ["thin NAME 0"]
    if what == "full disk":
        return (["line NAME cut", f"disk NAME {table['size_kb'] * 1024}", f"telemetry NAME {TELEMETRY_FILLS_S}"],
                ["disk NAME 0", f"telemetry NAME {TELEMETRY_S}", "line NAME whole"])
    if what == "model":
        other = next(m for m in models if m.file == table["model"])
        return [model_command(other)], [model_command(usual)]
    return [f"say NAME {'critical' if what == 'critical' else 'broken'} {table['count']}"], []


def model_command(model):
    return f"model NAME {model.file} {model.reviewed} {model.rejected}"


def change_of(table, number, sites, models):
    entry = f"weather {number}"
    what = table.get("what")
    if what not in KINDS:
        raise Wrong(f'{entry}: what = "{what}": allowed: {", ".join(KINDS)}')
    extra, lasts = KINDS[what]
    check(table, {"at": str, "what": str, "where": str, "say": str, **({"for": str} if lasts else {}), **extra}, entry)
    if what == "model" and table["model"] not in [m.file for m in models]:
        raise Wrong(f'{entry}: model = "{table["model"]}": allowed: {", ".join(m.file for m in models)}')
    at = seconds(table["at"], f"{entry}: at")
    end = at + seconds(table["for"], f"{entry}: for") if lasts else at
    names = chosen(table["where"], sites, entry, number)
    first, last = begins(what, table, models)
    filled = [tuple(c.replace("NAME", name) for name in names for c in commands) for commands in (first, last)]
    out = [Change(at, filled[0], f"{table['say']} ({what}: {table['where']})")]
    if lasts:
        out.append(Change(end, filled[1], f"over: {what}: {table['where']}"))
    return out


def read(file, sites):
    """`sites`: those that may be met by it. Throws Wrong."""
    try:
        with open(file, "rb") as f:
            whole = tomllib.load(f)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise Wrong(f"{file}: {error}") from None
    check(whole, {"model": list, "weather": list, "lasts": str}, str(file))
    models = tuple(model_of(table, f"model {n}") for n, table in enumerate(whole["model"], 1))
    if not models:
        raise Wrong(f"{file}: model: at least one")
    changes = [c for n, table in enumerate(whole["weather"], 1) for c in change_of(table, n, sites, models)]
    lasts_s = seconds(whole["lasts"], "lasts")
    late = [c for c in changes if c.at > lasts_s]
    if late:
        raise Wrong(f'{file}: lasts = "{whole["lasts"]}": {late[0].say}: ends after that')
    return Weather(models, tuple(sorted(changes, key=lambda c: c.at)), lasts_s)
