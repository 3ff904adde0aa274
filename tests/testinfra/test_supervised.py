# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An apply with its supervisor: gates were passed, the unit watches, and what it costs."""

from __future__ import annotations

import json

import pytest


@pytest.fixture(scope="module")
def supervised(host):
    return json.loads(host.file("/run/multikernel/supervisor.json").content_string)


@pytest.mark.parametrize("name", ["db", "tiny", "web"])
def test_instance_runs_and_its_heart_beats(multikernel, supervised, name):
    assert multikernel.instance(name).is_running
    assert multikernel.instance(name).is_beating(within=10)
    assert supervised["instances"][name]["state"] == "alive"
    assert supervised["instances"][name]["restarts"] == 0


def test_unit_runs_and_starts_at_each_boot(host):
    unit = dict(line.split("=", 1) for line in host.run("systemctl show multikernel-layout.service").stdout.splitlines() if "=" in line)
    assert (unit["ActiveState"], unit["SubState"], unit["Type"], unit["UnitFileState"]) == ("active", "running", "notify", "enabled")
    assert unit["StatusText"] == "3 of 3 instances beat"
    assert unit["NRestarts"] == "0"


def test_every_gate_of_web_was_passed(host):
    journal = host.file("/var/lib/multikernel/journal.jsonl").content_string
    done = [json.loads(line.partition(" ")[2]) for line in journal.splitlines()]
    gates = [one["result"]["gates"] for one in done if one["kind"] == "done" and (one["result"] or {}).get("gates")]
    assert gates == [["command", "console", "tcp"]]


def test_starts_were_measured(host):
    starts = json.loads(host.file("/var/lib/multikernel/history.json").content_string)["starts"]
    seconds = {one["instance"]: one["boot"] for rows in starts.values() for one in rows}
    assert set(seconds) == {"db", "tiny", "web"}
    assert all(0 < one < 120 for one in seconds.values())
    assert seconds["tiny"] < seconds["web"], "a payload of a few bytes is there before a Linux"


def test_it_runs_from_the_hosts_own_copy_and_costs_little(host, supervised):
    pid = supervised["pid"]
    assert "/usr/lib/multikernel/multikernel-layout" in host.file(f"/proc/{pid}/cmdline").content_string
    status = dict(line.split(":", 1) for line in host.file(f"/proc/{pid}/status").content_string.splitlines())
    used = int(status["VmRSS"].split()[0])
    times = f"cut -d' ' -f14,15 /proc/{pid}/stat"
    first, later, second = host.run(f"{times}; sleep 10; {times}; getconf CLK_TCK").stdout.splitlines()
    spent = sum(map(int, later.split())) - sum(map(int, first.split()))
    print(f"supervisor: {used} KiB resident, {spent / int(second) * 10:.2f} % of a CPU")
    assert used < 64 << 10
    assert spent / int(second) < 2.0, "a fifth of an emulated CPU"


def test_host_kernel_is_sound(trouble):
    assert trouble == []
