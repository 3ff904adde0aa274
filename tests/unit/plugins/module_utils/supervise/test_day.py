# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A day of supervision on a simulated host, second by second, in which instances die again and again: nothing grows, nobody stays down.

`make soak` simulates the day, `make test` four hours of it.
"""

from __future__ import annotations

import gc
import io
import os
import pathlib
import random
from functools import partial

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._converge import run
from ansible_collections.multikernel.core.plugins.module_utils._supervise import loop, mortem
from ansible_collections.multikernel.core.plugins.module_utils._supervise.core import CAP
from ansible_collections.multikernel.core.plugins.module_utils._supervise.notify import Systemd
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import Machine, instance
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated_kernfs import KernfsKernel

HOURS = 24 if os.environ.get("MULTIKERNEL_LONG") else 4
NAMES = ("web", "db")
EVERY = 200  # seconds between two deaths, on average


def taken(root):
    """What this process and the folder of the host hold now: KiB in memory, open files, files below the root and their bytes."""
    gc.collect()
    resident = int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
    files = [path for path in pathlib.Path(root).rglob("*") if path.is_file()]
    return resident, len(os.listdir("/proc/self/fd")), len(files), sum(path.stat().st_size for path in files)


@pytest.mark.parametrize("kind", [Machine, partial(Machine, strict=True), KernfsKernel], ids=["rfc", "strict", "kernfs"])
def test_a_day(kind, tmp_path):
    machine, log, chance = kind(tmp_path), io.StringIO(), random.Random(20)
    health = {"channel": None, "within": 5.0}
    instances = {name: instance(restart="always", health=health) for name in NAMES}
    run.apply(simulated.layout(instances=instances, channels={}), system=machine)
    supervisor = loop.Supervisor(machine, Systemd({}, log), run.Options(lock_timeout=0.2))
    deaths, held, longest, down = 0, [], 0, dict.fromkeys(NAMES, 0)
    for second in range(HOURS * 3600):
        supervisor.turn()
        machine.sleep(1.0)
        alive = {name for name, one in supervisor.core.entries.items() if one.alive}
        down = {name: 0 if name in alive else down[name] + 1 for name in NAMES}
        longest = max(longest, *down.values())
        if chance.random() < 1 / EVERY:
            name = chance.choice(sorted(alive) or [""])
            if name:
                machine.end(name, *chance.choice([(3, "Kernel panic"), (4, "halted")]))
                deaths += 1
        if second % 1800 == 1799:
            log.truncate(log.seek(0))  # it is systemd that keeps it
            held.append(taken(machine.root))
    for _turn in range(400):
        supervisor.turn()
        machine.sleep(1.0)
    restarts = sum(one.restarts for one in supervisor.core.entries.values())
    print(f"{HOURS} h: {deaths} deaths, {restarts} restarts, down for {longest} s at most; KiB, open files, files, bytes: {held}")
    assert deaths > HOURS * 3600 / EVERY / 3
    assert restarts == deaths
    assert all(one.alive for one in supervisor.core.entries.values())
    assert longest <= CAP + 10  # seconds: the longest pause, and what it takes until death and restart are seen
    assert machine.harm == []
    assert len(mortem.listed(machine.root)) <= len(NAMES) * mortem.KEEP
    # half a day each, in which the journal fills and is written anew; of a short run what there is
    early, late = held[: len(held) // 2], held[len(held) // 2 :]
    memory, files, count, size = ([max(one[what] for one in part) for part in (early, late)] for what in range(4))
    assert files[0] == files[1], "open files"
    assert memory[1] - memory[0] < (1 if HOURS == 24 else 4) * 1024, "KiB; the journal is read at once"
    assert count[1] - count[0] <= (0 if HOURS == 24 else 2 * mortem.KEEP * 3), "files"
    assert size[1] < 1 << 20, "bytes"
