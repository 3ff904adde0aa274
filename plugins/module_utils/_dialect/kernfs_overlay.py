# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What is asked of a multikernel host (generation G2), as device tree overlays: pure functions from operations to blobs.

One blob is one transaction. The kernel clips a write to overlays/new at a page, takes the fragments of an overlay in the order of
their (hexadecimal) units, and the operations inside one in an order of its own, of each kind the first. So operations keep
their order by standing in fragments of their own, save where the kernel's order inside a fragment is the wanted one, too.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple, Union

from .._boot import fdt
from .kernfs_tree import PAGE, pci_numbers

LIMIT = 4096
"""Bytes of an overlay that the kernel takes in one write."""
LAST_ID = 2047
"""The largest instance id that the flags of kexec_file_load(2) can name."""

RESOURCES, INSTANCES = "/resources", "/instances"

# the kernel's own order inside one fragment
_ORDER: Dict[str, Tuple[str, ...]] = {
    RESOURCES: ("cpu-remove", "device-remove", "memory-remove", "memory-add", "cpu-add", "device-add"),
    INSTANCES: ("memory-remove", "memory-add", "cpu-remove", "cpu-add", "device-remove", "device-add"),
}
_ROOT = {"compatible": fdt.string("linux,multikernel-overlay")}
_ALIAS = re.compile(r"[A-Za-z0-9,._+-]{1,31}")


class OverlayError(ValueError):
    """An operation that no overlay can say, or the kernel would misread; str() is a sentence."""


class Cpu(NamedTuple):
    """A CPU by its physical id (APIC id on x86), and the NUMA node to note for it."""

    id: int
    node: Optional[int] = None


class Memory(NamedTuple):
    """Memory in bytes; base None asks the kernel to choose (adding to the pool), node None takes any."""

    size: int
    base: Optional[int] = None
    node: Optional[int] = None


class Pci(NamedTuple):
    """A PCI function by its address; alias (to the pool) is the name that instances see, driver (to an instance) one to bind there."""

    pci_id: str
    alias: Optional[str] = None
    driver: Optional[str] = None


Item = Union[Cpu, Memory, Pci]


class Create(NamedTuple):
    """A new instance. id None lets the kernel choose; the first of cpus boots; node is where its memory shall be."""

    name: str
    id: Optional[int]
    cpus: Tuple[int, ...]
    size: int
    node: Optional[int] = None


class Remove(NamedTuple):
    """An instance goes; only one that is neither loaded nor active can."""

    name: str


class Change(NamedTuple):
    """Items go into or out of the pool (target /resources) or an instance (target /instances/NAME)."""

    target: str
    verb: str
    items: Tuple[Item, ...]


Operation = Union[Create, Remove, Change]


def create(name: str, id: Optional[int], cpus: Iterable[int], size: int, node: Optional[int] = None) -> Create:
    """A new instance with *size* bytes of memory; see Create."""
    made = Create(_checked_name(name), id, tuple(cpus), size, node)
    if id is not None and not 1 <= id <= LAST_ID:
        raise OverlayError("instance %s cannot have the id %d: ids are 1 to %d" % (name, id, LAST_ID))
    for cpu in made.cpus:
        _check_cpu(cpu)
    if len(set(made.cpus)) != len(made.cpus):
        raise OverlayError("instance %s names a CPU twice" % name)
    _check_memory(Memory(size, None, node))
    return made


def remove(name: str) -> Remove:
    """An instance goes."""
    return Remove(_checked_name(name))


def pool_cpus_add(items: Iterable[Union[int, Cpu]]) -> Change:
    """CPUs leave the host for the pool."""
    return _cpus(RESOURCES, "cpu-add", items)


def pool_cpus_remove(items: Iterable[Union[int, Cpu]]) -> Change:
    """Free CPUs of the pool go back to the host."""
    return _cpus(RESOURCES, "cpu-remove", items)


def pool_memory_add(size: int, node: Optional[int] = None) -> Change:
    """Memory of the host becomes a chunk of the pool; the kernel chooses where."""
    return _change(RESOURCES, "memory-add", [_check_memory(Memory(size, None, node))])


