# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service of examples/service on a lab machine, and updates of it, for tests."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, NamedTuple

import yaml

TOP = Path(__file__).resolve().parents[2]
EXAMPLE = TOP / "examples/service"
KERNELS = {"1": "6.1.0-56-amd64", "2": "6.12.117+deb12-amd64"}
QUIET = {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}


class Answers(NamedTuple):
    """What a client of the service saw."""

    sent: int
    answered: int
    wrong: int
    doubled: int
    longest_ms: float
    versions: dict[str, int]

    @property
    def lost(self) -> int:
        """Requests without an answer."""
        return self.sent - self.answered


def answers(text: str) -> Answers:
    """The last words of the program load."""
    first, *rest = text.strip().splitlines()
    numbers = dict(word.split("=") for word in first.split())
    versions = {line.rpartition(" answered=")[0]: int(line.rpartition("=")[2]) for line in rest}
    longest = float(numbers.pop("longest_ms"))
    return Answers(**{key: int(value) for key, value in numbers.items()}, longest_ms=longest, versions=versions)


class Service:
    """What clients on the machine see of it."""

    def __init__(self, host: Any) -> None:
        self.host = host

    def ask(self, seconds: int = 1) -> Answers:
        """A client of its own, for some seconds."""
        return answers(self.host.run(f"load {seconds} 1000").stdout)

    def version(self) -> str:
        """The one version that answers, as `VERSION RELEASE`."""
        seen = self.ask()
        assert (seen.lost, seen.wrong, seen.doubled, len(seen.versions)) == (0, 0, 0, 1), seen
        return next(iter(seen.versions))

    def serves(self, version: str) -> bool:
        """Whether this version answers, from its own kernel."""
        return self.version() == f"{version} {KERNELS[version]}"

    def status(self) -> dict[str, str]:
        """What the router says of itself."""
        return dict(word.split("=") for word in self.host.check_output("router status").split()[1:])

    def begin(self) -> None:
        """Let the client that never stops ask anew."""
        self.host.check_output("systemctl stop load; rm -f /run/load.log /run/load.gaps; systemctl start load")

    def end(self) -> Answers:
        """Let it stop, and what it saw."""
        self.host.check_output("systemctl stop load")
        return answers(self.host.file("/run/load.log").content_string)


class Done(NamedTuple):
    """A play or a command that ended."""

    rc: int
    text: str


class Updates:
    """Runs the playbook `update` against the machine."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.inventory = folder, Path(os.environ["LAB_FOLDER"]) / "inventory.yml"

    def layout(self, version: str, image: dict[str, Any] | None = None, **parts: Any) -> Path:
        """A file with the layout of a version; image: other keys of its image (None: left out); parts: further keys of the layout."""
        made = yaml.safe_load((EXAMPLE / ("layout.yml" if version == "1" else "layout-new.yml")).read_text())
        wanted = {**made["images"]["service"], **(image or {})}
        made["images"]["service"] = {key: value for key, value in wanted.items() if value is not None}
        for key, value in parts.items():
            made.setdefault(key, {}).update(value)
        path = self.folder / f"layout-{time.monotonic_ns()}.yml"
        path.write_text(yaml.safe_dump(made))
        return path

    def words(self, layout: Path | None, **variables: Any) -> list[str]:
        """The command line of the playbook."""
        tasks = {f"update_{one}_tasks": str(EXAMPLE / f"tasks/{one}.yml") for one in ("drain", "switch", "undrain")}
        given = {"multikernel_instance": "web", "multikernel_images": [], "update_soak": 2, "update_watch": 2, **tasks, **variables}
        if layout is not None:
            given["multikernel_layout_file"] = str(layout)
        return ["ansible-playbook", "-i", str(self.inventory), str(TOP / "playbooks/update.yml"), "-e", json.dumps(given)]

    def run(self, layout: Path | None, **variables: Any) -> Done:
        """The playbook to its end."""
        return ended(self.words(layout, **variables))

    def start(self, layout: Path, **variables: Any) -> subprocess.Popen[str]:
        """The playbook, without waiting; it is a process group of its own."""
        environment = {**os.environ, **QUIET}
        return subprocess.Popen(
            self.words(layout, **variables),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            env=environment,
        )

    def apply(self, layout: Path) -> Done:
        """Apply a whole layout."""
        given = {"multikernel_layout_file": str(layout), "multikernel_images": [], "layout_service": True}
        return ended(["ansible-playbook", "-i", str(self.inventory), str(TOP / "playbooks/apply.yml"), "-e", json.dumps(given)])

    def stage(self, stage: str) -> Done:
        """One stage by the module itself."""
        return ended(["ansible", "all", "-i", str(self.inventory), "-m", "multikernel.core.update", "-a", f"stage={stage}"])

    def how_far(self) -> str:
        """none, begun, switched, lost, done."""
        done = self.stage("status")
        found = re.search(r'"stage": "(\w+)"', done.text)
        assert found, done.text
        return found[1]


def ended(words: list[str]) -> Done:
    """Run a command; a play that never ends is an error of the test."""
    done = subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=400,
        env={**os.environ, **QUIET},
    )
    return Done(done.returncode, done.stdout)


def kill(process: subprocess.Popen[str]) -> None:
    """End a controller as a power cut does: at once, and all that belongs to it."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
