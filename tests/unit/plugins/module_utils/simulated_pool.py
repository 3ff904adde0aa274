# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kernel of generation G2 keeps: its pool of CPUs, memory and devices, and its instances; with the errno of each refusal.

Written from the facts about that kernel alone, not from the client: what is lenient there is lenient here. A refusal is an OSError.
CPUs are APIC ids. `log` is the kernel log, which is all that tells why an overlay failed or what it left out.
"""

from __future__ import annotations

import errno

MIB = 1 << 20
PAGE = 4096
BLOCK = 128 * MIB  # of memory hotplug on x86
PAGEBLOCK = 2 * MIB
PARK = 16 * PAGE  # where CPUs of the pool wait: a pool as large as its instances comes up short by this much
ACK_TIMEOUT = 10.0
NODES = 8  # MAX_NUMNODES


def attempt(log, function, *arguments):
    """Whether a function did its work; what it refused goes to the log."""
    try:
        function(*arguments)
    except OSError as error:
        log.append("multikernel: %s" % error)
        return False
    return True


def refuse(number, text=""):
    """Refuse with an errno; the text is for the kernel log."""
    raise OSError(number, text or errno.errorcode[number])


class Record:
    """One instance as the kernel knows it."""

    def __init__(self, name, number):
        self.name, self.id, self.state = name, number, "ready"
        self.cpus = []  # the first one boots
        self.regions = []  # [base, size]
        self.devices = []  # PCI addresses
        self.image = None


class State:
    """The pool and the instances. online maps the APIC ids of the host to NUMA nodes; areas has (start, end) of each node's free memory."""

    def __init__(self, online, areas, devices=(), boot=0, named_ranges=True):
        self.online = dict(online)
        self.node_of = dict(online)
        self.boot = boot
        self.areas = dict(areas)
        self.hardware = {one["pci_id"]: dict(one) for one in devices}
        self.pool_cpus = []
        self.chunks = []  # {"base", "size", "node", "taken": [[base, size, owner]]}
        self.pool_devices = {}  # PCI address -> {"alias", "owner"}
        self.instances = {}  # name -> Record
        self.named_ranges = named_ranges  # older kernels of the generation ignore the base of an instance's memory-add
        self.log = []
        self.fails = {}  # name of an operation -> errno
        self.deny_cpus = set()  # CPUs of the pool that no instance is given, though they are free
        self.stuck_cpus = set()  # CPUs that cannot be moved to the pool
        self.silent = set()  # active instances that do not acknowledge
        self.elapse = lambda seconds: None
        self.harm = []

    # the pool

    def live(self):
        """Whether there is a pool at all."""
        return bool(self.pool_cpus or self.chunks or self.pool_devices)

    def free_cpus(self):
        """Members of the pool that no instance has."""
        lent = {cpu for one in self.instances.values() for cpu in one.cpus}
        return [cpu for cpu in self.pool_cpus if cpu not in lent]

    def pool_cpu_add(self, cpu):
        """A CPU leaves the host."""
        if cpu not in self.online:
            refuse(errno.EINVAL, "CPU %d is not online" % cpu)
        if cpu == self.boot:
            refuse(errno.EINVAL, "CPU %d is the boot CPU" % cpu)
        if cpu in self.stuck_cpus:
            refuse(errno.EBUSY, "CPU %d does not move" % cpu)
        self._ensure_park()
        del self.online[cpu]
        self.pool_cpus.append(cpu)

    def pool_cpu_remove(self, cpu):
        """A free CPU goes back to the host."""
        if cpu not in self.free_cpus():
            refuse(errno.EBUSY, "CPU %d is not free" % cpu)
        self.pool_cpus.remove(cpu)
        self.online[cpu] = self.node_of[cpu]

    def pool_memory_add(self, size, node=None):
        """Contiguous memory of the host becomes a chunk; from the top of a node down, aligned to hotplug blocks if it has as much."""
        if node is not None and node not in self.areas:
            refuse(errno.EINVAL, "node %d is offline" % node)
        align = BLOCK if size >= BLOCK else PAGEBLOCK
        for number in [node] if node is not None else sorted(self.areas):
            low, high = self.areas[number]
            for end in sorted([high] + [one["base"] for one in self.chunks if low < one["base"] <= high], reverse=True):
                base = (end - size) // align * align
                if base >= low and not any(base < one["base"] + one["size"] and one["base"] < base + size for one in self.chunks):
                    self.chunks.append({"base": base, "size": size, "node": number, "taken": []})
                    return base
        refuse(errno.ENOMEM, "no contiguous range of %d bytes" % size)
        return None

    def pool_memory_remove(self, base, size):
        """A whole chunk goes back to the host."""
        chunk = next((one for one in self.chunks if (one["base"], one["size"]) == (base, size)), None)
        if chunk is None:
            refuse(errno.ENOENT, "no such chunk")
        if any(part[2] != "park" for part in chunk["taken"]):
            refuse(errno.EBUSY, "the chunk has allocations")
        if chunk["taken"] and self.pool_cpus:
            refuse(errno.EBUSY, "CPUs of the pool are parked in the chunk")
        self.chunks.remove(chunk)

    def pool_device_add(self, pci_id, alias=None):
        """A PCI function loses its driver in the host."""
        if pci_id not in self.hardware:
            refuse(errno.ENODEV, "no device %s" % pci_id)
        if pci_id in self.pool_devices:
            refuse(errno.EBUSY, "%s is in the pool" % pci_id)
        self.pool_devices[pci_id] = {"alias": alias, "owner": None}

    def pool_device_remove(self, pci_id):
        """A free PCI function goes back to the host."""
        if pci_id not in self.pool_devices:
            refuse(errno.ENODEV, "%s is not in the pool" % pci_id)
        if self.pool_devices[pci_id]["owner"] is not None:
            refuse(errno.EBUSY, "%s is lent" % pci_id)
        del self.pool_devices[pci_id]

    def free_ranges(self, node=None):
        """[base, size] of what is free in the pool, lowest first."""
        found = []
        for chunk in sorted(self.chunks, key=lambda one: one["base"]):
            at = chunk["base"]
            if node is not None and chunk["node"] != node:
                continue
            for base, size, _owner in sorted(chunk["taken"]):
                if base > at:
                    found.append([at, base - at])
                at = base + size
            if chunk["base"] + chunk["size"] > at:
                found.append([at, chunk["base"] + chunk["size"] - at])
        return found

    # instances

    def create(self, name, number, cpus, size, node=None, devices=()):
        """A new instance. Only a shortage of memory makes this fail: what else cannot be had is left out, with a line in the log."""
        if name in self.instances:
            refuse(errno.EEXIST, "instance %s exists" % name)
        if number == 0:
            refuse(errno.ENOMEM, "id 0")
        used = {one.id for one in self.instances.values()}
        if number in used:
            refuse(errno.EEXIST, "id %d is in use" % number)
        record = Record(name, number if number is not None else next(one for one in range(1, 1 << 20) if one not in used))
        if size:
            record.regions = self._take(size, name, node)
        self.instances[name] = record
        for cpu in cpus:
            if cpu in self.free_cpus() and cpu not in self.deny_cpus:
                record.cpus.append(cpu)
            else:
                self.log.append("multikernel: CPU %d is not available for %s, skipped" % (cpu, name))
        for pci_id in devices:
            if self.pool_devices.get(pci_id, {"owner": ""})["owner"] is None:
                self.pool_devices[pci_id]["owner"] = name
                record.devices.append(pci_id)
            else:
                self.log.append("multikernel: device %s is not available for %s, skipped" % (pci_id, name))
        return record

    def remove(self, name):
        """An instance goes, with all it has."""
        record = self._known(name)
        if record.state in ("loaded", "active"):
            refuse(errno.EBUSY, "instance %s is %s" % (name, record.state))
        del self.instances[name]
        for chunk in self.chunks:
            chunk["taken"] = [part for part in chunk["taken"] if part[2] != name]
        for pci_id in record.devices:
            self.pool_devices[pci_id]["owner"] = None

    def cpu_add(self, name, cpu):
        """A free CPU of the pool goes to an instance."""
        record = self._known(name)
        if cpu not in self.free_cpus():
            refuse(errno.EBUSY, "CPU %d is not free" % cpu)
        self._round_trip(record)
        record.cpus.append(cpu)

    def cpu_remove(self, name, cpu):
        """A CPU of an instance goes back to the pool."""
        record = self._known(name)
        if cpu not in record.cpus:
            refuse(errno.EINVAL, "%s does not have CPU %d" % (name, cpu))
        self._round_trip(record)
        if record.state == "active" and cpu == record.cpus[0]:
            self.harm.append("the boot CPU of %s was taken while it runs" % name)
        record.cpus.remove(cpu)

    def memory_add(self, name, base, size):
        """A free range goes to an instance: the named one, or, by older kernels, any of the size."""
        record = self._known(name)
        if record.state == "active" and (base % BLOCK or size % BLOCK):
            refuse(errno.EINVAL, "not made of whole memory blocks")
        if self.named_ranges and not any(low <= base and base + size <= low + length for low, length in self.free_ranges()):
            refuse(errno.ENOMEM, "the range is not free")
        self._round_trip(record)
        if self.named_ranges:
            self._mark(base, size, name)
            record.regions.append([base, size])
        else:
            record.regions += self._take(size, name)

    def memory_remove(self, name, base, size):
        """A whole region of an instance goes back to the pool."""
        record = self._known(name)
        if [base, size] not in record.regions:
            refuse(errno.ENOENT, "%s has no such region" % name)
        if record.image is not None and record.regions[0] == [base, size]:
            refuse(errno.EBUSY, "the region backs the loaded kernel")
        if record.state == "active" and (base % BLOCK or size % BLOCK):
            refuse(errno.EINVAL, "not made of whole memory blocks")
        self._round_trip(record)
        record.regions.remove([base, size])
        for chunk in self.chunks:
            chunk["taken"] = [part for part in chunk["taken"] if part[:2] != [base, size]]

    def device_add(self, name, pci_id, driver=None):
        """A free PCI function of the pool goes to an instance."""
        record = self._known(name)
        if self.pool_devices.get(pci_id, {"owner": ""})["owner"] is not None:
            refuse(errno.ENOENT, "%s is not free in the pool" % pci_id)
        if driver == "missing":
            refuse(errno.ENOENT, "no driver %s" % driver)
        self._round_trip(record)
        self.pool_devices[pci_id]["owner"] = name
        record.devices.append(pci_id)

    def device_remove(self, name, pci_id):
        """A PCI function of an instance goes back to the pool."""
        record = self._known(name)
        if pci_id not in record.devices:
            refuse(errno.ENOENT, "%s does not have %s" % (name, pci_id))
        self._round_trip(record)
        record.devices.remove(pci_id)
        self.pool_devices[pci_id]["owner"] = None

    # how it does it

    def _known(self, name):
        if name not in self.instances:
            refuse(errno.ENOENT, "no instance %s" % name)
        return self.instances[name]

    def _round_trip(self, record):
        if record.state == "active" and record.name in self.silent:
            self.elapse(ACK_TIMEOUT)
            refuse(errno.ETIMEDOUT, "%s does not acknowledge" % record.name)

    def _take(self, size, owner, node=None):
        ranges = self.free_ranges(node)
        if sum(length for _base, length in ranges) < size:
            refuse(errno.ENOMEM, "the pool has no %d bytes left" % size)
        whole = next(([base, size] for base, length in ranges if length >= size), None)
        taken = [whole] if whole else []
        left = 0 if whole else size
        for base, length in ranges if left else ():  # a fragmented pool yields several regions
            part = min(left, length)
            if part:
                taken.append([base, part])
            left -= part
        for base, length in taken:
            self._mark(base, length, owner)
        return taken

    def _mark(self, base, size, owner):
        chunk = next(one for one in self.chunks if one["base"] <= base and base + size <= one["base"] + one["size"])
        chunk["taken"].append([base, size, owner])

    def _ensure_park(self):
        if any(part[2] == "park" for chunk in self.chunks for part in chunk["taken"]):
            return
        ranges = [one for one in self.free_ranges() if one[1] >= PARK]
        if not ranges:
            refuse(errno.ENOMEM, "no memory to park CPUs in")
        base, size = ranges[0]
        self._mark(base + size - PARK, PARK, "park")
