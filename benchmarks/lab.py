# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab machine to measure on: booted by the role qemu_lab, with mkstock loaded, spoken to over ssh."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("MULTIKERNEL_CACHE") or Path.home() / ".cache/multikernel")
RELEASE = "6.1.0-56-amd64"
COLLECTION = "ansible_collections/multikernel/core"


class Lab:
    """One machine of a benchmark. `name` is also that of its folders."""

    def __init__(self, name: str, cpus: int, memory: str = "4G", release: str = RELEASE) -> None:
        self.name, self.cpus, self.memory, self.release = name, cpus, memory, release
        self.folder = CACHE / "machines" / name
        self.work = Path(os.environ.get("MULTIKERNEL_WORK") or CACHE / "checkout" / name) / name
        self.module = Path()

    def start(self, abi: str = "rfc", append: str = "") -> None:
        """Boot it and load mkstock with the interface `abi`; `append` are words for its kernel's command line."""
        self.boot(append)
        self.copy(self.module, "/root/mkstock.ko")
        self.shell(f"mkdir -p /srv/multikernel; insmod /root/mkstock.ko role=host abi={abi}")

    def boot(self, append: str = "", reboots: bool = False) -> None:
        """Boot it, with mkstock built for it; reboots: it may boot again."""
        self.work.mkdir(parents=True, exist_ok=True)
        self.module = Path(say([TOP / "scripts/build-mkstock", self.release]).splitlines()[-1])
        variables = {
            "qemu_lab_name": self.name,
            "qemu_lab_cpus": str(self.cpus),
            "qemu_lab_memory": self.memory,
            "qemu_lab_release": self.release,
            "qemu_lab_append": append,
            "qemu_lab_reboots": reboots,
        }
        say(["ansible-playbook", "-i", "localhost,", TOP / "playbooks/lab_up.yml", "-e", json.dumps(variables)])

    def stop(self) -> None:
        """End it and remove its folder."""
        say(["ansible-playbook", "-i", "localhost,", TOP / "playbooks/lab_down.yml", "-e", f"qemu_lab_name={self.name}"])

    def shell(self, line: str, check: bool = True) -> str:
        """Run a line on it; its output, both streams."""
        done = run(["ssh", "-F", self.folder / "ssh_config", "lab", line])
        if check and done.returncode:
            raise SystemExit(f"on the machine: {line}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def copy(self, source: Path | str, target: str) -> None:
        """Put a file on it."""
        say(["scp", "-q", "-F", self.folder / "ssh_config", source, f"lab:{target}"])

    def play(self, task: dict[str, Any], check: bool = True) -> subprocess.CompletedProcess[str]:
        """One ansible-playbook with one task for it."""
        path = self.work / "play.yml"
        path.write_text(json.dumps([{"name": "Measure", "hosts": "all", "gather_facts": False, "tasks": [task]}]))
        done = run(["ansible-playbook", "-i", self.folder / "inventory.yml", path])
        if check and done.returncode:
            raise SystemExit(f"{shlex.join(map(str, task))}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done

    def tiny(self, target: str = "/srv/multikernel/tiny.bin") -> None:
        """Put the flat payload on it."""
        say([TOP / "scripts/instance-image", "--tiny", "--output", self.work / "tiny.bin"])
        self.copy(self.work / "tiny.bin", target)

    def agent(self, target: str = "/srv/multikernel/instance.cpio.gz", *arguments: Any) -> None:
        """Put an initramfs of instances on it; arguments are further words for scripts/instance-image."""
        path = self.work / "instance.cpio.gz"
        say([TOP / "scripts/instance-image", "--module", self.module, "--output", path, *arguments])
        self.copy(path, target)

    def target_ring(self, folder: str = "/root/ring") -> str:
        """Put plugins/module_utils on it, to be imported by programs there; returns the PYTHONPATH."""
        below = f"{folder}/{COLLECTION}/plugins"
        self.shell(f"mkdir -p {below}")
        say(["scp", "-q", "-r", "-F", self.folder / "ssh_config", TOP / "plugins/module_utils", f"lab:{below}/"])
        return folder


def run(words: list[Any], limit: float = 3000) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; what it says is kept."""
    return subprocess.run(
        [str(word) for word in words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=limit
    )


def say(words: list[Any]) -> str:
    """The output of a command, which ends this program with what it said when it fails."""
    done = run(words)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def static(source: Path, made: Path) -> Path:
    """Compile a program that runs on any machine, and return where it is."""
    say(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-o", made, source])
    return made
