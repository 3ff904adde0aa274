# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""CPU lists are read as the kernel reads them."""

from __future__ import annotations

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._layout import cpuset
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("", []),
        ("\n", []),
        ("0", [0]),
        ("0-3,8", [0, 1, 2, 3, 8]),
        ("0-3,8\n", [0, 1, 2, 3, 8]),
        ("0-15:2/4", [0, 1, 4, 5, 8, 9, 12, 13]),
        ("1-7:1/3", [1, 4, 7]),
        ("10-14:2", [10, 12, 14]),
        ("3,1", [3, 1]),
        ("3,3", [3, 3]),
        ("2, 4", [2, 4]),
        ("4294967294", [4294967294]),
    ],
)
def test_lists_are_read_in_the_order_written(text, cpus):
    assert cpuset.parse(text) == cpus


def test_n_and_all_mean_the_last_cpu_of_the_machine():
    assert cpuset.parse("2-N", last=4) == [2, 3, 4]
    assert cpuset.parse("N", last=4) == [4]
    assert cpuset.parse("all", last=2) == [0, 1, 2]
    with pytest.raises(cpuset.CpuListError, match="a machine that is not known yet"):
        cpuset.parse("0-N")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("3-1", "'3-1' is no CPU list: the range '3-1' runs backwards"),
        ("1,,2", "'1,,2' is no CPU list: '' is neither a number nor a range; write it like 0-3,8 or 0-31:2/4"),
        ("0x10", "'0x10' is no CPU list: '0x10' is neither a number nor a range; write it like 0-3,8 or 0-31:2/4"),
        ("-1", "'-1' is no CPU list: '-1' is neither a number nor a range; write it like 0-3,8 or 0-31:2/4"),
        ("0-7:3/2", "'0-7:3/2' is no CPU list: in '0-7:3/2' the group must hold at least one CPU and as many as are used"),
        ("0-7:0", "'0-7:0' is no CPU list: in '0-7:0' the group must hold at least one CPU and as many as are used"),
        ("0-99999999", "'0-99999999' is no CPU list: the range '0-99999999' holds more than 8192 CPUs"),
        ("99999999999", "'99999999999' is no CPU list: 99999999999 is larger than any APIC id"),
    ],
)
def test_what_is_no_list_is_refused_with_a_sentence(text, sentence):
    with pytest.raises(cpuset.CpuListError) as error:
        cpuset.parse(text)
    assert str(error.value) == sentence


@pytest.mark.parametrize(("cpus", "text"), [([], ""), ([0], "0"), ([3, 1, 2, 9], "1-3,9"), ([0, 2, 4], "0,2,4"), ([1, 1, 2], "1-2")])
def test_lists_are_written_short(cpus, text):
    assert cpuset.format(cpus) == text


@given(st.sets(st.integers(min_value=0, max_value=500)))
def test_a_written_list_reads_back_as_the_same_set(cpus):
    assert cpuset.parse(cpuset.format(cpus)) == sorted(cpus)


@pytest.mark.parametrize(
    "text",
    ["0-8191," * 9 + "1", "1" * 5000, "0-" + "1" * 5000, "0-7:" + "1" * 5000, "0-7:1/" + "1" * 5000, "x" * 9999, "8-" + "0" * 5000 + "1"],
    ids=lambda text: text[:8],
)
def test_list_that_is_short_to_write_and_long_to_hold_is_refused_in_a_short_sentence(text):
    with pytest.raises(cpuset.CpuListError) as refused:
        cpuset.parse(text)
    assert len(str(refused.value)) < 400


@given(st.text("0123456789-,:/N al\u0663\n", max_size=40))
def test_any_text_is_a_list_or_is_refused(text):
    try:
        numbers = cpuset.parse(text, last=7)
    except cpuset.CpuListError:
        return
    assert cpuset.parse(cpuset.format(numbers)) == sorted(set(numbers))
