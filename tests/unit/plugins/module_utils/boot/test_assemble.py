# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""An assembled instance: every byte where the map says, everything inside its memory, nothing on top of anything else."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._boot import channel, mailbox
from ansible_collections.multikernel.core.plugins.module_utils._boot.assemble import (
    Area,
    Assembled,
    AssemblyError,
    ChannelEnd,
    Segment,
    Spec,
    assemble,
)
from ansible_collections.multikernel.core.plugins.module_utils._boot.cmdline import Uart
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

BASE = 0x40000000
SIZE = 64 << 20
AREA = Area(64, 256, (2, 0))


@pytest.fixture
def spec(bzimage: Callable[..., bytes], stored: Callable[..., str]) -> Callable[..., Spec]:
    """A spec of a small Linux instance that can be assembled; keywords change it."""
    kernel = stored(bzimage(), "vmlinuz")
    initrd = stored(b"\x1f\x8b" + b"i" * 5000, "initrd")

    def make(**changes: Any) -> Spec:
        values: Dict[str, Any] = {
            "base": BASE,
            "size": SIZE,
            "low": 0x30000,
            "apic_ids": [2, 3],
            "bsp_apic_id": 0,
            "kernel_path": kernel,
            "initrd_path": initrd,
            "name": "web",
            "nonce": 0x1122334455667788,
            "tsc_khz": 2000000,
            "console": Uart("ttyS1", 0x2F8),
            "other_uarts": [Uart("ttyS0", 0x3F8)],
            "cache": None,
        }
        values.update(changes)
        return Spec(**values)

    return make


def memory(image: Assembled, address: int, size: int) -> bytes:
    """What physical memory holds after the load, in one segment."""
    for segment in image.segments:
        if segment.address <= address and address + size <= segment.address + segment.memsz:
            offset = address - segment.address
            return bytes(segment.data[offset : offset + size]).ljust(size, b"\0")
    raise AssertionError("nothing is loaded at 0x%x" % address)


def e820(image: Assembled, base: int) -> List["tuple[int, int, int]"]:
    page = memory(image, base + 0x10000, 4096)
    return [struct.unpack_from("<QQI", page, 0x2D0 + 20 * number) for number in range(page[0x1E8])]


def by_name(image: Assembled, word: str) -> Segment:
    (found,) = [segment for segment in image.segments if word in segment.what]
    return found


def test_a_bzimage_is_laid_out_as_the_map_says(spec: Callable[..., Spec], bzimage: Callable[..., bytes]) -> None:
    image = assemble(spec())
    assert image.entry == BASE + 0x3000
    assert memory(image, BASE, 4096) == mailbox.blank(0x1122334455667788)
    assert memory(image, BASE + 0x1000, 8) == b"RSD PTR "
    assert memory(image, BASE + 0x2000, 4096) == bytes(4096), "the stand-in for the IO-APIC is zero"
    assert memory(image, BASE + 0x1000000, 64) == b"\xf4" * 64
    assert bytes(by_name(image, "the kernel").data) == bzimage()[3 * 512 :]
    assert memory(image, BASE + 0x11000, len(image.cmdline) + 1) == image.cmdline.encode() + b"\0"
    assert "multikernel.mailbox=0x40000000" in image.cmdline


def test_the_stub_jumps_to_the_64_bit_entry_with_its_own_world(spec: Callable[..., Spec]) -> None:
    code = memory(assemble(spec()), BASE + 0x3000, 64)
    operands = [struct.unpack_from("<Q", code, at)[0] for at in (4, 17, 27, 37, 47)]
    assert operands == [BASE + 0x20000, BASE + 0x4000, BASE + 0x10000, BASE, BASE + 0x1000200]
    top = struct.unpack("<Q", memory(assemble(spec()), BASE + 0x20000, 8))[0]
    assert top == BASE + 0x21000 | 3, "the PML4 lies where CR3 points"