def pool_memory_remove(base: int, size: int) -> Change:
    """A whole chunk of the pool goes back to the host."""
    return _change(RESOURCES, "memory-remove", [_check_memory(Memory(size, base))])


def pool_device_add(pci_id: str, alias: Optional[str] = None) -> Change:
    """A PCI function leaves its driver in the host for the pool."""
    return _change(RESOURCES, "device-add", [_check_pci(Pci(pci_id, alias))])


def pool_device_remove(pci_id: str) -> Change:
    """A free PCI function of the pool goes back to the host."""
    return _change(RESOURCES, "device-remove", [_check_pci(Pci(pci_id))])


def instance_cpus_add(name: str, cpus: Iterable[Union[int, Cpu]]) -> Change:
    """Free CPUs of the pool go to an instance."""
    return _cpus(_target(name), "cpu-add", cpus)


def instance_cpus_remove(name: str, cpus: Iterable[Union[int, Cpu]]) -> Change:
    """CPUs of an instance go back to the pool."""
    return _cpus(_target(name), "cpu-remove", cpus)


def instance_memory_add(name: str, base: int, size: int) -> Change:
    """A free range of the pool goes to an instance. Older kernels of the generation ignore the base and choose."""
    return _change(_target(name), "memory-add", [_check_memory(Memory(size, base))])


def instance_memory_remove(name: str, base: int, size: int) -> Change:
    """A whole region of an instance goes back to the pool."""
    return _change(_target(name), "memory-remove", [_check_memory(Memory(size, base))])


def instance_device_add(name: str, pci_id: str, driver: Optional[str] = None) -> Change:
    """A free PCI function of the pool goes to an instance."""
    return _change(_target(name), "device-add", [_check_pci(Pci(pci_id, None, driver))])


def instance_device_remove(name: str, pci_id: str) -> Change:
    """A PCI function of an instance goes back to the pool."""
    return _change(_target(name), "device-remove", [_check_pci(Pci(pci_id))])


def batch(operations: Iterable[Operation], limit: int = LIMIT) -> List[bytes]:
    """The operations as overlays of at most *limit* bytes each, in order, and as few as that allows.

    A change with many items is spread over several overlays where it must. Raises OverlayError when one instance alone, or one item,
    does not fit.
    """
    blobs: List[bytes] = []
    overlay = _Overlay()
    for operation in operations:
        for part in _parts(operation):
            if overlay.size_with(part) > limit:
                if overlay.parts:
                    blobs.append(overlay.blob())
                    overlay = _Overlay()
                if overlay.size_with(part) > limit:
                    raise OverlayError(
                        "%s takes %d bytes as an overlay, and the kernel takes %d" % (describe(part), overlay.size_with(part), limit)
                    )
            overlay.add(part)
    if overlay.parts:
        blobs.append(overlay.blob())
    return blobs


def baseline(
    cpus: Iterable[int], memory: Iterable[Tuple[int, Optional[int]]], devices: Iterable[Mapping[str, Any]] = ()
) -> bytes:  # fmt: skip
    """The tree that makes a pool where there is none, for one write to the root file.

    memory is (size in bytes, NUMA node or None) for each chunk; devices are {"pci_id", "vendor", "device", "alias"}. Raises OverlayError.
    """
    numbers = [_check_cpu(cpu) for cpu in cpus]
    if not numbers or len(set(numbers)) != len(numbers):
        raise OverlayError("a pool begins with at least one CPU, and names each once")
    chunks = [
        fdt.Node("memory@%x" % number, _memory(_check_memory(Memory(size, None, node)))) for number, (size, node) in enumerate(memory)
    ]
    if not chunks:
        raise OverlayError("a pool begins with at least one chunk of memory")
    resources = fdt.Node("resources", {"cpus": fdt.u64(*numbers)}, chunks)
    root = fdt.Node("", {"compatible": fdt.string("linux,multikernel-host")}, [resources])
    aliases: Dict[str, bytes] = {}
    nodes = []
    for device in devices:
        item = _check_pci(Pci(device["pci_id"], device.get("alias")))
        name = "pci_" + re.sub("[:.]", "_", item.pci_id)
        nodes.append(
            fdt.Node(
                name,
                {
                    "device-type": fdt.string("pci"),
                    "pci-id": fdt.string(item.pci_id),
                    "vendor-id": fdt.u32(_check_word(device["vendor"])),
                    "device-id": fdt.u32(_check_word(device["device"])),
                },
            )
        )
        if item.alias is not None:
            if item.alias in aliases:
                raise OverlayError("two devices of the pool have the alias %s" % item.alias)
            aliases[item.alias] = fdt.string("/resources/devices/" + name)
    if nodes:
        resources.children.append(fdt.Node("devices", children=nodes))
    if aliases:
        root.children.append(fdt.Node("aliases", aliases))
    return _built(root)


