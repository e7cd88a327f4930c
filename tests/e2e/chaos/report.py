"""The report of a run, as JSON and as Markdown: what was promised, what was done, what was counted, and the verdict.

It can be published as it is: no path or name of a machine, nothing of a record.
"""
import collections
import json
import pathlib
import platform
import re
import subprocess

import road

PROMISE = ("A record that got its 2xx is always in the site's synced buffer, or committed in the region, or inside a durable gap that says why. "
           "Each takes effect once.")
FAULTS = {
    "kill": "kill -9 of a site's agent, the broker (its store wiped or kept) or the region; up again after 0 to 6 s",
    "pause": "SIGSTOP, then SIGCONT: 0.5 to 12 s, in slow rounds up to 100 s (lease 30 s; keep-alive 60 s of a site, 20 s of the region)",
    "delay": "the line brings everything later, with jitter", "rate": "the line carries 2 to 128 kB/s",
    "stall": "nothing moves one way or both, nothing is lost, nobody is told",
    "cut": "one way loses everything; those connections stay half open for good, or are reset when something is sent on them",
    "corrupt": "bytes are changed on their way, under TLS or in the clear", "reset": "every connection of the line ends with RST",
    "refuse": "what runs is reset and new connections are refused", "deaf": "what runs is reset and new connections are never answered",
    "clock": "the wall clock of one process is 90 s to ten years off for a while",
    "backup": "the region is backed up to other storage and confirmed; sites may delete what it holds",
    "restore": "the region's store is lost, and restored from the last backup",
    "limit": "the broker is killed and comes back with a smaller packet limit, said to its clients or not",
    "acl": "the broker's access rules are wrong for a while",
}


def package_version(*names):
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *names], capture_output=True, text=True)
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


def versions(bin_dir):
    def first_line(*argv):
        done = subprocess.run([str(a) for a in argv], capture_output=True, text=True)
        return ((done.stdout + done.stderr).splitlines() or ["unknown"])[0].strip()

    packages = package_version("mosquitto", "librocksdb7.8", "libpaho-mqtt1.3", "libssl3")
    commit = subprocess.run(["git", "-C", str(road.ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True).stdout.strip()
    return {"egret": first_line(pathlib.Path(bin_dir) / "egret-agent", "--version").removeprefix("egret-agent ") + (f" ({commit})" if commit else ""),
            "mosquitto": packages.get("mosquitto", "unknown"), "rocksdb": packages.get("librocksdb7.8", "unknown"),
            "paho": packages.get("libpaho-mqtt1.3", "unknown"), "openssl": packages.get("libssl3", "unknown"),
            "kernel": f"{platform.system()} {platform.release()} {platform.machine()}"}


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


def spread(values):
    return {"of": len(values), "p50": percentile(values, 0.5), "p99": percentile(values, 0.99), "max": max(values, default=None)}


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(c) for c in row) + " |" for row in lines)


def markdown(r):
    counted = collections.Counter(e["fault"] for e in r["timeline"])
    targets = {f: sorted({e["target"] for e in r["timeline"] if e["fault"] == f}) for f in counted}
    good = r["verdict"] == "held"
    parts = [f"# Egret under chaos: the promise {'held' if good else 'was BROKEN, or could not be shown'}"]
    if r["control"]:
        parts.append(f"**This is a control.** {r['control']} A checker that works must call it broken.")
    parts += [
        "A test in the manner of Jepsen: real processes, real samples, faults by chance, and books that are kept outside the system.",
        "## Verdict", table(["held?", "what", "found"], [["yes" if c["held"] else "**NO**", c["what"], c["found"]] for c in r["checks"]]),
        "## What was promised", "> " + r["promise"],
        "Only telemetry may be shed, and only when a site's disk budget is used up; here it never is. A site may delete what a confirmed backup of the "
        "region holds (`safe.policy = \"backup\"`). The oracle is the producers' log: each record that was answered with 2xx, with its hash.",
        "## Versions", table(["part", "version"], r["versions"].items()),
        "## Topology", r["topology"],
        "## Counts", table(["what", "how many"], [[k.replace("_", " "), f"{v:,}" if isinstance(v, int) else v] for k, v in r["counts"].items()]),
        "## Healing", "From the end of a round's faults until every site is linked and the region's ledger covers all that the sites hold, in seconds"
        + stood_still(r["rounds"]) + ".",
        table(["", "of", "p50", "p99", "max"], [[name, *(("-" if v is None else v) for v in s.values())] for name, s in r["heal_s"].items()]),
        "## Faults", table(["fault", "times", "done to", "what it is"], [[f, n, ", ".join(targets[f]), FAULTS[f]] for f, n in counted.most_common()]),
        "What the lines did: " + ", ".join(f"{v:,} {k.replace('_', ' ')}" for k, v in r["lines"].items()) + ".",
        "## Timeline", table(["round", "from", "faults last", "faults", "healed after"],
                             [[x["round"], f"{x['from_s']} s", f"{x['window_s']} s", x["faults"], f"{x['heal_s']} s" if x["heal_s"] is not None else "**never**"] for x in r["rounds"]]),
        table(["second", "round", "fault", "to", "for", "detail"], [[e["at_s"], e["round"], e["fault"], e["target"], f"{e['for_s']} s" if e["for_s"] else "", e["detail"]] for e in r["timeline"]]),
    ]
    if r["deaths"]:
        parts += ["## Processes that ended by themselves", table(["second", "process", "exit code"], [[d["at_s"], d["process"], d["code"]] for d in r["deaths"]])]
    parts += ["## Again", f"    {r['again']}", "The seed decides faults, targets, times and changed bytes; what they meet depends on the machine."]
    return "\n\n".join(parts) + "\n"


def stood_still(rounds):
    seconds = sum(x.get("machine_stood_still_s", 0) for x in rounds)
    return f" (without {seconds:.0f} s in which the whole machine stood still)" if seconds else ""


def write(folder, r):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "chaos.json").write_text(json.dumps(r, indent=1) + "\n")
    (folder / "chaos.md").write_text(markdown(r))


PRIVATE = re.compile(r"(?<![\w.])/(?:tmp|home|root|work|var|dev|usr|etc)/|\burn:sample:patient\b|Patient/|sample\.ai|\b\d{1,3}(?:\.\d{1,3}){3}\b")


def not_to_be_published(text):
    """What of a report tells of a machine or a record."""
    found = PRIVATE.findall(text)
    host = platform.node()
    return found + ([host] if len(host) > 4 and host in text else [])
