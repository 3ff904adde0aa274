# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout step by step, over hosts that are played: what is decided, written down, resumed and taken back."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from ansible_collections.multikernel.core.plugins.plugin_utils._rollout import run
from ansible_collections.multikernel.core.plugins.plugin_utils._rollout.ledger import Ledger, Shelf
from hypothesis import given
from hypothesis import strategies as st

Plain = dict[str, t.Any]
NEW, OLD = "a" * 64, "b" * 64
WORDS = {"cpus": 4, "packages": 1, "memory_gib": 4, "kernel": "6.1", "dialect": ["rfc", "mkstock", False]}


class Played:
    """Hosts that take a layout, fail, fall ill or fall silent. digests: what each has; trouble: what each does when it is changed."""

    def __init__(self, settings: run.Settings, names: t.Sequence[str], trouble: t.Mapping[str, str] | None = None) -> None:
        self.settings, self.trouble = settings, dict(trouble or {})
        self.digests: dict[str, str | None] = dict.fromkeys(names, OLD)
        self.changed: list[str] = []
        self.plan: Plain = {}

    def seen(self, name: str) -> Plain:
        trouble, digest = self.trouble.get(name), self.digests[name]
        if trouble in ("silent", "gone"):
            return {"unreachable": True, "msg": "no route to host", "wanted": NEW}
        ill = ["web is panicked"] if trouble == "sick" and digest == NEW else []
        refused = ["no room"] if trouble == "refuses" else []
        look = {"kind": "k" + name[0], "kind_words": WORDS, "wanted": NEW, "digest": digest, "refused": refused, "plan": [], "ill": ill}
        return {"wanted": NEW, "look": {**look, "done": digest == NEW and not ill and not refused, "blackout": {}}}

    def begin(self) -> None:
        run.check(self.settings, list(self.digests))
        self.plan = run.plan(self.settings, {name: self.seen(name) for name in self.digests})

    def change(self, number: int) -> Plain:
        results: dict[str, Plain] = {}
        for name in run.open_wave(self.settings, NEW, number)["hosts"]:
            trouble = self.trouble.get(name)
            self.changed.append(name)
            if trouble == "fails":
                results[name] = {"ok": False, "msg": "it did not boot"}
                continue
            if trouble == "dies":
                self.trouble[name] = "silent"
                results[name] = {"unreachable": True}
                continue
            self.digests[name] = NEW
            results[name] = {"ok": True}
        return run.applied(self.settings, NEW, number, results)

    def gate(self, number: int, touched: t.Sequence[str]) -> Plain:
        decision = run.decide(self.settings, NEW, number, {name: self.seen(name) for name in touched})
        back: dict[str, str | None] = decision["take_back"]
        if back:
            for name, digest in back.items():
                if self.trouble.get(name) != "silent":
                    self.digests[name] = digest
            run.returned(self.settings, NEW, {name: {} for name in back}, {name: self.seen(name) for name in back})
        return decision

    def go(self, upto: int | None = None) -> list[str]:
        """All waves, or those up to a number; the reasons of the gates."""
        self.begin()
        reasons = []
        for wave in self.plan["waves"][:upto]:
            decision = self.gate(wave["number"], self.change(wave["number"])["touched"])
            reasons.append(decision["reason"])
            if not decision["go"]:
                break
        if upto is None:
            run.end(self.settings, NEW)
        return reasons

    @property
    def ledger(self) -> Ledger:
        found = Shelf(self.settings.folder).load(NEW)
        assert found is not None
        return found


@pytest.fixture
def settings(tmp_path: pathlib.Path) -> run.Settings:
    return run.Settings(folder=str(tmp_path / "ledger"), report=str(tmp_path / "report.html"), process=os.getpid())


def names(count: int) -> list[str]:
    return [f"{'ab'[number % 2]}{number}" for number in range(count)]


def test_a_rollout_over_sound_hosts_changes_each_once_and_ends(settings: run.Settings) -> None:
    fleet = Played(settings, names(20))
    fleet.go()
    assert sorted(fleet.changed) == sorted(names(20))
    assert set(fleet.ledger.states.values()) == {"healthy"}
    assert fleet.ledger.outcome == "finished"
    assert [len(wave["hosts"]) for wave in fleet.plan["waves"]] == [2, 8, 10]


