# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""After the runbook zero-downtime-update, while a client asked all the time."""

from __future__ import annotations

import json

import pytest
from service import KERNELS, Service


@pytest.fixture(scope="module")
def seen(host):
    return Service(host).end()


@pytest.fixture
def quickest_boot(host) -> float:
    """Milliseconds of the quickest boot that the host remembers."""
    starts = json.loads(host.file("/var/lib/multikernel/history.json").content_string)["starts"]
    return 1000 * min(one["boot"] for rows in starts.values() for one in rows)


def test_no_request_was_lost_or_answered_twice_or_wrongly(seen):
    assert seen.answered > 1000
    assert (seen.lost, seen.wrong, seen.doubled) == (0, 0, 0)


def test_both_kernels_answered_and_nobody_waited_for_a_boot(seen, quickest_boot):
    """Against a boot of the same machine in the same minutes: too little time slows both. `benchmarks.update` measures the gaps."""
    assert set(seen.versions) == {f"{version} {release}" for version, release in KERNELS.items()}
    assert seen.longest_ms < quickest_boot / 3


def test_nothing_had_to_be_asked_again(host):
    assert Service(host).status()["again"] == "0"


def test_the_new_kernel_serves_and_is_what_the_host_remembers(host, multikernel):
    assert Service(host).serves("2")
    assert [one.name for one in multikernel.instances] == ["web"]
    assert multikernel.instance("web").uname.startswith(KERNELS["2"])


def test_the_cpu_of_the_old_kernel_is_the_hosts_again(multikernel):
    assert len(multikernel.cpus_online) == 3


def test_the_supervisor_knows_the_new_one(host):
    assert host.run("systemctl show -p StatusText --value multikernel-layout").stdout.strip() == "1 of 1 instances beat"


def test_host_kernel_is_sound(trouble):
    assert trouble == []
