# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in the peer's own environment: times its validator on trees of N instances of one CPU and 64 MiB each, all of them valid.

The memory map that it looks the pool up in is that of this machine, which has no multikernel pool; it is given the pool of the
tree instead, so that it judges a layout in which it finds nothing wrong. Prints JSON.
"""

from __future__ import annotations

import json
import statistics
import sys
import time

from kerf.dtc import validator as peer  # type: ignore[import-not-found]
from kerf.models import (  # type: ignore[import-not-found]
    CPUAllocation,
    GlobalDeviceTree,
    HardwareInventory,
    Instance,
    InstanceResources,
    MemoryAllocation,
    PoolMemoryRegion,
)

BASE, SIZE = 0x1_0000_0000, 64 << 20


def tree(count: int) -> GlobalDeviceTree:
    """The same amount of instances, CPUs and memory as in our layout."""
    cpus = CPUAllocation(total=count + 1, host_reserved=[0], available=list(range(1, count + 1)))
    memory = MemoryAllocation(total_bytes=0, host_reserved_bytes=0, regions=[PoolMemoryRegion(BASE, count * SIZE)])
    instances = {
        f"i{number:05}": Instance(f"i{number:05}", number + 1, InstanceResources([number + 1], BASE + number * SIZE, SIZE, []))
        for number in range(count)
    }
    return GlobalDeviceTree(HardwareInventory(cpus, memory, devices={}), instances, {})


def main() -> int:
    runs, counts = int(sys.argv[1]), [int(one) for one in sys.argv[2:]]
    told = {}
    for count in counts:
        subject = tree(count)
        peer.get_pool_chunks_from_iomem = lambda chunks=((BASE, count * SIZE),): list(chunks)
        walls, cpus = [], []
        for _run in range(runs + 1):
            wall, cpu = time.perf_counter(), time.process_time()
            result = peer.MultikernelValidator().validate(subject)
            walls.append((time.perf_counter() - wall) * 1000)
            cpus.append((time.process_time() - cpu) * 1000)
        told[str(count)] = {
            "median": round(statistics.median(walls[1:]), 3),
            "best": round(min(walls[1:]), 3),
            "cpu": round(statistics.median(cpus[1:]), 3),
            "runs": runs,
            "valid": result.is_valid,
            "errors": result.errors[:2],
        }
    json.dump({"milliseconds": told}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
