# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The isolation report names every way by name and promises nothing."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._plan.place import place
from ansible_collections.multikernel.core.plugins.plugin_utils._model.layout import load_layout
from ansible_collections.multikernel.core.plugins.plugin_utils._report import isolation

Plain = dict[str, t.Any]


@pytest.fixture
def placed(good: Plain, machine: Plain) -> Plain:
    return place(load_layout(good), machine, None)


def test_report_of_a_machine_letter_by_letter(placed: Plain, machine: Plain) -> None:
    assert isolation.summary(placed, machine) == (
        """\
Nothing below these kernels (host, web and rt) keeps them apart: they share one machine without a
hypervisor between them.
• memory (open): a kernel maps only its own RAM, but ring 0 of any of them can map and change all of
  it.
• interrupts (open): any kernel can send IPI, NMI and INIT to any CPU; INIT stops the kernel that
  runs there.
• device DMA (not known): whether an IOMMU confines the devices of a kernel to its RAM is not in the
  facts; assume that it does not.
• machine reset (open): a triple fault, or a reset by port 0xcf9 or the keyboard controller, in one
  kernel resets them all.
• machine-wide state (open): WBINVD, MTRRs, microcode and other MSRs act on the whole package,
  whoever uses them.
• hardware errors (open): a machine check, an SMI, heat or a power limit strikes all kernels of the
  package.
• SMT siblings (not shared): no two of these kernels share one.
• last-level cache (open): host, web and rt share a last-level cache: timing leaks, and one can push
  out the other's lines.
• memory bandwidth (open): one kernel can slow the others down by its memory traffic.
• trust (open): different labels stand side by side (private: rt; public: web); only good behaviour
  keeps them apart.
What holds by software, as long as every kernel is well-behaved: each has its own CPUs and its own
RAM in its memory map, and the host keeps those CPUs offline and that RAM out of its allocator."""
    )


def test_siblings_of_one_core_in_two_kernels_are_told(placed: Plain, machine: Plain) -> None:
    for number, siblings in {"2": [2, 3], "3": [2, 3]}.items():
        machine["cpus"]["each"][number]["siblings"] = siblings
    (way,) = [one for one in isolation.ways(placed, machine) if one.vector == "SMT siblings"]
    assert way.barrier == "open"
    assert way.sentence == "web and rt run on threads of one core and share its caches and buffers"


def test_topology_that_is_not_known_is_never_told_as_not_shared(placed: Plain, machine: Plain) -> None:
    machine["cpus"]["each"]["3"]["siblings"] = None
    (way,) = [one for one in isolation.ways(placed, machine) if one.vector == "SMT siblings"]
    assert way.barrier == "not known"
    assert "CPU 3" in way.sentence


def test_without_facts_side_channels_are_not_known(good: Plain) -> None:
    assert {one.vector: one.barrier for one in isolation.ways(load_layout(good))}["side channels"] == "not known"


@pytest.mark.parametrize(("iommu", "barrier"), [(None, "not known"), (False, "open"), (True, "software only")])
def test_dma_is_never_told_as_prevented(placed: Plain, machine: Plain, iommu: t.Any, barrier: str) -> None:
    machine["iommu"] = iommu
    (way,) = [one for one in isolation.ways(placed, machine) if one.vector == "device DMA"]
    assert way.barrier == barrier


def test_every_layout_is_told_the_ways_that_nothing_prevents(good: Plain) -> None:
    told = {one.vector for one in isolation.ways(load_layout(good)) if one.barrier == "open"}
    assert {"memory", "interrupts", "machine reset", "machine-wide state", "hardware errors"} <= told


def test_one_trust_label_is_no_warning(good: Plain) -> None:
    good["instances"]["rt"]["trust"] = "public"
    assert "trust" not in {one.vector for one in isolation.ways(load_layout(good))}


def test_the_word_isolated_is_never_used(placed: Plain, machine: Plain) -> None:
    assert "isolated" not in isolation.summary(placed, machine)


def test_ascii_summary_has_nothing_but_ascii(placed: Plain, machine: Plain) -> None:
    isolation.summary(placed, machine, True).encode("ascii")
