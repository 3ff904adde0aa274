# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of a machine and the table of instances, letter by letter."""

from __future__ import annotations

import itertools
import typing as t

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._plan.place import place
from ansible_collections.multikernel.core.plugins.plugin_utils._model.layout import load_layout
from ansible_collections.multikernel.core.plugins.plugin_utils._report import grid
from ansible_collections.multikernel.core.plugins.plugin_utils._report import machine as picture

Plain = dict[str, t.Any]

PLACED = """\
edge-box on box: 4 CPUs, 3.0 GiB of memory
┌─────────────────────────┬───────────┬──────────────────┬──────┬─────────┬─────────┐
│ memory                  │      size │ kernel           │ host │   web   │    rt   │
│                         │           │ CPUs             │ 0-1  │    2    │    3    │
│                         │           │ state            │      │ running │ planned │
├─────────────────────────┼───────────┼──────────────────┼──────┼─────────┼─────────┤
│ 0x00001000-0x0000ffff   │     60KiB │ host             │ ████ │         │         │
│ 0x00010000-0x0001ffff   │     64KiB │ web, real mode   │      │ ███████ │         │
│ 0x00020000-0x3fffffff   │ 1023.9MiB │ host             │ ████ │         │         │
│ 0x40000000-0x40ffffff   │     16MiB │ rt               │      │         │ ███████ │
│ 0x41000000-0x50ffffff   │    256MiB │ web              │      │ ███████ │         │
│ 0x51000000-0x5fdf5fff   │  238.0MiB │ free in the pool │      │         │         │
│ 0x5fdf6000-0x5fff5fff   │      2MiB │ channel feed     │      │ ▒▒▒▒▒▒▒ │ ▒▒▒▒▒▒▒ │
│ 0x5fff6000-0x5fffffff   │     40KiB │ channel beat     │ ▒▒▒▒ │ ▒▒▒▒▒▒▒ │         │
│ 0x60000000-0x7fffffff   │    512MiB │ host             │ ████ │         │         │
│ 0x100000000-0x13fffffff │      1GiB │ host             │ ████ │         │         │
└─────────────────────────┴───────────┴──────────────────┴──────┴─────────┴─────────┘
██ is given to this kernel   ▒▒ shares it through a channel
Who else can reach it: see the isolation report."""

ALONE = """\
edge-box (no machine is known: what is not fixed is still open)
+-----------------------+--------+--------+------+------+-------+
| memory                |   size | kernel | host |  rt  |  web  |
|                       |        | CPUs   | 0-1  |  3   | any 1 |
+-----------------------+--------+--------+------+------+-------+
| 0x40000000-0x5fffffff | 512MiB | pool   |      |      |       |
| in the pool           |  16MiB | rt     |      | #### |       |
| in the pool           | 256MiB | web    |      |      | ##### |
+-----------------------+--------+--------+------+------+-------+
## is given to this kernel
Who else can reach it: see the isolation report."""


@pytest.fixture
def placed(good: Plain, machine: Plain) -> Plain:
    return place(load_layout(good), machine, None)


def test_placed_layout_is_drawn_with_every_owner(placed: Plain, machine: Plain) -> None:
    assert picture.draw(placed, machine, {"instances": [{"name": "web", "state": "running"}]}) == PLACED


def test_layout_alone_is_drawn_with_what_is_open(good: Plain) -> None:
    assert picture.draw(load_layout(good), ascii_only=True) == ALONE


def test_ascii_picture_has_nothing_but_ascii(placed: Plain, machine: Plain) -> None:
    picture.draw(placed, machine, None, True).encode("ascii")


def test_every_byte_of_the_pool_is_drawn_exactly_once(placed: Plain, machine: Plain) -> None:
    pieces = [piece for piece in picture.memory_map(placed, machine) if piece.base is not None]
    at = 0x40000000
    for piece in pieces:
        if 0x40000000 <= piece.base < 0x60000000:
            assert piece.base == at
            at += piece.size
    assert at == 0x60000000


def test_no_two_rows_overlap(placed: Plain, machine: Plain) -> None:
    pieces = picture.memory_map(placed, machine)
    for one, other in itertools.pairwise(pieces):
        assert one.base + one.size <= other.base


def test_cpu_without_owner_is_drawn_as_free(placed: Plain, machine: Plain) -> None:
    placed["host"]["cpus"] = [0]
    assert picture.owners(placed, machine) == {"host": "0", "web": "2", "rt": "3", "free": "1"}


def test_absent_instances_are_not_drawn(good: Plain) -> None:
    good["instances"]["rt"]["state"] = "absent"
    assert " rt " not in picture.draw(load_layout(good))


@pytest.mark.parametrize("count", [3, 30])
def test_picture_is_never_wider_than_the_terminal(good: Plain, count: int) -> None:
    good["channels"] = {}
    good["instances"]["web"].pop("health")
    for number in range(count):
        good["instances"][f"instance-with-a-long-name-{number}"] = {"image": "tiny", "cpus": str(8 + number), "memory": "2MiB"}
    text = picture.draw(load_layout(good))
    assert max(map(len, text.splitlines())) <= grid.WIDTH
    assert "instance-with-a-long-na" in text


TABLE = """\
NAME  STATE    CPUS  MEMORY                 IMAGE   UNAME -R        BEATS  EVIDENCE
web   running  2     0x41000000-0x50ffffff  debian  6.1.0-56-amd64  12     observed: cpus, state;
                                                                           remembered: image
rt    ended    –     –                      –       –               –      –"""


def test_table_tells_place_kernel_and_evidence() -> None:
    web = {
        "name": "web",
        "state": "running",
        "cpus": [2],
        "memory": {"base": 0x41000000, "size": 256 << 20},
        "image": "debian",
        "uname": "6.1.0-56-amd64 #1 SMP",
        "beats": 12,
        "evidence": {"state": "observed", "cpus": "observed", "image": "remembered"},
    }
    rt = {"name": "rt", "state": "ended", "cpus": [], "memory": None, "image": None, "uname": None, "beats": None, "evidence": {}}
    assert picture.table([web, rt]) == TABLE


def test_beats_of_zero_are_not_the_same_as_beats_that_are_not_known() -> None:
    assert picture.table([{"name": "web", "beats": 0}], ascii_only=True).splitlines()[1].split() == [
        "web",
        "-",
        "-",
        "-",
        "-",
        "-",
        "0",
        "-",
    ]


def test_empty_table_says_so() -> None:
    assert picture.table([]) == "no instances"
