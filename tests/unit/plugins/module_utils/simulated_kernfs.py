# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host in memory that speaks the kernfs interface of generation G2 as the facts about it tell, with all its traps.

KernfsKernel offers what a dialect's System does. What a careful client must never do is noted in `harm` instead of being refused.
The instances that it runs have the mailbox of mkstock, from the machine of `simulated.py`, unless mkstock is False.

Its switches, all plain attributes (`state` is a simulated_pool.State):

=====================  =================================================================================================
fails                  {(part of a path or "file_load" | "file_unload" | "command" | "mount", None): errno or sentence}: refused
state.fails            {operation such as "cpu-add": errno}: an overlay that has it fails in the middle, while its write succeeds
state.deny_cpus        CPUs that are free, and yet not granted: the overlay says "applied" all the same
state.stuck_cpus       CPUs that do not move: a baseline fails after everything else was done
state.silent           active instances that do not acknowledge: 10 s for each item of an overlay, then ETIMEDOUT
deaf                   active instances that do not answer a halt: 30 s, then ETIMEDOUT
mute, dies             as in simulated.Machine: instances that never report, or end instead of running
meddle                 functions of the kernel; each write to a tree or an overlay first calls the next one: a foreign tool
between_reads          functions of the kernel; called between two chunks of an instance's tree: it comes out torn
lock_held              somebody else is in kexec: EBUSY
signatures             errno for images that are not signed, or None
state.named_ranges     False: the base of an instance's memory-add is ignored, as older kernels of the generation do
generation             "G0" or "G1": stand-ins for the probe; any write to them is noted as harm
=====================  =================================================================================================
"""

from __future__ import annotations

import errno
import os

from ansible_collections.multikernel.core.plugins.module_utils._boot import fdt, kernel_file, kexec_file
from ansible_collections.multikernel.core.plugins.module_utils._dialect.base import DialectError
from ansible_collections.multikernel.core.plugins.module_utils._host import mounts
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import MIB, Machine
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated_overlays import Overlays, check_header
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated_pool import BLOCK, NODES, PAGE, State, attempt, refuse

TOP = "sys/fs/multikernel"
ROOT = TOP + "/device_tree"
NEW = TOP + "/overlays/new"
HALT_TIMEOUT = 30.0
SMALLEST = 4 * MIB  # memory that an image needs
G1 = fdt.Node("", {}, [fdt.Node("resources", {"cpus": fdt.u32(2, 4), "memory-base": fdt.u64(1 << 30), "memory-bytes": fdt.u64(1 << 30)})])


class KernfsKernel(Machine):
    """A machine with *cpus* logical CPUs (APIC id twice the number) on *nodes* NUMA nodes of 1 GiB from 1 GiB up, each with free memory."""

    def __init__(self, root, mkstock=True, cpus=4, nodes=1, devices=(), generation="G2", mounted=True, vanish=True):
        super().__init__(root, mkstock=mkstock, reserved=False)
        self.made_with = {"mkstock": mkstock, "cpus": cpus, "nodes": nodes, "devices": devices, "generation": generation, "vanish": vanish}
        self.apic = {cpu: 2 * cpu for cpu in range(cpus)}
        self.logical = {apic: cpu for cpu, apic in self.apic.items()}
        self.online, self.present = set(self.apic), sorted(self.apic)
        self.blocks = dict.fromkeys(range(8, 8 + 8 * nodes), "online")
        node_of = {apic: cpu * nodes // cpus for cpu, apic in self.apic.items()}
        areas = {node: ((node + 1) << 30, (node + 2) << 30) for node in range(nodes)}
        self.state = State(node_of, areas, devices)
        self.state.elapse, self.state.harm = self.sleep, self.harm
        self.overlays = Overlays(self.state)
        self.generation, self.is_mounted, self.source, self.vanish = generation, mounted, "none", vanish
        self.deaf, self.lock_held, self.signatures = set(), False, None
        self.meddle, self.between_reads = [], []
        self.writes = []  # (path, blob) of every write that reached the kernel

    # what System offers

    def facts(self, images=(), remembered=None, signers=None):
        bundle = super().facts(images, remembered, signers)
        for cpu, one in bundle["cpus"]["each"].items():
            old = (remembered or {}).get(cpu, {})
            number = int(cpu)
            one.update(
                apic_id=self.apic[number] if number in self.online else old.get("apic_id"), node=self.state.node_of[self.apic[number]]
            )
        bundle["cpus"]["possible"] = sorted(self.apic)
        name = "kernfs" if self.multikernel else "none"
        bundle["dialect"].update(name=name, strict=None, pool=None, offers=[name])
        return bundle

    def read(self, path):
        path = path.strip("/")
        if path in ("proc/mounts", "proc/self/mounts"):
            return "%s /%s multikernel rw 0 0\n" % (self.source, TOP) if self.is_mounted else "proc /proc proc rw 0 0\n"
        if path == "proc/filesystems":
            return "nodev\tsysfs\nnodev\tmultikernel\n"
        if path == "proc/kimage":
            return self._kimage()
        if path == "proc/multikernel":
            return None
        if path == "proc/iomem":
            return "".join("%s%08x-%08x : %s\n" % ("  " * one["depth"], one["start"], one["end"], one["name"]) for one in self._iomem())
        if path.startswith(TOP + "/"):
            data = self._file(path)
            return None if data is None else data.decode("utf-8", "replace")
        return super().read(path)

    def exists(self, path):
        path = path.strip("/")
        if path == TOP or path.startswith(TOP + "/"):
            return (
                self._file(path) is not None
                or self._folder(path) is not None
                or (path == NEW and self._folder(TOP + "/overlays") is not None)
            )
        return super().exists(path)

    def read_bytes(self, path):
        path = path.strip("/")
        tree = path.startswith(TOP + "/instances/") and path.endswith("/device_tree")
        if not tree:
            return self._file(path)
        data = bytearray()
        while True:  # the kernel makes the tree anew for each read(2), and gives a page of it at most
            blob = self._file(path)
            if blob is None:
                return bytes(data) or None
            chunk = blob[len(data) : len(data) + PAGE]
            if not chunk:
                return bytes(data)
            data += chunk
            if self.between_reads:
                self.between_reads.pop(0)(self)

    def write_bytes(self, path, blob):
        try:
            taken = self.kernel_write(path, blob)
        except OSError as error:
            raise DialectError(
                "the kernel refused %d bytes for /%s: %s" % (len(blob), path, os.strerror(error.errno)), error.errno
            ) from error
        if taken != len(blob):
            raise DialectError("the kernel took only %d of %d bytes for /%s" % (taken, len(blob), path), errno.EIO)

    def listdir(self, path):
        found = self._folder(path.strip("/"))
        if found is None:
            raise DialectError("/%s cannot be listed: No such file or directory" % path, errno.ENOENT)
        return sorted(found)

    def rmdir(self, path):
        self._called("rmdir", self._rmdir, path.strip("/"))

    def mount_kernfs(self):
        self._called("mount", self._mount)

    def unmount_kernfs(self):
        self.is_mounted = False

    def open_console(self, instance):
        return None

    def unpacked(self, path, digest=None):
        return kernel_file.KernelFile(b"\x7fELF", "vmlinux", 0x1000000, False, self.signatures is not None)

    def file_load(self, kernel, initrd, cmdline, instance, digests=(None, None)):
        self._called("file_load", self._file_load, kernel, initrd, cmdline, instance)

    def file_unload(self, instance):
        self._called("file_unload", self._file_unload, instance)

    def command(self, number, instance):
        self._called("command", self._command, number, instance)

    def assemble(self, spec):
        raise AssertionError("the kernel assembles images by itself")

    def load(self, entry, segments):
        raise AssertionError("kexec_load is of another dialect")

    def unload(self):
        raise AssertionError("kexec_load is of another dialect")

    def boot(self, cpu):
        raise AssertionError("this reboot command is of another dialect")

    # what tests do to the host

    def reboot(self):
        """The host boots anew: nothing of the pool, the instances and the images survives."""
        fresh = KernfsKernel(self.root, **self.made_with)
        fresh.boot_id = self.boot_id + "+"
        return fresh

    def kernel_write(self, path, blob, offset=0):
        """One write(2) as the kernel takes it: the number of bytes taken, or OSError. A foreign tool may use it, too."""
        path = path.strip("/")
        if self.meddle and path in (ROOT, NEW):
            self.meddle.pop(0)(self)
        self._fail(path)
        if not self.is_mounted or path not in (ROOT, NEW) or (path == NEW and self.generation == "G0"):
            refuse(errno.ENOENT)
        self.writes.append((path, bytes(blob)))
        if self.generation != "G2":
            self.harm.append("a blob was written to a host of generation %s" % self.generation)
            return len(blob)
        if path == ROOT:
            self._baseline(bytes(blob))
            return len(blob)
        if offset or not blob:
            refuse(errno.EINVAL)
        if len(blob) > fdt.LARGEST:
            refuse(errno.EFBIG)
        self._busy_if_locked()
        self.overlays.submit(bytes(blob[:PAGE]))  # kernfs clips a write at a page
        self._sync_cpus()
        return min(len(blob), PAGE)

    # how it does it

    def _misbooked(self, made):
        found, cpus = [], {self.apic[cpu] for cpu in made.get("cpus") or []}
        if cpus != set(self.state.pool_cpus):
            found.append("CPUs of the pool: %s, in the books: %s" % (sorted(self.state.pool_cpus), sorted(cpus)))
        chunks, booked = sorted(one["base"] for one in self.state.chunks), sorted(base for base, _size in made.get("pool") or [])
        if chunks != booked:
            found.append("chunks of the pool: %s, in the books: %s" % (chunks, booked))
        if self.online | {self.logical[cpu] for cpu in self.state.pool_cpus} != set(self.apic):
            found.append("CPUs that are neither the host's nor the pool's")
        return found

    def _called(self, what, function, *arguments):
        try:
            self._fail(what)
            function(*arguments)
        except OSError as error:
            raise DialectError("%s refused: %s" % (what, os.strerror(error.errno)), error.errno) from error

    def _fail(self, what):
        for (where, _text), how in self.fails.items():
            if where in what and isinstance(how, int):
                refuse(how)
            if where in what:
                raise DialectError(how)

    def _busy_if_locked(self):
        if self.lock_held:
            refuse(errno.EBUSY)

    def _sync_cpus(self):
        """Logical CPUs follow the pool: a pooled one is offline, and mostly not even present."""
        self.online = {self.logical[apic] for apic in self.state.online}
        if self.vanish:
            self.present = sorted(self.online)

    def _folder(self, path):
        if path == TOP:
            inside = ["device_tree", "instances"] + (["overlays"] if self.generation != "G0" else [])
            return inside if self.is_mounted else []
        if not self.is_mounted:
            return None
        if path == TOP + "/instances":
            return list(self.state.instances)
        if path == TOP + "/overlays" and self.generation != "G0":
            return ["new"] + ["tx_%d" % number for number in self.overlays.transactions]
        head, name = os.path.split(path)
        if head == TOP + "/instances" and name in self.state.instances:
            return ["id", "status", "device_tree"]
        if head == TOP + "/overlays" and name.startswith("tx_") and int(name[3:]) in self.overlays.transactions:
            return ["id", "status", "instance", "resources", "dtbo"]
        return None

    def _file(self, path):
        """The bytes of a file below the mount; None where there is none."""
        if not self.is_mounted or not path.startswith(TOP + "/"):
            return None
        if any(where in path for (where, _text) in self.fails):
            return None
        if path == ROOT:
            return {"G0": b"/multikernel-v1/;\n\n/ {\n};\n", "G1": fdt.build(G1)}.get(self.generation) or fdt.build(self._host_tree())
        folder, name = os.path.split(path)
        if name not in (self._folder(folder) or ()):
            return None
        head, entry = os.path.split(folder)
        if head == TOP + "/instances":
            record = self.state.instances[entry]
            text = {"id": "%d\n" % record.id, "status": "%s\n" % record.state}
            return text[name].encode() if name in text else fdt.build(self._instance_tree(record))
        if head == TOP + "/overlays":
            told = self.overlays.transactions[int(entry[3:])]
            return told["dtbo"] if name == "dtbo" else ("%s\n" % (entry[3:] if name == "id" else told[name])).encode()
        return None

    def _host_tree(self):
        state = self.state
        root = fdt.Node("", {"compatible": fdt.string("multikernel-v1"), "#address-cells": fdt.u32(2), "#size-cells": fdt.u32(2)})
        root.properties.update({"id": fdt.u32(0), "memory-granule": fdt.u64(BLOCK)})
        resources = fdt.Node("resources", {"cpus": fdt.u64(*(state.pool_cpus if state.live() else sorted(state.online)))})
        root.children.append(resources)
        if state.live():
            if state.free_cpus():
                resources.properties["cpus-available"] = fdt.u64(*state.free_cpus())
            for chunk in sorted(state.chunks, key=lambda one: one["base"]):
                told = {"device_type": fdt.string("memory"), "reg": fdt.u64(chunk["base"], chunk["size"])}
                resources.children.append(fdt.Node("memory@%x" % chunk["base"], dict(told, **{"numa-node-id": fdt.u32(chunk["node"])})))
            self._add_pci(root, [pci_id for pci_id, one in state.pool_devices.items() if one["owner"] is None])
        return root

    def _instance_tree(self, record):
        resources = fdt.Node("resources", {"cpus": fdt.u64(*record.cpus)} if record.cpus else {})
        if record.regions:
            resources.properties["memory-base"] = fdt.u64(record.regions[0][0])
            resources.properties["memory-bytes"] = fdt.u64(sum(size for _base, size in record.regions))
        root = fdt.Node("", {"model": fdt.string(record.name), "id": fdt.u32(record.id)}, [resources])
        self._add_pci(root, record.devices)
        return root

    def _add_pci(self, root, addresses):
        aliases = {}
        for bus in sorted({pci_id[5:7] for pci_id in addresses}):
            bridge = fdt.Node("pci@%s" % bus, {"compatible": fdt.string("multikernel,pci-host-bridge"), "linux,pci-domain": fdt.u32(0)})
            for pci_id in sorted(one for one in addresses if one[5:7] == bus):
                slot, function = int(pci_id[8:10], 16), int(pci_id[11])
                hardware = self.state.hardware[pci_id]
                told = {"reg": fdt.u32(int(bus, 16) << 16 | slot << 11 | function << 8, 0, 0, 0, 0)}
                told.update({"vendor-id": fdt.u32(hardware["vendor"]), "device-id": fdt.u32(hardware["device"])})
                bridge.children.append(fdt.Node("pci@%x,%x" % (slot, function), told))
                alias = self.state.pool_devices[pci_id]["alias"]
                if alias:
                    aliases[alias] = fdt.string("/%s/%s" % (bridge.name, bridge.children[-1].name))
            root.children.append(bridge)
        if aliases:
            root.children.append(fdt.Node("aliases", aliases))

    def _baseline(self, blob):
        """Checks in the kernel's order; what was done before a late refusal stays done."""
        if len(blob) > fdt.LARGEST:
            refuse(errno.E2BIG)
        if check_header(blob) != len(blob):
            refuse(errno.EINVAL)
        try:
            root = fdt.parse(blob)
        except fdt.FdtError:
            refuse(errno.EINVAL)
        if (root.child("instances") or fdt.Node()).children:
            refuse(errno.EINVAL)
        if self.state.live():
            refuse(errno.EBUSY)
        resources = root.child("resources")
        if resources is None or not resources.properties.get("cpus") or len(resources.properties["cpus"]) % 8:
            refuse(errno.EINVAL)
        memory = [one for one in resources.children if one.name.startswith("memory@")]
        if not memory:
            refuse(errno.EINVAL)
        if len(memory) > NODES:
            refuse(errno.E2BIG)
        for one in memory:
            size, node = one.properties.get("size", b""), one.properties.get("numa-node-id", bytes(4))
            if len(size) != 8 or not one.u64("size") or one.u64("size") % PAGE or len(node) != 4 or int.from_bytes(node, "big") >= NODES:
                refuse(errno.EINVAL)
        devices = self._baseline_devices(root, resources)
        cpus = resources.u64s("cpus")
        if any(cpu not in self.state.node_of for cpu in cpus):
            refuse(errno.ENODEV)
        for one in memory:
            self.state.pool_memory_add(one.u64("size"), one.u32("numa-node-id"))
        moved = [attempt(self.state.log, self.state.pool_cpu_add, cpu) for cpu in cpus]
        for pci_id, alias in devices:
            attempt(self.state.log, self.state.pool_device_add, pci_id, alias)  # only its absence in the tree tells
        self._sync_cpus()
        if not all(moved):
            refuse(errno.EBUSY)

    @staticmethod
    def _baseline_devices(root, resources):
        aliases = root.child("aliases") or fdt.Node()
        named = {aliases.string(alias): alias for alias in aliases.properties}
        found = []
        for one in (resources.child("devices") or fdt.Node()).children:
            if one.string("device-type") == "pci":
                if any(name not in one.properties for name in ("pci-id", "vendor-id", "device-id")):
                    refuse(errno.EINVAL)
                found.append((one.string("pci-id"), named.get("/resources/devices/" + one.name)))
        return found

    def _rmdir(self, path):
        head, name = os.path.split(path)
        if head != TOP + "/overlays" or not name.startswith("tx_"):
            refuse(errno.EPERM)
        self.overlays.rollback(int(name[3:]))
        self._sync_cpus()

    def _mount(self):
        if not self.multikernel:
            refuse(errno.ENODEV)
        self.is_mounted, self.source = True, mounts.SOURCE

    def _record(self, number):
        return next((one for one in self.state.instances.values() if one.id == number), None)

    def _file_load(self, kernel, initrd, cmdline, number):
        if self.load_disabled or not self.privileged:
            refuse(errno.EPERM)
        if not 1 <= number <= kexec_file.LAST_ID or "\0" in cmdline:
            refuse(errno.EINVAL)
        self._busy_if_locked()
        record = self._record(number)
        if record is None:
            refuse(errno.ENOENT)
        if record.image is not None:
            refuse(errno.EBUSY)
        if not self._accepted(kernel):
            refuse(errno.ENOEXEC)
        if self.signatures:
            refuse(self.signatures)
        if sum(size for _base, size in record.regions) < SMALLEST:
            refuse(errno.ENOMEM)
        record.image = {"kernel": kernel if isinstance(kernel, str) else "bytes", "initrd": initrd, "cmdline": cmdline}
        record.state = "loaded"
        self._blank_mailbox(record)

    def _accepted(self, kernel):
        """The real kernel asks for its note in a vmlinux; mkstock takes stock images, and flat ones, too."""
        kind = self.kinds.get(kernel, "bzimage") if isinstance(kernel, str) else "vmlinux" if bytes(kernel[:4]) == b"\x7fELF" else "flat"
        return kind != "unknown" if self.mkstock else kind == "vmlinux"

    def _file_unload(self, number):
        if self.load_disabled or not self.privileged:
            refuse(errno.EPERM)
        self._busy_if_locked()
        record = self._record(number)
        if record is None or record.image is None:
            refuse(errno.ENOENT)
        if record.state == "active":
            self.harm.append("the image of %s was unloaded while it runs" % record.name)
        record.image, record.state = None, "ready"

    def _command(self, number, identity):
        if not self.privileged:
            refuse(errno.EPERM)
        record = self._record(identity)
        if number == kexec_file.EXEC:
            self._exec(record)
        elif number == kexec_file.HALT:
            self._halt(record)
        elif number == kexec_file.HALT_FORCE:
            if record is None:
                refuse(errno.ENOENT)
            if record.state not in ("active", "loaded") or not record.cpus:
                refuse(errno.EINVAL)
            self._stop(record)
        else:
            refuse(errno.EINVAL)

    def _exec(self, record):
        if record is None or record.image is None:
            refuse(errno.EINVAL)
        self._busy_if_locked()
        if record.state != "loaded":
            refuse(errno.EBUSY)
        if not record.cpus:
            refuse(errno.EINVAL)
        base = record.regions[0][0]
        record.state = "active"
        self._blank_mailbox(record)
        self.instances[base + 0x3000] = {
            "cpus": list(record.cpus),
            "memory": [tuple(one) for one in record.regions],
            "name": record.name,
            "since": self.now,
        }
        if self.mkstock:
            state, text = self.dies.get(record.name, (2, ""))
            silent = record.name in self.mute
            self.mailboxes[base].update(since=self.now, state=0 if silent else state, text=text, nproc=len(record.cpus))

    def _blank_mailbox(self, record):
        if self.mkstock and record.regions:
            told = {"nonce": self.nonce() + (record.id << 32), "since": None, "state": 0, "text": "", "nproc": 0, "last": self.now}
            self.mailboxes[record.regions[0][0]] = told

    def _halt(self, record):
        if record is None:
            refuse(errno.ENOENT)
        if record.state != "active":
            refuse(errno.EINVAL)
        ended = self.mailboxes.get(record.regions[0][0], {}).get("state", 2) > 2
        if record.name in self.deaf or ended:
            self.sleep(HALT_TIMEOUT)
            refuse(errno.ETIMEDOUT)
        self._stop(record)

    def _stop(self, record):
        base = record.regions[0][0] if record.regions else 0
        self.physical(base, PAGE)  # its last beat
        self.instances.pop(base + 0x3000, None)
        record.state = "loaded"

    def _channel(self, words):
        if words[0] == "create":
            self.areas.add(int(words[2], 16))
            self.made_channels = [*getattr(self, "made_channels", []), words[1:]]
            self.channels[words[1]] = {"address": int(words[2], 16), "end": words[3] if words[3] == "-" else int(words[3])}
        else:
            super()._channel(words)

    def _known_cpus(self, one):
        return ",".join(str(cpu) for cpu in one["cpus"])

    def _cmdline(self):
        return "ro no_ipi_broadcast=1"

    def _iomem(self):
        rows = []
        for node, (start, end) in sorted(self.state.areas.items()):
            rows.append({"start": MIB if not node else start, "end": end - 1, "name": "System RAM", "depth": 0})
        for chunk in sorted(self.state.chunks, key=lambda one: one["base"]):
            rows.append({"start": chunk["base"], "end": chunk["base"] + chunk["size"] - 1, "name": "Multikernel Memory Pool", "depth": 1})
            for record in sorted(self.state.instances.values(), key=lambda one: one.id):
                for number, (base, size) in enumerate(record.regions):
                    if chunk["base"] <= base < chunk["base"] + chunk["size"]:
                        name = "mk-instance-%d-%s-region-%d" % (record.id, record.name, number)
                        rows.append({"start": base, "end": base + size - 1, "name": name, "depth": 2})
        return rows

    def _kimage(self):
        rows = [
            "MK_ID   Type         Start Address   Segments  Mode  Cmdline",
            "------  -----------  --------------  --------  ----  -------",
        ]
        for record in sorted(self.state.instances.values(), key=lambda one: one.id):
            if record.image is not None:
                start = record.regions[0][0] + 0x1000000
                rows.append('%-6d  multikernel  0x%012x  %8d  file  "%s"' % (record.id, start, 4, record.image["cmdline"]))
        return "\n".join(rows) + "\n"
