"""What Prometheus reads and what is written about it: scrapes, the reference, and the names that rules and dashboards use."""
import json
import pathlib
import re

import road

PROMETHEUS = road.ROOT / "packaging" / "prometheus"
GRAFANA = road.ROOT / "packaging" / "grafana"
SAMPLE = re.compile(r'^(egret_\w+?)(?:\{(.*)\})? (\S+)$')
NAME = re.compile(r"\begret_(?:agent|cloud)_[a-z_]+")


class Scrape:
    """One answer of GET /metrics."""

    def __init__(self, text):
        self.text = text
        self.types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, flags=re.M))
        self.help = dict(re.findall(r"^# HELP (\S+) (.+)$", text, flags=re.M))
        self.labels = {name: set() for name in self.types}
        self.values = {}
        for line in text.splitlines():
            if line.startswith("#") or not line:
                continue
            name, labels, value = SAMPLE.match(line).groups()
            self.values[name + ("{" + labels + "}" if labels else "")] = float(value)
            self.labels[self.family(name)] |= set(re.findall(r"(\w+)=", labels or "")) - {"le"}

    def family(self, series):
        """The metric that a series is of."""
        for name in (series, re.sub(r"_(bucket|sum|count)$", "", series)):
            if name in self.types and (name == series or self.types[name] == "histogram"):
                return name
        return None

    def series(self):
        return len(self.values)


def documented():
    """{name: (type, labels)} of packaging/prometheus/METRICS.md."""
    out = {}
    for line in (PROMETHEUS / "METRICS.md").read_text().splitlines():
        cells = [c.strip() for c in line.strip("|").split("|")] if line.startswith("| `egret_") else []
        if cells:
            out[cells[0].strip("`")] = (cells[1], set(re.findall(r"`(\w+)`", cells[3])))
    return out


def expressions():
    """(where, PromQL) of every rule and every panel, with the dashboards' variables filled in."""
    text = (PROMETHEUS / "alerts.yml").read_text()
    out = [("alerts.yml", part) for part in re.split(r"^ +- alert: ", text, flags=re.M)[1:]]
    for file in sorted(GRAFANA.glob("dashboards/*.json")):
        board = json.loads(file.read_text())
        for panel in board["panels"]:
            out += [(f"{file.name}: {panel['title']}", t["expr"].replace("$facility", "f").replace("$agent", "a").replace("$instance", "i"))
                    for t in panel.get("targets", [])]
        out += [(f"{file.name}: variable {v['name']}", v["definition"]) for v in board["templating"]["list"] if "definition" in v]
    return out


def names_in(text):
    return set(NAME.findall(text))
