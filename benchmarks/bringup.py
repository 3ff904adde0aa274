# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring up tiny instances on a lab machine: by one apply of ours, and by the commands of a public peer, in the same run.

    scripts/run python -m benchmarks.bringup --instances 20

Boots a machine in QEMU (role qemu_lab), loads mkstock with the kernfs interface, and measures on it, by the wall clock of the
controller: everything from nothing to instances that run, the same once more, and what each says and leaves when one image of
the set is broken. Both get the machine as the other found it: nothing pooled, nothing running.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

from . import peer, report

TOP = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("MULTIKERNEL_CACHE") or Path.home() / ".cache/multikernel")
WORK = Path(os.environ.get("MULTIKERNEL_WORK") or CACHE / "checkout/bringup") / "bringup"
NAME = "bringup"
FOLDER = CACHE / "machines" / NAME
KERF = "PYTHONPATH=/root/kerf python3 -c 'import sys; from kerf.cli import main; sys.exit(main())'"
POOL_SLACK = 4  # tiny instances' worth of memory beyond what is used: a pool keeps some pages for itself
TINY = 16  # MiB

Plain = dict[str, Any]


class Lab:
    """The machine: started once, spoken to over ssh."""

    def __init__(self, cpus: int, release: str) -> None:
        self.cpus, self.release = cpus, release

    def start(self) -> None:
        """Boot it, load mkstock, put the payloads and the peer on it."""
        WORK.mkdir(parents=True, exist_ok=True)
        module = _say([TOP / "scripts/build-mkstock", self.release]).splitlines()[-1]
        _say([TOP / "scripts/instance-image", "--tiny", "--output", WORK / "tiny.bin"])
        variables = {"qemu_lab_name": NAME, "qemu_lab_cpus": str(self.cpus), "qemu_lab_memory": "4G", "qemu_lab_release": self.release}
        _say(["ansible-playbook", "-i", "localhost,", TOP / "playbooks/lab_up.yml", "-e", json.dumps(variables)])
        self.copy(module, "/root/mkstock.ko")
        self.copy(WORK / "tiny.bin", "/srv/tiny.bin")
        self.shell("insmod /root/mkstock.ko role=host abi=kernfs; head -c 0 /dev/null > /srv/broken.bin")
        with tarfile.open(WORK / "kerf.tar.gz", "w:gz") as archive:
            archive.add(_packages(), "kerf")
        self.copy(WORK / "kerf.tar.gz", "/root/kerf.tar.gz")
        self.shell("cd /root && tar xzf kerf.tar.gz")

    def stop(self) -> None:
        """End it and remove its folder."""
        _say(["ansible-playbook", "-i", "localhost,", TOP / "playbooks/lab_down.yml", "-e", f"qemu_lab_name={NAME}"])

    def shell(self, line: str, check: bool = True) -> str:
        """Run a line on it; its output, both streams."""
        done = _run(["ssh", "-F", FOLDER / "ssh_config", "lab", line])
        if check and done.returncode:
            raise SystemExit(f"on the machine: {line}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def copy(self, source: Path | str, target: str) -> None:
        """Put a file on it."""
        _say(["scp", "-q", "-F", FOLDER / "ssh_config", source, f"lab:{target}"])

    def state(self) -> Plain:
        """What the machine shows: its pool, its instances by state, the CPUs that the host has."""
        look = "cd /sys/fs/multikernel/instances 2>/dev/null && for one in *; do [ -d $one ] && cat $one/status; done; true"
        text = self.shell(f"cat /sys/devices/system/cpu/online; {look}").split()
        return {"cpus_online": text[0], "instances": {word: text[1:].count(word) for word in sorted(set(text[1:]))}}


class Peer:
    """kerf's commands, one process each as its users type them, in one shell on the machine."""

    name = peer.PACKAGE

    def __init__(self, lab: Lab, count: int) -> None:
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

    def __init__(self, lab: Lab, count: int) -> None:
        self.lab, self.count = lab, count

    def up(self, broken: int | None = None) -> str:
        """Apply the layout with all instances."""
        instances = {
            f"t{number}": {"image": "broken" if number == broken else "tiny", "cpus": str(number), "memory": f"{TINY}MiB"}
            for number in range(1, self.count + 1)
        }
        images = {"tiny": {"kernel": "/srv/tiny.bin", "format": "flat"}}
        if broken is not None:
            images["broken"] = {"kernel": "/srv/broken.bin", "format": "flat"}
        layout = {
            "version": 1,
            "name": "bringup",
            "pool": {"memory": [{"size": f"{(self.count + POOL_SLACK) * TINY}MiB"}]},
            "images": images,
            "instances": instances,
        }
        return self._play({"layout": layout})

    def down(self) -> str:
        """Take the layout back."""
        return self._play({"state": "absent"})

    def _play(self, arguments: Plain) -> str:
        play = WORK / "play.yml"
        task = {"name": "Bring the machine to the layout", "multikernel.core.layout": arguments}
        play.write_text(json.dumps([{"name": "Measure", "hosts": "all", "gather_facts": False, "tasks": [task]}]))
        done = _run(["ansible-playbook", "-i", FOLDER / "inventory.yml", play])
        return done.stdout + done.stderr


def measure(lab: Lab, tool: Peer | Ours, rounds: int) -> Plain:
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


def _run(words: list[Any]) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in words]
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=3000)


def _say(words: list[Any]) -> str:
    done = _run(words)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def main() -> int:
    """Measure both, print the figures, keep them as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bringup", description=__doc__)
    parser.add_argument("--instances", type=int, default=20, metavar="N", help="how many tiny instances (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="first runs of each (default: %(default)s)")
    parser.add_argument("--release", default="6.1.0-56-amd64", help="host kernel (default: %(default)s)")
    parser.add_argument("--json", type=Path, default=WORK / "bringup.json", metavar="FILE", help="default: %(default)s")
    parser.add_argument("--keep", action="store_true", help="leave the machine running")
    options = parser.parse_args()
    lab = Lab(options.instances + 2, options.release)
    lab.start()
    told: Plain = {"machine": report.machine(), "instances": options.instances}
    try:
        for tool in (Ours(lab, options.instances), Peer(lab, options.instances)):
            print(f"measuring {tool.name} ...", file=sys.stderr, flush=True)
            told[type(tool).__name__.lower()] = measure(lab, tool, options.rounds)
    finally:
        if not options.keep:
            lab.stop()
    told["ratio_first"] = round(told["peer"]["first_seconds"] / told["ours"]["first_seconds"], 1)
    told["ratio_second"] = round(told["peer"]["second_seconds"] / told["ours"]["second_seconds"], 1)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(told, indent=2) + "\n")
    print(json.dumps(told, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
