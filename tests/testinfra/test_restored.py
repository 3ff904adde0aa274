# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a reboot of the host: all that is declared runs again, by the words of the second kernels themselves, and what was lost is said."""

from __future__ import annotations

import json
import time

import pytest


@pytest.fixture(scope="module")
def restored(host):
    for _second in range(180):
        told = host.run("systemctl is-active multikernel-layout").stdout.strip()
        if told not in ("activating", "inactive"):
            break
        time.sleep(1)
    assert told == "active"
    return json.loads(host.file("/var/lib/multikernel/restored.json").content_string)


def test_it_is_of_this_boot(host, multikernel, restored):
    boot = host.file("/proc/sys/kernel/random/boot_id").content_string.strip()
    assert restored["boot_id"] == boot
    assert multikernel.state["boot_id"] == boot
    assert restored["before"]["boot_id"] not in (None, boot)


@pytest.mark.parametrize("name", ["db", "tiny", "web"])
def test_instance_runs_and_its_heart_beats(multikernel, restored, name):
    assert name in restored["restarted"]
    assert multikernel.instance(name).is_running
    assert multikernel.instance(name).is_beating(within=10)


@pytest.mark.parametrize("name", ["db", "web"])
def test_linux_instance_names_its_own_kernel(multikernel, releases, restored, name):
    assert multikernel.instance(name).uname in releases


def test_it_is_said_what_ran_and_what_is_lost(host, restored):
    assert restored["failed"] == {}
    assert restored["before"]["running"] == ["db", "tiny", "web"]
    assert restored["before"]["ended"] == "SIGTERM", "the unit was ended in order before the reboot"
    assert "the memory of every instance that ran" in restored["lost"][0]
    journal = host.run("journalctl -u multikernel-layout -o cat --no-pager").stdout
    assert "started again from their beginning: db, tiny, web" in journal
    print(f"brought back in {restored['seconds']:.1f} s")


def test_host_kernel_is_sound(trouble):
    assert trouble == []
