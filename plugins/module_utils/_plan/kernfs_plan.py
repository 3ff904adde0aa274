# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The plan for a kernfs host: from what the kernel shows to what is wanted. Pure; release comes before acquire.

Order: mount, detach and halt what must go or change, unload, remove, change the pool by the difference, resize, make all new
instances, load, lay out channels, start all, wait for all, remember. An empty plan means that nothing is to do.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

from .._rules.finding import Finding
from . import collector, kernfs_place, kernfs_pool, kernfs_steps, ranges, steps
from . import spec as specs
from .place import HOST
from .plan import ALIVE, PlanRefused
from .steps import Step

LOADED = ("loaded", "active")  # words of the kernel for an instance that has an image


@collector.paused
def plan(
    placed: Dict[str, Any],
    state: Dict[str, Any],
    facts: Dict[str, Any],
    digest: str,
    consent: Sequence[str] = (),
    restart: Sequence[str] = (),
    only: Optional[Sequence[str]] = None,
) -> List[Step]:
    """The steps that make a placed layout true on a host; arguments and errors are those of plan.plan."""
    return _Planner(placed, state, facts, digest, set(consent) | set(restart), set(restart), only).run()


def wanted(
    placed: Dict[str, Any], state: Dict[str, Any], facts: Dict[str, Any], only: Optional[Sequence[str]] = None
) -> Dict[str, Dict[str, Any]]:
    """The specs of the instances that are to run or to be loaded when the plan was carried out, by name.

    With only, of all others of the layout those that run or are loaded. One that is down already is not what such a plan is held to:
    else two that are down would keep each other so.
    """
    specified = {name: spec for name, spec in _specified(placed, state, facts, only).items() if name in placed["instances"]}
    if only is None:
        return specified
    well = {name for name, one in (state.get("instances") or {}).items() if one["state"] in ALIVE + ("loaded",)}
    return {name: spec for name, spec in specified.items() if name in only or name in well}


def _specified(
    placed: Dict[str, Any], state: Dict[str, Any], facts: Dict[str, Any], only: Optional[Sequence[str]]
) -> Dict[str, Dict[str, Any]]:
    """The specs of all that will be there: with only, what the layout does not name stays, too."""
    mine = [name for name, one in placed["instances"].items() if one["state"] in ("running", "loaded") and (only is None or name in only)]
    specified = specs.of_all(sorted(mine), placed, facts)
    areas = kernfs_place.offsets(placed["channels"])
    for name, spec in specified.items():
        one = placed["instances"][name]
        spec.update(id=one.get("id"), node=one["memory"]["node"])
        for channel in spec["channels"]:
            channel["owner"], channel["offset"], _size = areas[channel["name"]]
        have = (state.get("instances") or {}).get(name)
        if have is not None and have["status"] is not None and spec["base"] is not None and spec["id"] is None:
            spec["id"] = have["spec"]["id"]
    if only is not None:
        have_all = state.get("instances") or {}
        specified.update((name, one["spec"]) for name, one in have_all.items() if name not in only and one["status"] is not None)
    return specified


def plan_absent(state: Dict[str, Any], facts: Dict[str, Any]) -> List[Step]:
    """The steps that take back everything that was made here, and nothing else."""
    there = {name: one for name, one in sorted((state.get("instances") or {}).items()) if one["status"] is not None}
    todo = _take_down(there, state)
    todo += [kernfs_steps.devices_gone(one["spec"], specs.devices_of(one["spec"])) for one in there.values() if one["spec"].get("devices")]
    if there:
        todo.append(kernfs_steps.remove([one["spec"] for one in there.values()]))
    made = state.get("made") or {}
    logical = {cpu: one.get("apic_id") for cpu, one in (facts["cpus"]["each"] or {}).items()}
    ours = {logical.get(str(cpu)) for cpu in made.get("cpus") or []}
    pool = state.get("pool") or {"cpus": [], "memory": []}
    bases = {base for base, _size in made.get("pool") or []}
    lent, used = _theirs(state)
    out = [cpu for cpu in pool["cpus"] if cpu in ours - lent]
    chunks = [one for one in pool["memory"] if one["base"] in bases and not kernfs_pool.is_used(one, used)]
    if out or chunks:
        todo.append(kernfs_steps.pool([], out, [], chunks, pool))
    if made.get("mounted"):
        todo.append(kernfs_steps.unmount())
    if todo or state.get("digest") is not None:
        todo.append(steps.save(None))
    return todo


