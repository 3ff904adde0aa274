# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""On a kernfs host a device goes through the pool to its instance, and back to the host when that is gone, and is read back each time."""

from __future__ import annotations

import copy
import errno

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._converge import run
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.rules.machine_pci import CARD, machine
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated_kernfs import KernfsKernel
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated_pci import owner

ALLOW = {"isolation": {"minimum_grade": None}, "disruption": "allow"}


class KernelWithCard(KernfsKernel):
    """Its pool can have the card behind the root port."""

    def __init__(self, root, **options):
        super().__init__(root, devices=[{"pci_id": CARD, "vendor": 0x8086, "device": 0x10D3}], **options)

    def facts(self, images=(), remembered=None, signers=None):
        found = super().facts(images, remembered, signers)
        found["iommu"] = {"present": False, "translating": False, "interrupt_remapping": False, "groups": 0}
        found["pci"] = copy.deepcopy(machine())
        return found


@pytest.fixture
def kernel(tmp_path):
    return KernelWithCard(tmp_path)


def holder(kernel):
    """Who has the card: the host (None), the pool (""), or an instance."""
    one = kernel.state.pool_devices.get(CARD)
    return None if one is None else one["owner"] or ""


def test_device_goes_to_its_instance_before_its_kernel_is_loaded(kernel):
    result = run.apply(owner(), system=kernel)
    steps = [step["do"] for step in result["steps"]]
    assert steps.index("create") < steps.index("devices") < steps.index("load") < steps.index("boot")
    assert holder(kernel) == "web"
    assert kernel.state.pool_devices[CARD]["alias"] == "wire"
    assert kernel.harm == []


def test_a_second_apply_changes_nothing(kernel):
    run.apply(owner(), system=kernel)
    assert run.apply(owner(), system=kernel)["steps"] == []


def test_absent_gives_the_device_back_to_the_host(kernel):
    run.apply(owner(), system=kernel)
    run.apply(None, state="absent", system=kernel)
    assert holder(kernel) is None


def test_device_that_no_instance_is_given_any_more_goes_back(kernel):
    run.apply(owner(), system=kernel)
    run.apply(dict(owner(devices=[]), policy=ALLOW), system=kernel)
    assert holder(kernel) is None
    assert list(kernel.running()) == ["web"]


def test_device_comes_to_an_instance_that_was_there_without(kernel):
    run.apply(dict(owner(devices=[]), waivers={}), system=kernel)
    run.apply(dict(owner(), policy=ALLOW), system=kernel)
    assert holder(kernel) == "web"


def test_failed_start_gives_the_device_back(kernel):
    kernel.dies["web"] = ("panicked", "no init")
    with pytest.raises(run.ApplyError):
        run.apply(owner(), system=kernel)
    assert holder(kernel) is None


def test_device_that_does_not_come_undoes_the_apply(kernel):
    kernel.state.fails["device-add"] = errno.ENODEV
    with pytest.raises(run.ApplyError):
        run.apply(owner(), system=kernel)
    assert holder(kernel) is None
    assert kernel.running() == {}
