# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two instances panicked: web was started again by the supervisor, db (restart: no) was not; of both is kept what could be saved."""

from __future__ import annotations

import json

import pytest


@pytest.fixture(scope="module")
def before(host):
    return json.loads(host.file("/root/state-before").content_string)["instances"]


@pytest.fixture(scope="module")
def journal(host):
    return host.run("journalctl -u multikernel-layout -o cat --no-pager").stdout.splitlines()


def test_web_runs_again_in_another_boot(multikernel, releases, before):
    instance = multikernel.instance("web")
    assert instance.is_running
    assert instance.is_beating(within=10)
    assert instance.uname in releases
    assert multikernel.state["instances"]["web"]["nonce"] != before["web"]["nonce"]


def test_the_others_were_left_alone(multikernel, before):
    assert multikernel.instance("tiny").is_beating(within=10)
    assert multikernel.state["instances"]["tiny"]["nonce"] == before["tiny"]["nonce"]
    assert multikernel.state["instances"]["db"]["nonce"] == before["db"]["nonce"]


def test_db_stays_down_and_is_reported(host, multikernel):
    assert not multikernel.instance("db").is_beating(within=3)
    told = json.loads(host.file("/run/multikernel/supervisor.json").content_string)["instances"]["db"]
    assert (told["state"], told["restart_in"]) == ("down", None)
    assert "db is down (stays so)" in host.run("systemctl show -p StatusText multikernel-layout.service").stdout


def test_the_journal_tells_it_in_order(journal):
    down = next(number for number, line in enumerate(journal) if line.startswith("web is down: it panicked"))
    again = next(number for number, line in enumerate(journal) if line.startswith("web runs again (restart 1)"))
    assert down < again
    assert journal[down].endswith("it is started again in 1 s")
    assert any(line.startswith("db is down: it panicked") and line.endswith("it stays down (restart: no)") for line in journal)


@pytest.mark.parametrize("name", ["db", "web"])
def test_the_last_words_of_the_dead_are_kept(host, before, name):
    folders = host.run(f"ls -d /var/lib/multikernel/post-mortem/{name}-*").stdout.split()
    assert len(folders) == 1
    assert host.file(folders[0]).mode == 0o700
    report = json.loads(host.file(folders[0] + "/report.json").content_string)
    assert (report["instance"], report["state"], report["nonce"]) == (name, "panicked", before[name]["nonce"])
    assert "Kernel panic - not syncing" in host.file(folders[0] + "/console.txt").content_string
    assert host.file(folders[0] + "/mailbox.bin").size == 4096


def test_host_kernel_is_sound(trouble):
    assert trouble == []
