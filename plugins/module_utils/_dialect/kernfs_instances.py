# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What is done to the instances of a kernfs host: made, resized, loaded, started, halted and removed, each looked at before and after."""

from __future__ import annotations

import errno
from typing import Any, Dict, List, Optional, Sequence, Set

from .._boot import kexec_file
from .._plan.kernfs_plan import LOADED
from .._plan.spec import host_end, writer_of
from . import kernfs_image, table
from .base import DialectError, Drift
from .kernfs_files import Found, Tree
from .kernfs_health import Health
from .kernfs_pool import Pool
from .observe import ENDED, MKSTOCK, mailbox


class Instances:
    """The instances behind the trees of one host."""

    def __init__(self, system: Any, tree: Tree, pool: Pool, health: Health) -> None:
        self.system, self.tree, self.pool, self.health = system, tree, pool, health
        self.nonces = health.nonces
        self.facts: Dict[str, Any] = {}
        self.created: Dict[str, int] = {}  # instances that were made in this run, and their ids
        self.again: Set[str] = set()  # names of those that were made to take back their removal
        self.strange: List[str] = []  # names that somebody else took while we were about to

    def create(self, specs: List[Dict[str, Any]], expect: bool) -> Dict[str, Any]:
        """Make instances, and compare what they got with what was asked for."""
        there = self.tree.instances()
        todo = [spec for spec in specs if spec["name"] not in there]
        names = [spec["name"] for spec in specs if spec["name"] in there]
        self.again |= set() if expect else {spec["name"] for spec in specs}
        if names and expect:
            self.strange += names
            raise Drift("somebody else has made %s meanwhile" % ", ".join(names))
        free = set(self.tree.host()["available"])
        lent = sorted({cpu for spec in todo for cpu in spec["apic_ids"]} - free)
        if lent and expect:
            self.strange += [spec["name"] for spec in todo]
            raise Drift("the CPU with APIC id %s is no longer free in the pool" % ", ".join(str(cpu) for cpu in lent))
        self.created.update((spec["name"], 0) for spec in specs)
        for blob in self.pool.creations(todo):
            self.tree.send(blob, expect)
        found = {spec["name"]: self._granted(spec) for spec in specs}
        self.created.update((name, one.id) for name, one in found.items())
        told = {name: {"id": one.id, "base": one.base} for name, one in found.items()}
        return {"made": told} if todo else {"already": True, "made": told}

    def _granted(self, spec: Dict[str, Any]) -> Found:
        """The kernel says applied of an instance that got fewer CPUs than asked for, too."""
        one = self.tree.instance(spec["name"])
        if one is None:
            raise DialectError("the kernel says that %s was made, and does not show it" % spec["name"])
        lacking = [cpu for cpu in spec["apic_ids"] if cpu not in one.cpus]
        if lacking or one.cpus != list(spec["apic_ids"]):
            raise DialectError(
                "the kernel says that %s was made, but gave it the CPUs with APIC id %s instead of %s"
                % (spec["name"], numbers(one.cpus), numbers(spec["apic_ids"]))
            )
        if one.size != spec["size"]:
            raise DialectError("%s was to have %d bytes of memory, and has %d" % (spec["name"], spec["size"], one.size))
        return one

    def remove(self, specs: List[Dict[str, Any]]) -> Dict[str, Any]:
        """Remove those instances that are ours."""
        there = self.tree.instances()
        todo = [spec for spec in specs if spec["name"] in there and self.is_mine(spec, there[spec["name"]])]
        for spec in todo:
            if there[spec["name"]].status in LOADED:
                raise DialectError("%s is %s; it is not removed before it is unloaded" % (spec["name"], there[spec["name"]].status))
        for blob in self.pool.removals([spec["name"] for spec in todo]):
            self.tree.send(blob, False)
        left = sorted({spec["name"] for spec in todo} & set(self.tree.names()))
        if left:
            raise DialectError("the kernel says that %s was removed, and still shows it" % ", ".join(left))
        for spec in todo:
            self.created.pop(spec["name"], None)
        return {} if todo else {"already": True}

    def is_mine(self, spec: Dict[str, Any], one: Found) -> bool:
        """Whether an instance is the one that was made to this spec, and no other one of its name. It may have got less than that."""
        if one.name in self.strange:
            return False
        if one.name in self.created:
            return self.created[one.name] in (0, one.id)
        if spec.get("id") is not None and spec["id"] != one.id:
            return False
        return set(one.cpus) <= set(spec["apic_ids"]) and one.size in (spec["size"], 0)

    def resize(self, spec: Dict[str, Any], cpus: List[int], expect: Optional[List[int]]) -> Dict[str, Any]:
        """Give an instance other CPUs."""
        one = self._mine(spec)
        if one.cpus == cpus:
            return {"already": True}
        if expect is not None and one.cpus != expect:
            raise Drift("somebody else has changed the CPUs of %s meanwhile" % spec["name"])
        for blob in self.pool.handovers(spec["name"], one.cpus, cpus):
            self.tree.send(blob, expect is not None)
        now = self._mine(spec)
        if sorted(now.cpus) != sorted(cpus):
            raise DialectError("%s was to have the CPUs with APIC id %s, and has %s" % (spec["name"], numbers(cpus), numbers(now.cpus)))
        return {}

    def _mine(self, spec: Dict[str, Any]) -> Found:
        one = self.tree.instance(spec["name"])
        if one is None:
            raise DialectError("there is no instance %s" % spec["name"])
        if spec.get("id") is not None and one.id != spec["id"] and spec["name"] not in self.created:
            raise Drift("somebody else has made another instance %s meanwhile (id %d instead of %d)" % (one.name, one.id, spec["id"]))
        return one

    def _bases(self, channels: List[Dict[str, Any]]) -> Dict[str, Optional[int]]:
        """Where the memory begins in which the channels lie. Of their owners alone: to read all of them at each load would be quadratic."""
        found = [self.tree.instance(name) for name in sorted({one["owner"] for one in channels})]
        return {one.name: one.base for one in found if one is not None}

    def load(self, spec: Dict[str, Any], expect: bool) -> Dict[str, Any]:
        """Load an image."""
        one = self._mine(spec)
        if one.status in LOADED:
            if expect:
                raise Drift("somebody else has loaded an image for %s meanwhile" % spec["name"])
            return {"already": True}
        line = kernfs_image.words(spec, self.facts, self._bases(spec["channels"]))
        image, lacks = kernfs_image.kernel(spec, self.facts, self.system)
        try:
            digests = spec["image"]["kernel_sha256"], spec["image"]["initrd_sha256"]
            self.system.file_load(image, spec["image"]["initrd"], line, one.id, digests)
        except DialectError as error:
            raise DialectError("%s: %s%s" % (spec["name"], error, lacks), error.errno) from error
        now = self._mine(spec)
        if now.status != "loaded":
            raise DialectError("the kernel took the image of %s, and shows the instance as %s" % (spec["name"], now.status))
        return {"id": one.id, "base": now.base}

    def unload(self, spec: Dict[str, Any]) -> Dict[str, Any]:
        """Drop an image, but never from under an instance that runs."""
        one = self.tree.instance(spec["name"])
        if one is None or one.status not in LOADED or not self.is_mine(spec, one):
            return {"already": True}
        if one.status == "active":
            raise DialectError("%s runs: its image is not unloaded from under it; halt it first" % spec["name"])
        self.system.file_unload(one.id)
        return {}

    def boot(self, spec: Dict[str, Any]) -> Dict[str, Any]:
        """Start what is loaded, and note the mark of this boot."""
        one = self._mine(spec)
        if one.status == "active":  # by a run that was cut off before it wrote the mark down
            return dict(self._mark(spec["name"], one), already=True)
        if not one.cpus:
            raise DialectError("%s has no CPU to boot on" % spec["name"])
        self.health.listen(spec, one)
        self.health.reports.boots(one.name)
        self.system.command(kexec_file.EXEC, one.id)
        return dict(self._mark(spec["name"], one), id=one.id)

    def _mark(self, name: str, one: Any) -> Dict[str, Any]:
        """{"nonce"} of the present boot, which mkstock writes into the mailbox with it; empty where the kernel has none."""
        words = mailbox(self.system, one.base) if self.health.mkstock(self.facts) and one.base is not None else None
        if words is None:
            return {}
        self.nonces[name] = words["nonce"]
        return {"nonce": words["nonce"]}

    def wait_health(
        self, spec: Dict[str, Any], within: Optional[float], channel: Optional[str], gates: Optional[Dict[str, Any]] = None
    ) -> Dict[str, Any]:
        """Wait until an instance reports and its gates are passed."""
        return self.health.wait(self._mine(spec), within, channel, self.facts, gates)

    def stop(self, spec: Dict[str, Any]) -> Dict[str, Any]:
        """Ask, and force where there is no answer: the kernel waits 30 s for it. Who said that it ended is not asked."""
        one = self.tree.instance(spec["name"])
        if one is None or one.status != "active" or not self.is_mine(spec, one):
            return {"already": True}
        begin = self.system.monotonic()
        how = {}
        words = mailbox(self.system, one.base) if self.health.mkstock(self.facts) and one.base is not None else None
        # a payload that is no Linux has nothing in it that could hear the question
        if spec["image"]["flat"] or (words is not None and (words["state"] in ENDED or not words["beats"])):
            how = {"forced": True}
            self.system.command(kexec_file.HALT_FORCE, one.id)
        else:
            try:
                self.system.command(kexec_file.HALT, one.id)
            except DialectError as error:
                if error.errno not in (errno.ETIMEDOUT, errno.EOPNOTSUPP):
                    raise
                how = {"forced": True}
                self.system.command(kexec_file.HALT_FORCE, one.id)
        now = self.tree.instance(spec["name"])
        if now is not None and now.status == "active":
            raise DialectError("%s was halted%s, and the kernel still shows it as active" % (spec["name"], " by force" if how else ""))
        self.nonces.pop(spec["name"], None)
        return dict(how, seconds=round(self.system.monotonic() - begin, 3))

    def channel(self, channel: Dict[str, Any]) -> Dict[str, Any]:
        """Lay out the area of a channel anew, and attach the host."""
        attached = table.channels(self.system.read(MKSTOCK + "channels"))
        if attached is None:
            raise DialectError("this kernel offers no channels to user space, so that %s cannot be laid out" % channel["name"])
        address = kernfs_image.address_of(channel, self._bases([channel]))
        if channel["name"] in attached:
            self.channel_gone(channel["name"])
        end = host_end(channel)
        if channel["kind"] == "shared_memory":
            words = "share %s 0x%x 0x%x %s %s" % (channel["name"], address, channel["size"], end, writer_of(channel))
        else:
            told = (channel["name"], address, end, channel["slots"], channel["message_size"], *channel["ends"])
            words = "create %s 0x%x %s %d %d %d %d" % told
        self.system.write(MKSTOCK + "channels", words)
        return {"address": address}

    def channel_gone(self, name: str) -> Dict[str, Any]:
        """Detach the host's end of a channel."""
        if name not in (table.channels(self.system.read(MKSTOCK + "channels")) or {}):
            return {"already": True}
        self.system.write(MKSTOCK + "channels", "remove %s" % name)
        return {}


def numbers(cpus: Sequence[int]) -> str:
    """APIC ids for a sentence."""
    return ", ".join(str(cpu) for cpu in cpus) or "none"
