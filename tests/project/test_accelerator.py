# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the lab's machines are emulated: one thread for each CPU, or one for all where there are many more CPUs than cores."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "roles/qemu_lab/files"))

import accel  # a program of the role, no package

TCG = {"accel": "tcg", "why": "there is no KVM"}
KVM = {"accel": "kvm", "why": "a guest booted"}


@pytest.mark.parametrize("cpus", ["1", "8", "cpus=8", "8,sockets=2,cores=2,threads=2"])
def test_up_to_four_cpus_on_each_core_have_a_thread_each(cpus):
    assert accel.threads(TCG, cpus, 2) == TCG


@pytest.mark.parametrize("cpus", ["9", "cpus=9", "22", "12,sockets=2,cores=3,threads=2"])
def test_more_of_them_share_one_and_the_reason_is_told(cpus):
    found = accel.threads(TCG, cpus, 2)
    assert found["accel"] == accel.SINGLE
    assert found["why"].startswith("there is no KVM; one thread for ")


def test_what_is_not_emulated_stays_as_it_is():
    assert accel.threads(KVM, "64", 2) == KVM
