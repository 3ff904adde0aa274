# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a service is not answered when its kernel is updated side by side, stop-start, and when the whole machine boots again.

    scripts/run python -m benchmarks.update --rounds 50 [--picture update-gaps.svg] [--json FILE]

One lab machine, the service of examples/service. A client on the host asks one question after the other, with 1 ms between; a gap is the
time between two replies to it. Each update is the role `update` as a user runs it, from version 1 on Linux 6.1 to version 2 on 6.12, or
back. The blackout of a reboot is seen from the controller, by the same client asked anew until it is answered.

Two things that only a lab has are kept out of it: QEMU empties its cache of translated code before an update and not in it
(benchmarks.emulator), and the controller, which shares the processors with the machine, yields to it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

import yaml

from . import curves, report
from .emulator import TranslationCache
from .lab import CACHE, RELEASE, TOP, Lab, say

Plain = dict[str, Any]
NEXT = "6.12.117+deb12-amd64"
EXAMPLE = TOP / "examples/service"
# What the client writes goes to memory: on a disk it would wait for the journal's fsync(2) of others, and measure that.
UNITS = {
    "router": ("router serve", "basic.target"),
    "load": ("load 0 1000 /run/load.gaps", "router.service"),
}
P99_MS = 50  # wanted at most
CODE = 448 << 20  # bytes that QEMU makes of the code of one update: 260 to 330 MiB were seen
YIELDING = ("nice", "-n", "19")


