# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring up tiny instances on a lab machine: by one apply of ours, and by the commands of a public peer, in the same run.

    scripts/run python -m benchmarks.bringup --instances 20

Boots a machine in QEMU (role qemu_lab), loads mkstock with the kernfs interface, and measures on it, by the wall clock of the
controller: everything from nothing to instances that run, the same once more, and what each says and leaves when one image of
the set is broken. Each gets the machine as the others found it: nothing pooled, nothing running.

Ours is measured twice. As people use it, it is an `ansible-playbook` with one task, whose start and whose way to the machine are in
its time. The peer has no such way: its commands are typed in a shell on the machine. So the same apply is also measured on the
peer's terms: a new Python process in a shell on the machine, as the supervisor's is that applies the layout after a boot.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

from ansible_collections.multikernel.core.plugins.plugin_utils._model.layout import load_layout

from . import peer, report
from .lab import CACHE, RELEASE, Lab

NAME = "bringup"
KERF = "PYTHONPATH=/root/kerf python3 -c 'import sys; from kerf.cli import main; sys.exit(main())'"
POOL_SLACK = 4  # tiny instances' worth of memory beyond what is used: a pool keeps some pages for itself
TINY = 16  # MiB
# What the module does, without Ansible: a state and, for "present", a file with a canonical layout.
APPLY = """
import json, sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.multikernel.core.plugins.module_utils._converge import run
try:
    result = run.apply(json.load(open(sys.argv[3])) if sys.argv[3:] else None, state=sys.argv[2])
except run.ApplyError as error:
    sys.exit(error.message)
print("changed=%s, %d steps" % (result["changed"], len(result["steps"])))
"""

Plain = dict[str, Any]


class Machine(Lab):
    """With kerf's packages and a payload that is none on it."""

    def __init__(self, cpus: int, release: str) -> None:
        super().__init__(NAME, cpus, release=release)

    def prepare(self) -> None:
        """Boot it, load mkstock, put the payloads and the peer on it."""
        self.start("kernfs")
        self.tiny("/srv/tiny.bin")
        self.shell("head -c 0 /dev/null > /srv/broken.bin")
        with tarfile.open(self.work / "kerf.tar.gz", "w:gz") as archive:
            archive.add(_packages(), "kerf")
        self.copy(self.work / "kerf.tar.gz", "/root/kerf.tar.gz")
        self.shell("cd /root && tar xzf kerf.tar.gz")

    def state(self) -> Plain:
        """What the machine shows: its pool, its instances by state, the CPUs that the host has."""
        look = "cd /sys/fs/multikernel/instances 2>/dev/null && for one in *; do [ -d $one ] && cat $one/status; done; true"
        text = self.shell(f"cat /sys/devices/system/cpu/online; {look}").split()
        return {"cpus_online": text[0], "instances": {word: text[1:].count(word) for word in sorted(set(text[1:]))}}


class Peer:
    """kerf's commands, one process each as its users type them, in one shell on the machine."""

    name = peer.PACKAGE

    def __init__(self, lab: Machine, count: int) -> None:
        self.lab, self.count = lab, count

    def up(self, broken: int | None = None) -> str:
        """init, then create, load and start for each instance; goes on after an error, as a loop in a shell does."""
        cpus = ",".join(str(cpu) for cpu in range(1, self.count + 1))
        lines = [f"kerf init --cpus={cpus} --memory={(self.count + POOL_SLACK) * TINY}MB"]
        for number in range(1, self.count + 1):
            image = "/srv/broken.bin" if number == broken else "/srv/tiny.bin"
            lines.append(f"kerf create t{number} --cpus={number} --memory={TINY}MB")
            lines += [f"kerf load t{number} --kernel={image}", f"kerf start t{number}"]
        return self._run(lines)

    def down(self) -> str:
        """kill, unload and delete for each instance, then empty the pool."""
        lines = []
        for number in range(1, self.count + 1):
            lines += [f"kerf kill --force t{number}", f"kerf unload t{number}", f"kerf delete t{number}"]
        return self._run([*lines, "kerf init --cpus=none --memory=none"])

    def _run(self, lines: list[str]) -> str:
        script = "\n".join([f'kerf() {{ {KERF} "$@"; }}', *(f"{line} || echo 'exit status '$?" for line in lines)])
        return self.lab.shell(f"sh -c {shlex.quote(script)}")


