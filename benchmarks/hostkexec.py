# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes a host into a kernel by kexec over and over while its instances run, and counts the heartbeats that they missed.

    python -m benchmarks.hostkexec INVENTORY --kernel PATH --initrd PATH [--rounds 20] [--json FILE]

The host is one that has its layout already, such as the machine of `molecule converge --scenario-name hostkexec`. Rounds are added to FILE,
so that they may be made in several runs. A round that fails ends the program: what follows it would measure something else.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from . import report
from .lab import run

Plain = dict[str, Any]


def one_round(inventory: Path, arguments: Plain) -> Plain:
    """One kexec: the result of the module, and the seconds that the whole play took."""
    with tempfile.TemporaryDirectory() as folder:
        play, told = Path(folder) / "play.yml", Path(folder) / "told.json"
        tasks = [
            {"multikernel.core.host_kexec": arguments, "register": "told", "ignore_errors": True},
            {
                "ansible.builtin.copy": {"content": "{{ told | to_json }}", "dest": str(told), "mode": "0600"},
                "delegate_to": "localhost",
                "vars": {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"},
            },
        ]
        play.write_text(json.dumps([{"name": "Measure", "hosts": "all", "gather_facts": False, "tasks": tasks}]))
        begin = time.monotonic()
        done = run(["ansible-playbook", "-i", inventory, play])
        if not told.exists():
            raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])
        result: Plain = json.loads(told.read_text())
        return {
            "failed": bool(result.get("failed")),
            "msg": result.get("msg"),
            "away": result.get("away"),
            "play": round(time.monotonic() - begin, 1),
            "release": result.get("release"),
            "instances": result.get("instances"),
        }


def summary(rounds: list[Plain]) -> str:
    """What the rounds came to, as Markdown."""
    good = [one for one in rounds if not one["failed"]]
    each = [(name, one) for told in good for name, one in told["instances"].items()]
    away, play = [one["away"] for one in good], statistics.median(one["play"] for one in good)
    lines = [
        f"{len(rounds)} kexecs of the host, {len(rounds) - len(good)} failed.",
        f"Away for a median of {statistics.median(away):.1f} s (longest {max(away):.1f} s), the whole play a median of {play:.1f} s.",
        "",
        "| instance | kexecs | with a missed beat | beats | seconds of its own clock | longest time without a beat |",
        "|---|---|---|---|---|---|",
    ]
    for name in sorted({name for name, _one in each}):
        mine = [one for other, one in each if other == name]
        longest = [one["longest"] for one in mine if one["longest"] is not None]
        told = f"{max(longest):.2f} s" if longest else "not told by it"
        missed = sum(one["gap"] is not False for one in mine)
        beats, seconds = sum(one["beats"] for one in mine), sum(one["seconds"] for one in mine)
        lines.append(f"| {name} | {len(mine)} | {missed} | {beats} | {seconds:.1f} | {told} |")
    return "\n".join(lines)


def main() -> int:
    """Measure, write, show; 1 when a round failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostkexec", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("inventory", type=Path)
    parser.add_argument("--kernel", required=True, help="path on the host")
    parser.add_argument("--initrd", required=True, help="path on the host")
    parser.add_argument("--rounds", type=int, default=20, metavar="N", help="default: %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="add the rounds to this file")
    options = parser.parse_args()
    known: Plain = json.loads(options.json.read_text()) if options.json and options.json.exists() else {"rounds": []}
    known["machine"] = report.machine()
    for _number in range(options.rounds):
        known["rounds"].append(one_round(options.inventory, {"kernel": options.kernel, "initrd": options.initrd}))
        if options.json:
            options.json.write_text(json.dumps(known, indent=1))
        if known["rounds"][-1]["failed"]:
            print(known["rounds"][-1]["msg"])
            return 1
    print(summary(known["rounds"]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
