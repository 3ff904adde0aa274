# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Layouts and a machine that the tests of the controller ring share."""

from __future__ import annotations

import copy
import pathlib
import typing as t

import pytest

GOOD: dict[str, t.Any] = {
    "version": 1,
    "name": "edge-box",
    "host": {"cpus": "0-1", "memory_min": "1GiB"},
    "pool": {"memory": [{"base": 0x40000000, "size": "512MiB"}]},
    "images": {
        "debian": {"kernel": {"path": "/boot/vmlinuz"}, "initrd": "/srv/web.cpio.gz", "cmdline": "quiet"},
        "tiny": {"kernel": "/srv/tiny.bin", "format": "flat"},
    },
    "instances": {
        "web": {
            "image": "debian",
            "cpus": {"count": 1},
            "memory": "256MiB",
            "console": {"device": "ttyS1"},
            "health": {"channel": "beat", "within": "30s"},
            "trust": "public",
        },
        "rt": {"image": "tiny", "cpus": "3", "memory": "16MiB", "trust": "private"},
    },
    "channels": {
        "beat": {"between": ["host", "web"]},
        "feed": {"between": ["web", "rt"], "kind": "shared_memory", "size": "2MiB", "writer": "web"},
    },
    "waivers": {"sec-one-trust": "a machine to try things on"},
}


@pytest.fixture
def good() -> dict[str, t.Any]:
    """A layout without fault, as people write it."""
    return copy.deepcopy(GOOD)


@pytest.fixture(scope="session")
def top() -> pathlib.Path:
    """The top of the collection."""
    return next(folder for folder in pathlib.Path(__file__).resolve().parents if (folder / "galaxy.yml").exists())


@pytest.fixture
def machine() -> dict[str, t.Any]:
    """The facts bundle of a machine with four CPUs that share one cache, 3 GiB of memory, and mkstock."""
    each = {
        str(number): {
            "apic_id": number,
            "package": 0,
            "core": number,
            "siblings": [number],
            "llc": [0, 1, 2, 3],
            "node": 0,
            "offlinable": number > 0,
            "flags": "a",
            "microcode": "1",
        }
        for number in range(4)
    }
    ram = [(0x1000, 0x9FBFF), (0x100000, 0x7FFFFFFF), (0x100000000, 0x13FFFFFFF)]
    return {
        "version": 1,
        "hostname": "box",
        "boot_id": "b",
        "kernel": {"release": "6.1.0-56-amd64", "version": "#1 SMP", "cmdline": "quiet no_ipi_broadcast=1"},
        "cpus": {"present": [0, 1, 2, 3], "online": [0, 1, 2, 3], "possible": [0, 1, 2, 3], "boot": 0, "each": each},
        "memory": {
            "total": 3 << 30,
            "block_size": 128 << 20,
            "blocks": [{"number": number, "state": "online", "node": 0} for number in [*range(16), *range(32, 40)]],
            "iomem": [{"start": start, "end": end, "name": "System RAM", "depth": 0} for start, end in ram],
            "low": [[0x10000, 0x10000], [0x20000, 0x10000], [0x30000, 0x10000]],
        },
        "kexec": {"load_disabled": False, "limit_reboot": -1, "crash_loaded": False},
        "lockdown": "none",
        "privileged": True,
        "dialect": {"name": "rfc", "provider": "mkstock", "strict": False, "pool": [], "channels": True},
        "tsc": {"khz": 2000000, "constant": True, "nonstop": True, "clocksource": "tsc"},
        "uarts": [{"device": f"ttyS{number}", "port": port, "irq": 4} for number, port in enumerate((0x3F8, 0x2F8, 0x3E8, 0x2E8))],
        "la57": False,
        "virtualization": "qemu",
        "images": {},
    }
