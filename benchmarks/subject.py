# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured: a layout of any number of instances, and a constructed machine that can carry it.

The layout fits but for one thing: a real instance has no CPU with an APIC id above 254, and of thousands of CPUs most have one,
which the rule cpu-x2apic says of each of them. A quarter of the instances names its CPU, the others ask for one; every eighth has
a fixed base; one in ten has a channel to the host. Memory below 1 MiB is enough for eight Linux kernels, the rest are flat payloads.
"""

from __future__ import annotations

from typing import Any

Plain = dict[str, Any]

MIB = 1 << 20
GIB = 1 << 30
SIZE = 64 * MIB
POOL = 0x1_0000_0000
EXPECTED = frozenset({"cpu-x2apic"})
LINUX = 8  # kernels that find 64 KiB of their own below 1 MiB
CORES = 64  # CPUs of one socket
#: The setup header of Debian 12's kernel, as far as rules look at it.
HEADER = {
    "setup_sects": 39,
    "setup_size": 40 * 512,
    "syssize": 8 * MIB // 16,
    "boot_flag": 0xAA55,
    "header": 0x53726448,
    "version": 0x020F,
    "loadflags": 1,
    "initrd_addr_max": 0x7FFFFFFF,
    "kernel_alignment": 2 * MIB,
    "relocatable_kernel": 1,
    "min_alignment": 21,
    "xloadflags": 0x7F,
    "cmdline_size": 2047,
    "payload_offset": 0x400,
    "payload_length": 7 * MIB,
    "payload": "xz",
    "pref_address": 16 * MIB,
    "init_size": 40 * MIB,
    "kernel_version": "6.1.0-56-amd64",
}


def layout(count: int) -> Plain:
    """A layout of `count` instances as people write it, with one CPU and 64 MiB each (what the peer's figures were taken with)."""
    instances: Plain = {}
    channels: Plain = {}
    for number in range(count):
        name = f"i{number:05}"
        linux = number < min(LINUX, count // 2)
        one: Plain = {"image": "debian" if linux else "payload", "memory": "64MiB", "cpus": {"count": 1}}
        if number % 4 == 3:
            one["cpus"] = str(number + 1)
        if number % 8 == 5:
            one["memory"] = {"size": "64MiB", "base": POOL + number * SIZE}
        if number % 10 == 0:
            channels[f"c{number:05}"] = {"between": ["host", name]}
            one["health"] = {"channel": f"c{number:05}", "within": "5s"}
        instances[name] = one
    return {
        "version": 1,
        "name": f"bench-{count}",
        "host": {"cpus": "0", "memory_min": "1GiB"},
        "pool": {"memory": [{"base": POOL, "size": pool_size(count)}]},
        "images": {
            "debian": {"kernel": "/boot/vmlinuz", "initrd": "/srv/instance.cpio.gz", "cmdline": "quiet"},
            "payload": {"kernel": "/srv/payload.bin", "format": "flat"},
        },
        "instances": instances,
        "channels": channels,
    }


def pool_size(count: int) -> int:
    """Bytes for all instances and their channels, in whole GiB."""
    wanted = count * SIZE + (count // 10 + 1) * MIB
    return -(-wanted // GIB) * GIB


def facts(count: int) -> Plain:
    """The facts bundle of a machine with one CPU more than there are instances; the pool is reserved on its command line."""
    cpus = list(range(count + 1))
    each = {}
    for number in cpus:
        socket = number // CORES
        llc = list(range(socket * CORES, min((socket + 1) * CORES, count + 1)))
        each[str(number)] = {
            "apic_id": number % CORES + socket * 2 * CORES,  # sparse, as on every machine with more than one socket
            "package": socket,
            "core": number % CORES,
            "siblings": [number],
            "llc": llc,
            "node": 0,
            "offlinable": number > 0,
            "flags": "f" * 64,
            "microcode": "0x1000065",
        }
    end = POOL + pool_size(count)
    return {
        "version": 1,
        "hostname": "bench",
        "boot_id": "00000000-0000-4000-8000-000000000000",
        "kernel": {
            "release": "6.1.0-56-amd64",
            "version": "#1 SMP",
            "cmdline": f"no_ipi_broadcast=1 memmap=576K$0x10000 memmap={pool_size(count) >> 30}G$0x{POOL:x}",
        },
        "cpus": {"present": cpus, "online": cpus, "possible": cpus, "boot": 0, "each": each},
        "memory": {
            "total": 4 * GIB,
            "block_size": 128 * MIB,
            "blocks": [{"number": number, "state": "online", "node": 0} for number in range(24)],
            "iomem": [
                {"start": 0x1000, "end": 0xFFFF, "name": "System RAM", "depth": 0},
                {"start": 0x10000, "end": 0x9FFFF, "name": "Reserved", "depth": 0},
                {"start": 0x100000, "end": 0xBFFFFFFF, "name": "System RAM", "depth": 0},
                {"start": 0xFEE00000, "end": 0xFEE00FFF, "name": "Local APIC", "depth": 0},
                {"start": POOL, "end": end - 1, "name": "Reserved", "depth": 0},
                {"start": end, "end": end + GIB - 1, "name": "System RAM", "depth": 0},
            ],
            "low": [[0x10000, 0x90000]],
        },
        "kexec": {"load_disabled": False, "limit_reboot": -1, "crash_loaded": False},
        "lockdown": "none",
        "privileged": True,
        "dialect": {"name": "rfc", "provider": "mkstock", "strict": False, "pool": [[POOL, end - POOL]], "channels": True},
        "tsc": {"khz": 2596136, "constant": True, "nonstop": True, "clocksource": "tsc"},
        "uarts": [{"device": "ttyS0", "port": 0x3F8, "irq": 4}],
        "la57": False,
        "virtualization": None,
        "images": {
            "/boot/vmlinuz": _image("bzimage", 8 * MIB + 40 * 512, HEADER),
            "/srv/instance.cpio.gz": _image("initrd", 3 * MIB),
            "/srv/payload.bin": _image("flat", 4096),
        },
    }


def _image(kind: str, size: int, header: Plain | None = None) -> Plain:
    """What the image inspection would tell of a sound file."""
    return {
        "exists": True,
        "regular": True,
        "size": size,
        "sha256": "5" * 64,
        "kind": kind,
        "error": None,
        "header": header,
        "elf": None,
    }
