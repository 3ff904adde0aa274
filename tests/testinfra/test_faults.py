# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An apply, and the removal of everything, that are killed, or that meet what can go wrong, on a machine that runs second kernels.

After each: no traceback, a sentence with the reason, and a machine that is as before, or that one more command brings there.
`make soak` draws many more of each than `make test`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from faulty import FAST, KILLED, Machine, Outcome, Point

TOP = Path(__file__).resolve().parents[2]
LONG = bool(os.environ.get("MULTIKERNEL_LONG"))
KILLS, FAULTS, POWER_CUTS = (50, 240, 50) if LONG else (4, 6, 2)
REASONS = {
    "ENOMEM": "Cannot allocate memory",
    "EBUSY": "Device or resource busy",
    "EPERM": "Operation not permitted",
    "EINTR": "Interrupted system call",
    "EIO": "Input/output error",
    "ENOSPC": "No space left on device",
}


class Fault(NamedTuple):
    """A system call that fails, in an apply or a removal."""

    name: str
    point: Point
    error: str


@pytest.fixture(scope="module")
def machine(host):
    made = Machine(host, TOP / "molecule/shared/layouts/faults.yml")
    made.whole()
    return made


@pytest.fixture(scope="module")
def points(machine):
    """What an apply and a removal change, in their order."""
    found = {"apply": machine.points("apply"), "absent": machine.points("absent")}
    print("changes:", {name: len(those) for name, those in found.items()})
    return found


