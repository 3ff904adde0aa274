# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook rollout over simulated hosts: waves, gates, the return of a wave, resumption, one at a time. No kernel runs here."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.multikernel.core.tests.simulated import fleet as simulated

TOP = Path(__file__).resolve().parents[2]
LEDGERS = "ledger"


def namespaces() -> bool:
    """Whether this machine lets us mount in a namespace of our own, and has a Python that targets can have."""
    words = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    return Path(simulated.PYTHON).exists() and subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(not namespaces(), reason="no mount namespace of our own can be had here")


class Rollout:
    """A fleet of two classes, and the playbook for it."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self.fleet = simulated.Fleet(folder, count, ("6.1.0-56-amd64", "6.12.9-amd64"))

    def words(self, layout: dict[str, Any], **variables: Any) -> list[str]:
        inventory = self.fleet.inventory({"multikernel_layout": layout})
        extra = {
            "rollout_folder": str(self.folder / LEDGERS),
            "rollout_report": str(self.folder / "report.html"),
            "rollout_soak": 0,
            "rollout_prepare": False,
            **variables,
        }
        return ["ansible-playbook", "-i", str(inventory), str(TOP / "playbooks/rollout.yml"), "-f", "8", "-e", json.dumps(extra)]

    def run(self, layout: dict[str, Any], *more: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        return self.fleet.run([*self.words(layout, **variables), *more])

    def digest(self, name: str) -> str | None:
        """The layout that a host remembers."""
        try:
            return str(json.loads((self.fleet.root(name) / "var/lib/multikernel/state.json").read_text())["digest"])
        except FileNotFoundError:
            return None

    @property
    def digests(self) -> list[str | None]:
        return [self.digest(name) for name in self.fleet.names]

    @property
    def ledgers(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted((self.folder / LEDGERS).glob("?" * 64 + ".json"))]

    def break_disk(self, name: str) -> None:
        """The host can be looked at, and cannot write down what is done to it."""
        shutil.rmtree(self.fleet.root(name) / "etc")
        (self.fleet.root(name) / "etc").write_text("")


@pytest.fixture
def six(tmp_path: Path) -> Iterator[Rollout]:
    yield Rollout(tmp_path, 6)
    shutil.rmtree(tmp_path)


def test_waves_over_two_classes_and_then_nothing_to_do(six: Rollout) -> None:
    layout = simulated.layout()
    done = six.run(layout)
    assert done.returncode == 0, done.stdout + done.stderr
    (ledger,) = six.ledgers
    assert [wave["hosts"] for wave in ledger["waves"]] == [
        ["host-0000", "host-0001"],
        ["host-0002"],
        ["host-0003", "host-0004", "host-0005"],
    ]
    assert set(six.digests) == {ledger["digest"]}
    assert not list(six.folder.glob("host-*/root/var/lib/multikernel/lease.json")), "every lease is given back"
    assert not (six.folder / LEDGERS / "lock.json").exists()
    assert "It is finished. 6 healthy." in (six.folder / "report.html").read_text()
    again = six.run(layout)
    assert again.returncode == 0, again.stdout
    assert "changed=1" not in again.stdout
    assert "6 done" in (six.folder / "report.html").read_text()


def test_a_dry_run_shows_the_waves_and_writes_nothing(six: Rollout) -> None:
    for more in ([], ["--check"]):
        done = six.run(simulated.layout(), *more, rollout_dry_run=not more)
        assert done.returncode == 0, done.stdout
        assert "wave 1 (1 per class): 2 hosts" in done.stdout
        assert "planned; blackout: none" in done.stdout
    assert not (six.folder / LEDGERS).exists()
    assert not list(six.folder.glob("host-*/root/var/lib/multikernel"))


def test_a_wave_that_fails_is_taken_back_and_earlier_ones_stay(six: Rollout) -> None:
    assert six.run(simulated.layout("first", 1)).returncode == 0
    old = six.digest("host-0000")
    # looked at it is well, and its layout cannot be replaced: the module undoes what it began
    six.break_disk("host-0004")
    done = six.run(simulated.layout("second", 2))
    assert done.returncode == 2, done.stdout
    assert "came to harm (host-0004), the error budget is 0: the rollout stops, and takes back 2 hosts" in done.stdout
    ledger = next(one for one in six.ledgers if one["digest"] != old)
    assert ledger["outcome"] == "stopped"
    states = {name: one["state"] for name, one in ledger["hosts"].items()}
    assert states == {
        "host-0000": "healthy",
        "host-0001": "healthy",
        "host-0002": "healthy",
        "host-0003": "returned",
        "host-0004": "stuck",  # nor can it write down that it is undone
        "host-0005": "returned",
    }
    assert [six.digest(name) for name in ("host-0002", "host-0003", "host-0005")] == [ledger["digest"], old, old]
    page = (six.folder / "report.html").read_text()
    assert "It was stopped at a gate." in page
    assert "host-0004" in page
    assert not list(six.folder.glob("host-*/root/var/lib/multikernel/lease.json"))


def test_a_controller_that_is_killed_is_resumed_and_a_second_one_is_refused_meanwhile(six: Rollout) -> None:
    layout = simulated.layout()
    # it kills itself nowhere: a long soak after the canaries is where we find it
    with subprocess.Popen(
        six.fleet.command(six.words(layout, rollout_soak=600)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as first:
        lock = six.folder / LEDGERS / "lock.json"
        end = time.monotonic() + 120
        while not (six.ledgers and all(one["state"] == "changed" for one in six.ledgers[0]["hosts"].values() if one["wave"] == 1)):
            assert time.monotonic() < end
            assert first.poll() is None
            time.sleep(0.2)
        second = six.run(layout)
        assert second.returncode == 2
        assert "another rollout is at it: process" in second.stdout
        holder = json.loads(lock.read_text())["pid"]
        os.kill(holder, signal.SIGKILL)
        os.killpg(first.pid, signal.SIGKILL)
    other = six.run(layout, rollout_folder=str(six.folder / "another-controller"))
    assert other.returncode == 2
    assert "6 hosts could not be reserved for this rollout, nothing was changed" in other.stdout
    resumed = six.run(layout)
    assert resumed.returncode == 0, resumed.stdout
    (ledger,) = six.ledgers
    assert ledger["attempts"] == 2
    assert any("the controller was lost in a wave, whose 2 hosts are looked at again" in one["say"] for one in ledger["events"])
    assert set(six.digests) == {ledger["digest"]}


def test_a_host_that_would_refuse_stops_it_before_one_is_touched(six: Rollout) -> None:
    layout = simulated.layout()
    (six.fleet.root("host-0003") / "srv/tiny.bin").unlink()
    done = six.run(layout)
    assert done.returncode == 2
    assert "1 host cannot take part (host-0003), and the error budget is 0: nothing was changed" in done.stdout
    assert set(six.digests) == {None}
    allowed = six.run(layout, rollout_budget=1)
    assert allowed.returncode == 0, allowed.stdout
    assert [name for name in six.fleet.names if six.digest(name) is None] == ["host-0003"]
