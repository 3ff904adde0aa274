# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gates: the budget is never exceeded, canaries are never gambled with, and only what may have changed is taken back."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.multikernel.core.plugins.plugin_utils._rollout import gate
from hypothesis import given
from hypothesis import strategies as st

states = st.dictionaries(st.sampled_from([f"h{number}" for number in range(12)]), st.sampled_from(sorted(gate.STATES)), max_size=12)


@given(states, st.data(), st.booleans(), st.integers(0, 12), st.sampled_from(gate.RETURNS))
def test_the_budget_is_never_exceeded(now: dict[str, str], data: t.Any, canary: bool, allowed: int, returns: str) -> None:
    wave = data.draw(st.sets(st.sampled_from(sorted(now)))) if now else set()
    decision = gate.after(now, wave, canary, allowed, returns)
    harmed = [name for name, state in now.items() if state in gate.DAMAGED]
    assert list(decision.damaged) == harmed
    if decision.go:
        assert len(harmed) <= allowed
        assert not (canary and set(harmed) & wave)
    else:
        assert len(harmed) > allowed or (canary and set(harmed) & wave)


@given(states, st.data(), st.booleans(), st.integers(0, 12), st.sampled_from(gate.RETURNS))
def test_only_what_may_have_the_new_layout_is_taken_back(
    now: dict[str, str], data: t.Any, canary: bool, allowed: int, returns: str
) -> None:
    wave = data.draw(st.sets(st.sampled_from(sorted(now)))) if now else set()
    decision = gate.after(now, wave, canary, allowed, returns)
    assert all(now[name] in gate.TOUCHED for name in decision.take_back)
    if returns == "none":
        assert not decision.take_back
    elif not decision.go:
        reach = set(now) if returns == "all" else wave
        assert set(decision.take_back) == {name for name in reach if now[name] in gate.TOUCHED}


@given(states, st.integers(0, 12))
def test_a_rollout_begins_only_within_the_budget(now: dict[str, str], allowed: int) -> None:
    assert gate.start(now, allowed).go == (sum(state in gate.DAMAGED for state in now.values()) <= allowed)


def test_earlier_waves_stay_when_a_later_one_fails() -> None:
    now = {"first": "healthy", "second": "healthy", "third": "sick"}
    assert gate.after(now, ["second", "third"], False, 0).take_back == ("second", "third")
    assert gate.after(now, ["second", "third"], False, 0, "all").take_back == ("first", "second", "third")


def test_damage_adds_up_over_the_waves() -> None:
    now = {"first": "failed", "second": "healthy", "third": "sick"}
    assert gate.after(now, ["second", "third"], False, 2).go
    assert gate.after(now, ["second", "third"], False, 2).take_back == ("third",)
    assert not gate.after(now, ["second", "third"], False, 1).go


@pytest.mark.parametrize(("word", "total", "hosts"), [(0, 10, 0), ("2", 10, 2), ("10%", 19, 1), ("2.5%", 200, 5), ("0%", 5, 0)])
def test_budgets(word: t.Any, total: int, hosts: int) -> None:
    assert gate.budget(word, total) == hosts


@pytest.mark.parametrize("word", ["100%", "many", -1, True, None, "1.5", [1]])
def test_budgets_that_are_none(word: t.Any) -> None:
    with pytest.raises(gate.BudgetError, match="no error budget; write a number of hosts"):
        gate.budget(word, 10)
