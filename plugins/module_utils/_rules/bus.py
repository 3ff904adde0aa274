# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Rules on what lies between a device and its instance: IOMMU, interrupts, bridges, configuration space, distance."""

from __future__ import annotations

from typing import Iterator, Optional

from .._host import iommu, pci_bus
from .case import Case
from .given import Given, device_rule, named
from .registry import Outcome, fail, unknown


@device_rule(
    "dev-iommu",
    "error",
    "An IOMMU confines every device that is given away",
    "Without one, the device writes wherever its driver, or a slip in it, tells it to: to all memory of all kernels.",
    anchor="kernel (an info line)",
    source="Documentation/ABI/testing/sysfs-kernel-iommu_groups",
    waivable=True,
)
def dev_iommu(case: Case, one: Given) -> Iterator[Outcome]:
    translated = _translated(one)
    if translated is None:
        yield unknown("whether an IOMMU confines the PCI device {0} of {1} is not known.".format(one.address, one.name), one.path)
    elif not translated:
        how = "no IOMMU translates it" if (one.function or {}).get("iommu_group") is None else "its IOMMU domain lets everything through"
        message = "the PCI device {0} of {1} reaches all memory of the machine: {2}.".format(one.address, one.name, how)
        yield fail(message, one.path, "use a machine with an IOMMU, or waive the rule with a reason")


@device_rule(
    "dev-mapped",
    "error",
    "What a device does reaches its instance",
    "Neither mkstock nor a kernel of the RFC maps an instance's memory and interrupts in the host's IOMMU, which would refuse them.",
    source="Documentation/admin-guide/kernel-parameters.txt, iommu=, intremap=",
    unsure="warning",
)
def dev_mapped(case: Case, one: Given) -> Iterator[Outcome]:
    if case.fact("dialect.provider") != "mkstock" and case.fact("dialect.name") != "rfc":
        return
    remapping = case.fact("iommu.interrupt_remapping")
    if _translated(one):
        message = "the host's IOMMU would refuse every access of the PCI device {0} to the memory of {1}.".format(one.address, one.name)
        yield fail(message, one.path, "boot the host with iommu=pt, and waive dev-iommu with a reason")
    elif remapping:
        message = "the host remaps interrupts, and would refuse those of the PCI device {0} of {1}.".format(one.address, one.name)
        yield fail(message, one.path, "boot the host with intremap=off")
    elif remapping is None:
        message = "whether interrupts of the PCI device {0} reach {1} is not known.".format(one.address, one.name)
        yield unknown(message, one.path, "/proc/interrupts tells")


@device_rule(
    "dev-irq-remap",
    "warning",
    "Interrupts of devices that are given away are checked",
    "Without interrupt remapping a device can raise any vector on any CPU, even where an IOMMU confines its memory accesses.",
    anchor="Jailhouse",
)
def dev_irq_remap(case: Case, one: Given) -> Iterator[Outcome]:
    remapping = case.fact("iommu.interrupt_remapping")
    # where no IOMMU confines it at all, dev-iommu tells the greater harm
    if _translated(one) and not remapping:
        if remapping is None:
            message = "whether interrupts of the PCI device {0} of {1} are checked is not known.".format(one.address, one.name)
            yield unknown(message, one.path)
        else:
            message = "the PCI device {0} of {1} can interrupt every CPU of the machine.".format(one.address, one.name)
            yield fail(message, one.path, "switch on interrupt remapping in the firmware (VT-d, AMD-Vi)")


@device_rule(
    "dev-msi",
    "error",
    "Devices that are given away have MSI or MSI-X",
    "An instance has no IO-APIC: a wired interrupt never reaches it.",
)
def dev_msi(case: Case, one: Given) -> Iterator[Outcome]:
    function = one.function or {}
    if function.get("msi") or function.get("msix"):
        return
    if function.get("msi") is None or function.get("msix") is None:
        message = "whether the PCI device {0} of {1} has MSI or MSI-X is not known.".format(one.address, one.name)
        yield unknown(message, one.path, "collect the facts as root: others see 64 bytes of configuration space")
    elif not pci_bus.is_bridge(function):
        message = "the PCI device {0} of {1} has neither MSI nor MSI-X.".format(one.address, one.name)
        yield fail(message, one.path, "choose another device")


