# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The setup_header is read field by field, and each defect has its own sentence."""

from __future__ import annotations

from typing import Callable, Dict, Optional

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._boot import setup_header


def test_fields_are_read_from_where_the_boot_protocol_puts_them(bzimage: Callable[..., bytes]) -> None:
    image = bzimage(init_size=0x3F98000, cmdline_size=4095)
    fields = setup_header.parse(image)
    assert fields["init_size"] == 0x3F98000
    assert fields["cmdline_size"] == 4095
    assert fields["pref_address"] == 0x1000000
    assert fields["setup_size"] == 3 * 512
    assert fields["kernel_version"] == "9.9.9-test (tests@example) #1"
    assert setup_header.refusal(fields, len(image)) is None


def test_zero_setup_sects_means_four(bzimage: Callable[..., bytes]) -> None:
    assert setup_header.parse(bzimage(setup_sects=0))["setup_size"] == 5 * 512


@pytest.mark.parametrize("pointer", [0, 0x400, 0xFFFF])
def test_a_version_pointer_outside_of_the_setup_code_is_not_followed(bzimage: Callable[..., bytes], pointer: int) -> None:
    assert setup_header.parse(bzimage(kernel_version_at=pointer))["kernel_version"] is None


def test_the_raw_header_ends_where_its_jump_says(bzimage: Callable[..., bytes]) -> None:
    raw = setup_header.raw(bzimage())
    assert len(raw) == 0x202 + 0x6A - 0x1F1
    assert raw[0x202 - 0x1F1 :][:4] == b"HdrS"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"header": 0}, "no 'HdrS' signature"),
        ({"boot_flag": 0x55AA}, "boot flag at offset 0x1fe is 0x55aa"),
        ({"version": 0x020B}, "boot protocol 2.11; 2.12 or newer"),
        ({"loadflags": 0}, "it is a zImage"),
        ({"xloadflags": 0x7E}, "it is a 32-bit kernel"),
        ({"xloadflags": 0x7D}, "cannot be loaded above 4 GiB"),
        ({"setup_sects": 63}, "the setup code alone has"),
        ({"syssize": 0x100000}, "promises 16777216 bytes of kernel"),
        ({"payload_length": 0x100000}, "its payload ends at"),
        ({"relocatable_kernel": 0}, "not relocatable and would run at 0x1000000"),
        ({"kernel_alignment": 0x300000}, "kernel_alignment 0x300000 is no power of two"),
        ({"kernel_alignment": 0}, "kernel_alignment 0x0 is no power of two"),
        ({"kernel_alignment": 0x100000}, "below its min_alignment 0x200000"),
        ({"init_size": 0}, "init_size is 0"),
    ],
)
def test_each_defect_has_its_own_sentence(bzimage: Callable[..., bytes], changes: Dict[str, int], sentence: str) -> None:
    image = bzimage(**changes)
    refusal = setup_header.refusal(setup_header.parse(image), len(image))
    assert refusal is not None
    assert sentence in refusal


def test_five_level_paging_matters_only_where_the_host_uses_it(bzimage: Callable[..., bytes]) -> None:
    image = bzimage(xloadflags=0x1F)
    fields = setup_header.parse(image)
    assert setup_header.refusal(fields, len(image)) is None
    refusal = setup_header.refusal(fields, len(image), host_la57=True)
    assert refusal is not None
    assert "5-level paging" in refusal


def test_the_order_of_refusal_is_that_of_the_kernel(bzimage: Callable[..., bytes]) -> None:
    """A file with every defect is told the first one, then the next when that is mended."""
    mended = [
        ("header", 0x53726448, "boot flag"),
        ("boot_flag", 0xAA55, "boot protocol"),
        ("version", 0x20F, "zImage"),
        ("loadflags", 1, "32-bit"),
        ("xloadflags", 1, "above 4 GiB"),
        ("xloadflags", 3, "truncated"),
    ]
    changes = {"header": 0, "boot_flag": 0, "version": 0, "loadflags": 0, "xloadflags": 0, "syssize": 0xFFFFFF}
    for name, value, then in mended:
        changes[name] = value
        image = bzimage(**changes)
        refusal: Optional[str] = setup_header.refusal(setup_header.parse(image), len(image))
        assert refusal is not None
        assert then in refusal


def test_too_little_of_a_file_is_refused_not_guessed(bzimage: Callable[..., bytes]) -> None:
    with pytest.raises(ValueError, match="ends before the setup header does"):
        setup_header.parse(bzimage()[:0x220])
    assert setup_header.looks_like(bzimage()[:0x200]) is False


def test_a_signed_kernel_may_be_longer_than_its_header_says(bzimage: Callable[..., bytes]) -> None:
    image = bzimage() + b"signature" * 300
    assert setup_header.refusal(setup_header.parse(image), len(image)) is None


def test_a_real_kernel_passes(debian_kernel: str) -> None:
    with open(debian_kernel, "rb") as file:
        image = file.read()
    fields = setup_header.parse(image[: 1 << 16])
    assert setup_header.refusal(fields, len(image), host_la57=True) is None
    assert fields["kernel_version"].startswith("6.1.0-56-amd64 ")