class Served(Lab):
    """A lab machine with the service on it."""

    def __init__(self, name: str, cpus: int) -> None:
        super().__init__(name, cpus)
        self.cache = TranslationCache(self)

    def prepare(self) -> None:
        """Boot it, bring images, router and client, and apply the layout of version 1."""
        # it is rebooted as well, and KASLR may put the next kernel into the pool
        self.boot("nokaslr", reboots=True)
        self.shell("mkdir -p /srv/multikernel")
        modules = [say([TOP / "scripts/build-mkstock", one]).splitlines()[-1] for one in (RELEASE, NEXT)]
        say([EXAMPLE / "build", self.work])
        for version in ("1", "2"):
            (self.work / f"version-{version}").write_text(version + "\n")
            added = [f"{EXAMPLE}/serves:etc/multikernel/serves", f"{self.work}/server:etc/multikernel/workload"]
            added.append(f"{self.work}/version-{version}:etc/service/version")
            image = self.work / f"service-{version}.cpio.gz"
            words = [f"--module={one}" for one in modules] + [f"--add={one}" for one in added]
            say([TOP / "scripts/instance-image", "--output", image, *words])
            self.copy(image, f"/srv/multikernel/{image.name}")
        self.copy(CACHE / f"kernels/{NEXT}/boot/vmlinuz-{NEXT}", f"/srv/multikernel/vmlinuz-{NEXT}")
        for program in ("router", "load"):
            self.copy(self.work / program, f"/usr/local/bin/{program}")
        self.cache.prepare()
        for unit, (command, after) in UNITS.items():
            text = f"[Unit]\nAfter={after}\n[Service]\nExecStart=/usr/local/bin/{command}\nStandardOutput=append:/run/{unit}.log\n"
            (self.work / f"{unit}.service").write_text(text + "[Install]\nWantedBy=multi-user.target\n")
            self.copy(self.work / f"{unit}.service", f"/etc/systemd/system/{unit}.service")
        self.apply("1")
        self.shell("systemctl daemon-reload; systemctl start router; sleep 1; load 1 1000")

    def apply(self, version: str, **changes: Any) -> None:
        """The whole layout, with all that brings it back after a boot."""
        path = self.work / "layout.yml"
        path.write_text(json.dumps(layout(version, **changes)))
        given = {"multikernel_layout_file": str(path), "stock_kernel_module": str(self.module), "stock_kernel_boot": True}
        given |= {"multikernel_stock_kernel": True, "multikernel_images": []}
        say(["ansible-playbook", "-i", self.folder / "inventory.yml", TOP / "playbooks/apply.yml", "-e", json.dumps(given)])

    def update(self, version: str, **changes: Any) -> Plain:
        """One update by the role, and what a client saw meanwhile."""
        before = self.cache.make_room(CODE)  # all CPUs wait for QEMU's answer, too: not while somebody asks
        self.shell("rm -f /run/load.*; load 1 1000; systemctl start load")
        path = self.work / "new.yml"
        path.write_text(json.dumps(layout(version, **changes)))
        given = {"multikernel_instance": "web", "multikernel_layout_file": str(path), "update_soak": 1, "update_watch": 1}
        given |= {f"update_{one}_tasks": str(EXAMPLE / f"tasks/{one}.yml") for one in ("drain", "switch", "undrain")}
        begin = time.monotonic()
        say([*YIELDING, "ansible-playbook", "-i", self.folder / "inventory.yml", TOP / "playbooks/update.yml", "-e", json.dumps(given)])
        took = time.monotonic() - begin
        self.shell("systemctl stop load")
        after = self.cache.look()
        first, *rest = self.shell("cat /run/load.log").splitlines()
        seen = dict(word.split("=") for word in first.split())
        return {
            "version": version,
            "seconds": round(took, 1),
            "sent": int(seen["sent"]),
            "lost": int(seen["sent"]) - int(seen["answered"]),
            "wrong": int(seen["wrong"]) + int(seen["doubled"]),
            "longest_ms": float(seen["longest_ms"]),
            "emptied": after.emptied - before.emptied if before and after else 0,
            "versions": [line.rpartition(" answered=")[0] for line in rest],
        }

    def calm(self, seconds: int) -> float:
        """The longest gap, in ms, while nothing is updated."""
        return float(self.shell(f"load {seconds} 1000").splitlines()[0].rpartition("=")[2])

    def reboot(self) -> float:
        """Seconds from the last answer before a reboot of the machine to the first behind it."""
        self.shell("systemctl enable router")
        asked = ["ssh", "-F", str(self.folder / "ssh_config"), "-o", "ConnectTimeout=2", "lab"]
        self.shell("load 1 1000")
        last = time.monotonic()
        subprocess.run([*asked, "systemctl reboot"], check=False, capture_output=True, timeout=60)
        while time.monotonic() - last < 900:
            time.sleep(0.2)
            try:
                done = subprocess.run([*asked, "load 1 0 | head -n1"], check=False, capture_output=True, text=True, timeout=20)
            except subprocess.TimeoutExpired:
                continue
            if time.monotonic() - last > 15 and "answered=" in done.stdout and "answered=0" not in done.stdout:
                return time.monotonic() - 1 - last
        raise SystemExit("the service did not come back after the reboot")


def layout(version: str, **changes: Any) -> Plain:
    """The layout of a version, with other keys where they are given."""
    made: Plain = yaml.safe_load((EXAMPLE / ("layout.yml" if version == "1" else "layout-new.yml")).read_text())
    return {**made, **changes}


def measure(rounds: int, stops: int, reboots: int) -> Plain:
    """All figures of one run."""
    lab = Served("bench-update", 4)
    told: Plain = {"machine": report.machine(), "rounds": [], "stop_start": [], "reboot": []}
    try:
        lab.prepare()
        told["calm_ms"] = lab.calm(30)
        for number in range(rounds):
            told["rounds"].append(lab.update("21"[number % 2]))
            print(f"{number + 1}/{rounds}: {told['rounds'][-1]}", flush=True)
        tight = {"host": {"cpus": "0-2", "memory_min": "1GiB"}, "policy": {"disruption": "allow"}}
        now = "21"[(rounds - 1) % 2] if rounds else "1"
        if stops:
            lab.apply(now, **tight)
        for number in range(stops):
            told["stop_start"].append(lab.update("21"[(int(now) + number + 1) % 2], **tight))
            print(f"stop-start {number + 1}/{stops}: {told['stop_start'][-1]}", flush=True)
        for number in range(reboots):
            told["reboot"].append(round(lab.reboot(), 1))
            print(f"reboot {number + 1}/{reboots}: {told['reboot'][-1]} s", flush=True)
    finally:
        lab.stop()
    return told


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 100) * len(ordered) // 100) - 1))]