def test_the_zero_page_points_at_the_rest(spec: Callable[..., Spec]) -> None:
    image = assemble(spec())
    page = memory(image, BASE + 0x10000, 4096)
    initrd = by_name(image, "initrd")
    assert struct.unpack_from("<Q", page, 0x70)[0] == BASE + 0x1000
    assert struct.unpack_from("<II", page, 0x218) == (initrd.address, 5002)
    assert struct.unpack_from("<I", page, 0x228)[0] == BASE + 0x11000
    assert initrd.address % (1 << 20) == 0
    assert BASE + SIZE - (1 << 20) <= initrd.address + initrd.memsz <= BASE + SIZE
    assert e820(image, BASE) == [(0x30000, 0x10000, 1), (BASE, 0x10000, 2), (BASE + 0x10000, SIZE - 0x10000, 1)]


def test_above_4_gib_the_io_apic_moves_to_the_low_chunk(spec: Callable[..., Spec]) -> None:
    base = 0x140000000
    image = assemble(spec(base=base))
    assert memory(image, 0x3F000, 4096) == bytes(4096)
    assert e820(image, base)[0] == (0x30000, 0xF000, 1), "and is no RAM for the kernel"
    madt = memory(image, base + 0x1000 + 0x300, 0x100)
    assert struct.pack("<I", 0x3F000) in madt


def test_a_vmlinux_is_moved_by_the_base(spec: Callable[..., Spec], vmlinux: Callable[..., bytes], stored: Callable[..., str]) -> None:
    kernel = stored(
        vmlinux([(0x1000000, b"text", 0x2000), (0x1400000, b"data", 0x1800), (0x1600000, b"", 0)], entry=0x1000B53 & ~0xF00), "vmlinux"
    )
    image = assemble(spec(kernel_path=kernel))
    assert [(segment.address, segment.memsz) for segment in image.segments if "PT_LOAD" in segment.what] == [
        (BASE + 0x1000000, 0x2000),
        (BASE + 0x1400000, 0x2000),
    ]
    assert struct.unpack_from("<Q", memory(image, BASE + 0x3000, 64), 47)[0] == BASE + 0x1000053
    assert memory(image, BASE + 0x10000 + 0x202, 4) == b"HdrS"


def test_an_unpacked_bzimage_keeps_its_header(spec: Callable[..., Spec]) -> None:
    image = assemble(spec(format="vmlinux"))
    assert by_name(image, "PT_LOAD 0").address == BASE + 0x1000000
    assert struct.unpack_from("<I", memory(image, BASE + 0x10000, 4096), 0x260)[0] == 0x1000000


def test_the_consoles_rings_overlap_nothing(spec: Callable[..., Spec]) -> None:
    image = assemble(spec())
    last = [one.address + len(one.data) for one in image.segments if one.address < BASE + 0x10000]
    assert max(last) <= BASE + 0x8000


def test_a_flat_payload_needs_neither_low_memory_nor_an_initrd(spec: Callable[..., Spec], stored: Callable[..., str]) -> None:
    flat = stored(b"\xf4" * 100, "flat")
    image = assemble(spec(kernel_path=flat, format="flat", low=None, initrd_path=None, size=4 << 20))
    assert memory(image, BASE + 0x200000, 100) == b"\xf4" * 100
    assert struct.unpack_from("<Q", memory(image, BASE + 0x3000, 64), 47)[0] == BASE + 0x200000
    # it stays on the stub's page tables, so they are none of its memory
    top = (4 << 20) - 0x30000
    assert e820(image, BASE) == [
        (BASE, 0x10000, 2),
        (BASE + 0x10000, 0x10000, 1),
        (BASE + 0x20000, 0x10000, 2),
        (BASE + 0x30000, top, 1),
    ]
    high = assemble(spec(kernel_path=flat, format="flat", low=None, initrd_path=None, base=0x140000000))
    assert memory(high, 0x140001000, 4096) == bytes(4096), "no tables without a page that they could point at"
    assert memory(high, 0x140010070, 8) == bytes(8)


