# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From an apply to the first heartbeat of a stock Debian kernel, beside the same by bare system calls, in turns on one machine.

    scripts/run python -m benchmarks.first_beat --rounds 10

Bare means: a program that has the segments of the image ready takes the CPU offline, calls kexec_load(2) and reboot(2), and looks at
the mailbox every millisecond. Ours means: a program that reads the host, judges, places, plans, writes the journal, and does the same; its
clock stops at the first heartbeat, too, and what is done behind it (reading back, committing) is in "all" only. Both are measured from the
moment at which their code is in memory, as it is in the supervisor; "own" adds what it takes to import our code, and "fresh" also what it
takes to import those modules of Python's standard library that it needs, most of which Ansible's own code imports in every module, too.
Ansible and its connection are not in it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from ansible_collections.multikernel.core.plugins.plugin_utils._model.layout import load_layout

from . import report
from .lab import RELEASE, Lab

LAYOUT: dict[str, Any] = {
    "version": 1,
    "name": "first-beat",
    "pool": {"memory": [{"base": 0x40000000, "size": "256MiB"}]},
    "images": {
        "debian": {"kernel": f"/boot/vmlinuz-{RELEASE}", "initrd": "/srv/multikernel/instance.cpio.gz", "cmdline": "quiet"},
    },
    "instances": {"web": {"image": "debian", "cpus": "3", "memory": "192MiB", "health": {"within": "90s"}}},
}
# Runs on the machine: prints seconds. Only json is imported before the clock starts, for the answer.
PROGRAM = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
began, since = time.monotonic(), time.time()
import contextlib, copy, ctypes, errno, fcntl, functools, gc, hashlib, heapq, mmap, os, pwd, re, signal, stat, struct, threading, typing
library = time.time()
from ansible_collections.multikernel.core.plugins.module_utils._converge import run, store
from ansible_collections.multikernel.core.plugins.module_utils._dialect import image, observe, rfc, system
imported = time.time()

def ours():
    result = run.apply(json.load(open("/root/layout.json")))
    (wait,) = [one["result"] for one in result["steps"] if one["do"] == "wait_health"]
    # the heartbeat says itself how long after the boot call it came, and the journal when that was made
    lines = [json.loads(line.split(" ", 1)[1]) for line in open("/var/lib/multikernel/journal.jsonl")]
    booted = [one["time"] for one in lines if one["kind"] == "step" and one["step"]["do"] == "boot"][-1]
    steps = {one["do"]: one["seconds"] for one in result["steps"]}
    steps.update(library=round(library - since, 3), imports=round(imported - library, 3), all=round(time.monotonic() - began, 3))
    return booted - imported + wait["first_beat"], steps

def bare():
    machine = system.System("/")
    spec = json.load(open("/root/spec.json"))
    nonce = machine.nonce()
    built = machine.assemble(image.boot_spec(spec, machine.facts(), machine.read(rfc.MKSTOCK + "info"), nonce))
    memory = ",".join("0x%x+0x%x" % (start, end - start) for start, end in rfc.specs.memory_of(spec))
    cpu = spec["cpus"][0]
    begin = time.monotonic()
    machine.write("sys/devices/system/cpu/cpu%d/online" % cpu, "0")
    machine.load(built.entry, built.segments)
    machine.write(rfc.MKSTOCK + "select", "entry=0x%x cpus=%d memory=%s" % (built.entry, cpu, memory))
    machine.boot(cpu)
    while True:
        page = observe.mailbox(machine, spec["base"])
        if page and page["nonce"] == nonce and page["state"] == "running" and page["beats"]:
            break
        time.sleep(0.001)
    took = time.monotonic() - begin
    machine.unload()
    machine.write(rfc.MKSTOCK + "kill", str(cpu))
    machine.write("sys/devices/system/cpu/cpu%d/online" % cpu, "1")
    return took, {}

def absent():
    run.apply(None, state="absent")
    return 0, {}

def keep():
    json.dump(store.Store("/").state()["instances"]["web"]["spec"], open("/root/spec.json", "w"))
    return 0, {}

print(json.dumps({"ours": ours, "bare": bare, "absent": absent, "keep": keep}[sys.argv[2]]()))
"""


def measure(lab: Lab, rounds: int) -> dict[str, Any]:
    """Seconds of each way, in turns."""
    ring = lab.target_ring()
    (lab.work / "layout.json").write_text(json.dumps(load_layout(LAYOUT)))
    (lab.work / "program.py").write_text(PROGRAM)
    lab.copy(lab.work / "layout.json", "/root/layout.json")
    lab.copy(lab.work / "program.py", "/root/program.py")

    def call(way: str) -> Any:
        return json.loads(lab.shell(f"python3 /root/program.py {ring} {way}").splitlines()[-1])

    call("ours")  # compiles, too
    call("keep")
    call("absent")
    lab.shell("echo add 0x40000000 0x10000000 > /sys/kernel/mkstock/pool", check=False)
    told: dict[str, Any] = {"ours": [], "own": [], "fresh": [], "bare": [], "steps": []}
    for turn in range(rounds):
        print(f"round {turn + 1} of {rounds}", file=sys.stderr, flush=True)
        seconds, steps = call("ours")
        told["ours"].append(round(seconds, 3))
        told["own"].append(round(seconds + steps["imports"], 3))
        told["fresh"].append(round(seconds + steps["imports"] + steps["library"], 3))
        told["steps"].append(steps)
        call("absent")
        told["bare"].append(round(call("bare")[0], 3))
    return told


def main() -> int:
    """Measure, print the figures, keep them as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_beat", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, metavar="N", help="of each (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="default: first_beat.json in the work folder")
    parser.add_argument("--keep", action="store_true", help="leave the machine running")
    options = parser.parse_args()
    lab = Lab("first-beat", 4, "3G")
    # what is reserved needs not be taken from the host, by neither of the two
    lab.start(append="memmap=256M$0x40000000 memmap=192K$0x10000 no_ipi_broadcast=1")
    try:
        lab.agent()
        told = measure(lab, options.rounds)
    finally:
        if not options.keep:
            lab.stop()
    medians = {key: statistics.median(told[key]) for key in ("ours", "own", "fresh", "bare")}
    ratios = {key: round(medians[key] / medians["bare"], 3) for key in ("ours", "own", "fresh")}
    told.update(machine=report.machine(), medians=medians, ratios=ratios)
    (options.json or lab.work / "first_beat.json").write_text(json.dumps(told, indent=2) + "\n")
    print(json.dumps(told, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