def describe(operation: Operation) -> str:
    """An operation in words, for plans and errors."""
    if isinstance(operation, Create):
        return "creating instance %s with %d CPUs" % (operation.name, len(operation.cpus))
    if isinstance(operation, Remove):
        return "removing instance %s" % operation.name
    what, verb = operation.verb.rsplit("-", 1)
    owner = "the pool" if operation.target == RESOURCES else "instance " + operation.target[len(INSTANCES) + 1 :]
    items = ", ".join(_item_text(item) for item in operation.items)
    return "%s %s %s %s %s" % ("adding" if verb == "add" else "taking", what, items, "to" if verb == "add" else "from", owner)


class _Overlay:
    """One overlay in the making: parts in order, and the exact size that the blob will have."""

    def __init__(self) -> None:
        self.parts: List[Operation] = []
        self.root = fdt.Node("", dict(_ROOT))
        self.names: Set[str] = set(_ROOT)
        self.bytes = fdt.node_size(self.root)

    def size_with(self, part: Operation) -> int:
        """Bytes of the blob if the part came, too."""
        _parent, added = self._placed(part)
        return fdt.blob_size(self.bytes + fdt.node_size(added), self.names.union(fdt.property_names(added)))

    def add(self, part: Operation) -> None:
        """The part comes in."""
        parent, added = self._placed(part)
        parent.children.append(added)
        self.bytes += fdt.node_size(added)
        self.names.update(fdt.property_names(added))
        self.parts.append(part)

    def blob(self) -> bytes:
        """What the kernel gets."""
        return _built(self.root)

    def _placed(self, part: Operation) -> Tuple[fdt.Node, fdt.Node]:
        """(where it goes, what goes there): the part as an item of the last verb, as a verb of the last fragment, or as a new fragment."""
        last = self.parts[-1] if self.parts else None
        if isinstance(part, Change) and isinstance(last, Change) and part.target == last.target:
            overlay = self.root.children[-1].children[0]
            if part.verb == last.verb:
                verb = overlay.children[-1]
                return verb, _item(part.verb, part.items[0], len(verb.children))
            order = _ORDER[RESOURCES if part.target == RESOURCES else INSTANCES]
            if order.index(last.verb) < order.index(part.verb):
                return overlay, _verb(part)
        return self.root, _fragment(len(self.root.children), part)


def _parts(operation: Operation) -> List[Operation]:
    """What cannot be divided further: a creation, a removal, one item of a change."""
    if isinstance(operation, Change):
        return [operation._replace(items=(item,)) for item in operation.items]
    return [operation]


def _fragment(number: int, part: Operation) -> fdt.Node:
    target = part.target if isinstance(part, Change) else INSTANCES
    overlay = fdt.Node("__overlay__", children=[_verb(part)])
    return fdt.Node("fragment@%x" % number, {"target-path": fdt.string(target)}, [overlay])


def _verb(part: Operation) -> fdt.Node:
    if isinstance(part, Create):
        resources = {"cpus": fdt.u64(*part.cpus)} if part.cpus else {}
        resources["memory-bytes"] = fdt.u64(part.size)
        if part.node is not None:
            resources["numa-nodes"] = fdt.u32(part.node)
        told = {"instance-name": fdt.string(part.name)}
        if part.id is not None:
            told["id"] = fdt.u32(part.id)
        return fdt.Node("instance-create", told, [fdt.Node("resources", resources)])
    if isinstance(part, Remove):
        return fdt.Node("instance-remove", {"instance-name": fdt.string(part.name)})
    return fdt.Node(part.verb, children=[_item(part.verb, item, number) for number, item in enumerate(part.items)])