@device_rule(
    "dev-bar",
    "error",
    "The addresses of devices lie in the windows of their bridge",
    "The instance is told these windows, and uses no address outside.",
)
def dev_bar(case: Case, one: Given) -> Iterator[Outcome]:
    known, function = case.fact("pci"), one.function or {}
    if pci_bus.is_bridge(function) or pci_bus.bridge_of(known, one.address) is None:
        return
    windows = pci_bus.windows_of(known, one.address)
    if windows is None or function.get("bars") is None:
        yield unknown("which addresses the PCI device {0} of {1} has is not known.".format(one.address, one.name), one.path)
        return
    for memory in pci_bus.outside(function, windows)[:1]:
        what = "0x{0:x}-0x{1:x}".format(memory["start"], memory["end"]) if memory["assigned"] else "without a place"
        bridge = pci_bus.bridge_of(known, one.address)
        message = "the PCI device {0} of {1} has memory {2}, outside what its bridge {3} passes on.".format(
            one.address, one.name, what, bridge
        )
        yield fail(message, one.path, "look into the host's log for what its firmware did not assign")


@device_rule(
    "dev-ecam",
    "error",
    "The configuration space of devices is reached by memory",
    "The ports of PCI are one pair for all buses and kernels; two kernels that use them read and write the wrong device.",
    source="PCI Firmware Specification 3.0, MCFG",
)
def dev_ecam(case: Case, one: Given) -> Iterator[Outcome]:
    known = case.fact("pci")
    if known.get("ecam") is None:
        message = "where the configuration space of the PCI device {0} of {1} lies is not known.".format(one.address, one.name)
        yield unknown(message, one.path, "collect the facts as root: /proc/iomem tells")
    elif pci_bus.ecam_of(known, one.address) is None:
        message = "the configuration space of the PCI device {0} of {1} is reached by ports only.".format(one.address, one.name)
        yield fail(message, one.path, "use a machine with PCI Express (in QEMU: q35)")


@device_rule(
    "dev-reset",
    "warning",
    "Devices that are given away can be reset",
    "What the last owner left in it, the next one finds; and one whose instance was killed goes on with what it did.",
    source="Documentation/ABI/testing/sysfs-bus-pci, reset_method",
)
def dev_reset(case: Case, one: Given) -> Iterator[Outcome]:
    function = one.function or {}
    if function.get("reset") is None:
        yield unknown("whether the PCI device {0} of {1} can be reset is not known.".format(one.address, one.name), one.path)
    elif not function["reset"] and not pci_bus.is_bridge(function):
        yield fail("the host knows no way to reset the PCI device {0} of {1}.".format(one.address, one.name), one.path)


@device_rule(
    "dev-numa",
    "warning",
    "Devices are near their instance's memory",
    "Every transfer to the memory of another node crosses the link between them.",
)
def dev_numa(case: Case, one: Given) -> Iterator[Outcome]:
    node, memory = (one.function or {}).get("numa_node"), _node(case, one.name)
    if node is not None and memory is not None and node != memory:
        message = "the PCI device {0} is on node {1}, the memory of {2} on node {3}.".format(one.address, node, one.name, memory)
        yield fail(message, one.path, "give it memory: {{size: ..., node: {0}}}".format(node))


@device_rule(
    "dev-bridge-path",
    "info",
    "Devices share no bridge with other kernels",
    "Traffic of others on the same bridge takes its time, and a fault or reset of the bridge strikes all behind it.",
)
def dev_bridge_path(case: Case, one: Given) -> Iterator[Outcome]:
    known, mine = case.fact("pci"), case.devices_of.get(one.name, [])
    for bridge in (one.function or {}).get("path") or []:
        behind = [name for name in pci_bus.behind(known, bridge) if name not in mine]
        others = [name for name in behind if pci_bus.split(name) != pci_bus.split(one.address)]
        if others:
            message = "the PCI device {0} of {1} shares the bridge {2} with {3}."
            yield fail(message.format(one.address, one.name, bridge, named(others)), one.path)
            return


def _translated(one: Given) -> Optional[bool]:
    function = one.function or {}
    if function.get("iommu_group") is None:
        return False
    kind = function.get("iommu_type")
    return None if kind is None else kind in iommu.TRANSLATED


def _node(case: Case, name: str) -> Optional[int]:
    """The node of an instance's memory: as the layout says, else that of the memory block at its start."""
    instance = case.instances[name]
    declared: Optional[int] = instance["memory"]["node"]
    base = (instance.get("placed") or instance["memory"])["base"]
    size = case.fact("memory.block_size")
    if declared is not None or base is None or not size:
        return declared
    return next((block.get("node") for block in case.fact("memory.blocks") or [] if block["number"] == base // size), None)