def summary(told: Plain) -> str:
    """The figures as Markdown."""
    gaps = [one["longest_ms"] for one in told["rounds"]]
    middle = statistics.median(gaps)
    sent, lost, wrong = (sum(one[key] for one in told["rounds"]) for key in ("sent", "lost", "wrong"))
    lines = [
        f"{len(gaps)} updates side by side, {sent:,} requests: {lost} lost, {wrong} wrong or answered twice.",
        f"With nothing going on the longest gap in 30 s was {told['calm_ms']:.1f} ms. Load {told['machine']['load']}.",
        f"QEMU emptied its cache of translated code within {sum(one['emptied'] > 0 for one in told['rounds'])} of them.",
        "",
        "| blackout | median | p99 | longest | against side by side |",
        "|---|---|---|---|---|",
        f"| update side by side | {middle:.1f} ms | {percentile(gaps, 0.99):.1f} ms | {max(gaps):.1f} ms | 1 |",
    ]
    if told["stop_start"]:
        stops = [one["longest_ms"] for one in told["stop_start"]]
        lines.append(
            f"| update stop-start ({len(stops)}) | {statistics.median(stops) / 1000:.2f} s | | {max(stops) / 1000:.2f} s "
            f"| {statistics.median(stops) / middle:.0f} |"
        )
    if told["reboot"]:
        again, most = statistics.median(told["reboot"]), max(told["reboot"])
        lines.append(f"| reboot of the machine ({len(told['reboot'])}) | {again:.1f} s | | {most} s | {again * 1000 / middle:.0f} |")
    return "\n".join(lines) + "\n"


def picture(told: Plain) -> str:
    """Of each kind of update, the share of the rounds whose gap was at most so long."""
    kinds = {
        "side by side": [one["longest_ms"] for one in told["rounds"]],
        "stop-start": [one["longest_ms"] for one in told["stop_start"]],
        "reboot": [one * 1000 for one in told["reboot"]],
    }
    drawn = []
    for name, gaps in kinds.items():
        if gaps:
            points = [(max(gap, 1.0), number / len(gaps) * 100) for number, gap in enumerate(sorted(gaps), 1)]
            drawn.append(curves.Curve(f"{name} ({len(gaps)})", [(points[0][0], 0.0), *points]))
    said = "; ".join(f"{name}, ms: {', '.join(f'{gap:.0f}' for gap in sorted(gaps))}" for name, gaps in kinds.items() if gaps)
    return curves.draw(
        "Longest time without an answer in an update, share of the updates in per cent",
        said,
        curves.Axis(
            1,
            1e6,
            [(1, "1 ms"), (10, "10 ms"), (100, "100 ms"), (1e3, "1 s"), (1e4, "10 s"), (1e5, "100 s"), (1e6, "1000 s")],
            "longest gap between two answers",
            logarithmic=True,
        ),
        curves.Axis(0, 100, [(value, str(value)) for value in range(0, 101, 20)]),
        [*drawn, curves.Curve(f"goal at p99: {P99_MS} ms", [(P99_MS, 0), (P99_MS, 100)], limit=True)],
    )


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.update", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=50, metavar="N", help="updates side by side (default: %(default)s)")
    parser.add_argument("--stops", type=int, default=5, metavar="N", help="updates stop-start (default: %(default)s)")
    parser.add_argument("--reboots", type=int, default=3, metavar="N", help="reboots of the machine (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep all figures there")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the distribution of the gaps as SVG")
    options = parser.parse_args()
    told = measure(options.rounds, options.stops, options.reboots)
    if options.json:
        options.json.write_text(json.dumps(told, indent=1) + "\n")
    if options.picture:
        options.picture.write_text(picture(told))
    print(summary(told))


if __name__ == "__main__":
    main()
