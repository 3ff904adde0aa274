# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host costs the controller: an apply that changes nothing beside `ansible.builtin.ping`, by the number of hosts.

    scripts/run python -m benchmarks.rollout                 # all of it; about a quarter of an hour on two cores
    scripts/run python -m benchmarks.rollout --hosts 10,50 --rounds 1

The hosts are simulated (tests/simulated): folders on this machine, reached by the connection `local`. The cost of the controller is the
processor time of ansible-playbook with all its children, less what the modules took on the targets, which each target counts itself.
Starting ansible-playbook is part of it. Both tasks are run in turns, with the same forks, on the same hosts.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ansible_collections.multikernel.core.tests.simulated import fleet as simulated

from . import curves, report

TOP = Path(__file__).resolve().parents[1]
LIMIT = 1.5
#: Seconds between two looks of ansible-playbook at its children: Ansible's own value, and the one that docs/rollout.md advises for fleets.
POLLS = (0.001, 0.01)
TASKS = {"ping": "ansible.builtin.ping:", "apply": 'multikernel.core.layout: {layout: "{{ multikernel_layout }}"}'}
HEAD = (
    *("polled each", "hosts", "ping: controller", "apply: controller", "ratio", "single runs"),
    *("ping: target", "apply: target", "ping: wall", "apply: wall"),
)
Plain = dict[str, Any]


def main() -> int:
    """Measure, print the table, write figures and picture; the exit status is 0 whatever the figures are."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rollout", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--hosts", default="10,50,100,200", metavar="N,N", help="numbers of hosts (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each task, in turns (default: %(default)s)")
    parser.add_argument("--forks", type=int, default=10, help="default: %(default)s")
    work = Path(os.environ.get("MULTIKERNEL_WORK", "."))
    parser.add_argument("--json", type=Path, default=work / "rollout-cost.json", metavar="FILE", help="default: %(default)s")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the curve into this SVG file")
    options = parser.parse_args()
    told = run([int(one) for one in options.hosts.split(",")], options.rounds, options.forks)
    print(text(told))
    options.json.write_text(json.dumps(told, indent=2) + "\n")
    if options.picture:
        options.picture.write_text(picture(told))
    return 0


def run(hosts: Sequence[int], rounds: int, forks: int) -> Plain:
    """All figures as plain data: for each interval of polling and number of hosts the medians of both tasks."""
    told: Plain = {"machine": report.machine(), "rounds": rounds, "forks": forks, "rows": []}
    with tempfile.TemporaryDirectory() as folder:
        fleet = simulated.Fleet(Path(folder), max(hosts))
        books = {
            name: simulated.playbook(fleet.folder, name, f"- hosts: all\n  gather_facts: false\n  tasks:\n    - {task}\n")
            for name, task in TASKS.items()
        }
        # the first apply changes the hosts, and leaves there what every later one finds
        _once(fleet, books["apply"], max(hosts), forks, POLLS[0])
        for poll in POLLS:
            for count in hosts:
                told["rows"].append({"poll": poll, "hosts": count, **_measure(fleet, books, count, rounds, forks, poll)})
                print(f"{count} hosts, polled each {poll:g} s: {told['rows'][-1]['ratio']:.2f}", file=sys.stderr, flush=True)
    return told


def _measure(fleet: simulated.Fleet, books: dict[str, Path], count: int, rounds: int, forks: int, poll: float) -> Plain:
    """Medians of `rounds` runs of each task, in turns: milliseconds of the controller and of the target for each host, and the wall."""
    runs: dict[str, list[Plain]] = {name: [] for name in books}
    for _round in range(rounds):
        for name, book in books.items():
            runs[name].append(_once(fleet, book, count, forks, poll))
    row: Plain = {
        name: {key: round(statistics.median(one[key] for one in many), 2) for key in ("controller", "target", "wall")}
        for name, many in runs.items()
    }
    ratios = [apply["controller"] / ping["controller"] for ping, apply in zip(runs["ping"], runs["apply"], strict=True)]
    return {**row, "ratio": round(row["apply"]["controller"] / row["ping"]["controller"], 3), "ratios": [round(one, 3) for one in ratios]}


def _once(fleet: simulated.Fleet, book: Path, count: int, forks: int, poll: float) -> Plain:
    settings = fleet.folder / "ansible.cfg"
    settings.write_text(f"[defaults]\nforks = {forks}\ninternal_poll_interval = {poll}\n")
    inventory = fleet.inventory({"multikernel_layout": simulated.layout()}, count)
    fleet.target_seconds()
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = fleet.run(["ansible-playbook", "-i", str(inventory), str(book)], {"ANSIBLE_CONFIG": str(settings)})
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    target, modules = fleet.target_seconds()
    if done.returncode or modules != count:
        raise RuntimeError(f"{modules} of {count} modules ran:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"controller": 1000 * (used - target) / count, "target": 1000 * target / count, "wall": 1000 * wall / count}


def text(told: Plain) -> str:
    """The figures as Markdown."""
    kind = told["machine"]
    lines = [
        (
            f"{kind['cpus']} CPUs ({kind['cpu']}), shared with other work (load {kind['load'][0]}), Python {kind['python']}; "
            f"{told['forks']} forks, medians of {told['rounds']} runs, milliseconds for each host:"
        ),
        "",
        f"| {' | '.join(HEAD)} |",
        "|" + "---|" * len(HEAD),
    ]
    for row in told["rows"]:
        ping, apply = row["ping"], row["apply"]
        singles = ", ".join(f"{one:.2f}" for one in row["ratios"])
        cells = [
            f"{row['poll'] * 1000:g} ms",
            row["hosts"],
            f"{ping['controller']:.1f}",
            f"{apply['controller']:.1f}",
            f"{row['ratio']:.2f}",
        ]
        cells += [singles, *(f"{one[key]:.0f}" for key in ("target", "wall") for one in (ping, apply))]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def picture(told: Plain) -> str:
    """The curve: milliseconds of the controller for each host over the number of hosts, both tasks at the first interval of polling."""
    rows = [row for row in told["rows"] if row["poll"] == told["rows"][0]["poll"]]
    most_hosts = max(row["hosts"] for row in rows)
    most = max(row["apply"]["controller"] for row in rows) * 1.1
    step = next(one for one in (10, 20, 25, 50, 100, 200, 500, 1000) if most / one <= 8)
    said = "; ".join(f"{row['hosts']} hosts: ping {row['ping']['controller']}, apply {row['apply']['controller']}" for row in rows)
    return curves.draw(
        "Processor time of the controller for each host, milliseconds",
        said,
        curves.Axis(0, most_hosts, [(row["hosts"], str(row["hosts"])) for row in rows], "hosts"),
        curves.Axis(0, most, [(value, str(value)) for value in range(0, int(most) + 1, step)]),
        [
            curves.Curve("ping", [(row["hosts"], row["ping"]["controller"]) for row in rows]),
            curves.Curve("no-op apply", [(row["hosts"], row["apply"]["controller"]) for row in rows]),
            curves.Curve(f"{LIMIT} × ping", [(row["hosts"], LIMIT * row["ping"]["controller"]) for row in rows], limit=True),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
