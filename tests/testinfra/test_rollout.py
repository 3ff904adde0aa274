# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout over real machines, by the page that people follow, and then with bad luck: a machine that hangs, a controller that is killed.

Run by the molecule scenario `rollout`, in this order: each test goes on from the layout that the one before left.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TOP = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("LAB_SHARED", "."))
FOLDERS: dict[str, str] = json.loads(os.environ.get("LAB_FOLDERS", "{}"))
LAYOUTS = TOP / "molecule/rollout/layouts"
NAMES = ["edge-1", "edge-2", "edge-3"]


def words(layout: str, **variables: Any) -> list[str]:
    """The command of a rollout whose hosts have been prepared."""
    extra = {
        "multikernel_layout_file": str(LAYOUTS / f"{layout}.yml"),
        "rollout_prepare": False,
        "multikernel_stock_kernel": False,
        "rollout_look_timeout": 60,
        **variables,
    }
    return ["ansible-playbook", "-i", str(SHARED / "inventory.json"), "multikernel.core.rollout", "-e", json.dumps(extra)]


def run(command: list[str]) -> tuple[int, str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    return done.returncode, done.stdout + done.stderr


def ledger(layout: str) -> dict[str, Any]:
    """What the controller has written down of the rollout of a layout; empty before it was planned."""
    mkl = [sys.executable, "-m", "ansible_collections.multikernel.core.plugins.plugin_utils._cli"]
    command = [*mkl, "validate", "--format", "json", str(LAYOUTS / f"{layout}.yml")]
    digest = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["digest"]
    path = SHARED / "ledger" / f"{digest}.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def on(name: str, command: str) -> str:
    """What a command says on a machine."""
    words = ["ssh", "-F", f"{FOLDERS[name]}/ssh_config", name, command]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout


def cpu_of_tiny(name: str) -> str:
    """On which CPU the second kernel of a machine runs, as the host's kernel says it, when its heart beats."""
    line = next(line for line in on(name, "cat /sys/kernel/mkstock/instances").splitlines() if "state=running" in line)
    found = re.search(r"cpus=(\S+)", line)
    assert found, line
    return found[1]


def wait(until: Callable[[], bool], seconds: float, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "it did not come to that"
        assert process.poll() is None, "it ended before that"
        time.sleep(0.3)


def state(layout: str, name: str) -> str:
    return str(ledger(layout).get("hosts", {}).get(name, {}).get("state"))


def test_the_runbook_rolls_the_second_layout_out() -> None:
    variables = {"INVENTORY": str(SHARED / "inventory.json"), "LAYOUT": str(LAYOUTS / "second.yml"), "REPORT": str(SHARED / "second.html")}
    done = subprocess.run(
        [sys.executable, str(TOP / "tests/runbook.py"), str(TOP / "docs/runbooks/fleet-rollout.md")],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [cpu_of_tiny(name) for name in NAMES] == ["2", "2", "2"]
    planned = re.findall(r"(edge-\d) .*planned; blackout: tiny ([\d.]+) s", done.stdout)
    assert sorted({name for name, _seconds in planned}) == NAMES, "the blackout is predicted from the first start, which was measured"


@pytest.mark.long
def test_a_machine_that_hangs_in_its_wave_stops_the_rollout_and_is_told() -> None:
    report = SHARED / "third.html"
    pid = int(Path(FOLDERS["edge-2"], "pid").read_text())
    with subprocess.Popen(
        words("third", rollout_soak=8, rollout_change_timeout=120, rollout_report=str(report)),
        stdout=subprocess.PIPE,
    ) as rollout:
        try:
            wait(lambda: state("third", "edge-2") == "changed", 400, rollout)
            os.kill(pid, signal.SIGSTOP)
            said = rollout.communicate(timeout=600)[0].decode()
        finally:
            os.kill(pid, signal.SIGCONT)
    assert rollout.returncode == 2, said
    assert "1 host came to harm (edge-2), the error budget is 0: the rollout stops, and takes back 1 host" in said
    hosts = ledger("third")["hosts"]
    assert {name: one["state"] for name, one in hosts.items()} == {"edge-1": "healthy", "edge-2": "unreachable", "edge-3": "planned"}
    assert "It was stopped at a gate." in report.read_text()
    assert hosts["edge-2"]["reason"] in report.read_text().replace("&#x27;", "'")
    assert [cpu_of_tiny("edge-1"), cpu_of_tiny("edge-3")] == ["3", "2"], "the canary stays, the third machine was never touched"


@pytest.mark.long
def test_the_command_that_the_report_names_takes_the_machine_back() -> None:
    found = re.search(r"ansible-playbook (--limit .*)", ledger("third")["hosts"]["edge-2"]["reason"])
    assert found
    command = ["ansible-playbook", "-i", str(SHARED / "inventory.json"), *found[1].split(), "-e", "multikernel_disruption=allow"]
    status, said = run(command)
    assert status == 0, said
    assert cpu_of_tiny("edge-2") == "2"


@pytest.mark.long
def test_a_killed_controller_is_resumed_and_nobody_else_gets_in_meanwhile() -> None:
    with subprocess.Popen(words("third", rollout_soak=300), stdout=subprocess.DEVNULL) as rollout:
        wait(lambda: state("third", "edge-2") == "changed", 400, rollout)
        status, said = run(words("third"))
        assert status == 2
        assert f"another rollout is at it: process {rollout.pid}" in said
        rollout.kill()
    status, said = run(words("third", rollout_folder=str(SHARED / "another-controller")))
    assert status == 2, said
    assert "3 hosts could not be reserved for this rollout, nothing was changed" in said
    status, said = run(words("third", rollout_report=str(SHARED / "resumed.html")))
    assert status == 0, said
    assert [cpu_of_tiny(name) for name in NAMES] == ["3", "3", "3"]
    told = ledger("third")
    assert told["outcome"] == "finished"
    assert any("the controller was lost in a wave, whose 1 hosts are looked at again" in one["say"] for one in told["events"])
    assert "It is finished." in (SHARED / "resumed.html").read_text()
