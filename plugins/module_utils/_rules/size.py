# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""How much memory an image needs: the same sum that the loader makes, before anything is loaded."""

from __future__ import annotations

from typing import Optional

from .._boot import assemble
from .case import Case


def kernel_end(case: Case, name: str) -> Optional[int]:
    """Return the bytes from an instance's base to the end of its running kernel; None when its file is not known or no kernel.

    For a bzImage init_size counts from the runtime start, which is the load address rounded up to kernel_alignment, and not
    below pref_address (Documentation/arch/x86/boot.rst). A bzImage that is unpacked by the loader needs no more than that.
    """
    image, facts = case.image(name), case.kernel_file(name)
    if not image or not facts:
        return None
    if image["format"] == "flat" or facts["kind"] == "flat":
        return assemble.FLAT + _up(facts["size"], assemble.PAGE)
    if facts["kind"] == "vmlinux" and facts["elf"]:
        end: Optional[int] = facts["elf"]["end"]
        return end
    header = facts["header"]
    if facts["kind"] != "bzimage" or not header or not header.get("kernel_alignment"):
        return None
    base = _base(case, name)
    load = base + assemble.KERNEL
    start = max(_up(load, header["kernel_alignment"]), header["pref_address"])
    code = facts["size"] - header["setup_size"]
    return int(max(start + header["init_size"], load + code) - base)


def needed(case: Case, name: str) -> Optional[int]:
    """Return the bytes that an instance's kernel and initrd need together; None when not known."""
    end = kernel_end(case, name)
    image = case.image(name)
    if end is None or image is None or image["initrd"] is None:
        return end
    initrd = case.file(image["initrd"]["path"])
    if initrd is None or not initrd["exists"]:
        return None
    return end + _up(initrd["size"], assemble.INITRD_ALIGNMENT)


def _base(case: Case, name: str) -> int:
    instance = case.instances[name]
    base: Optional[int] = (instance.get("placed") or instance["memory"])["base"]
    # Any base above pref_address (16 MiB in stock kernels) and aligned gives the same distance.
    return 1 << 32 if base is None else base


def _up(value: int, to: int) -> int:
    return -(-value // to) * to