def test_a_second_run_finds_nothing_to_do(settings: run.Settings) -> None:
    fleet = Played(settings, names(6))
    fleet.go()
    fleet.changed.clear()
    fleet.go()
    assert fleet.changed == []
    assert set(fleet.ledger.states.values()) == {"done"}


def test_a_host_that_would_refuse_stops_the_rollout_before_it_begins(settings: run.Settings) -> None:
    fleet = Played(settings, names(6), {"a2": "refuses"})
    with pytest.raises(run.RolloutError, match=r"1 host cannot take part \(a2\).*nothing was changed\na2: no room"):
        fleet.go()
    assert fleet.changed == []
    assert fleet.ledger.outcome == "refused"
    assert "no room" in pathlib.Path(settings.report).read_text(), "the report is there when it fails, too"


def test_the_budget_lets_it_be_left_out(settings: run.Settings, tmp_path: pathlib.Path) -> None:
    fleet = Played(run.Settings(folder=settings.folder, budget=1, process=os.getpid()), names(6), {"a2": "refuses"})
    fleet.go()
    assert sorted(fleet.changed) == sorted(set(names(6)) - {"a2"})
    assert fleet.ledger.states["a2"] == "skipped"


def test_a_sick_canary_stops_it_and_is_taken_back(settings: run.Settings) -> None:
    fleet = Played(run.Settings(folder=settings.folder, budget=5, process=os.getpid()), names(10), {"a0": "sick"})
    reasons = fleet.go()
    assert reasons == ["of the canaries, a0 came to harm: the rollout stops, and takes back 2 hosts"]
    assert set(fleet.changed) == {"a0", "b1"}
    assert set(fleet.digests.values()) == {OLD}
    assert fleet.ledger.states["a0"] == fleet.ledger.states["b1"] == "returned"
    assert fleet.ledger.outcome == "stopped"


def test_a_host_that_falls_ill_later_is_seen_at_the_gate_of_a_later_wave(settings: run.Settings) -> None:
    fleet = Played(settings, names(10))
    fleet.begin()
    assert fleet.gate(1, fleet.change(1)["touched"])["go"]
    fleet.trouble["a0"] = "sick"
    decision = fleet.gate(2, fleet.change(2)["touched"])
    assert not decision["go"]
    assert "a0" in decision["reason"]
    assert "a0" not in decision["take_back"], "earlier waves stay"
    assert fleet.digests["a0"] == NEW
    assert all(fleet.digests[name] == OLD for name in fleet.plan["waves"][1]["hosts"])


def test_a_host_that_falls_silent_in_a_wave_is_told_with_the_command_that_ends_it(settings: run.Settings) -> None:
    fleet = Played(settings, names(10), {"a2": "dies"})
    fleet.go()
    told = fleet.ledger.hosts["a2"]
    assert told["state"] == "unreachable"
    assert f"ansible-playbook --limit a2 -e multikernel_rollback_to={OLD[:12]} multikernel.core.rollback" in told["reason"]
    assert fleet.ledger.outcome == "stopped"
    assert "no route" in pathlib.Path(settings.report).read_text() or "does not answer" in pathlib.Path(settings.report).read_text()


@given(st.integers(1, 3), st.sampled_from(["before the wave", "in the wave", "before the gate"]))
def test_whoever_resumes_after_a_kill_changes_what_is_left_and_looks_at_what_was_in_the_air(
    tmp_path_factory: pytest.TempPathFactory, passed: int, when: str
) -> None:
    settings = run.Settings(folder=str(tmp_path_factory.mktemp("ledger")), process=os.getpid())
    fleet = Played(settings, names(20))
    waves_done = min(passed, 2)
    fleet.go(upto=waves_done)
    air: set[str] = set()
    if when != "before the wave":
        air = set(run.open_wave(settings, NEW, waves_done + 1)["hosts"])
        if when == "before the gate":
            air = set(fleet.change(waves_done + 1)["touched"]) & air
    before = set(fleet.changed) - air
    fleet.changed.clear()
    fleet.go()
    assert set(fleet.changed) == set(names(20)) - before, "each host that no gate passed, and no other"
    assert len(fleet.changed) == len(set(fleet.changed))
    assert set(fleet.ledger.states.values()) <= {"done", "healthy"}
    assert fleet.ledger.attempts == 2
    assert all(one["before"] == OLD for one in fleet.ledger.hosts.values()), "what to go back to is not forgotten"