@pytest.fixture(scope="module")
def faults(points):
    """Each kind of call on each file with one error, then each with the next; where fewer are wanted, they are spread over the calls."""
    kinds: dict[tuple[str, str, str], Point] = {}
    for name, those in points.items():
        for point in those:
            kinds.setdefault((name, point.call, re.sub("[0-9a-f]{64}", "DIGEST", point.path)), point)
    calls, errors = [(name, point) for (name, _call, _path), point in kinds.items()], list(REASONS)
    if len(calls) > FAULTS:
        return [Fault(*calls[number * len(calls) // FAULTS], errors[number % len(errors)]) for number in range(FAULTS)]
    print(f"kinds of calls: {len(calls)}")
    return [Fault(*call, errors[(turn + at) % len(errors)]) for turn in range(len(errors)) for at, call in enumerate(calls)]


@pytest.fixture
def absent(machine):
    """Begins and ends with nothing there."""
    assert machine.is_whole()
    yield machine
    machine.absent()


def spread(points: list[Point], number: int, of: int) -> Point:
    return points[(2 * number + 1) * len(points) // (2 * of)]


def refused(outcome: Outcome, *words: str) -> None:
    """It failed with a sentence that has these words."""
    assert outcome.status == 1, outcome.text
    assert "Traceback" not in outcome.text
    for word in words:
        assert word in outcome.says


def ended_at(machine: Machine, points: dict[str, list[Point]], number: int, of: int, end: Callable[[str, Point], None]) -> None:
    """Half of the ends in an apply, half in a removal; half of each is followed by an apply, half by a removal."""
    name = ("apply", "absent")[number % 2]
    if name == "absent":
        machine.apply()
    point = spread(points[name], number // 2, of // 2)
    end(name, point)
    if number // 2 % 2 == 0:
        machine.apply()
    print(f"{name} ended at: {point}")


@pytest.mark.parametrize("number", range(KILLS))
def test_a_run_is_killed(absent, points, number):
    ended_at(absent, points, number, KILLS, absent.kill_at)


@pytest.mark.parametrize("number", range(FAULTS))
def test_a_system_call_fails(absent, faults, number):
    """A fault that is not overcome is told; what was begun is taken back, or the next command does it."""
    if number >= len(faults):
        pytest.skip("there are not that many")
    name, point, error = faults[number]
    if name == "absent":
        absent.apply()
    print(f"{name}, {error} from {point}:")
    outcome = absent.run(name, f"{FAST} -e trace={point.call} -e inject={point.call}:error={error}:when={point.number}")
    assert "Traceback" not in outcome.text
    assert "(INJECTED)" in absent.host.file("/run/trace").content_string, "the fault did not come about"
    if outcome.status == 0:
        became = "overcome"
        assert (absent.apply() if name == "apply" else absent.absent()).answer.get("changed") is False
    else:
        refused(outcome)
        assert REASONS[error] in outcome.says or error in outcome.says, outcome.says
        became = "undone" if name == "apply" and absent.is_whole() else "left to the next command"
        if name == "absent" and number % 2:
            absent.apply()
    print(f"{became}. {outcome.says}")


@pytest.mark.parametrize("number", range(POWER_CUTS))
def test_the_power_is_cut(absent, points, number):
    ended_at(absent, points, number, POWER_CUTS, absent.cut_power_at)


def test_a_cpu_does_not_go_offline(absent, dialect):
    """Its deadline tasks would not fit on the CPUs that are left: the scheduler keeps it."""
    host, name = absent.host, "deadlines"
    task = "chrt -d --sched-runtime 900000 --sched-deadline 1000000 --sched-period 1000000 0 sleep 600"
    host.check_output(f"systemd-run --unit {name} sh -c '{' & '.join([task] * int(absent.cpus))} & wait'")
    try:
        assert len(re.findall("SCHED_DEADLINE|^ *DLN", host.check_output("ps -eo class,comm"), re.MULTILINE)) >= int(absent.cpus)
        where = "/sys/devices/system/cpu/cpu" if dialect == "rfc" else "the CPUs with APIC id"
        refused(absent.run("apply"), where, REASONS["EBUSY"])
        absent.whole()
    finally:
        host.check_output(f"systemctl stop {name}")
    absent.apply()


def test_a_cpu_has_a_queue_of_the_disk(absent):
    """The disk has a queue for each CPU, whose interrupt the kernel manages: nobody may move it, and with its CPU it is shut down."""
    host = absent.host
    lines = host.check_output("cat /proc/interrupts").splitlines()
    queues = [line.split(":")[0].strip() for line in lines if re.search(r"virtio\d+-req\.\d+$", line)]
    assert len(queues) == int(absent.cpus)
    assert all(host.run(f"echo 0 >/proc/irq/{queue}/smp_affinity_list").rc for queue in queues), "it may be moved: it is not managed"
    online = "/sys/devices/system/cpu/online"

    def writes(cpus: str) -> None:
        """Each of the CPUs writes to the disk and reads it back, past the cache."""
        assert host.file(online).content_string.strip() == cpus
        first, last = cpus.split("-")
        for cpu in range(int(first), int(last) + 1):
            copy = f"taskset -c {cpu} timeout 60 dd bs=64k count=8 status=none"
            host.check_output(f"head -c 512k /dev/urandom >/run/want && {copy} if=/run/want of=/root/served oflag=direct")
            host.check_output(f"{copy} if=/root/served of=/run/got iflag=direct && cmp /run/want /run/got")

    writes("0-3")
    absent.apply()
    writes("0-1")
    absent.absent()
    writes("0-3")


def test_the_disk_may_not_be_written(absent):
    host = absent.host
    host.check_output("mount --bind /var/lib/multikernel /var/lib/multikernel && mount -o remount,ro,bind /var/lib/multikernel")
    try:
        refused(absent.run("apply"), "nothing was changed", "/var/lib/multikernel", "Read-only file system")
        absent.whole()
    finally:
        host.check_output("umount /var/lib/multikernel")


def test_the_disk_is_full(absent):
    host = absent.host
    host.check_output("mount -t tmpfs -o size=16k full /var/lib/multikernel && head -c 12k /dev/zero >/var/lib/multikernel/ballast")
    try:
        refused(absent.run("apply"), "/var/lib/multikernel", REASONS["ENOSPC"])
        absent.whole()
    finally:
        host.check_output("umount /var/lib/multikernel")


@pytest.mark.parametrize("days", [1, -1])
def test_the_clock_jumps(absent, days):
    host = absent.host
    now = int(host.check_output("date +%s"))
    host.check_output(f"systemd-run --unit jump{days} sh -c 'sleep 2; date -s @{now + days * 86400}'")
    try:
        absent.apply()
        assert abs(int(host.check_output("date +%s")) - now) > 80000, "the clock did not jump"
        absent.absent()
    finally:
        host.check_output(f"date -s @{now + 60}")
    absent.apply()


def test_two_at_once(absent):
    """One waits for the other, and finds nothing left to do."""
    done = absent.host.run("python3 /root/apply.py >/run/first & python3 /root/apply.py >/run/second; wait $!; grep -c . /run/first")
    assert done.rc == 0, done.stderr
    said = absent.host.check_output("cat /run/first /run/second")
    assert sorted(re.findall(r'^{"changed": (true|false)', said, re.MULTILINE)) == ["false", "true"]


def test_an_apply_and_a_removal_at_once(absent):
    done = absent.host.run("python3 /root/apply.py >/run/first & python3 /root/absent.py >/run/second; wait $!")
    assert done.rc == 0, done.stderr
    assert '"failed": true' not in absent.host.check_output("cat /run/first /run/second")
    absent.apply()


def test_the_module_is_gone(absent):
    host = absent.host
    host.check_output("! mountpoint -q /sys/fs/multikernel || umount /sys/fs/multikernel; rmmod mkstock")
    try:
        refused(absent.run("apply"), "mkstock")
    finally:
        host.check_output("modprobe mkstock")
    absent.apply()


def test_somebody_else_takes_what_was_placed(absent):
    """Another tool takes a CPU offline by itself: it is not given back by us, who did not take it."""
    host = absent.host
    absent.apply()
    absent.absent()
    host.check_output("echo 0 >/sys/devices/system/cpu/cpu1/online")
    try:
        absent.apply()
        assert absent.run("absent").status == 0
        assert host.file("/sys/devices/system/cpu/online").content_string.strip() == "0,2-3"
    finally:
        host.check_output("echo 1 >/sys/devices/system/cpu/cpu1/online")


def test_host_kernel_is_sound(trouble):
    assert trouble == []


# last, because the kernel tells of it with a trace of its calls


@pytest.mark.parametrize("limit", [14, 18, 22, 26, 30] if LONG else [18, 26])
def test_the_memory_is_used_up(absent, limit):
    """The kernel kills whoever needs more than this many MiB, wherever it is just then."""
    outcome = absent.run("apply", around=f"systemd-run -q --scope -p MemoryMax={limit}M -p MemorySwapMax=0")
    assert outcome.status in (0, 1, KILLED), outcome.text
    assert outcome.status or not outcome.answer.get("failed")
    print(f"{limit} MiB: exit status {outcome.status}")
    absent.apply()


# last of all: only a boot takes the lock away


def test_the_kernel_is_locked_down(absent):
    """As Debian does it under Secure Boot. What runs goes on and can be taken back; nothing is loaded, no kernel and no module."""
    host = absent.host
    absent.apply()
    host.check_output("echo integrity >/sys/kernel/security/lockdown")
    again = absent.run("apply")
    assert (again.status, again.answer["changed"]) == (0, False), again.text
    shown = {one["name"]: (one["state"], one["evidence"]["state"]) for one in again.answer["instances"]}
    assert shown == dict.fromkeys(("one", "two"), ("running", "unverifiable")), "nobody can look into their memory any more"
    absent.absent()
    refused(absent.run("apply"), "nothing was changed", "this host is in lockdown mode integrity")
    absent.whole()
    host.check_output("! mountpoint -q /sys/fs/multikernel || umount /sys/fs/multikernel; rmmod mkstock")
    assert "Operation not permitted" in host.run("insmod $(modinfo -n mkstock)").stderr, "it is not signed"
    absent.loses_power()
    absent.apply()
