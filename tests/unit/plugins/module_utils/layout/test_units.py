# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes, addresses and durations mean what people write, and what is no such thing is refused with a sentence."""

from __future__ import annotations

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._layout import units
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("written", "size"),
    [
        (4096, 4096),
        ("4096", 4096),
        ("4096B", 4096),
        ("0x1000", 4096),
        ("1KiB", 1024),
        ("1kB", 1000),
        ("1KB", 1000),
        ("256MiB", 268435456),
        ("256 MiB", 268435456),
        ("1.5GiB", 1610612736),
        ("0.1GB", 100000000),
        ("2TiB", 2199023255552),
        (" 1GiB ", 1073741824),
        ("0", 0),
        ("4503599627370496", 1 << 52),
    ],
)
def test_sizes_are_read_in_iec_si_and_plain_bytes(written, size):
    assert units.parse_size(written) == size


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("512M", "the unit of '512M' is ambiguous; write 512MiB (powers of 1024) or 512MB (powers of 1000)"),
        ("2g", "the unit of '2g' is ambiguous; write 2GiB (powers of 1024) or 2GB (powers of 1000)"),
        ("1mib", "the unit of '1mib' is ambiguous; write 1MiB (powers of 1024) or 1MB (powers of 1000)"),
        ("12 parsec", "'12 parsec' has the unknown unit 'parsec'; the units are B, KiB, MiB, GiB, TiB, kB, MB, GB, TB"),
        ("0.1GiB", "'0.1GiB' is not a whole number of bytes; choose a smaller unit"),
        ("-1", "'-1' is no size; write a number of bytes or a number with a unit, such as 256MiB"),
        ("infGB", "'infGB' is no size; write a number of bytes or a number with a unit, such as 256MiB"),
        ("1e9", "'1e9' is no size; write a number of bytes or a number with a unit, such as 256MiB"),
        ("", "'' is no size; write a number of bytes or a number with a unit, such as 256MiB"),
        (True, "True is no size; write a number of bytes or a number with a unit, such as 256MiB"),
        (1.5, "1.5 is no size; write a number of bytes or a number with a unit, such as 256MiB"),
        (None, "None is no size; write a number of bytes or a number with a unit, such as 256MiB"),
        (-4096, "-4096 is no usable size; it must lie between 0 and 4096TiB"),
        ("4097TiB", "'4097TiB' is no usable size; it must lie between 0 and 4096TiB"),
    ],
)
def test_what_is_no_size_is_refused_with_a_sentence(written, sentence):
    with pytest.raises(units.UnitError) as error:
        units.parse_size(written)
    assert str(error.value) == sentence


@given(st.integers(min_value=0, max_value=1 << 52))
def test_a_formatted_size_reads_back_as_the_same_size(size):
    assert units.parse_size(units.format_size(size)) == size


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0"), (1, "1"), (1024, "1KiB"), (1536 * 1024, "1536KiB"), (1 << 30, "1GiB"), (1000, "1000")]
)
def test_sizes_are_shown_in_the_largest_exact_unit(size, text):
    assert units.format_size(size) == text


@pytest.mark.parametrize(("written", "address"), [("0x40000000", 1 << 30), ("0x4000_0000", 1 << 30), ("0XA0", 160), (1 << 30, 1 << 30)])
def test_addresses_are_hexadecimal(written, address):
    assert units.parse_address(written) == address
    assert units.parse_address(units.format_address(address)) == address


@pytest.mark.parametrize(
    "written", ["1073741824", "40000000", "0x", "0x1G", "", -1, 1 << 52, "0x10000000000000", False, None, 0.5, "0x1__0"]
)
def test_what_is_no_address_is_refused(written):
    with pytest.raises(units.UnitError, match="address"):
        units.parse_address(written)


def test_ranges_are_shown_like_in_iomem():
    assert units.format_range(0x40000000, 1 << 28) == "0x40000000-0x4fffffff, 256MiB"
    assert units.format_range(0x1000, 7) == "0x1000-0x1006, 7 bytes"


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("30s", 30.0),
        ("500ms", 0.5),
        ("250us", 0.00025),
        ("1m30s", 90.0),
        ("2 min", 120.0),
        ("1h", 3600.0),
        ("1d", 86400.0),
        (5, 5.0),
        (0.5, 0.5),
    ],
)
def test_durations_take_units(written, seconds):
    assert units.parse_duration(written) == pytest.approx(seconds)


@pytest.mark.parametrize("written", ["", "soon", "30", "30x", "s", "-3s", -1, float("nan"), float("inf"), True, None, "1e99d"])
def test_what_is_no_duration_is_refused(written):
    with pytest.raises(units.UnitError, match="duration"):
        units.parse_duration(written)


@pytest.mark.parametrize(("seconds", "text"), [(0.5, "500ms"), (30.0, "30s"), (90.0, "1m30s"), (120.0, "2m"), (0.0, "0s"), (3600.0, "60m")])
def test_durations_are_shown_in_readable_units(seconds, text):
    assert units.format_duration(seconds) == text
    assert units.parse_duration(text) == seconds


@pytest.mark.parametrize("digits", [64, 5000])
@pytest.mark.parametrize("spelling", ["{0}", "{0}GiB", "0.{0}GiB", "0x{0}", "{0}parsec"])
def test_thousands_of_digits_are_refused_in_a_short_sentence(spelling, digits):
    with pytest.raises(units.UnitError) as refused:
        units.parse_size(spelling.format("1" * digits))
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("read", [units.parse_size, units.parse_address, units.parse_duration])
def test_number_that_python_refuses_to_write_is_told_by_its_bits(read):
    with pytest.raises(units.UnitError, match="a number of 20001 bits"):
        read(1 << 20000)


def test_zeros_in_front_and_behind_change_nothing():
    assert units.parse_size("0" * 5000 + "1." + "5" + "0" * 5000 + "MiB") == 3 << 19


@pytest.mark.parametrize("text", ["", "-1", "+1", "1_0", " 1", "\u0663", "\u00b2", "0x", "1" * 65])
def test_word_that_the_kernel_would_not_write_is_no_number(text):
    assert units.whole(text) is None
    assert units.whole(text, 16) is None


def test_whole_number_in_both_bases():
    assert (units.whole("0" * 5000 + "12"), units.whole("12", 16), units.whole("0x00ff", 16)) == (12, 18, 255)
