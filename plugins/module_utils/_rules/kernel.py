# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Rules on kernel files: what is wrong with a bzImage, vmlinux or payload is read from its bytes before it is booted."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from .._boot import memory_map, setup_header
from .._layout import units
from . import size as image_size
from .case import Case
from .registry import Outcome, fail, rule, unknown
from .words import at_memory

KERNEL_DOC = "Documentation/arch/x86/boot.rst"
UNPACKERS = ("gzip", "xz", "lzma", "bzip2", "lz4", "zstd")

# Linux 5.5; newer fields tell of memory needs and of kernel_info.
RECENT_PROTOCOL = 0x020F

Header = Dict[str, Any]


@rule(
    "bz-bootflag",
    "error",
    "The boot sector of a bzImage is intact",
    "The kernel's own loader tests it first.",
    ("images",),
    KERNEL_DOC,
    anchor="kernel (kexec_file_load)",
)
def bz_bootflag(case: Case) -> Iterator[Outcome]:
    def check(where: str, header: Header, _facts: Dict[str, Any]) -> Optional[str]:
        if header["boot_flag"] == setup_header.BOOT_FLAG:
            return None
        return "{0} has the boot flag 0x{1:04x} instead of 0xaa55: the file is damaged.".format(where, header["boot_flag"])

    return _each_bzimage(case, check, "copy the kernel again")


@rule(
    "bz-loadhigh",
    "error",
    "The kernel is no zImage",
    "A zImage loads below 1 MiB, where the host lives.",
    ("images",),
    KERNEL_DOC,
    anchor="kernel (kexec_file_load)",
)
def bz_loadhigh(case: Case) -> Iterator[Outcome]:
    def check(where: str, header: Header, _facts: Dict[str, Any]) -> Optional[str]:
        if header["loadflags"] & setup_header.LOADED_HIGH:
            return None
        return "{0} is a zImage, which loads below 1 MiB.".format(where)

    return _each_bzimage(case, check, "build a bzImage")


@rule(
    "bz-protocol",
    "error",
    "The kernel speaks a known boot protocol",
    "Before 2.12 (Linux 3.8) there is no 64-bit entry; before 2.15 (Linux 5.5) some sizes are not told.",
    ("images",),
    KERNEL_DOC,
    anchor="kernel (kexec_file_load)",
)
def bz_protocol(case: Case) -> Iterator[Outcome]:
    def old(where: str, header: Header, _facts: Dict[str, Any]) -> Optional[str]:
        if header["version"] >= setup_header.MIN_VERSION:
            return None
        return "{0} speaks boot protocol {1}; 2.12 or newer is needed.".format(where, setup_header.protocol(header["version"]))

    def elderly(where: str, header: Header, _facts: Dict[str, Any]) -> Optional[str]:
        if header["version"] >= RECENT_PROTOCOL or header["version"] < setup_header.MIN_VERSION:
            return None
        return "{0} speaks boot protocol {1}, older than Linux 5.5.".format(where, setup_header.protocol(header["version"]))

    yield from _each_bzimage(case, old, "use Linux 3.8 or newer")
    for outcome in _each_bzimage(case, elderly, "use Linux 5.5 or newer"):
        if outcome.verdict == "fail":
            yield outcome._replace(severity="warning")


@rule(
    "bz-xlf64",
    "error",
    "The kernel is a 64-bit one",
    "CPUs are started in 64-bit mode.",
    ("images",),
    KERNEL_DOC,
    anchor="kernel (kexec_file_load)",
)
def bz_xlf64(case: Case) -> Iterator[Outcome]:
    def check(where: str, header: Header, _facts: Dict[str, Any]) -> Optional[str]:
        if header["xloadflags"] & setup_header.XLF_KERNEL_64:
            return None
        return "{0} is a 32-bit kernel without a 64-bit entry point.".format(where)

    return _each_bzimage(case, check, "use an x86_64 (amd64) kernel")


