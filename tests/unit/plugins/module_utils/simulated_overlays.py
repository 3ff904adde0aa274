# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Overlays as a kernel of generation G2 takes them: the header is looked at when they are written, the rest goes wrong in silence.

A transaction that fails stays, with what was done before its failure in force. Its errno is in the kernel log alone.
"""

from __future__ import annotations

import errno
import re
import struct

from ansible_collections.multikernel.core.plugins.module_utils._boot import fdt
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated_pool import NODES, PAGE, refuse

ORDER = {
    "resources": ("cpu-remove", "device-remove", "memory-remove", "memory-add", "cpu-add", "device-add"),
    "instances": ("instance-create", "instance-remove"),
    "instance": ("memory-remove", "memory-add", "cpu-remove", "cpu-add", "device-remove", "device-add"),
}
VERBS = {verb for verbs in ORDER.values() for verb in verbs}
INVERSE = {"cpu-add": "cpu-remove", "memory-add": "memory-remove", "device-add": "device-remove"}
INVERSE.update({back: forth for forth, back in INVERSE.items()})
ITEM = {"cpu": "cpu@", "memory": "memory@", "device": "pci@"}


def check_header(blob):
    """fdt_check_header() of libfdt: nothing but ten numbers. The length of what was received is not looked at."""
    if len(blob) < 40:
        refuse(errno.EINVAL)
    magic, total, structure, strings, reserve, version, last, _cpu, strings_size, structure_size = struct.unpack(">10I", blob[:40])
    if magic != fdt.MAGIC or version < 2 or last > 17 or total < 40 or total > 0x7FFFFFFF:
        refuse(errno.EINVAL)
    if not 40 <= reserve <= total or structure + structure_size > total or strings + strings_size > total:
        refuse(errno.EINVAL)
    return total


class Overlays:
    """overlays/ of one host: `new` and one transaction for each blob whose header was good."""

    def __init__(self, state):
        self.state = state
        self.counter = 1
        self.transactions = {}  # id -> {"status", "instance", "resources", "dtbo"}

    def submit(self, blob):
        """Take a blob; what is wrong beyond its header shows in the status alone. Returns the id, which no client is told."""
        check_header(blob)
        self.counter += 1
        told = {"status": "pending", "instance": "unknown", "resources": "unknown", "dtbo": bytes(blob)}
        self.transactions[self.counter] = told
        try:
            root = self._tree(blob)
            told["resources"] = self._word(root, "mk,resources", 255)
            fragments = self._fragments(root)
            told["instance"] = self._word(fragments[0], "target-path", 127)
            for fragment in fragments:
                for call in self._operations(fragment):
                    call()
            told["status"] = "applied"
        except (OSError, fdt.FdtError) as error:
            self.state.log.append("multikernel: overlay %d: %s" % (self.counter, error))
            told["status"] = "failed"
        return self.counter

    def rollback(self, number):
        """rmdir of a transaction: the inverse of every operation in it, last first, also of those that were never done."""
        if number not in self.transactions:
            refuse(errno.ENOENT)
        told = self.transactions[number]
        try:
            for fragment in reversed(self._fragments(self._tree(told["dtbo"]))):
                for verb, node in reversed(self._verbs(fragment)):
                    self._undo(self._target(fragment), verb, node)
        except (OSError, fdt.FdtError) as error:
            told["status"] = "failed"
            raise OSError(getattr(error, "errno", None) or errno.EINVAL, str(error)) from error
        del self.transactions[number]

    @staticmethod
    def _tree(blob):
        total = struct.unpack(">I", blob[4:8])[0]
        return fdt.parse(blob[:total])

    @staticmethod
    def _word(node, name, longest):
        try:
            return (node.string(name) or "unknown")[:longest]
        except fdt.FdtError:
            return "unknown"

    @staticmethod
    def _fragments(root):
        """In the order of their units, which are hexadecimal."""
        found = []
        for node in root.children:
            if node.name.startswith("fragment@"):
                if not re.fullmatch("[0-9a-fA-F]{1,8}", node.name[9:]):
                    refuse(errno.EINVAL, "bad unit %s" % node.name)
                found.append((int(node.name[9:], 16), node))
        if not found:
            refuse(errno.EINVAL, "no fragment")
        return [node for _unit, node in sorted(found, key=lambda pair: pair[0])]

    def _target(self, fragment):
        """(kind, name of the instance) of a fragment."""
        path = fragment.string("target-path")
        if path is None or fragment.child("__overlay__") is None:
            refuse(errno.EINVAL, "no target-path or __overlay__")
        if path == "/resources":
            return "resources", None
        if path == "/instances":
            return "instances", None
        match = re.fullmatch("/instances/([^/]+)", path)
        if match is None:
            refuse(errno.EINVAL, "bad target-path %s" % path)
        return "instance", match.group(1)

    def _verbs(self, fragment):
        """(verb, node) in the kernel's own order; of each verb the first node alone."""
        kind, _name = self._target(fragment)
        overlay = fragment.child("__overlay__")
        if any(node.name in VERBS and node.name not in ORDER[kind] for node in overlay.children):
            refuse(errno.EINVAL, "an operation in the wrong target")
        return [(verb, overlay.child(verb)) for verb in ORDER[kind] if overlay.child(verb) is not None]

    def _operations(self, fragment):
        """Calls that do what the fragment asks, one after the other."""
        kind, name = self._target(fragment)
        if kind == "resources" and not self.state.live():
            refuse(errno.EPERM, "there is no pool")
        if kind == "instance" and name not in self.state.instances:
            refuse(errno.ENOENT, "no instance %s" % name)
        for verb, node in self._verbs(fragment):
            if verb in self.state.fails:
                yield lambda verb=verb: refuse(self.state.fails[verb], "injected")
            elif verb == "instance-create":
                yield lambda node=node: self._create(node)
            elif verb == "instance-remove":
                yield lambda node=node: self.state.remove(node.string("instance-name"))
            else:
                for item in self._items(verb, node):
                    yield lambda verb=verb, item=item: self._change(kind, name, verb, item)

    @staticmethod
    def _items(verb, node):
        """Children of another kind, such as region@0 of the generation before, are passed over in silence."""
        return [item for item in node.children if item.name.startswith(ITEM[verb.split("-")[0]])]

    def _create(self, node):
        name, resources = node.string("instance-name"), node.child("resources")
        if not name or "/" in name or resources is None or "device-names" in resources.properties:
            refuse(errno.EINVAL, "bad instance-create")
        number = node.properties.get("id", b"")
        size = resources.properties.get("memory-bytes")
        if size is not None and (len(size) != 8 or not resources.u64("memory-bytes") or resources.u64("memory-bytes") % PAGE):
            refuse(errno.EINVAL, "bad memory-bytes")
        cpus = resources.properties.get("cpus")
        if cpus is not None and (not cpus or len(cpus) % 8):
            refuse(errno.EINVAL, "bad cpus")
        nodes = resources.u32s("numa-nodes") or []
        if any(one >= NODES for one in nodes):
            refuse(errno.EINVAL, "bad numa-nodes")
        chosen = node.child("chosen")
        if chosen is not None and (chosen.properties or any(one.name != "multikernel,host-tree" for one in chosen.children)):
            refuse(errno.EINVAL, "bad chosen")
        if len((resources.child("virtio") or fdt.Node()).children) > 16:
            refuse(errno.E2BIG, "too many virtio devices")
        devices = []
        for device in (resources.child("devices") or fdt.Node()).children:
            platform = device.string("device-name") or device.string("acpi-hid")
            if not platform and any(one not in device.properties for one in ("pci-id", "vendor-id", "device-id")):
                refuse(errno.EINVAL, "bad device")
            devices.append(platform or device.string("pci-id"))
        # a wrong width of the id counts as none
        self.state.create(
            name,
            node.u32("id") if len(number) == 4 else None,
            resources.u64s("cpus") or [],
            resources.u64("memory-bytes") or 0,
            nodes[0] if nodes else None,
            devices,
        )

    def _change(self, kind, name, verb, item):
        subject = verb.split("-")[0]
        node = item.properties.get("numa-node-id")
        if node is not None and (len(node) != 4 or item.u32("numa-node-id") >= NODES):
            refuse(errno.EINVAL, "bad numa-node-id")
        if subject == "cpu":
            number = item.properties.get("reg", b"")
            if len(number) not in (4, 8):
                refuse(errno.EINVAL, "bad reg")
            words = [int.from_bytes(number, "big")]
        elif subject == "device":
            pci_id = item.string("pci-id")
            if pci_id is None:
                refuse(errno.EINVAL, "no pci-id")
            words = [pci_id] + ([item.string("alias" if kind == "resources" else "driver")] if verb == "device-add" else [])
        elif kind == "resources" and verb == "memory-add":
            if "reg" in item.properties or not item.u64("size") or item.u64("size") % PAGE:
                refuse(errno.EINVAL, "bad size")
            words = [item.u64("size"), item.u32("numa-node-id")]
        else:
            words = item.u64s("reg") or []
            if len(words) != 2:
                refuse(errno.EINVAL, "bad reg")
        call = ("pool_%s" if kind == "resources" else "%s") % verb.replace("-", "_")
        getattr(self.state, call)(*([name] if kind == "instance" else []), *words)

    def _undo(self, target, verb, node):
        kind, name = target
        state = self.state
        if verb == "instance-create":
            if node.string("instance-name") in state.instances:
                state.remove(node.string("instance-name"))
        elif verb == "instance-remove" or (kind == "resources" and verb == "memory-add"):
            state.log.append("multikernel: %s cannot be undone" % verb)
        elif kind == "resources" and verb == "memory-remove":
            for item in reversed(self._items(verb, node)):
                state.pool_memory_add((item.u64s("reg") or [0, 0])[1])
        else:
            for item in reversed(self._items(verb, node)):
                self._change(kind, name, INVERSE[verb], item)