def test_a_marked_flat_payload_needs_no_format(spec: Callable[..., Spec], stored: Callable[..., str]) -> None:
    image = assemble(spec(kernel_path=stored(b"\xeb\x0e\0\0\0\0\0\0MKFLAT01\xf4", "marked"), low=None))
    assert memory(image, BASE + 0x200008, 8) == b"MKFLAT01"


def test_the_area_of_a_channel_is_written_by_the_first_instance_only(spec: Callable[..., Spec]) -> None:
    ends = [
        ChannelEnd("beat", 0x5E000000, 0, Area(64, 256, (2, 0))),
        ChannelEnd("other", 0x5E100000, 1),
        ChannelEnd("feed", 0x5E200000, 0, None, 0x200000),
    ]
    image = assemble(spec(channels=ends))
    area = by_name(image, "channel beat")
    assert (area.address, area.memsz) == (0x5E000000, channel.area_size(64, 256))
    assert channel.parse(bytes(area.data))["ends"][0]["apic_id"] == 2
    assert not [segment for segment in image.segments if "other" in segment.what or "feed" in segment.what]
    assert "multikernel.channel=other@0x5e100000:1" in image.cmdline
    assert "multikernel.memory=feed@0x5e200000+0x200000:0:both" in image.cmdline


def test_the_same_spec_gives_the_same_bytes(spec: Callable[..., Spec]) -> None:
    first, second = assemble(spec()), assemble(spec())
    assert [(bytes(a.data), a.address, a.memsz) for a in first.segments] == [(bytes(b.data), b.address, b.memsz) for b in second.segments]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"base": BASE + 0x100000}, "a multiple of 2 MiB above 1 MiB is needed"),
        ({"base": 0}, "a multiple of 2 MiB above 1 MiB is needed"),
        ({"size": SIZE + 5}, "a multiple of 4096"),
        ({"size": 0x10000}, "a multiple of 4096"),
        ({"size": 0x1800000}, "the kernel needs memory up to 0x42000000, the instance's ends at 0x41800000: 8 MiB more are needed"),
        ({"size": 0x2000000}, "the initrd of 5002 bytes does not fit behind the kernel, .* 1 MiB more are needed"),
        ({"low": None}, "Linux needs a chunk of memory below 1 MiB"),
        ({"low": 0x98000}, "reaches beyond 640 KiB"),
        ({"low": 0x30800}, "not made of whole pages"),
        ({"low": 0}, "not made of whole pages above the first"),
        ({"apic_ids": [0]}, "the host's boot CPU"),
        ({"apic_ids": []}, "at least one CPU"),
        ({"tsc_khz": None}, "TSC frequency is not known"),
        ({"format": "zimage"}, "the image format 'zimage' is not known"),
        ({"cmdline": "multikernel.name=x"}, "belongs to the loader"),
        ({"cmdline": "x" * 2000}, "the kernel takes 2047"),
        ({"kernel_path": "/nowhere/vmlinuz"}, "/nowhere/vmlinuz: No such file"),
        ({"initrd_path": "/nowhere/initrd"}, "/nowhere/initrd: No such file"),
        ({"digest": "0" * 64}, "has sha256 .*, 0000"),
        ({"nonce": 1 << 64}, "does not fit into 64 bits"),
        ({"channels": [ChannelEnd("beat", BASE + 0x3000000, 1)]}, "channel beat at 0x43000000 lies in its private memory"),
        ({"channels": [ChannelEnd("a", 0x5E000000, 0, AREA), ChannelEnd("b", 0x5E001000, 0, AREA)]}, "channel a .* overlaps channel b"),
        ({"channels": [ChannelEnd("c%d" % n, 0x5E000000 + 0x100000 * n, 0, AREA) for n in range(13)]}, "17 segments, .* takes 16"),
        ({"channels": [ChannelEnd("odd", 0x5E000800, 0, AREA)]}, "channel odd at 0x5e000800 .* whole pages"),
    ],
)
def test_what_does_not_fit_is_a_sentence(spec: Callable[..., Spec], changes: Dict[str, Any], sentence: str) -> None:
    with pytest.raises(AssemblyError, match=sentence) as caught:
        assemble(spec(**changes))
    assert str(caught.value).startswith("instance web: ")