@rule(
    "bz-above4g",
    "error",
    "The kernel can be loaded anywhere",
    "Instances lie where the pool is, also above 4 GiB.",
    ("images",),
    KERNEL_DOC,
    anchor="kernel (kexec_file_load)",
)
def bz_above4g(case: Case) -> Iterator[Outcome]:
    def check(where: str, header: Header, _facts: Dict[str, Any]) -> Optional[str]:
        if header["xloadflags"] & setup_header.XLF_CAN_BE_LOADED_ABOVE_4G or not header["xloadflags"] & setup_header.XLF_KERNEL_64:
            return None  # a 32-bit kernel is named as such
        return "{0} cannot be loaded above 4 GiB (xloadflags 0x{1:x}).".format(where, header["xloadflags"])

    return _each_bzimage(case, check, "use a kernel built with CONFIG_RELOCATABLE")


@rule(
    "bz-5level",
    "error",
    "The kernel can leave five-level paging",
    "A kernel without it dies in its first instructions when the host runs with five levels.",
    ("images", "la57"),
    KERNEL_DOC,
    anchor="kernel (kexec_file_load)",
)
def bz_5level(case: Case) -> Iterator[Outcome]:
    def check(where: str, header: Header, _facts: Dict[str, Any]) -> Optional[str]:
        if not case.fact("la57") or header["xloadflags"] & setup_header.XLF_5LEVEL:
            return None
        return "this host runs with five-level paging, which {0} cannot leave.".format(where)

    return _each_bzimage(case, check, "use a kernel built with CONFIG_X86_5LEVEL, or boot the host with no5lvl")


@rule(
    "bz-truncated",
    "error",
    "The kernel file is complete",
    "A truncated copy boots into garbage.",
    ("images",),
    KERNEL_DOC,
    anchor="kernel (in part)",
)
def bz_truncated(case: Case) -> Iterator[Outcome]:
    def check(where: str, header: Header, facts: Dict[str, Any]) -> Optional[str]:
        there = facts["size"] - header["setup_size"]
        promised = header["syssize"] * 16
        # syssize counts paragraphs of 16 bytes, rounded up.
        if there > 0 and promised < there + 16:
            return None
        return "{0} is truncated: its header promises {1} bytes of kernel behind {2} of setup code, and the file has {3} in all.".format(
            where, promised, header["setup_size"], facts["size"]
        )

    yield from _each_bzimage(case, check, "copy the kernel again")
    for name, image in sorted(case.layout["images"].items()):
        known = case.file(image["kernel"]["path"])
        if known and known["kind"] == "bzimage" and not known["header"]:
            message = "{0} is truncated: it ends inside its setup header ({1} bytes).".format(image["kernel"]["path"], known["size"])
            yield fail(message, ("images", name, "kernel"), "copy the kernel again")


@rule(
    "bz-payload",
    "error",
    "A kernel that is unpacked here can be unpacked",
    "With format: vmlinux the loader unpacks the bzImage, and must know its compression.",
    ("images",),
    KERNEL_DOC,
    anchor="kerf 0.4.0",
)
def bz_payload(case: Case) -> Iterator[Outcome]:
    unpacked = {image["kernel"]["path"] for image in case.layout["images"].values() if image["format"] == "vmlinux"}

    def check(where: str, header: Header, facts: Dict[str, Any]) -> Optional[str]:
        end = header["setup_size"] + header["payload_offset"] + header["payload_length"]
        if facts["size"] < header["setup_size"] + header["syssize"] * 16 - 15:
            return None  # truncated, which bz-truncated tells
        if end > facts["size"]:
            return "{0} is truncated: its payload ends at {1}, the file at {2}.".format(where, end, facts["size"])
        if where in unpacked and header.get("payload") not in UNPACKERS:
            return "{0} has a payload that cannot be unpacked here ({1}).".format(where, header.get("payload") or "unknown compression")
        return None

    return _each_bzimage(case, check, "use format: bzimage, which lets the kernel unpack itself, or copy the kernel again")


