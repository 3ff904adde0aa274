# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Rules on devices: that they are there, and the host's to give away, and go with all that belongs to them."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List

from .._host import pci, pci_bus
from .case import Case
from .given import Given, device_rule, named
from .registry import Outcome, fail, rule, unknown

_ESSENTIAL = {"root": "its root file system", "mount": "a mounted file system", "swap": "its swap", "route": "its default route"}
_BUSY = {"address": "an address or a route", "upper": "a bridge, bond or VLAN on top of it"}


@rule(
    "dev-once",
    "error",
    "Every device has one owner",
    "Two kernels that drive one device overwrite each other's settings.",
    anchor="kerf 0.4.0, ACRN",
)
def dev_once(case: Case) -> Iterator[Outcome]:
    owners: Dict[str, str] = {}
    for name, number, wish in case.devices:
        other = owners.setdefault(wish["pci"], name)
        if other != name or number != _first(case, name, wish["pci"]):
            message = "{0} and {1} are both given the PCI device {2}.".format(other, name, wish["pci"])
            if other == name:
                message = "{0} is given the PCI device {1} twice.".format(name, wish["pci"])
            yield fail(message, ("instances", name, "devices", number), "remove one of the two")


def _first(case: Case, name: str, address: str) -> int:
    return next(number for owner, number, wish in case.devices if owner == name and wish["pci"] == address)


@rule(
    "dev-alias",
    "error",
    "Aliases are unique within an instance",
    "The alias becomes the name of an interface, and a kernel has each name once.",
    source="Devicetree Specification 0.4, section 3.3",
)
def dev_alias(case: Case) -> Iterator[Outcome]:
    seen: Dict[Any, str] = {}
    for name, number, wish in case.devices:
        other = seen.setdefault((name, wish["alias"]), wish["pci"]) if wish["alias"] is not None else wish["pci"]
        if other != wish["pci"]:
            message = "{0} is to call both {1} and {2} {3}.".format(name, other, wish["pci"], wish["alias"])
            yield fail(message, ("instances", name, "devices", number, "alias"), "choose another alias")


@device_rule(
    "dev-present",
    "error",
    "Devices are where the layout says, and are what it says",
    "A new card or firmware renumbers buses, and the wrong disk is given away.",
    missing=True,
)
def dev_present(case: Case, one: Given) -> Iterator[Outcome]:
    if one.function is None:
        message = "{0} is to own the PCI device {1}, and this machine has none there.".format(one.name, one.address)
        yield fail(message, one.path, "lspci -D shows what is there")
        return
    for key in ("vendor", "device"):
        wanted, found = one.wish[key], one.function.get(key)
        if wanted is None or wanted == found:
            continue
        if found is None:
            yield unknown("which {0} the PCI device {1} has is not known.".format(key, one.address), one.path)
            continue
        message = "the PCI device {0} of {1} has the {2} id 0x{3:04x}, not 0x{4:04x}.".format(one.address, one.name, key, found, wanted)
        yield fail(message, (*one.path, key), "lspci -Dn shows where each id is")


@device_rule(
    "dev-host-critical",
    "error",
    "The host keeps what it needs to live",
    "Without its disk, its network or its bridges the host dies, or nobody reaches it any more.",
)
def dev_host_critical(case: Case, one: Given) -> Iterator[Outcome]:
    function = one.function or {}
    if pci_bus.is_bridge(function):
        message = "{0} is to own {1}, which is a bridge: what lies behind it can be given, not the bridge.".format(one.name, one.address)
        yield fail(message, one.path, "name the devices behind it")
    elif function.get("class") is None or function.get("uses") is None:
        yield unknown("whether the host needs the PCI device {0} of {1} is not known.".format(one.address, one.name), one.path)
    else:
        for use in [use for use in function["uses"] if use["kind"] in _ESSENTIAL][:1]:
            message = "{0} is to own the PCI device {1}, on which the host has {2} ({3}).".format(
                one.name, one.address, _ESSENTIAL[use["kind"]], use["name"]
            )
            yield fail(message, one.path, "choose another device")


