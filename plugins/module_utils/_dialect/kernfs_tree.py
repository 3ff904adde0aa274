# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The device trees that a multikernel host shows below /sys/fs/multikernel, as plain data.

The generation of the interface is told by what the root file holds, without any write:
G0 (RFC of autumn 2025) shows text; G1 has /resources/memory-base; G2, the only one that is spoken, has #address-cells at its root.
CPUs are physical ids: APIC ids on x86. The root tree never lists instances. What comes from the kernel may be torn, damaged or hostile:
it is plain data or a TreeError with a sentence.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional, Set, Tuple, Union

from .._boot import fdt

PAGE = 4096
PCI_ID = re.compile(r"([0-9a-fA-F]{4}):([0-9a-fA-F]{2}):([0-9a-fA-F]{2})\.([0-7])")


Tree = Union[bytes, bytearray, memoryview, fdt.Node]


class TreeError(ValueError):
    """A tree of the kernel cannot be read or contradicts itself; str() is a sentence."""


def generation(blob: Union[bytes, bytearray, memoryview]) -> str:
    """Which generation of the interface wrote this root tree: "G0", "G1" or "G2". Raises TreeError when none can have."""
    if bytes(blob[:4]) != fdt.MAGIC.to_bytes(4, "big"):
        if blob and _is_text(bytes(blob)):
            return "G0"
        raise TreeError("the root tree is %s" % ("neither a device tree nor text" if blob else "empty"))
    return _generation(_parsed(blob))


def host(tree: Tree) -> Dict[str, Any]:
    """The host as its root tree tells it::

        {"generation": "G0" | "G1" | "G2", "live": there is a pool, "cpus": [pool members, else the host's], "available": [free members],
         "memory": [{"base", "size", "node": int | None}], "granule": bytes | None,
         "devices": [{"name", "type": "pci" | "platform", "pci_id", "vendor", "device", "alias", "acpi_hid"}], "aliases": {alias: path}}

    devices are the free ones of the pool. Of G0 and G1 only the generation is read. Raises TreeError.
    """
    found: Dict[str, Any] = {
        "generation": generation(tree) if not isinstance(tree, fdt.Node) else _generation(tree),
        "live": False,
        "cpus": [],
        "available": [],
        "memory": [],
        "granule": None,
        "devices": [],
        "aliases": {},
    }
    if found["generation"] != "G2":
        return found
    root = _parsed(tree)
    try:
        _fill_host(root, found)
    except fdt.FdtError as error:
        raise TreeError("the root tree: %s" % error) from error
    return found


def instance(tree: Tree) -> Dict[str, Any]:
    """An instance as its own tree tells it::

        {"name", "id", "cpus": [the boot CPU first], "base": of its first region | None, "size": of all its regions,
         "devices": as in host()}

    What was granted, that is, which may be less than what was asked for. Raises TreeError.
    """
    root = _parsed(tree)
    try:
        name, number = root.string("model"), root.u32("id")
        if name is None or number is None:
            raise TreeError("the tree of an instance has no %s: it is not of generation G2" % ("model" if name is None else "id"))
        resources = root.child("resources") or fdt.Node()
        aliases = _aliases(root)
        base, size = resources.u64("memory-base"), resources.u64("memory-bytes") or 0
        _check_range(base or 0, size)
        return {
            "name": name,
            "id": number,
            "cpus": _cpus(resources, "cpus"),
            "base": base,
            "size": size,
            "devices": _devices(root, resources, aliases),
        }
    except fdt.FdtError as error:
        raise TreeError("the tree of an instance: %s" % error) from error


def _parsed(tree: Tree) -> fdt.Node:
    if isinstance(tree, fdt.Node):
        return tree
    try:
        return fdt.parse(tree)
    except fdt.FdtError as error:
        raise TreeError(str(error)) from error


def _generation(root: fdt.Node) -> str:
    resources = root.child("resources")
    if "#address-cells" in root.properties:
        return "G2"
    if resources is not None and "memory-base" in resources.properties:
        return "G1"
    raise TreeError("the root tree is of no known generation: it has neither #address-cells nor /resources/memory-base")


def _is_text(data: bytes) -> bool:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return False
    return all(one.isprintable() or one in "\n\t\r" for one in text)


