# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The kernfs dialect: /sys/fs/multikernel, kexec_file_load(2) and the reboot(2) commands, and what mkstock adds to them.

The kernel says "applied" of a transaction that gave an instance fewer CPUs than it asked for, fails half of another without taking
it back, and tells no reasons. So whatever was sent is read back and compared; what differs is compensated by the difference, never by
removing a transaction. Beside what base.py lists, an observed state has::

    "mounted": bool (to stay, not only to look), "transactions": [number],
    "pool": {"cpus": [APIC id], "available": [APIC id], "memory": [{"base", "size", "node"}]},
    "instances": {name: {"status": word of the kernel | null when it is not there}},
    "foreign": {"instances": [{"name", "id", "status", "cpus", "apic_ids", "memory"}]}

Specs have "id" and "base" as observed (null before the kernel chose them). "made" holds logical CPUs, and pool chunks as [base, size].
"""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from .._host import mounts
from .._plan import kernfs_place, kernfs_plan
from .._plan.place import PlacementError
from .._plan.steps import Step
from .._rules.finding import Finding
from . import kernfs_observe
from .base import DialectError, State
from .kernfs_devices import Devices
from .kernfs_files import OVERLAYS, TOP, Found, Tree
from .kernfs_health import Health
from .kernfs_instances import Instances, numbers
from .kernfs_pool import Pool
from .kernfs_verify import verify
from .observe import ENDED, mailbox
from .system import System

HEALTH_WITHIN = 60.0  # seconds until an instance must have reported when the layout gives no limit
UPGRADE = {
    "G0": "this kernel speaks the multikernel interface of autumn 2025 (text trees); build the current multikernel tree",
    "G1": "this kernel speaks the interface of the first releases (overlays without target-path); build tag v7.0-mk2 or later",
}


class Kernfs:
    """One host that speaks the kernfs dialect, generation G2. health_within: seconds, for instances whose layout says nothing."""

    name = "kernfs"

    def __init__(
        self,
        system: System,
        health_within: float = HEALTH_WITHIN,
        console_logs: Optional[Mapping[str, str]] = None,
        adopt: Sequence[str] = (),
    ) -> None:
        self.system, self.adopt = system, list(adopt)
        self.tree = Tree(system)
        self.pool = Pool(self.tree)
        self.devices = Devices(self.tree)
        self.health = Health(system, self.tree, health_within, console_logs or {})
        self.instances = Instances(system, self.tree, self.pool, self.health)
        self.nonces: Dict[str, int] = self.health.nonces
        self.mounted = self.mounted_now = self.check = False
        self.facts: Dict[str, Any] = {}
        self.foreign: List[Dict[str, Any]] = []

    def open(self, facts: Dict[str, Any], check: bool, remembered: Dict[str, Any]) -> Dict[str, Any]:
        """Mount the file system, but not in check mode; tell its generation; put back the CPUs that vanished into the pool."""
        self.facts = self.instances.facts = facts
        self.check, self.mounted = check, self._is_mounted()
        if not self.mounted and not check and facts["privileged"]:
            self.system.mount_kernfs()
            self.mounted = self.mounted_now = self._is_mounted()
        told = facts["dialect"]
        told.update(mounted=self.mounted, generation=None)
        if self.mounted:
            root = self.tree.host()
            told["generation"] = root["generation"]
            if root["live"]:
                _put_back(facts["cpus"], root["cpus"], remembered)
        return facts

    def close(self) -> None:
        """Unmount what was mounted only to look. Where somebody else looks into it already, it stays mounted, which does no harm."""
        if self.mounted_now and not self.check and self._is_mounted():
            with contextlib.suppress(DialectError):
                self.system.unmount_kernfs()
                self.mounted = False
        self.mounted_now = False

    def _is_mounted(self) -> bool:
        return self._source() is not None

    def _source(self) -> Optional[str]:
        return mounts.source(self.system.read("proc/self/mounts") or "")

    def probe(self, facts: Dict[str, Any]) -> List[Finding]:
        """Whether this host speaks the generation that is spoken here. What else prevents a load the rules tell."""
        told = facts["dialect"]
        if told["name"] != self.name:
            message = "this host speaks the multikernel dialect %s, which is not %s" % (told["name"], self.name)
            return [Finding("dialect.other", "error", "fail", message, (), "use a kernel that offers /%s" % TOP)]
        generation = told.get("generation")
        if generation in UPGRADE:
            message = "%s is of generation %s, and only G2 is spoken here" % ("/" + TOP, generation)
            return [Finding("dialect.generation", "error", "fail", message, (), UPGRADE[generation])]
        if not self.mounted:
            message = "/%s is not mounted, so that nobody knows what it holds; an apply mounts it first" % TOP
            return [Finding("dialect.mounted", "warning", "unknown", message, (), "mount -t multikernel none /%s" % TOP)]
        if not self.system.exists(OVERLAYS + "/new"):
            message = "/%s/new is missing: this kernel could not set up its overlays, so that nothing can be changed" % OVERLAYS
            return [Finding("dialect.overlays", "error", "fail", message, (), "look into the kernel's log for the reason")]
        return [self._left_alone(one) for one in self.foreign]

    @staticmethod
    def _left_alone(one: Dict[str, Any]) -> Finding:
        message = "an instance %s is there (id %d, %s) that was not made from here; it is left alone" % (
            one["name"],
            one["id"],
            one["status"],
        )
        return Finding("dialect.foreign", "info", "fail", message, ())

    def observe(self, remembered: Optional[Dict[str, Any]], facts: Dict[str, Any]) -> State:
        """The state of the host. A generation that is not spoken shows nothing."""
        readable = self.mounted and facts["dialect"].get("generation") == "G2" and self.system.exists(OVERLAYS)
        state = kernfs_observe.observe(self.system, self.tree, remembered, facts, readable)
        # Mounted from here, and the books do not know of it: whoever did it was killed while he looked, and it is closed for him.
        self.mounted_now |= self.mounted and self._source() == mounts.SOURCE and not state["made"].get("mounted")
        state["mounted"] = readable and not self.mounted_now
        self.foreign = [one for one in state["foreign"]["instances"] if one["name"] not in self.adopt]
        nonces = {name: one["nonce"] for name, one in state["instances"].items() if one["nonce"] is not None}
        self.nonces.update(nonces)
        return state

    def place(self, layout: Dict[str, Any], facts: Dict[str, Any], state: State) -> Dict[str, Any]:
        """The layout with CPUs, and memory as far as it is known. An instance of somebody else is taken over only when asked for."""
        self._adopt(layout, facts, state)
        return kernfs_place.place(layout, facts, state)

    def _adopt(self, layout: Dict[str, Any], facts: Dict[str, Any], state: State) -> None:
        named = {name for name, one in layout["instances"].items()}
        findings = []
        for one in list((state.get("foreign") or {}).get("instances") or []):
            name = one["name"]
            if name in named and name not in self.adopt:
                message = "an instance %s is there (id %d, %s) that was not made from here" % (name, one["id"], one["status"])
                hint = "adopt it (adopt: [%s]), remove it by hand, or choose another name" % name
                findings.append(Finding("placement.foreign", "error", "fail", message, ("instances", name), hint))
            elif name in named and len(one["cpus"]) < len(one["apic_ids"]):
                message = "%s cannot be adopted: the numbers of its CPUs (APIC id %s) are not known while they are in the pool" % (
                    name,
                    numbers(one["apic_ids"]),
                )
                hint = "remove it by hand and let the layout make it anew"
                findings.append(Finding("placement.foreign", "error", "fail", message, ("instances", name), hint))
            elif name in named:
                state["foreign"]["instances"].remove(one)
                state["instances"][name] = self._adopted(layout, facts, one)
        if findings:
            raise PlacementError(findings)

    def _adopted(self, layout: Dict[str, Any], facts: Dict[str, Any], one: Dict[str, Any]) -> Dict[str, Any]:
        """The entry of an instance that is ours from now on; that it boots what the layout says cannot be seen."""
        name = one["name"]
        mine = dict(layout, instances={name: dict(layout["instances"][name], state="running")}, channels={})
        where = {"cpus": one["cpus"], "apic_ids": one["apic_ids"], "low": None, "entry": None}
        where.update(base=one["memory"][0][0] if one["memory"] else None, size=sum(size for _base, size in one["memory"]))
        mine["instances"][name]["placed"] = where
        spec = kernfs_plan.wanted(mine, {}, facts)[name]
        kept = kernfs_observe.adopted(name, one, spec, layout["instances"][name]["health"])
        fresh = {"boot_id": facts["boot_id"], "instances": {name: kept}}
        seen = kernfs_observe.observe(self.system, self.tree, fresh, facts, True)["instances"][name]
        if seen["nonce"] is not None:
            self.nonces[name] = seen["nonce"]
        return dict(seen)

    def located(self, placed: Dict[str, Any], state: State) -> Dict[str, Any]:
        """The addresses that the kernel chose."""
        return kernfs_place.located(placed, state)

    def plan(self, placed: Dict[str, Any], state: State, facts: Dict[str, Any], digest: str, *wish: Any) -> List[Step]:
        """The steps to a placed layout; see kernfs_plan.plan."""
        steps: List[Step] = kernfs_plan.plan(placed, state, facts, digest, *wish)
        return steps

    def plan_absent(self, state: State, facts: Dict[str, Any]) -> List[Step]:
        """The steps that take everything back."""
        return kernfs_plan.plan_absent(state, facts)

    def wanted(
        self, placed: Dict[str, Any], state: State, facts: Dict[str, Any], only: Optional[Sequence[str]] = None
    ) -> Dict[str, Dict[str, Any]]:
        """The specs of all that is to be there."""
        return kernfs_plan.wanted(placed, state, facts, only)

    def verify(self, placed: Dict[str, Any], specs: Dict[str, Dict[str, Any]], state: State) -> Tuple[List[str], List[str]]:
        """What differs, and what cannot be seen."""
        return verify(self.system, placed, specs, state)

    # the books

    def made(self, old: Dict[str, Any], steps: Sequence[Step], placed: Optional[Dict[str, Any]]) -> Dict[str, Any]:
        """What is ours of the pool as it is now, and whether the file system was mounted from here."""
        return self.still_made(old, steps)

    def still_made(self, old: Dict[str, Any], steps: Sequence[Step]) -> Dict[str, Any]:
        """The same: both are read back."""
        mounted = self._is_mounted()
        each = self.facts["cpus"]["each"] or {}
        logical = {one["apic_id"]: int(cpu) for cpu, one in each.items() if one.get("apic_id") is not None}
        apic = {int(cpu): one.get("apic_id") for cpu, one in each.items()}
        ours = {apic.get(cpu) for cpu in old["cpus"]}
        now = self.pool.now() if mounted else {"cpus": [], "memory": []}
        cpus, bases = self.pool.ours(now, ours, {base for base, _size in old["pool"]}, steps)
        made = {
            "cpus": sorted(logical.get(cpu, cpu) for cpu in cpus),
            "blocks": [],
            "pool": [[one["base"], one["size"]] for one in now["memory"] if one["base"] in bases],
            "channels": {},
        }
        if mounted and (old.get("mounted") or any(step.do == "mount" for step in steps)):
            made["mounted"] = True
        return made

    def left(self, steps: Sequence[Step]) -> Dict[str, Dict[str, Any]]:
        """Instances that were made, and could not be removed."""
        found = {}
        for spec in [spec for step in steps if step.do == "create" for spec in step.args["specs"]]:
            one = self.tree.instance(spec["name"]) if self._is_mounted() else None
            if one is not None and spec["name"] not in self.instances.again and self.instances.is_mine(spec, one):
                found[spec["name"]] = _as_found(spec, one)
        return found

    def renewed(self, name: str, spec: Dict[str, Any]) -> Dict[str, Any]:
        """An instance that was made again has another id, and may lie elsewhere."""
        one = self.tree.instance(name) if name in self.instances.created and self._is_mounted() else None
        return spec if one is None else _as_found(spec, one)

    def alive(self, spec: Dict[str, Any]) -> bool:
        """Whether the instance of this spec is active, and did not say that it ended."""
        one = self.tree.instance(spec["name"]) if self._is_mounted() else None
        if one is None or one.status != "active" or spec.get("id") not in (None, one.id):
            return False
        words = mailbox(self.system, one.base) if self.health.mkstock(self.facts) and one.base is not None else None
        return words is None or (words["nonce"] == self.nonces.get(spec["name"]) and words["state"] not in ENDED)

    # steps

    def perform(self, step: Step) -> Dict[str, Any]:
        """Do one step. Raises DialectError, Drift or InstanceError; doing a step twice does no harm."""
        acts: Dict[str, Callable[..., Dict[str, Any]]] = {
            "mount": self._mount,
            "unmount": self._unmount,
            "pool": self.pool.change,
            "create": self.instances.create,
            "remove": self.instances.remove,
            "resize": self.instances.resize,
            "devices": self.devices.give,
            "devices_gone": self.devices.take_back,
            "load": self.instances.load,
            "unload": self.instances.unload,
            "channel": self.instances.channel,
            "channel_gone": self.instances.channel_gone,
            "boot": self.instances.boot,
            "wait_health": self.instances.wait_health,
            "stop": self.instances.stop,
        }
        return acts[step.do](**step.args)

    def _mount(self) -> Dict[str, Any]:
        if not self._is_mounted():
            self.system.mount_kernfs()
        elif not self.mounted_now:
            return {"already": True}
        self.mounted_now = False  # it is the plan's from now on: what is made lives in it
        return {}

    def _unmount(self) -> Dict[str, Any]:
        if not self._is_mounted():
            return {"already": True}
        self.system.unmount_kernfs()
        self.mounted_now = False
        return {}


def _as_found(spec: Dict[str, Any], one: Found) -> Dict[str, Any]:
    return dict(spec, id=one.id, base=one.base)


def _put_back(cpus: Dict[str, Any], pooled: Sequence[int], remembered: Dict[str, Any]) -> None:
    """A CPU that is in the pool is no longer present in the host; what is remembered of it makes it one that can be placed."""
    known = {one["apic_id"]: number for number, one in remembered.items() if one.get("apic_id") is not None}
    if cpus["present"] is None:
        return
    for apic_id in pooled:
        number = known.get(apic_id)
        if number is not None and int(number) not in cpus["present"]:
            cpus["present"] = sorted([*cpus["present"], int(number)])
            cpus["each"][number] = dict(remembered[number])
