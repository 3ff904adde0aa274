# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Promises of the benchmarks that need no clock: they measure what they say, and a figure that is missing is said so."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.multikernel.core.plugins.plugin_utils._facts import checked

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP))

from benchmarks import __main__ as command
from benchmarks import clock, emulator, peer, report, scale, subject, update


@pytest.mark.parametrize("count", [10, 300])
def test_measured_layout_is_one_that_is_carried_out(count: int) -> None:
    row = scale.row(count, 0.001)
    assert row["instances"] == count
    assert row["steps"] > 2 * count, "each instance is loaded and started"
    assert set(row["milliseconds"]) == {"read", "judge_alone", "judge", "place", "plan", "together", "repeated"}


def test_refused_layout_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "EXPECTED", frozenset())
    with pytest.raises(RuntimeError, match="does not fit the machine made for it"):
        scale.row(300, 0.001)  # of 300 CPUs some have APIC ids above 254


def test_machine_of_the_measurement_is_a_bundle() -> None:
    assert len(checked(subject.facts(40), "bench")["cpus"]["each"]) == 41


def test_exponent_of_known_growths() -> None:
    assert clock.exponent((10, 1.0), (100, 10.0)) == pytest.approx(1)
    assert clock.exponent((10, 1.0), (100, 100.0)) == pytest.approx(2)


def test_command_that_fails_is_no_measurement() -> None:
    with pytest.raises(RuntimeError, match="ended with 7"):
        clock.measure_command([sys.executable, "-c", "raise SystemExit(7)"], 1, {})


def test_peer_that_cannot_be_installed_is_left_out_with_a_word(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MULTIKERNEL_CACHE", str(tmp_path / "file" / "below"))
    (tmp_path / "file").write_text("")
    told = peer.run()
    assert set(told) == {"skipped"}
    assert "kerf-multikernel==0.4.0 could not be installed: " in told["skipped"]
    assert "The peer is left out: " in report.text({"machine": report.machine(), "peer": told})


def test_goal_that_is_missed_is_told() -> None:
    times = {"median": 40.0, "best": 31.0, "cpu": 31.0, "runs": 3}
    told: dict[str, Any] = {
        "machine": report.machine(),
        "scale": [{"instances": 1000, "rules": 100, "peak_mib": 1.0, "milliseconds": dict.fromkeys(report.PARTS, times)}],
        "growth": {},
    }
    assert [goal[3] for goal in report.goals(told)] == [False]
    assert "| no " in report.text(told)


def test_command_writes_figures_and_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    document = tmp_path / "figures.md"
    document.write_text(f"before\n{command.BEGIN}\nold\n{command.END}\nafter\n")
    words = ["bench", "scale", "--sizes", "10,20", "--seconds", "0.001", "--json", str(tmp_path / "a.json"), "--document", str(document)]
    monkeypatch.setattr(sys, "argv", words)
    assert command.main() == 0
    told = json.loads((tmp_path / "a.json").read_text())
    assert [row["instances"] for row in told["scale"]] == [10, 20]
    text = document.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert text.partition(f"{command.BEGIN}\n\n")[2].startswith(capsys.readouterr().out[:200])


class Filling(emulator.TranslationCache):
    """A cache of 1,000 bytes, of which each look finds 300 more in use."""

    def __init__(self, used: int) -> None:
        self.lab = self  # type: ignore[assignment]
        self.used, self.emptied, self.filled = used, 0, 0

    def shell(self, line: str) -> str:
        assert line.startswith(emulator.PROGRAM)
        self.filled += 1
        self.used += 300
        if self.used > 1000:
            self.used, self.emptied = 0, self.emptied + 1
        return ""

    def look(self) -> emulator.Look | None:
        return emulator.Look(self.used, 1000, self.emptied)


@pytest.mark.parametrize(("used", "times", "left"), [(500, 0, 500), (600, 2, 0), (990, 1, 0)])
def test_emulators_cache_is_emptied_only_where_it_lacks_room(used: int, times: int, left: int) -> None:
    cache = Filling(used)
    cache.make_room(500)
    assert (cache.filled, cache.used) == (times, left)


def test_what_qemu_says_of_its_cache() -> None:
    text = "Translation buffer state:\ngen code size       353371475/1073577984\nTB count 641662\n\nStatistics:\nTB flush count      2\n"
    assert emulator.Look.read(text) == emulator.Look(353371475, 1073577984, 2)
    assert emulator.Look.read("JIT information is only available with accel=tcg") is None


@pytest.mark.parametrize(("share", "found"), [(0.5, 25), (0.98, 49), (0.99, 50), (1.0, 50)])
def test_percentile_is_a_value_that_was_measured(share: float, found: int) -> None:
    assert update.percentile([float(value) for value in range(50, 0, -1)], share) == found
