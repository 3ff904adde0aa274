# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same change over and over on a machine that runs second kernels: nothing grows, and the neighbour of what changes runs on.

`make soak` does it 200 and 1,000 times, `make test` often enough to see that it can be done.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from pathlib import Path

import pytest
from faulty import Machine

TOP = Path(__file__).resolve().parents[2]
LONG = bool(os.environ.get("MULTIKERNEL_LONG"))
CYCLES, RESTARTS = (200, 1000) if LONG else (3, 5)
RING = "/root/ring"
# What may be taken more in the last quarter of the rounds than in the second one, by nothing but chance. A process whose first rounds
# these are grows until it has done everything once; the journal grows until it is written anew.
SLACK = {"process_kib": 512 if LONG else 4096, "slab_kib": 2048, "vmalloc_kib": 512, "books": 512 << 10}
LOST = 16 * 1024  # KiB of available memory: what the kernel's caches may do is more than what anything of ours takes


@pytest.fixture(scope="module")
def machine(host):
    made = Machine(host, TOP / "molecule/shared/layouts/faults.yml")
    made.whole()
    inside = f"{RING}/ansible_collections/multikernel/core/plugins"
    host.check_output(f"rm -rf {RING} && mkdir -p {inside}")
    copy = ["scp", "-q", "-r", "-F", f"{os.environ['LAB_FOLDER']}/ssh_config"]
    name = host.backend.get_pytest_id().rpartition("/")[2]
    for what, where in ((TOP / "plugins/module_utils", f"{inside}/"), (Path(__file__).with_name("over_and_over.py"), "/root/")):
        subprocess.run([*copy, str(what), f"{name}:{where}"], check=True, timeout=120)
    return made


@pytest.fixture
def applied(machine):
    """Begins with the layout, and ends with nothing there."""
    machine.apply()
    yield machine
    machine.absent()


def flat(host, what: str, count: int) -> None:
    """Do it so often, and hold what it takes to what it took before."""
    done = host.run(f"python3 /root/over_and_over.py {RING} {what} {count}")
    assert done.rc == 0, done.stdout + done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    samples = told["samples"]
    assert samples[-1]["round"] == count
    print(f"{what}: {count} times, {told['seconds'] / count:.2f} s each")
    quarter = len(samples) // 4
    early, late = (samples[quarter : 2 * quarter], samples[-quarter:]) if quarter else (samples[:1], samples[-1:])
    before, after = ({key: statistics.median(one[key] for one in part) for key in samples[0]} for part in (early, late))
    for key in samples[0]:
        print(f"  {key}: {samples[0][key]} at first, {before[key]:g} early, {after[key]:g} late, {samples[-1][key]} at last")
    assert (after["files"], after["threads"]) == (before["files"], before["threads"])
    grown = {key: after[key] - before[key] for key in SLACK if after[key] - before[key] > SLACK[key]}
    assert not grown, f"it grew from round {early[0]['round']} to round {late[0]['round']}: {grown}"
    assert before["available_kib"] - after["available_kib"] < LOST


def test_a_layout_is_applied_and_taken_back_over_and_over(applied):
    flat(applied.host, "layout", CYCLES)


def test_an_instance_is_restarted_over_and_over(applied):
    look = "cat /var/lib/multikernel/state.json"
    before = json.loads(applied.host.check_output(look))["instances"]
    flat(applied.host, "restart", RESTARTS)
    after = json.loads(applied.host.check_output(look))["instances"]
    assert after["one"]["nonce"] != before["one"]["nonce"]
    assert after["two"]["nonce"] == before["two"]["nonce"]
    again = applied.run("apply")
    assert (again.status, again.answer["changed"]) == (0, False), again.text


def test_host_kernel_is_sound(trouble):
    assert trouble == []