class Ours:
    """One ansible-playbook with one task."""

    name = "multikernel.core.layout"

    def __init__(self, lab: Machine, count: int) -> None:
        self.lab, self.count = lab, count

    def up(self, broken: int | None = None) -> str:
        """Apply the layout with all instances."""
        return self._play({"layout": self.layout(broken)})

    def layout(self, broken: int | None = None) -> Plain:
        """All instances; the one of the number broken has an image of no bytes."""
        instances = {
            f"t{number}": {"image": "broken" if number == broken else "tiny", "cpus": str(number), "memory": f"{TINY}MiB"}
            for number in range(1, self.count + 1)
        }
        images = {"tiny": {"kernel": "/srv/tiny.bin", "format": "flat"}}
        if broken is not None:
            images["broken"] = {"kernel": "/srv/broken.bin", "format": "flat"}
        return {
            "version": 1,
            "name": "bringup",
            "pool": {"memory": [{"size": f"{(self.count + POOL_SLACK) * TINY}MiB"}]},
            "images": images,
            "instances": instances,
        }

    def down(self) -> str:
        """Take the layout back."""
        return self._play({"state": "absent"})

    def _play(self, arguments: Plain) -> str:
        done = self.lab.play({"name": "Bring the machine to the layout", "multikernel.core.layout": arguments}, check=False)
        return done.stdout + done.stderr


class There(Ours):
    """The same apply in a new Python process in a shell on the machine."""

    name = "the same apply, without Ansible"

    def __init__(self, lab: Machine, count: int) -> None:
        super().__init__(lab, count)
        self.ring = lab.target_ring()
        (lab.work / "apply.py").write_text(APPLY)
        lab.copy(lab.work / "apply.py", "/root/apply.py")
        for name, broken in (("whole", None), ("broken", count // 2)):
            (lab.work / f"{name}.json").write_text(json.dumps(load_layout(self.layout(broken))))
            lab.copy(lab.work / f"{name}.json", f"/root/{name}.json")

    def up(self, broken: int | None = None) -> str:
        """Apply the layout with all instances."""
        return self._apply("present", f"/root/{'whole' if broken is None else 'broken'}.json")

    def down(self) -> str:
        """Take the layout back."""
        return self._apply("absent")

    def _apply(self, *words: str) -> str:
        return self.lab.shell(f"python3 /root/apply.py {self.ring} {' '.join(words)}", check=False)


def measure(lab: Machine, tool: Peer | Ours, rounds: int) -> Plain:
    """Seconds of a first and of a second run, medians of so many rounds, and what a broken image leads to."""
    first, second = [], []
    told: Plain = {"tool": tool.name}
    for turn in range(rounds):
        told["before"] = lab.state()
        first.append(_timed(tool.up))
        told["after"] = lab.state()
        if turn == 0:
            began = time.monotonic()
            text = tool.up()
            second.append(time.monotonic() - began)
            told["second_says"] = _tail(text)
            told["after_second"] = lab.state()
        tool.down()
    told.update(first_seconds=round(statistics.median(first), 1), second_seconds=round(statistics.median(second), 1), all_seconds=first)
    told["broken_says"] = _tail(tool.up(broken=tool.count // 2))
    told["broken_leaves"] = lab.state()
    tool.down()
    told["at_last"] = lab.state()
    return told


def _timed(function: Any) -> float:
    began = time.monotonic()
    function()
    return round(time.monotonic() - began, 2)


def _tail(text: str, lines: int = 12) -> list[str]:
    return [line.rstrip()[:400] for line in text.splitlines() if line.strip()][-lines:]


def _packages() -> Path:
    """The peer's packages for the Python of the machine, which is the one of Debian 12."""
    folder = CACHE / f"peer-kerf-{peer.VERSION}-packages"
    if not (folder / "ready").exists():
        words = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", folder, peer.PACKAGE]
        subprocess.run(words, check=True, capture_output=True, timeout=300)
        (folder / "ready").write_text("")
    return folder


def main() -> int:
    """Measure both, print the figures, keep them as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bringup", description=__doc__)
    parser.add_argument("--instances", type=int, default=20, metavar="N", help="how many tiny instances (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="first runs of ours (default: %(default)s)")
    parser.add_argument("--peer-rounds", type=int, default=2, metavar="N", help="those of the peer, minutes each (default: %(default)s)")
    parser.add_argument("--release", default=RELEASE, help="host kernel (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="default: bringup.json in the work folder")
    parser.add_argument("--keep", action="store_true", help="leave the machine running")
    options = parser.parse_args()
    lab = Machine(options.instances + 2, options.release)
    lab.prepare()
    told: Plain = {"machine": report.machine(), "instances": options.instances}
    try:
        there = There(lab, options.instances)
        there.up()  # Python compiles what it imports, once for each installation
        there.down()
        ours = Ours(lab, options.instances)
        for tool, rounds in ((ours, options.rounds), (there, options.rounds), (Peer(lab, options.instances), options.peer_rounds)):
            print(f"measuring {tool.name} ...", file=sys.stderr, flush=True)
            told[type(tool).__name__.lower()] = measure(lab, tool, rounds)
    finally:
        if not options.keep:
            lab.stop()
    for which in ("ours", "there"):
        for run in ("first", "second"):
            told[f"ratio_{run}_{which}"] = round(told["peer"][f"{run}_seconds"] / told[which][f"{run}_seconds"], 1)
    (options.json or lab.work / "bringup.json").write_text(json.dumps(told, indent=2) + "\n")
    print(json.dumps(told, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