class _Planner:
    def __init__(
        self,
        placed: Dict[str, Any],
        state: Dict[str, Any],
        facts: Dict[str, Any],
        digest: str,
        consent: Set[str],
        restart: Set[str],
        only: Optional[Sequence[str]],
    ) -> None:
        self.placed, self.state, self.facts, self.digest = placed, state, facts, digest
        self.consent, self.restart, self.only = consent, restart, only
        self.allowed = placed["policy"]["disruption"] == "allow"
        self.have: Dict[str, Dict[str, Any]] = state.get("instances") or {}
        self.there = {name: one for name, one in self.have.items() if one["status"] is not None}
        self.specs = _specified(placed, state, facts, only)
        self.findings: List[Finding] = []
        self.names = [name for name in sorted(set(self.have) | set(self.specs)) if only is None or name in only]
        # names of what is to be halted or unloaded, removed, given other CPUs, made, loaded, started
        self.down: Set[str] = set()
        self.remove: Set[str] = set()
        self.resize: Set[str] = set()
        self.create: Set[str] = set()
        self.load: Set[str] = set()
        self.boot: Set[str] = set()

    def run(self) -> List[Step]:
        for name in self.names:
            self._compare(name)
        self._follow_channels()
        pool = self._pool()
        if self.findings:
            raise PlanRefused(self.findings)
        todo = _take_down({name: self.have[name] for name in sorted(self.down)}, self.state, self._stays_loaded())
        todo += self._devices_gone()
        if self.remove:
            todo.append(kernfs_steps.remove([self.have[name]["spec"] for name in sorted(self.remove)]))
        less, more = self._handovers()
        todo += less + pool + more
        if self.create:
            # those that have a number first: the kernel picks the lowest free one for the others, and would take it away
            ordered = sorted(self.create, key=lambda name: (self.specs[name]["id"] is None, name))
            todo.append(kernfs_steps.create([self.specs[name] for name in ordered]))
        todo += self._devices()
        todo += [kernfs_steps.load(self.specs[name]) for name in sorted(self.load)]
        todo += self._channels()
        todo += [kernfs_steps.boot(self.specs[name]) for name in sorted(self.boot)]
        todo += [steps.report(self.specs[name], self.placed["instances"][name]["health"]) for name in sorted(self.boot)]
        if (todo or self.specs or self.there) and not self.state.get("mounted"):
            todo.insert(0, kernfs_steps.mount())
        if todo or self.state.get("digest") != self.digest:
            todo.append(steps.save(self.digest))
        return todo

    # what is to happen to each instance

    def _compare(self, name: str) -> None:
        old = self.there.get(name)
        if name not in self.specs:
            if old is None:
                return
            if name not in self.placed["instances"]:
                self._disturb(name, old, "would be stopped: the layout no longer names it")
            self.down.add(name)
            self.remove.add(name)
            return
        wish = str(self.placed["instances"][name]["state"])
        if old is None:
            self.create.add(name)
            self.load.add(name)
            if wish == "running":
                self.boot.add(name)
            return
        reasons = self._reasons(name, old, wish)
        if wish != "running":
            if old["status"] == "active" or (reasons and old["status"] in LOADED):
                self.down.add(name)
            if reasons or old["status"] not in LOADED:
                self.load.add(name)
            self._refit(name, old)
        elif reasons:
            self._disturb(name, old, "would be restarted: " + "; ".join(reasons))
            self._again(name, old)

    def _again(self, name: str, old: Dict[str, Any]) -> None:
        """Start anew. What is loaded and as it should be is only started."""
        fresh = old["state"] == "loaded" and not self._differences(name, old)
        if not fresh:
            if old["status"] in LOADED:
                self.down.add(name)
            self._refit(name, old)
            self.load.add(name)
        self.boot.add(name)

    def _refit(self, name: str, old: Dict[str, Any]) -> None:
        """Other CPUs are handed over; with other memory, or another CPU to boot on, an instance is made anew."""
        was, new = old["spec"], self.specs[name]
        if (was["size"], was.get("node")) != (new["size"], new["node"]) or (new["id"] is not None and was["id"] != new["id"]):
            anew = True
        else:
            anew = was["apic_ids"] != new["apic_ids"] and was["apic_ids"][:1] != new["apic_ids"][:1]
        if anew:
            new["base"] = None
            self.down |= {name} if old["status"] in LOADED else set()
            self.remove.add(name)
            self.create.add(name)
        elif was["apic_ids"] != new["apic_ids"]:
            self.down |= {name} if old["status"] in LOADED else set()
            self.resize.add(name)

    def _handovers(self) -> Tuple[List[Step], List[Step]]:
        """CPUs leave an instance before they leave the pool, and come into the pool before they come to an instance."""
        less: List[Step] = []
        more: List[Step] = []
        for name in sorted(self.resize):
            old, new = self.have[name]["spec"], self.specs[name]
            kept = [cpu for cpu in old["apic_ids"] if cpu in new["apic_ids"]]
            between = dict(old, apic_ids=kept, cpus=[cpu for cpu, apic in zip(old["cpus"], old["apic_ids"]) if apic in kept])
            if kept != old["apic_ids"]:
                less.append(kernfs_steps.resize(old, between))
            if kept != new["apic_ids"]:
                more.append(kernfs_steps.resize(between, new))
        return less, more

    def _reasons(self, name: str, old: Dict[str, Any], wish: str) -> List[str]:
        """Why an instance that is there cannot stay as it is."""
        if name in self.restart:
            return ["a restart is asked for"]
        if wish == "running":
            if old["state"] not in ALIVE:
                words = {"ended": "no longer running", "loaded": "only loaded", "defined": "only defined"}
                return ["it is %s" % words.get(old["state"], "not known to run")]
            if old["state"] == "silent" and self.placed["instances"][name]["restart"] != "no":
                self.consent.add(name)
                return ["it no longer reports, and restart: %s" % self.placed["instances"][name]["restart"]]
        return self._differences(name, old)

    def _differences(self, name: str, old: Dict[str, Any]) -> List[str]:
        def plain(spec: Dict[str, Any]) -> Dict[str, Any]:
            # where the kernel put things is no wish, and nothing that could differ from one
            channels = [dict(one, address=None) for one in spec["channels"]]
            return dict(spec, base=0, channels=channels)

        found = specs.differences(plain(old["spec"]), plain(self.specs[name]))
        if self.specs[name]["id"] not in (None, old["spec"]["id"]):
            found.append("its id changes from %s to %s" % (old["spec"]["id"], self.specs[name]["id"]))
        return found

    def _disturb(self, name: str, old: Dict[str, Any], what: str) -> None:
        if old["state"] not in ALIVE or self.allowed or name in self.consent:
            return
        hint = "set policy.disruption: allow to permit it, or put back what changed"
        self.findings.append(Finding("plan.disruption", "error", "fail", "%s runs and %s" % (name, what), ("instances", name), hint))

    def _follow_channels(self) -> None:
        """Who finds a channel in another instance's memory starts anew where that memory moves."""
        for name in self.names:
            old = self.there.get(name)
            if old is None or name not in self.specs or name in self.load or old["state"] not in ALIVE:
                continue
            moved = [one["name"] for one in self.specs[name]["channels"] if one["owner"] in self.create]
            if moved:
                self._disturb(name, old, "would be restarted: its channel %s moves" % ", ".join(moved))
                self._again(name, old)

    def _stays_loaded(self) -> Set[str]:
        """Those that are halted, and keep their image."""
        return {name for name in self.down if name not in self.load | self.remove | self.resize and self._wish(name) == "loaded"}

    def _wish(self, name: str) -> str:
        return str((self.placed["instances"].get(name) or {"state": "absent"})["state"])

    # the pool

    def _pool(self) -> List[Step]:
        made = self.state.get("made") or {}
        pool = self.state.get("pool") or {"cpus": [], "memory": []}
        needed = {cpu for one in self.specs.values() for cpu in one["apic_ids"]}
        each = self.facts["cpus"]["each"] or {}
        ours: Set[Any] = {(each.get(str(cpu)) or {}).get("apic_id") for cpu in made.get("cpus") or []}
        lent, theirs = _theirs(self.state)
        add, remove = kernfs_pool.members(needed, set(pool["cpus"]), ours - lent)
        bases = {base for base, _size in made.get("pool") or []}
        chunks = [one for one in pool["memory"] if one["base"] in bases]
        asked = self.placed["pool"]["memory"] if needed else []
        stay = set(self.there) - self.remove
        places = [self.there[name]["memory"] for name in stay]
        used = theirs + [(one["base"], one["base"] + one["size"]) for one in places if one["base"] is not None]
        change = kernfs_pool.change(asked, chunks, used)
        for _node, size in change.stuck if not self.allowed else ():
            self.findings.append(
                Finding(
                    "plan.pool_in_use",
                    "warning",
                    "fail",
                    "the pool stays %d MiB larger than the layout asks for: an instance lies in that chunk" % (size >> 20),
                    ("pool", "memory"),
                    "stop the instance first, or leave the pool as it is",
                )
            )
        self.findings = [one for one in self.findings if one.blocks]
        if not (add or remove or change.add or change.remove):
            return []
        free = not theirs and set(pool["cpus"]) <= ours - lent and not any(self.there[name]["spec"]["apic_ids"] for name in stay)
        if change.remove and free and set(pool["cpus"]) - set(remove):
            # The kernel keeps a chunk in which it parks CPUs, and which one that is nobody tells: nobody's CPUs go home first.
            gone = [one["base"] for one in change.remove]
            rest = {"cpus": [], "memory": [one for one in pool["memory"] if one["base"] not in gone]}
            less = kernfs_steps.pool([], sorted(pool["cpus"]), [], change.remove, pool)
            return [less, kernfs_steps.pool(sorted(needed), [], change.add, [], rest)]
        return [kernfs_steps.pool(add, remove, change.add, change.remove, pool)]

    # devices

    def _devices_gone(self) -> List[Step]:
        """What instances that are not loaded now had, and are not to have."""
        todo = []
        for name in sorted((self.down | self.remove | self.load) & set(self.there)):
            stays = specs.devices_of(self.specs[name]) if name in self.specs and name not in self.remove else []
            gone = [address for address in specs.devices_of(self.there[name]["spec"]) if address not in stays]
            if gone:
                todo.append(kernfs_steps.devices_gone(self.there[name]["spec"], gone))
        return todo

    def _devices(self) -> List[Step]:
        """What instances that are about to be loaded do not have yet."""
        todo = []
        for name in sorted(self.load):
            has = specs.devices_of(self.there[name]["spec"]) if name in self.there and name not in self.create else []
            lacking = [address for address in specs.devices_of(self.specs[name]) if address not in has]
            if lacking:
                todo.append(kernfs_steps.devices(self.specs[name], lacking))
        return todo

    # channels

    def _channels(self) -> List[Step]:
        """The areas of those that are loaded, laid out before anybody starts; the host's ends of kept ones that it lost."""
        if self.state.get("channels") is None:
            return []
        attached = {name for name, one in self.state["channels"].items() if one.get("attached")}
        todo = []
        for name, spec in sorted(self.specs.items()):
            for one in spec["channels"]:
                lost = HOST in one["between"] and one["name"] not in attached
                if one["owner"] == name and specs.host_has(one) and (name in self.load or name in self.boot or lost):
                    todo.append(kernfs_steps.channel(one, name))
        return todo


