# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""How much memory an image needs: the same sum that the loader makes, before anything is loaded."""

from __future__ import annotations

from typing import Optional, Set

from .._boot import memory_map
from .case import Case

# An address that every kernel can be put at without any rounding.
ANY_BASE = 1 << 32


def kernel_end(case: Case, image: str, base: int) -> Optional[int]:
    """Return the bytes from an instance's base to the end of its running kernel; None when its file is not known or no kernel.

    image: the name of a declared image. For a bzImage init_size counts from the runtime start, which is the load address rounded up
    to kernel_alignment, and not below pref_address (Documentation/arch/x86/boot.rst); so the base matters. A bzImage that is unpacked
    by the loader needs no more than that.
    """
    declared = case.layout["images"][image]
    facts = case.file(declared["kernel"]["path"])
    if not facts:
        return None
    if declared["format"] == "flat" or facts["kind"] == "flat":
        return memory_map.FLAT + _up(facts["size"], memory_map.PAGE)
    if facts["kind"] == "vmlinux" and facts["elf"]:
        end: Optional[int] = facts["elf"]["end"]
        return end
    header = facts["header"]
    if facts["kind"] != "bzimage" or not header or not header.get("kernel_alignment"):
        return None
    load = base + memory_map.KERNEL
    start = max(_up(load, header["kernel_alignment"]), header["pref_address"])
    code = facts["size"] - header["setup_size"]
    return int(max(start + header["init_size"], load + code) - base)


def needed(case: Case, image: str, base: int) -> Optional[int]:
    """Return the bytes that an image's kernel and initrd need together; None when not known."""
    end = kernel_end(case, image, base)
    initrd = case.layout["images"][image]["initrd"]
    if end is None or initrd is None:
        return end
    facts = case.file(initrd["path"])
    if facts is None or not facts["exists"]:
        return None
    return end + _up(facts["size"], memory_map.INITRD_ALIGNMENT)


def of_instance(case: Case, name: str, initrd: bool) -> Optional[int]:
    """Return what kernel_end() or (with the initrd) needed() tells at the base that an instance has, or at any when it has none yet."""
    instance = case.instances[name]
    base = (instance.get("placed") or instance["memory"])["base"]
    return (needed if initrd else kernel_end)(case, instance["image"], ANY_BASE if base is None else base)


def moving(case: Case) -> Set[str]:
    """Return the images whose needs depend on where they are put: a kernel that wants more than 2 MiB of alignment is moved up."""
    found = set()
    for name, image in case.layout["images"].items():
        header = (case.file(image["kernel"]["path"]) or {}).get("header") or {}
        if (header.get("kernel_alignment") or 0) > memory_map.BASE_ALIGNMENT or (header.get("pref_address") or 0) > memory_map.KERNEL:
            found.add(name)
    return found


def _up(value: int, to: int) -> int:
    return -(-value // to) * to
