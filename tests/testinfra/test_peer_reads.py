# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""kerf 0.4.0, an independent client of /sys/fs/multikernel, reads what a layout of this collection made."""

from __future__ import annotations

import pytest

NAMES = ("db", "tiny", "web")


@pytest.fixture(scope="module")
def shown(kerf):
    """What `kerf show` prints, all instances at once."""
    return kerf("show").text


@pytest.mark.parametrize("name", NAMES)
def test_peer_lists_the_instance(shown, name):
    assert name in shown


@pytest.mark.parametrize("name", NAMES)
def test_peer_calls_it_active_and_names_its_id(kerf, host, name):
    text = kerf(f"show {name}").text.lower()
    assert "active" in text
    assert host.file(f"/sys/fs/multikernel/instances/{name}/id").content_string.strip() in text


@pytest.mark.parametrize("name", NAMES)
def test_peer_dumps_the_cpus_that_we_remember(kerf, multikernel, name):
    source = kerf(f"dump {name} --dts").text
    cells = source.partition("cpus = <")[2].partition(">")[0].split()
    # two cells each: the peer shows 64-bit numbers in halves
    assert [int(low, 16) for low in cells[1::2]] == multikernel.instance(name).apic_ids


def test_peer_refuses_to_make_an_instance_that_is_there(kerf):
    again = kerf("create web --cpus 3 --memory 64MB", status=1)
    assert "already exists" in again.text


def test_peer_refuses_to_take_what_runs(kerf):
    assert "Cannot delete" in kerf("delete web", status=1).text
