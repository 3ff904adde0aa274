# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause

"""The setup_header of a bzImage: its fields, and the sentence that says why a kernel cannot be booted.

Source: Documentation/arch/x86/boot.rst ("The Linux/x86 Boot Protocol"), fields by their names there, and the order of refusal of
bzImage64_probe() in arch/x86/kernel/kexec-bzimage64.c.
"""

from __future__ import annotations

import struct
from typing import Any, Dict, Optional

START = 0x1F1
"""Offset of the setup_header in the file, and of the same bytes in boot_params."""

SECTOR = 512
MAGIC = 0x53726448  # "HdrS"
BOOT_FLAG = 0xAA55
MIN_VERSION = 0x020C

LOADED_HIGH = 0x01
XLF_KERNEL_64 = 0x01
XLF_CAN_BE_LOADED_ABOVE_4G = 0x02
XLF_5LEVEL = 0x20

# name -> (offset in the file, struct format)
_FIELDS = {
    "setup_sects": (0x1F1, "<B"),
    "syssize": (0x1F4, "<I"),
    "boot_flag": (0x1FE, "<H"),
    "header": (0x202, "<I"),
    "version": (0x206, "<H"),
    "loadflags": (0x211, "<B"),
    "initrd_addr_max": (0x22C, "<I"),
    "kernel_alignment": (0x230, "<I"),
    "relocatable_kernel": (0x234, "<B"),
    "min_alignment": (0x235, "<B"),
    "xloadflags": (0x236, "<H"),
    "cmdline_size": (0x238, "<I"),
    "payload_offset": (0x248, "<I"),
    "payload_length": (0x24C, "<I"),
    "pref_address": (0x258, "<Q"),
    "init_size": (0x260, "<I"),
    "kernel_info_offset": (0x268, "<I"),
}
_NEEDED = 0x26C  # one past the last field that is read


def looks_like(head: bytes) -> bool:
    """True when the first bytes of a file carry the "HdrS" signature of a Linux/x86 boot image."""
    return len(head) >= 0x206 and struct.unpack_from("<I", head, 0x202)[0] == MAGIC


def parse(head: bytes) -> Dict[str, Any]:
    """Read the setup_header from the first bytes of a bzImage.

    *head* holds at least the boot sector and the setup code (64 KiB are always enough). Fields keep their names and raw values;
    added are `kernel_version` (text or None) and `setup_size` (bytes before the protected-mode code). Raises ValueError with a
    sentence when *head* is too short to hold the header. Values are not judged here: see refusal().
    """
    if len(head) < _NEEDED:
        raise ValueError("the file ends before the setup header does: %d bytes, at least %d are needed" % (len(head), _NEEDED))
    fields: Dict[str, Any] = {name: struct.unpack_from(form, head, offset)[0] for name, (offset, form) in _FIELDS.items()}
    # boot.rst: "for backwards compatibility, if the setup_sects field contains 0, the real value is 4"
    fields["setup_size"] = ((fields["setup_sects"] or 4) + 1) * SECTOR
    fields["kernel_version"] = _kernel_version(head, fields["setup_size"])
    return fields


def raw(head: bytes) -> bytes:
    """The bytes of the setup_header, to be copied to offset START of boot_params; their end is told by the jump at 0x200."""
    return bytes(head[START : 0x202 + head[0x201]])


def refusal(fields: Dict[str, Any], file_size: int, host_la57: bool = False) -> Optional[str]:
    """Why the kernel's own loader would refuse this bzImage, as a sentence; None when it would take it.

    The tests run in the order of the kernel's kexec loader, then come those that it leaves out: completeness of the file and
    placement. *file_size* in bytes; *host_la57*: the host runs with 5-level paging.
    """
    if file_size < 2 * SECTOR:
        return "the file is too short for a kernel: %d bytes, a bzImage has more than %d" % (file_size, 2 * SECTOR)
    if fields["header"] != MAGIC:
        return "there is no 'HdrS' signature at offset 0x202: this is no bzImage"
    if fields["boot_flag"] != BOOT_FLAG:
        return "the boot flag at offset 0x1fe is 0x%04x, not 0xaa55: the boot sector is damaged" % fields["boot_flag"]
    if fields["version"] < MIN_VERSION:
        return "it speaks boot protocol %s; 2.12 or newer (Linux 3.8) is needed" % protocol(fields["version"])
    if not fields["loadflags"] & LOADED_HIGH:
        return "it is a zImage, which loads below 1 MiB; a bzImage is needed"
    if not fields["xloadflags"] & XLF_KERNEL_64:
        return "it is a 32-bit kernel without a 64-bit entry point; an x86_64 kernel is needed"
    if not fields["xloadflags"] & XLF_CAN_BE_LOADED_ABOVE_4G:
        return "it cannot be loaded above 4 GiB (xloadflags 0x%x); a kernel built with CONFIG_RELOCATABLE is needed" % fields["xloadflags"]
    if host_la57 and not fields["xloadflags"] & XLF_5LEVEL:
        return "the host runs with 5-level paging, which this kernel cannot leave; it needs CONFIG_X86_5LEVEL, or the host no5lvl"
    return _incomplete(fields, file_size) or _misplaced(fields)


def protocol(version: int) -> str:
    """A boot protocol version the way people write it: 0x020f is "2.15"."""
    return "%d.%02d" % (version >> 8, version & 0xFF)


def _incomplete(fields: Dict[str, Any], file_size: int) -> Optional[str]:
    rest = file_size - fields["setup_size"]
    if rest <= 0:
        return "the file is truncated: %d bytes, the setup code alone has %d" % (file_size, fields["setup_size"])
    wanted = fields["syssize"] * 16
    # syssize counts 16-byte paragraphs, rounded up: the last one may be cut
    if wanted >= rest + 16:
        return "the file is truncated: the header promises %d bytes of kernel, %d are there" % (wanted, rest)
    if fields["payload_offset"] + fields["payload_length"] > rest:
        return "the file is truncated: its payload ends at %d, the kernel's code at %d" % (
            fields["payload_offset"] + fields["payload_length"],
            rest,
        )
    return None


def _misplaced(fields: Dict[str, Any]) -> Optional[str]:
    alignment = fields["kernel_alignment"]
    if not fields["relocatable_kernel"]:
        return (
            "it is not relocatable and would run at 0x%x, which is somebody else's memory; CONFIG_RELOCATABLE is needed"
            % (fields["pref_address"])
        )
    if alignment == 0 or alignment & (alignment - 1):
        return "its kernel_alignment 0x%x is no power of two: the header is damaged" % alignment
    if alignment < 1 << fields["min_alignment"]:
        return "its kernel_alignment 0x%x is below its min_alignment 0x%x: the header is damaged" % (
            alignment,
            1 << fields["min_alignment"],
        )
    if not fields["init_size"]:
        return "its init_size is 0, so the memory that it needs is not known: the header is damaged"
    return None


def _kernel_version(head: bytes, setup_size: int) -> Optional[str]:
    pointer = struct.unpack_from("<H", head, 0x20E)[0]
    # valid only below setup_sects * 0x200; boot.rst, "kernel_version"
    if not pointer or pointer >= setup_size - SECTOR:
        return None
    text = head[pointer + 0x200 : pointer + 0x200 + 256].split(b"\0", 1)[0]
    return text.decode("ascii", "replace") or None