def _theirs(state: Dict[str, Any]) -> Tuple[Set[int], List[ranges.Range]]:
    """APIC ids and memory of instances that somebody else made."""
    others = (state.get("foreign") or {}).get("instances") or []
    return {cpu for one in others for cpu in one["apic_ids"]}, [part for one in others for part in ranges.sized(one["memory"])]


def _take_down(going: Dict[str, Dict[str, Any]], state: Dict[str, Any], loaded: Set[str] = frozenset()) -> List[Step]:  # type: ignore[assignment]
    """Detach, halt and unload instances, all of each kind together. Undone in the other order, what ran starts again."""
    attached = {name for name, one in (state.get("channels") or {}).items() if one.get("attached")}
    todo: List[Step] = []
    for name, one in going.items():
        for channel in one["spec"]["channels"]:
            if HOST in channel["between"] and channel["name"] in attached:
                again = (Step("channel", {"channel": channel}, "attach the host to channel %s again" % channel["name"], (), name),)
                todo.append(kernfs_steps.channel_gone(channel["name"], name, again))
    for one in going.values():
        if one["status"] == "active":
            back = kernfs_steps.start_again(one["spec"], one.get("health")) if one["state"] in ALIVE else ()
            todo.append(kernfs_steps.stop(one["spec"], back))
    for name, one in going.items():
        for channel in one["spec"]["channels"]:
            if HOST not in channel["between"] and channel["owner"] == name and channel["name"] in attached:
                todo.append(kernfs_steps.channel_gone(channel["name"], name))
    todo += [kernfs_steps.unload(one["spec"]) for name, one in going.items() if one["status"] in LOADED and name not in loaded]
    return todo