def _fill_host(root: fdt.Node, found: Dict[str, Any]) -> None:
    resources = root.child("resources") or fdt.Node()
    found["cpus"] = _cpus(resources, "cpus")
    found["available"] = _cpus(resources, "cpus-available")
    members = set(found["cpus"])
    strange = [cpu for cpu in found["available"] if cpu not in members]
    if strange:
        raise TreeError("the root tree contradicts itself: CPU %d is free, yet not in the pool" % strange[0])
    found["memory"] = sorted(_chunks(resources), key=lambda chunk: (chunk["base"], chunk["size"]))
    for left, right in zip(found["memory"], found["memory"][1:]):
        if left["base"] + left["size"] > right["base"]:
            raise TreeError("the root tree contradicts itself: memory at 0x%x overlaps that at 0x%x" % (left["base"], right["base"]))
    granule = root.u64("memory-granule")
    if granule is not None and (granule < PAGE or granule & (granule - 1)):
        raise TreeError("the root tree: memory-granule is %d, no power of two of at least a page" % granule)
    found["granule"] = granule
    found["aliases"] = _aliases(root)
    found["devices"] = _devices(root, resources, found["aliases"])
    # without a pool the tree describes the host: its online CPUs, and nothing else
    found["live"] = "cpus-available" in resources.properties or bool(found["memory"]) or bool(found["devices"])


def _cpus(resources: fdt.Node, name: str) -> List[int]:
    numbers = resources.u64s(name) or []
    if len(set(numbers)) != len(numbers):
        seen: Set[int] = set()
        double = next(number for number in numbers if number in seen or seen.add(number))  # type: ignore[func-returns-value]
        raise TreeError("the tree contradicts itself: %s names CPU %d twice" % (name, double))
    return numbers


def _chunks(resources: fdt.Node) -> List[Dict[str, Any]]:
    chunks = []
    for node in resources.children:
        if node.name.split("@")[0] == "memory" and "reg" in node.properties:
            numbers = node.u64s("reg") or []
            if len(numbers) != 2:
                raise TreeError("the root tree: reg of %r has %d numbers of 64 bits instead of 2" % (node.name[:60], len(numbers)))
            _check_range(*numbers)
            chunks.append({"base": numbers[0], "size": numbers[1], "node": node.u32("numa-node-id")})
    return chunks


def _check_range(base: int, size: int) -> None:
    if base % PAGE or size % PAGE or base + size > 1 << 64:
        raise TreeError("the tree: memory of 0x%x bytes at 0x%x is not made of whole pages below 2^64" % (size, base))


def _aliases(root: fdt.Node) -> Dict[str, str]:
    node = root.child("aliases") or fdt.Node()
    return {name: node.string(name) or "" for name in node.properties}


def _devices(root: fdt.Node, resources: fdt.Node, aliases: Dict[str, str]) -> List[Dict[str, Any]]:
    """Devices of /resources/devices and of the PCI trees; a path that several aliases name has the first of them."""
    by_path: Dict[str, str] = {}
    for alias, path in aliases.items():
        by_path.setdefault(path, alias)
    found = []
    for node in (resources.child("devices") or fdt.Node()).children:
        kind = node.string("device-type") or "platform"
        name = node.string("device-name") or node.name
        path = "/resources/devices/" + node.name
        found.append(_device(name, kind, by_path.get(path), node, node.string("pci-id")))
    for bridge in root.children:
        if bridge.name.split("@")[0] == "pci":
            found += _pci(bridge, by_path)
    return found


def _pci(bridge: fdt.Node, by_path: Dict[str, str]) -> List[Dict[str, Any]]:
    """The functions below a PCI host bridge: nodes with an id and nothing below them. Bridges between are only their way."""
    domain = bridge.u32("linux,pci-domain") or 0
    found = []
    for path, node in bridge.walk():
        if node is bridge or node.children or "vendor-id" not in node.properties:
            continue
        if "bus-range" in node.properties:
            continue
        cells = node.u32s("reg") or []
        if len(cells) != 5:
            raise TreeError("the tree: reg of PCI device %r has %d cells instead of 5" % (node.name[:60], len(cells)))
        pci_id = "%04x:%02x:%02x.%d" % (domain, cells[0] >> 16 & 0xFF, cells[0] >> 11 & 0x1F, cells[0] >> 8 & 7)
        full = "/%s%s" % (bridge.name, path)
        found.append(_device(node.name, "pci", by_path.get(full), node, pci_id))
    return found


def _device(name: str, kind: str, alias: Optional[str], node: fdt.Node, pci_id: Optional[str]) -> Dict[str, Any]:
    return {
        "name": name,
        "type": kind,
        "pci_id": pci_id.lower() if pci_id is not None else None,
        "vendor": node.u32("vendor-id"),
        "device": node.u32("device-id"),
        "alias": alias,
        "acpi_hid": node.string("acpi-hid"),
    }


def pci_numbers(pci_id: str) -> Optional[Tuple[int, int, int, int]]:
    """Domain, bus, slot and function of an address such as 0000:09:00.0; None when it is none."""
    match = PCI_ID.fullmatch(pci_id)
    if match is None or int(match.group(3), 16) > 0x1F:
        return None
    return int(match.group(1), 16), int(match.group(2), 16), int(match.group(3), 16), int(match.group(4))