def test_what_was_in_the_air_when_the_controller_died_and_is_sick_is_taken_back_by_who_resumes(settings: run.Settings) -> None:
    fleet = Played(settings, names(20))
    fleet.go(upto=1)
    fleet.change(2)
    ill = fleet.plan["waves"][1]["hosts"][0]
    fleet.trouble[ill] = "sick"
    reasons = fleet.go()
    assert "came to harm" in reasons[-1]
    assert fleet.digests[ill] == OLD
    assert fleet.ledger.states[ill] == "returned"


def test_a_lost_ledger_loses_the_story_and_not_the_work(settings: run.Settings) -> None:
    fleet = Played(settings, names(20))
    fleet.go(upto=2)
    done = set(fleet.changed)
    os.unlink(Shelf(settings.folder).path(NEW))
    fleet.changed.clear()
    fleet.go()
    assert set(fleet.changed) == set(names(20)) - done


def test_a_dry_run_writes_no_ledger_and_takes_no_lock(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "ledger"
    fleet = Played(run.Settings(folder=str(folder), dry_run=True, report=str(tmp_path / "report.html"), process=os.getpid()), names(6))
    fleet.begin()
    assert not folder.exists()
    assert "A dry run: nothing was changed." in (tmp_path / "report.html").read_text()
    assert sum("planned; blackout: none" in line for line in fleet.plan["text"]) == 6


@pytest.mark.parametrize(
    ("wish", "said"),
    [({"budget": "lots"}, "no error budget"), ({"waves": ("10%",)}, "no host was touched"), ({"waves": ()}, "waves are a list")],
)
def test_settings_that_cannot_be_meant_are_refused_before_anything(settings: run.Settings, wish: Plain, said: str) -> None:
    with pytest.raises(run.RolloutError, match=said):
        run.check(run.Settings(folder=settings.folder, **wish), names(3))


def test_hosts_that_somebody_else_has_stop_it(settings: run.Settings) -> None:
    with pytest.raises(run.RolloutError, match=r"1 hosts could not be reserved.*\nb1: this host is in the rollout of ops"):
        run.leased(settings, {"a0": {}, "b1": {"failed": True, "msg": "this host is in the rollout of ops"}, "c2": {"unreachable": True}})
    run.leased(settings, {"a0": {}, "c2": {"unreachable": True}})


@given(st.lists(st.sampled_from(["", "", "", "fails", "sick", "dies", "refuses", "silent"]), min_size=1, max_size=24), st.integers(0, 4))
def test_no_more_hosts_come_to_harm_than_the_budget_and_one_wave(
    tmp_path_factory: pytest.TempPathFactory, troubles: list[str], allowed: int
) -> None:
    """Whatever happens: each host is changed at most once, and when a wave begins, no more than the budget have come to harm."""
    settings = run.Settings(folder=str(tmp_path_factory.mktemp("ledger")), budget=allowed, process=os.getpid())
    fleet = Played(settings, names(len(troubles)), {f"{'ab'[number % 2]}{number}": one for number, one in enumerate(troubles) if one})
    try:
        fleet.begin()
    except run.RolloutError:
        assert sum(one in ("refuses", "silent") for one in troubles) > allowed
        return
    for wave in fleet.plan["waves"]:
        harmed = sum(state in run.gate.DAMAGED for state in fleet.ledger.states.values())
        assert harmed <= allowed
        if not fleet.gate(wave["number"], fleet.change(wave["number"])["touched"])["go"]:
            break
    assert len(fleet.changed) == len(set(fleet.changed))
    for name, state in fleet.ledger.states.items():
        if state == "healthy":
            assert fleet.digests[name] == NEW
        if state in ("returned", "failed"):
            assert fleet.digests[name] == OLD
