# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waves: every host exactly once, canaries before their class, growth as said, and a resumed plan that goes on where it was."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.multikernel.core.plugins.plugin_utils._rollout import waves
from hypothesis import given
from hypothesis import strategies as st

kinds = st.sampled_from(["small", "large", "old", "odd"])


@st.composite
def fleets(draw: t.Any) -> list[waves.Host]:
    """Up to sixty hosts of up to four classes; some are done, some are wished for as canaries."""
    drawn = draw(st.lists(st.tuples(kinds, st.booleans(), st.integers(0, 9)), max_size=60))
    return [waves.Host(f"host-{number}", kind, done, wish == 0) for number, (kind, done, wish) in enumerate(drawn)]


@st.composite
def settings(draw: t.Any) -> list[waves.Size]:
    """Waves that can be meant."""
    shares = sorted(draw(st.sets(st.integers(1, 99), max_size=4)))
    return waves.sizes([f"{draw(st.integers(1, 3))} per class", *(f"{share}%" for share in shares), "100%"])


@given(fleets(), settings())
def test_every_host_that_is_not_done_is_in_exactly_one_wave(fleet: list[waves.Host], wanted: list[waves.Size]) -> None:
    planned = [name for wave in waves.plan(fleet, wanted) for name in wave.hosts]
    assert sorted(planned) == sorted(host.name for host in fleet if not host.done)
    assert all(wave.hosts for wave in waves.plan(fleet, wanted))


@given(fleets(), settings())
def test_a_class_is_proven_before_more_of_it_is_changed(fleet: list[waves.Host], wanted: list[waves.Size]) -> None:
    kind = {host.name: host.kind for host in fleet}
    done = {host.kind for host in fleet if host.done}
    planned = waves.plan(fleet, wanted)
    assert [wave.canary for wave in planned] == sorted((wave.canary for wave in planned), reverse=True)
    canaries = {kind[name] for wave in planned if wave.canary for name in wave.hosts}
    for wave in planned:
        if not wave.canary:
            assert {kind[name] for name in wave.hosts} <= canaries | done


@given(fleets(), settings())
def test_the_fleet_never_grows_past_the_size_of_a_wave(fleet: list[waves.Host], wanted: list[waves.Size]) -> None:
    have = sum(host.done for host in fleet)
    for wave in waves.plan(fleet, wanted):
        have += len(wave.hosts)
        if not wave.canary:
            assert have <= next(size for size in wanted if size.word == wave.label).target(len(fleet))


@given(fleets(), settings())
def test_who_resumes_after_a_wave_goes_on_with_the_same_waves(fleet: list[waves.Host], wanted: list[waves.Size]) -> None:
    planned = waves.plan(fleet, wanted)
    for passed in range(len(planned) + 1):
        done = {name for wave in planned[:passed] for name in wave.hosts}
        later = [waves.Host(host.name, host.kind, host.done or host.name in done, host.canary) for host in fleet]
        resumed = waves.plan(later, wanted)
        assert {name for wave in resumed for name in wave.hosts} == {name for wave in planned[passed:] for name in wave.hosts}
        if passed and planned[0].canary:
            assert [len(wave.hosts) for wave in resumed] == [len(wave.hosts) for wave in planned[passed:]]


@given(fleets())
def test_each_wave_takes_of_every_class_in_proportion(fleet: list[waves.Host]) -> None:
    fresh = [waves.Host(host.name, host.kind) for host in fleet]
    planned = waves.plan(fresh, waves.sizes(["1 per class", "50%", "100%"]))
    kind = {host.name: host.kind for host in fresh}
    if len(planned) == 3:
        rest = [name for wave in planned[1:] for name in wave.hosts]
        for one in set(kind.values()):
            share = sum(kind[name] == one for name in rest) * len(planned[1].hosts) / len(rest)
            assert abs(sum(kind[name] == one for name in planned[1].hosts) - share) <= 2


def test_the_default_on_a_fleet_of_two_classes() -> None:
    fleet = [waves.Host(f"h{number:02}", "a" if number % 4 else "b") for number in range(40)]
    planned = waves.plan(fleet, waves.sizes(waves.DEFAULT))
    assert [(wave.label, len(wave.hosts)) for wave in planned] == [("1 per class", 2), ("10%", 2), ("50%", 16), ("100%", 20)]
    assert planned[0].hosts == ("h00", "h01")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "waves are a list"),
        ("10%", "waves are a list"),
        (["10%", "100%"], 'write "1 per class" before it'),
        (["1 per class", "50%"], 'write "100%" after it'),
        (["1 per class", "2 per class", "100%"], "only the first wave"),
        (["1 per class", "50%", "20%", "100%"], "waves have to grow"),
        (["1 per class", 9, 9, "100%"], "waves have to grow"),
        (["1 per class", "0%", "100%"], "no size of a wave"),
        (["1 per class", "101%", "100%"], "no size of a wave"),
        (["0 per class", "100%"], "no size of a wave"),
        (["1 per class", True, "100%"], "no size of a wave"),
        (["1 per class", -3, "100%"], "no size of a wave"),
        (["1 per class", {"a": 1}, "100%"], "no size of a wave"),
    ],
)
def test_waves_that_cannot_be_meant_are_refused_with_what_would_be_right(words: t.Any, said: str) -> None:
    with pytest.raises(waves.WaveError, match=said):
        waves.sizes(words)
