# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""After the power of the host was cut: what is declared runs again, what the operator had stopped does not."""

from __future__ import annotations

import json

import pytest


@pytest.fixture(scope="module")
def restored(host):
    return json.loads(host.file("/var/lib/multikernel/restored.json").content_string)


def test_it_is_of_this_boot(host, restored):
    assert restored["boot_id"] == host.file("/proc/sys/kernel/random/boot_id").content_string.strip()


@pytest.mark.parametrize("name", ["db", "web"])
def test_linux_instance_runs_and_names_its_own_kernel(multikernel, releases, restored, name):
    assert name in restored["restarted"]
    assert multikernel.instance(name).is_beating(within=10)
    assert multikernel.instance(name).uname in releases


def test_what_the_operator_stopped_stays_stopped(multikernel, restored):
    assert restored["not_running"] == ["tiny"]
    assert not multikernel.instance("tiny").exists or not multikernel.instance("tiny").is_running


def test_it_is_said_that_nobody_ended_the_supervision(restored):
    assert restored["before"]["ended"] is None
    assert restored["before"]["running"] == ["db", "web"]


def test_host_kernel_is_sound(trouble):
    assert trouble == []
