# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""After `state: absent` the host kernel has everything again."""

from __future__ import annotations


def test_every_core_is_back(host, multikernel):
    before = host.file("/root/before").content_string.splitlines()
    assert host.file("/sys/devices/system/cpu/online").content_string.strip() == before[0]
    assert multikernel.cpus_offline == []


def test_every_byte_is_back(host):
    before = host.file("/root/before").content_string.splitlines()
    assert host.run("grep MemTotal /proc/meminfo").stdout.strip() == before[1]


def test_nothing_is_loaded(multikernel):
    assert multikernel.table == []


def test_nothing_is_remembered_as_running(multikernel):
    assert multikernel.instances == []


def test_host_kernel_is_sound(trouble):
    assert trouble == []
