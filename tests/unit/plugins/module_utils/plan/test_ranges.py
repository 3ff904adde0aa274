# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arithmetic of address ranges agrees with sets of single bytes."""

from __future__ import annotations

from ansible_collections.multikernel.core.plugins.module_utils._plan import ranges
from hypothesis import given
from hypothesis import strategies as st

RANGES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda pair: (min(pair), max(pair))), max_size=6)


def members(some):
    return {one for start, end in some for one in range(start, end)}


@given(RANGES, RANGES)
def test_subtract_and_merge_are_those_of_sets(first, second):
    assert members(ranges.subtract(first, second)) == members(first) - members(second)
    merged = ranges.merge(first)
    assert members(merged) == members(first)
    assert all(left[1] < right[0] for left, right in zip(merged, merged[1:]))


@given(RANGES, st.tuples(st.integers(0, 20), st.integers(1, 20)))
def test_contains_is_subset(some, wanted):
    one = (wanted[0], wanted[0] + wanted[1])
    assert ranges.contains(some, one) == (members([one]) <= members(some))


@given(RANGES, st.integers(1, 12), st.sampled_from([1, 2, 4, 8]))
def test_a_fit_lies_in_a_free_range_and_is_the_first_or_last(some, size, align):
    free = ranges.merge(some)
    possible = [at for at in range(0, 48, align) if members([(at, at + size)]) <= members(free)]
    assert ranges.first_fit(free, size, align) == (min(possible) if possible else None)
    assert ranges.last_fit(free, size, align) == (max(possible) if possible else None)