@device_rule(
    "dev-unbound",
    "error",
    "The host does not use what it gives away",
    "Its driver is taken off the device, and whatever stands on it breaks.",
    anchor="kernel (a claim fails while a driver is bound)",
    source="Documentation/ABI/testing/sysfs-bus-pci, driver_override",
)
def dev_unbound(case: Case, one: Given) -> Iterator[Outcome]:
    function = one.function or {}
    if function.get("driver_override") == pci.HOLD and function.get("driver") is None:
        return
    if function.get("uses") is None:
        yield unknown("whether the host uses the PCI device {0} of {1} is not known.".format(one.address, one.name), one.path)
        return
    for use in [use for use in function["uses"] if use["kind"] in _BUSY][:1]:
        message = "{0} is to own the PCI device {1}, and the host has {2} ({3}).".format(
            one.name, one.address, _BUSY[use["kind"]], use["name"]
        )
        yield fail(message, one.path, "take it down on the host first")
    if function.get("virtual_functions"):
        message = "{0} is to own the PCI device {1}, of which the host uses {2} virtual functions.".format(
            one.name, one.address, function["virtual_functions"]
        )
        yield fail(message, one.path, "switch them off first: sriov_numvfs")


@device_rule(
    "dev-group",
    "error",
    "Devices that cannot be told apart have one owner",
    "Members of an IOMMU group, and all that is behind a bridge to conventional PCI, reach each other's memory.",
    anchor="kernel (VFIO)",
    source="Documentation/driver-api/vfio.rst, groups",
)
def dev_group(case: Case, one: Given) -> Iterator[Outcome]:
    known = case.fact("pci")
    group = pci_bus.in_group(known, one.address)
    bridge = pci_bus.behind_conventional(known, one.address)
    if group is not None:
        what, members = "IOMMU group {0}".format((one.function or {})["iommu_group"]), group
    elif bridge is not None:
        what, members = "the conventional bus behind {0}".format(bridge[0]), bridge[1]
    else:
        return
    yield from _incomplete(case, one, members, what)


@device_rule(
    "dev-bus",
    "error",
    "Whole PCI buses have one owner",
    "An instance finds its devices by looking at a bus, and its drivers take all that is there; on the root bus that is the host's.",
)
def dev_bus(case: Case, one: Given) -> Iterator[Outcome]:
    known, function = case.fact("pci"), one.function or {}
    if pci_bus.is_bridge(function):
        return
    if function.get("path") is None:
        yield unknown("which bridges lead to the PCI device {0} of {1} is not known.".format(one.address, one.name), one.path)
    elif pci_bus.bridge_of(known, one.address) is None:
        message = "{0} is to own {1}, which is on a root bus of the machine, among the host's devices.".format(one.name, one.address)
        yield fail(message, one.path, "choose a device behind a root port or bridge, or put it into another slot")
    else:
        told = set(pci_bus.in_group(known, one.address) or (pci_bus.behind_conventional(known, one.address) or ("", []))[1])
        beside = [other for other in pci_bus.on_bus(known, one.address) if other not in told]
        yield from _incomplete(case, one, beside, "PCI bus {0}".format(one.address.rsplit(":", 1)[0]))


def _incomplete(case: Case, one: Given, members: List[str], what: str) -> Iterator[Outcome]:
    """Say once for each instance and set what is missing of it, at the first device that is a member."""
    mine = case.devices_of.get(one.name, [])
    rest = [other for other in members if other not in mine]
    if rest and one.address == min(set(members) & set(mine) | {one.address}):
        message = "{0} owns {1} of {2}, but not {3}.".format(one.name, one.address, what, named(rest))
        yield fail(message, one.path, "give it all of them, or none")