@rule(
    "bz-relocatable",
    "error",
    "The kernel is relocatable",
    "A kernel that is not jumps to its preferred address, which is the host's memory.",
    ("images",),
    KERNEL_DOC,
)
def bz_relocatable(case: Case) -> Iterator[Outcome]:
    def check(where: str, header: Header, _facts: Dict[str, Any]) -> Optional[str]:
        if header["relocatable_kernel"]:
            return None
        return "{0} is not relocatable and would run at 0x{1:x}, which is the host's memory.".format(where, header["pref_address"])

    return _each_bzimage(case, check, "use a kernel built with CONFIG_RELOCATABLE")


@rule("bz-align-sane", "error", "The kernel's alignment makes sense", "No address fits an impossible alignment.", ("images",), KERNEL_DOC)
def bz_align_sane(case: Case) -> Iterator[Outcome]:
    def check(where: str, header: Header, _facts: Dict[str, Any]) -> Optional[str]:
        alignment = header["kernel_alignment"]
        if alignment and not alignment & (alignment - 1) and alignment >= 1 << header["min_alignment"] and header["init_size"]:
            return None
        return "{0} has a damaged header: kernel_alignment 0x{1:x}, min_alignment 2^{2}, init_size 0x{3:x}.".format(
            where, alignment, header["min_alignment"], header["init_size"]
        )

    return _each_bzimage(case, check, "copy the kernel again")


@rule(
    "bz-init-fits",
    "error",
    "A bzImage has room to unpack itself",
    "The kernel uses init_size bytes before it reads its memory map, and overruns the neighbour when they are not there.",
    ("images",),
    KERNEL_DOC + ", init_size",
)
def bz_init_fits(case: Case) -> Iterator[Outcome]:
    return _kernel_fits(case, ("bzimage",))


@rule(
    "elf-load-fits",
    "error",
    "The segments of a vmlinux or flat payload fit",
    "Segments beyond the instance's memory overwrite the neighbour.",
    ("images",),
)
def elf_load_fits(case: Case) -> Iterator[Outcome]:
    return _kernel_fits(case, ("vmlinux", "flat"))


def _each_bzimage(case: Case, check: Callable[[str, Header, Dict[str, Any]], Optional[str]], hint: str) -> Iterator[Outcome]:
    unseen: List[str] = []
    for name, image in sorted(case.layout["images"].items()):
        where = image["kernel"]["path"]
        facts = case.file(where)
        if image["format"] == "flat":
            continue
        if facts is None:
            unseen.append(where)
        elif facts["kind"] == "bzimage" and facts["header"] and facts["size"] and facts["regular"]:
            message = check(where, facts["header"], facts)
            if message:
                yield fail(message, ("images", name, "kernel"), hint)
    if unseen:
        yield unknown("{0} has not been looked into.".format(", ".join(unseen)), ("images",))


def _kernel_fits(case: Case, kinds: Tuple[str, ...]) -> Iterator[Outcome]:
    ends: Dict[str, int] = {}
    for image, declared in sorted(case.layout["images"].items()):
        if declared["format"] != "auto" and declared["format"] not in kinds:
            continue
        where = declared["kernel"]["path"]
        facts = case.file(where)
        if facts is None:
            yield unknown("how much memory {0} needs is not known.".format(where), ("images", image, "kernel"))
        elif ("flat" if declared["format"] == "flat" else facts["kind"]) in kinds:
            end = image_size.kernel_end(case, image, image_size.ANY_BASE)
            if end is not None:
                ends[image] = end
    moving = image_size.moving(case)
    for name in case.those(lambda one: one["memory"]["size"] < ends.get(one["image"], 0) or one["image"] in moving & set(ends)):
        instance = case.instances[name]
        size, end = instance["memory"]["size"], image_size.of_instance(case, name, False) or 0
        if end > size > (memory_map.KERNEL if case.is_linux(name) else memory_map.FLAT):  # what is smaller is told by mem-head
            message = "{0} has {1}, but {2} needs {3} from its start.".format(
                name,
                units.format_size(size),
                case.layout["images"][instance["image"]]["kernel"]["path"],
                units.format_size(-(-end // (1 << 20)) << 20),
            )
            yield fail(message, at_memory(name) + ("size",), "give it more memory")
