# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an applied lab layout promises: asked of the real host kernel, and of each second kernel itself."""

from __future__ import annotations

import pytest

LINUX = ("db", "web")
CONSOLES = {"web": "com2", "db": "com3"}


def test_host_kernel_speaks_the_dialect_of_the_scenario(multikernel, dialect):
    assert multikernel.dialect == dialect


def test_host_has_given_up_exactly_the_cores_of_the_instances(multikernel):
    assert multikernel.cpus_present == [0, 1, 2, 3]
    assert multikernel.cpus_online == [0]
    owned = sorted(cpu for instance in multikernel.instances for cpu in instance.cpus)
    assert owned == [1, 2, 3]


def test_instances_own_disjoint_memory(multikernel):
    ranges = sorted(instance.memory for instance in multikernel.instances)
    assert len(ranges) == 3
    for before, after in zip(ranges, ranges[1:]):
        assert before.end <= after.base


def test_memory_of_instances_is_not_the_hosts(host, multikernel, dialect):
    if dialect == "kernfs":
        for instance in multikernel.instances:
            assert instance.regions == [instance.memory]
            assert any(one.base <= instance.memory.base and instance.memory.end <= one.end for one in multikernel.pool)
        return
    blocks = host.run("cd /sys/devices/system/memory; grep -l offline memory*/state").stdout
    size = int(host.file("/sys/devices/system/memory/block_size_bytes").content_string, 16)
    offline = {int(line.split("/")[0].removeprefix("memory")) for line in blocks.splitlines()}
    spans = [line.split()[0].split("-") for line in host.file("/proc/iomem").content_string.splitlines() if line.endswith(" : System RAM")]
    assert any(int(end, 16) for _start, end in spans)
    for instance in multikernel.instances:
        # either taken from the running host, or never the host's since its command line reserves it
        mine = set(range(instance.memory.base // size, (instance.memory.end - 1) // size + 1))
        memory = instance.memory
        assert mine <= offline or not any(int(start, 16) < memory.end and memory.base <= int(end, 16) for start, end in spans)


@pytest.mark.parametrize("name", ["db", "tiny", "web"])
def test_instance_runs_and_its_heart_beats(multikernel, name):
    instance = multikernel.instance(name)
    assert instance.is_running
    assert instance.is_beating(within=10)


@pytest.mark.parametrize("name", LINUX)
def test_linux_instance_names_its_own_kernel(multikernel, releases, name):
    assert multikernel.instance(name).uname in releases


def test_every_kernel_of_the_scenario_runs_in_some_instance(multikernel, releases):
    assert {multikernel.instance(name).uname for name in LINUX} == set(releases)


@pytest.mark.parametrize("name", LINUX)
def test_linux_instance_has_the_cores_it_was_given(multikernel, name):
    instance = multikernel.instance(name)
    assert instance.nproc == len(instance.cpus)


@pytest.mark.parametrize("name", LINUX)
def test_heartbeats_arrive_on_the_channel(multikernel, name):
    channel = multikernel.channel(f"beat-{name}")
    assert channel.is_attached
    assert channel.peer == "up"
    assert channel.beats > 0


@pytest.mark.parametrize("name", LINUX)
def test_console_shows_the_second_kernel(console, multikernel, name):
    text = console(CONSOLES[name])
    assert f"multikernel.name={name}" in text
    assert multikernel.instance(name).uname in text


def test_no_second_kernel_wrote_to_the_hosts_console(console):
    assert "multikernel.name=" not in console("com1")


def test_host_kernel_is_sound(trouble):
    assert trouble == []


def test_host_goes_on_ticking(host):
    ticks = host.run("awk '/LOC:/ { print $2 }' /proc/interrupts; sleep 1; awk '/LOC:/ { print $2 }' /proc/interrupts").stdout.split()
    assert int(ticks[1]) > int(ticks[0])
