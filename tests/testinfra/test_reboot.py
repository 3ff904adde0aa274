# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a reboot of the host, with instances running: mkstock is loaded by its unit, and nothing of before is left or believed."""

from __future__ import annotations

import os


def test_machine_has_booted_again(host, multikernel):
    assert multikernel.state["boot_id"] != host.file("/proc/sys/kernel/random/boot_id").content_string.strip()


def test_unit_has_loaded_the_module(host, multikernel):
    unit = set(host.run("systemctl show -p ActiveState -p Result -p UnitFileState mkstock.service").stdout.split())
    assert unit == {"ActiveState=active", "Result=success", "UnitFileState=enabled"}
    assert multikernel.dialect == "rfc"


def test_module_has_the_options_of_the_role(host):
    info = dict(line.split(None, 1) for line in host.file("/sys/kernel/mkstock/info").content_string.splitlines())
    assert info["strict_rfc"] == os.environ["LAB_STRICT"]


def test_module_is_the_one_that_was_built_on_the_machine(host):
    """The role's script leaves a digest of its source beside a module that it has built there."""
    assert host.run("/usr/src/mkstock/install --check").stdout.strip() == "current"
    built, loaded = host.run("modinfo -F srcversion mkstock; cat /sys/module/mkstock/srcversion").stdout.split()
    assert built == loaded


def test_every_core_and_every_byte_is_the_hosts(host, multikernel):
    before = host.file("/root/before").content_string.splitlines()
    assert host.file("/sys/devices/system/cpu/online").content_string.strip() == before[0]
    assert host.run("grep MemTotal /proc/meminfo").stdout.strip() == before[1]
    assert multikernel.cpus_offline == []


def test_no_image_and_no_pool_is_left(multikernel):
    assert multikernel.table == []
    assert multikernel.pool == []


def test_no_instance_of_before_is_taken_for_running(multikernel):
    """A reset leaves memory as it was: the words of the instances may still stand there."""
    assert len(multikernel.instances) == 3
    assert [instance.name for instance in multikernel.instances if instance.is_running] == []


def test_host_kernel_is_sound(trouble):
    assert trouble == []