def _item(verb: str, item: Item, number: int) -> fdt.Node:
    if isinstance(item, Cpu):
        told = {"reg": fdt.u64(item.id)}
        if item.node is not None:
            told["numa-node-id"] = fdt.u32(item.node)
        return fdt.Node("cpu@%x" % number, told)
    if isinstance(item, Memory):
        return fdt.Node("memory@%x" % number, _memory(item))
    words = (("pci-id", item.pci_id), ("alias", item.alias), ("driver", item.driver))
    return fdt.Node("pci@%x" % number, {name: fdt.string(word) for name, word in words if word is not None})


def _memory(item: Memory) -> Dict[str, bytes]:
    told = {"size": fdt.u64(item.size)} if item.base is None else {"reg": fdt.u64(item.base, item.size)}
    if item.node is not None:
        told["numa-node-id"] = fdt.u32(item.node)
    return told


def _item_text(item: Item) -> str:
    if isinstance(item, Cpu):
        return "%d" % item.id
    if isinstance(item, Memory):
        return "of %d bytes%s" % (item.size, "" if item.base is None else " at 0x%x" % item.base)
    return item.pci_id


def _built(root: fdt.Node) -> bytes:
    try:
        return fdt.build(root)
    except fdt.FdtError as error:
        raise OverlayError(str(error)) from error


def _target(name: str) -> str:
    return "%s/%s" % (INSTANCES, _checked_name(name))


def _change(target: str, verb: str, items: Sequence[Item]) -> Change:
    return Change(target, verb, tuple(items))


def _cpus(target: str, verb: str, items: Iterable[Union[int, Cpu]]) -> Change:
    made = [item if isinstance(item, Cpu) else Cpu(item) for item in items]
    for item in made:
        _check_cpu(item.id)
        _check_node(item.node)
    if not made or len({item.id for item in made}) != len(made):
        raise OverlayError("%s of %s names no CPU, or one twice" % (verb, target))
    return _change(target, verb, made)


def _checked_name(name: str) -> str:
    if not isinstance(name, str) or not name or "/" in name or not name.isprintable() or len(name.encode("utf-8", "replace")) > 255:
        raise OverlayError("%r is no name of an instance: it needs 1 to 255 printable characters, and none of them is /" % (name,))
    return name


def _check_cpu(cpu: int) -> int:
    if isinstance(cpu, bool) or not isinstance(cpu, int) or not 0 <= cpu < 1 << 64:
        raise OverlayError("%r is no physical id of a CPU" % (cpu,))
    return cpu


def _check_node(node: Optional[int]) -> None:
    if node is not None:
        _check_word(node)


def _check_word(number: int) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 1 << 32:
        raise OverlayError("%r is no number of 32 bits, as those of NUMA nodes, PCI vendors and devices are" % (number,))
    return number


def _check_memory(item: Memory) -> Memory:
    if not isinstance(item.size, int) or item.size <= 0 or item.size % PAGE or (item.base or 0) % PAGE:
        raise OverlayError(
            "memory of %r bytes%s is not made of whole pages" % (item.size, "" if item.base is None else " at 0x%x" % item.base)
        )
    if (item.base or 0) < 0 or (item.base or 0) + item.size > 1 << 64:
        raise OverlayError("memory of %d bytes at %d does not lie below 2^64" % (item.size, item.base or 0))
    _check_node(item.node)
    return item


def _check_pci(item: Pci) -> Pci:
    if not isinstance(item.pci_id, str) or pci_numbers(item.pci_id) is None:
        raise OverlayError("%r is no address of a PCI function, such as 0000:09:00.0" % (item.pci_id,))
    if item.alias is not None and not _ALIAS.fullmatch(item.alias):
        raise OverlayError("%r is no alias of a device: 1 to 31 letters, digits and marks of , . _ + -" % (item.alias,))
    if item.driver is not None and (not item.driver or not item.driver.isprintable()):
        raise OverlayError("%r is no name of a driver" % (item.driver,))
    return item
