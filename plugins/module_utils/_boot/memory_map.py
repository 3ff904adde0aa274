# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Where everything of one instance lies in its memory: offsets from its base, in bytes.

base + 0x0000000  mailbox                       E820 reserved
     + 0x0001000  ACPI tables
     + 0x0002000  stand-in for the IO-APIC
     + 0x0003000  entry stub; its stack ends at + 0x4000
     + 0x0008000  the console's rings, laid out by the host's kernel before the start
     + 0x0010000  boot_params                   E820 RAM from here on
     + 0x0011000  command line
     + 0x0020000  the stub's page tables        E820 reserved for a flat payload, which has no others
     + 0x0200000  flat payload (entry), or
     + 0x1000000  protected-mode code of a bzImage (entry + 0x200); a vmlinux goes to its p_paddr + base
     top          initrd, rounded down to 1 MiB
low               64 KiB below 1 MiB for Linux's own real-mode code; with base >= 4 GiB its last page is the IO-APIC's stand-in
"""

from __future__ import annotations

PAGE = 4096
BASE_ALIGNMENT = 1 << 21
LOW_SIZE = 0x10000
LOW_LIMIT = 0xA0000
FOUR_GIB = 1 << 32

ACPI = 0x1000
IO_APIC = 0x2000
STUB = 0x3000
STACK = 0x4000
HEAD = 0x10000
BOOT_PARAMS = 0x10000
COMMAND_LINE = 0x11000
TABLES = 0x20000
TABLES_END = 0x30000
FLAT = 0x200000
KERNEL = 0x1000000
ENTRY_64 = 0x200
INITRD_ALIGNMENT = 1 << 20

DEFAULT_CMDLINE_SIZE = 2047  # of a kernel that names none (boot protocol, cmdline_size)