def test_files_that_are_no_kernels_are_sentences(
    spec: Callable[..., Spec], stored: Callable[..., str], bzimage: Callable[..., bytes], vmlinux: Callable[..., bytes]
) -> None:
    for content, form, sentence in (
        (b"", "auto", "is empty"),
        (b"#!/bin/sh\n" * 100, "auto", "needs format: flat"),
        (bzimage(xloadflags=0), "auto", "cannot be booted: it is a 32-bit kernel"),
        (bzimage(payload=b"unknown packing, long enough"), "vmlinux", "compressed by no known method"),
        (vmlinux(), "bzimage", "its format is said to be bzimage"),
        (vmlinux(interp=True), "auto", "it is a program"),
        (vmlinux([(0x1000010, b"x" * 64, 64)], entry=0x1000010), "auto", "no page boundary"),
        (vmlinux([(0x10000, b"x", 0x1000)], entry=0x10000), "auto", "overlaps"),
    ):
        path = stored(content, "bad")
        with pytest.raises(AssemblyError, match=sentence):
            assemble(spec(kernel_path=path, format=form))


def test_an_alignment_above_2_mib_is_honoured(spec: Callable[..., Spec], stored: Callable[..., str], bzimage: Callable[..., bytes]) -> None:
    """The kernel rounds its load address up before it counts init_size bytes; that end must be inside, too."""
    kernel = stored(bzimage(kernel_alignment=0x1000000, init_size=0x1000000), "aligned")
    changes = {"base": 0x40200000, "kernel_path": kernel, "initrd_path": None}
    assemble(spec(size=0x2E00000, **changes))
    with pytest.raises(AssemblyError, match="needs memory up to 0x43000000"):
        assemble(spec(size=0x2DFF000, **changes))


def test_the_expected_digest_lets_the_kernel_pass(spec: Callable[..., Spec], bzimage: Callable[..., bytes], tmp_path: Path) -> None:
    digest = hashlib.sha256(bzimage()).hexdigest()
    assemble(spec(digest=digest.upper(), format="vmlinux", cache=str(tmp_path / "cache")))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    base=st.integers(1, 0x400000).map(lambda number: number << 21),
    size=st.integers(32 << 8, 80 << 8).map(lambda pages: pages * 4096),
    form=st.sampled_from(["auto", "vmlinux", "flat"]),
)
def test_whatever_is_accepted_stays_inside_its_memory(spec: Callable[..., Spec], base: int, size: int, form: str) -> None:
    needed = 0x2000000 + 0x2000 if form == "auto" else 0  # load address and init_size make 32 MiB, the initrd has two pages
    if size < needed:
        with pytest.raises(AssemblyError, match="more are needed"):
            assemble(spec(base=base, size=size, format=form))
        return
    image = assemble(spec(base=base, size=size, format=form))
    end = 0
    for segment in sorted(image.segments, key=lambda segment: segment.address):
        assert segment.address >= end
        end = segment.address + segment.memsz
        inside = base <= segment.address and end <= base + size
        low = segment.address >= 0x30000 and end <= 0x40000
        assert inside or low
    assert base <= image.entry < base + 0x10000


def test_a_real_kernel_is_assembled_both_ways(spec: Callable[..., Spec], debian_kernel: str, tmp_path: Path) -> None:
    packed = assemble(spec(kernel_path=debian_kernel, size=128 << 20))
    assert by_name(packed, "the kernel").address == BASE + 0x1000000
    unpacked = assemble(spec(kernel_path=debian_kernel, size=128 << 20, format="vmlinux"))
    loads = [segment for segment in unpacked.segments if "PT_LOAD" in segment.what]
    assert loads[0].address == BASE + 0x1000000
    assert len(unpacked.segments) <= 16
    with pytest.raises(AssemblyError, match="more are needed"):
        assemble(spec(kernel_path=debian_kernel, size=64 << 20))
