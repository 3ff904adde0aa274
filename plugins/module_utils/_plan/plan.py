# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The plan: the ordered steps from what is to what is wanted. Pure; release comes before acquire.

Order: detach what is loaded, empty the list, detach and stop, give back CPUs, devices and memory, take memory, devices and CPUs, start (the
writer of a channel before its reader), load what is only to be loaded, remember. An empty plan means that nothing is to do.
"""

from __future__ import annotations

from typing import Any, Collection, Dict, Iterator, List, Optional, Sequence, Set, Tuple

from .._host import pci
from .._layout import canonical
from .._rules.finding import Finding
from . import collector, ranges, steps
from . import spec as specs
from .place import HOST, PlacementError, span
from .steps import Step

ALIVE = ("running", "silent")


class PlanRefused(PlacementError):
    """The change would need something that the layout does not permit; findings says what, for each instance."""


@collector.paused
def plan(
    placed: Dict[str, Any],
    state: Dict[str, Any],
    facts: Dict[str, Any],
    digest: Optional[str] = None,
    consent: Sequence[str] = (),
    restart: Sequence[str] = (),
    only: Optional[Sequence[str]] = None,
) -> List[Step]:
    """The steps that make a placed layout true on a host.

    state is what a dialect observed, facts the bundle of the host, digest that of the canonical layout. consent names
    instances that may be disturbed whatever policy.disruption says; restart names those that are to start anew; only
    (None: all) names those that the plan is about, and every other instance stays as it is. Raises PlanRefused when a
    running instance would be disturbed without consent, or memory cannot be had.
    """
    return _Planner(placed, state, facts, digest or canonical.digest(placed), set(consent) | set(restart), set(restart), only).run()


def wanted(
    placed: Dict[str, Any], state: Dict[str, Any], facts: Dict[str, Any], only: Optional[Sequence[str]] = None
) -> Dict[str, Dict[str, Any]]:
    """The specs of the instances that are to run or to be loaded when the plan was carried out, by name.

    With only, all others of the layout are as they are: those that run or are loaded have the spec that they were started with.
    """
    specified = _specified(placed, state, facts, only)
    return {name: specified[name] for name, _one in _wanted(placed, specified, only)}


def _specified(placed: Dict[str, Any], state: Dict[str, Any], facts: Dict[str, Any], only: Optional[Collection[str]]) -> specs.Specs:
    """The specs of a placed layout, most of which nobody has made yet; there are those that stay since the plan is about others."""
    specified = specs.Specs(placed, facts)
    if only is not None:
        have = state.get("instances") or {}
        others = {name: one for name, one in have.items() if name not in only and name in placed["instances"]}
        specified.update((name, one["spec"]) for name, one in others.items() if one["state"] in ALIVE + ("loaded",))
    return specified


def _wanted(placed: Dict[str, Any], specified: Collection[str], only: Optional[Collection[str]]) -> Iterator[Tuple[str, Dict[str, Any]]]:
    """Each instance that is to run or to be loaded, in the order of the names."""
    instances = placed["instances"]
    for name in sorted(instances):
        one = instances[name]
        if (one["state"] in ("running", "loaded") and (only is None or name in only)) or name in specified:
            yield name, one


def plan_absent(state: Dict[str, Any], facts: Dict[str, Any]) -> List[Step]:
    """The steps that take back everything that the journal says was made, and nothing else."""
    made = state.get("made") or {}
    wanted: List[Step] = []
    remembered = state.get("instances") or {}
    attached = _attached(state)
    loaded = {name: one for name, one in sorted(remembered.items()) if one["state"] == "loaded"}
    for name, one in loaded.items():
        wanted += _take_down(name, one, attached)
    if loaded:
        wanted.append(steps.unload(None, tuple(steps.load(one["spec"]) for one in loaded.values())))
    for name, one in sorted(remembered.items()):
        if name not in loaded:
            wanted += _take_down(name, one, attached)
    wanted += [steps.cpu_online(cpu) for cpu in sorted(made.get("cpus") or []) if cpu not in state["cpus"]["online"]]
    wanted += [steps.device_bind(address, had) for address, had in sorted((made.get("devices") or {}).items())]
    wanted += [steps.pool_remove(base, size) for base, size in made.get("pool") or []]
    wanted += [steps.memory_online(block, facts["memory"]["block_size"]) for block in sorted(made.get("blocks") or [])]
    if wanted or state.get("digest") is not None:
        wanted.append(steps.save(None))
    return wanted


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
        self.consent, self.restart = consent, restart
        self.only = None if only is None else set(only)
        self.online = set(state["cpus"]["online"])
        self.allowed = placed["policy"]["disruption"] == "allow"
        self.findings: List[Finding] = []
        self.made = state.get("made") or {}
        self.have = state.get("instances") or {}
        self.attached = _attached(state)
        self.specs = _specified(placed, state, facts, only)
        # Ten thousand instances are more than a processor's caches hold: each is looked at once.
        self.names: List[str] = []
        self.states: Dict[str, str] = {}
        self.health: Dict[str, Dict[str, Any]] = {}
        self.cpus: List[Tuple[str, int]] = []  # of each instance that is to have some; no spec is made for that
        kept = dict(self.specs)
        owning: List[str] = []
        for name, one in _wanted(placed, kept, self.only):
            self.names.append(name)
            self.states[name] = one["state"]
            if one["health"] is not None:
                self.health[name] = one["health"]
            if name in kept or one.get("devices"):
                owning.append(name)
            for cpu in (kept[name] if name in kept else one["placed"])["cpus"]:
                self.cpus.append((name, cpu))
        self.devices = self._devices(owning)

    def run(self) -> List[Step]:
        down, start = self._compare()
        load = sorted(name for name, one in self.states.items() if one == "loaded")
        unload, load = self._list(start, load)
        # A load writes the areas of its channels anew, so the host leaves those of an instance that is loaded again, too.
        loaded = [name for name in sorted(set(load) | set(down)) if name in self.have and self.have[name]["state"] == "loaded"]
        wanted = [step for name in loaded for step in _take_down(name, self.have[name], self.attached)] + unload
        again = () if unload else self._loaded(down)
        wanted += [step for name in down if name not in loaded for step in _take_down(name, self.have[name], self.attached, again)]
        wanted += self._release() + self._acquire()
        wanted += self._start(self._writers_first(start))
        for name in load:
            wanted += [steps.load(self.specs[name])] + (steps.attachments(self.specs[name]) if self._can_attach() else [])
        wanted += self._attach_kept(start, load)
        if self.findings:
            raise PlanRefused(self.findings)
        if wanted or self.state.get("digest") != self.digest:
            wanted.append(steps.save(self.digest))
        return wanted

    def _compare(self) -> Tuple[List[str], List[str]]:
        """(names to take down, names to start); disturbing a running instance without consent is a finding."""
        down: List[str] = []
        start: List[str] = []
        for name in sorted(set(self.have) | set(self.names)) if self.have else self.names:
            old = self.have.get(name)
            if self.only is not None and name not in self.only:
                continue
            if self.states.get(name) == "running":
                if old is not None:
                    reasons = self._reasons(name, old)
                    if not reasons:
                        continue
                    self._disturb(name, old, "would be restarted: " + "; ".join(reasons))
                    down.append(name)
                start.append(name)
            elif old is not None and not (old["state"] == "loaded" and name in self.states):
                if name not in self.placed["instances"]:
                    self._disturb(name, old, "would be stopped: the layout no longer names it")
                down.append(name)
        return down, start

    def _reasons(self, name: str, old: Dict[str, Any]) -> List[str]:
        """Why an instance that is there cannot stay as it is."""
        if name in self.restart:
            return ["a restart is asked for"]
        if old["state"] in ("ended", "loaded", "unknown"):
            return ["it is %s" % {"ended": "no longer running", "loaded": "only loaded"}.get(old["state"], "not known to run")]
        if old["state"] == "silent" and self._instance(name)["restart"] != "no":
            self.consent.add(name)
            return ["it no longer reports, and restart: %s" % self._instance(name)["restart"]]
        return specs.differences(old["spec"], self.specs[name])

    def _disturb(self, name: str, old: Dict[str, Any], what: str) -> None:
        if old["state"] not in ALIVE or self.allowed or name in self.consent:
            return
        self.findings.append(
            Finding(
                rule="plan.disruption",
                severity="error",
                verdict="fail",
                message="%s runs and %s" % (name, what),
                path=("instances", name),
                hint="set policy.disruption: allow to permit it, or put back what changed",
            )
        )

    def _list(self, start: List[str], load: List[str]) -> Tuple[List[Step], List[str]]:
        """The step that empties the kernel's list where that must be, and the instances that are to be loaded afterwards."""
        rows = [row for row in self.state.get("images") or [] if row["type"] == "multikernel"]
        in_list = {row["entry"] for row in rows}
        old_loads = [name for name, one in sorted(self.have.items()) if one["state"] == "loaded"]
        same = [
            name
            for name in load
            if name in old_loads
            and self.specs[name]["entry"] in in_list
            and not specs.differences(self.have[name]["spec"], self.specs[name])
        ]
        changed = bool(start) or [name for name in load if name not in same] or [name for name in old_loads if name not in load]
        if not changed:
            return [], []
        known = {one["spec"]["entry"] for one in self.have.values() if one.get("spec")}
        foreign = [row["entry"] for row in rows if row["entry"] not in known]
        if foreign and not self.allowed:
            self.findings.append(
                Finding(
                    rule="plan.foreign_image",
                    severity="error",
                    verdict="fail",
                    path=("instances",),
                    message="the kernel's list holds a multikernel image that was not loaded from here (entry %s), "
                    "and a boot takes the first image of the list" % ", ".join(hex(entry) for entry in foreign),
                    hint="unload it, or set policy.disruption: allow to have it unloaded",
                )
            )
        if not rows:
            return [], load
        return [steps.unload(None, tuple(steps.load(self.have[name]["spec"]) for name in old_loads))], load

    def _loaded(self, down: List[str]) -> Tuple[Step, ...]:
        """Loads of what stays in the kernel's list while others stop: to start one of those again, the list is emptied."""
        kept = [one["spec"] for name, one in sorted(self.have.items()) if one["state"] == "loaded" and name not in down]
        return tuple(steps.load(spec) for spec in kept)

    def _release(self) -> List[Step]:
        taken = [cpu for cpu in self.made.get("cpus") or [] if cpu not in self.online]
        wanted = [steps.cpu_online(cpu) for cpu in sorted(set(taken) - self._needed())] if taken else []
        keep = {address for _name, address in self.devices}
        wanted += [steps.device_bind(address, had) for address, had in sorted(self._held().items()) if address not in keep]
        surplus = ranges.subtract(ranges.sized(self.made.get("pool")), self._pool())
        wanted += [steps.pool_remove(start, end - start) for start, end in surplus]
        size = self.facts["memory"]["block_size"] or 0
        ours = [(block * size, (block + 1) * size) for block in sorted(self.made.get("blocks") or [])]
        back = ranges.subtract(ours, self._pool())
        return wanted + [steps.memory_online(one[0] // size, size) for one in ranges.touching(ours, back)]

    def _needed(self) -> Set[int]:
        """The CPUs of all instances that are to have some."""
        needed = {cpu for _name, cpu in self.cpus}
        if self.only is not None:
            needed |= {cpu for name, one in self.have.items() if name not in self.only for cpu in one["spec"]["cpus"]}
        return needed

    def _acquire(self) -> List[Step]:
        wanted = [steps.memory_offline(block, self.facts["memory"]["block_size"]) for block in self._blocks()]
        if self.state.get("pool") is not None:
            missing = ranges.subtract(self._pool(), ranges.sized(self.state["pool"]))
            wanted += [steps.pool_add(start, end - start) for start, end in missing]
        wanted += self._take_devices()
        online = self.online
        wanted += [steps.cpu_offline(cpu, name) for name, cpu in self.cpus if cpu in online]
        return wanted

    def _held(self) -> Dict[str, Dict[str, Any]]:
        """The PCI functions that were taken from the host, with what they are to get back."""
        return self.made.get("devices") or {}

    def _devices(self, names: List[str]) -> List[Tuple[str, str]]:
        """(instance, address) of every PCI function that one of these is to have, or that one that the plan is not about keeps."""
        owning = [(name, self.specs[name]) for name in names]
        if self.only is not None:
            known = set(self.names)
            owning += [(name, one["spec"]) for name, one in self.have.items() if name not in self.only and name not in known]
        return sorted((name, address) for name, one in owning for address in specs.devices_of(one))

    def _take_devices(self) -> List[Step]:
        functions = (self.facts.get("pci") or {}).get("functions") or {}
        wanted: List[Step] = []
        for name, address in self.devices:
            one = functions.get(address)
            if one is None or (address in self._held() and one["driver"] is None and one["driver_override"] == pci.HOLD):
                continue
            power = {other: (functions.get(other) or {}).get("power") for other in [address, *(one["path"] or [])]}
            had = {
                "driver": one["driver"],
                "override": None if one["driver_override"] == pci.HOLD else one["driver_override"],
                "power": {other: word for other, word in sorted(power.items()) if word is not None and word != "on"},
            }
            wanted.append(steps.device_unbind(address, self._held().get(address) or had, name))
        return wanted

    def _start(self, names: List[str]) -> List[Step]:
        """One after the other on the RFC's kernel. Where an image is chosen by its entry, the boot call waits for the CPU's
        arrival, and the instances boot side by side."""
        attach, healths = self._can_attach(), self.health
        if not self.state.get("select"):
            return [step for name in names for step in steps.start(self.specs[name], healths.get(name), attach)]
        launched: List[Step] = []
        reports: List[Step] = []
        plain = steps.Plain(self.specs)
        for name in names:
            health = healths.get(name)
            if health is None and (not attach or name not in self.specs.channels):
                launched += plain.launch(name)
                reports.append(plain.report(name))
            else:
                spec = self.specs[name]
                launched += steps.launch(spec, attach)
                reports.append(steps.report(spec, health))
        return launched + reports

    def _pool(self) -> List[ranges.Range]:
        return ranges.merge((one["base"], one["base"] + one["size"]) for one in self.placed["pool"]["memory"])

    def _blocks(self) -> List[int]:
        """Online memory blocks that the pool is made of. Memory of the host that is no whole block is a finding."""
        memory = self.facts["memory"]
        ram = [(one["start"], one["end"] + 1) for one in memory.get("iomem") or [] if one["name"] == "System RAM"]
        blocks = {one["number"]: one["state"] for one in memory.get("blocks") or []}
        size = memory.get("block_size")
        wanted: List[int] = []
        for mine in self._pool():
            host = ranges.subtract([mine], ranges.subtract([mine], ram))
            if not host:
                continue
            whole = [number for number in range(-(-mine[0] // size), mine[1] // size) if number in blocks] if size else []
            left = ranges.subtract(host, [(number * size, (number + 1) * size) for number in whole])
            self._pinned(mine)
            if left:
                unit = (
                    ""
                    if not size
                    else ", or let it begin and end at a multiple of 0x%x so that whole memory blocks can be taken offline" % size
                )
                self.findings.append(
                    Finding(
                        rule="plan.system_ram",
                        severity="error",
                        verdict="fail",
                        path=("pool", "memory"),
                        message="the pool %s is System RAM that the host uses (%s)" % (span(mine), ", ".join(span(one) for one in left)),
                        hint="reserve it on the host's command line: memmap=%dM$0x%x%s" % ((mine[1] - mine[0]) >> 20, mine[0], unit),
                    )
                )
            wanted += [number for number in whole if blocks[number] == "online"]
        return wanted

    def _pinned(self, mine: ranges.Range) -> None:
        """Memory that the host can never give up: its own kernel lies where it was put at boot."""
        for one in self.facts["memory"].get("iomem") or []:
            if one["name"].startswith(("Kernel ", "Crash kernel")) and ranges.overlap(mine, (one["start"], one["end"] + 1)):
                self.findings.append(
                    Finding(
                        rule="plan.host_kernel",
                        severity="error",
                        verdict="fail",
                        path=("pool", "memory"),
                        message="the pool %s holds the host's own %r at %s, which cannot be moved"
                        % (span(mine), one["name"], span((one["start"], one["end"] + 1))),
                        hint="choose other memory, or boot the host with nokaslr so that its kernel stays low",
                    )
                )

    def _writers_first(self, names: List[str]) -> List[str]:
        """names in their order, but who writes a channel's area before who finds it there."""
        if all(HOST in one["between"] for one in self.placed["channels"].values()):
            return list(names)
        ordered: Dict[str, None] = {}
        left = set(names)
        for first in names:
            path = [first]
            while path:
                name = path[-1]
                left.discard(name)
                channels = self.specs[name]["channels"] if name in self.specs.channels else []
                before = [end for one in channels if not one["writes"] for end in one["between"]] if channels else []
                writer = next((end for end in before if end in left), None) if before else None
                if writer is not None:
                    path.append(writer)
                else:
                    ordered.setdefault(path.pop())
        return list(ordered)

    def _attach_kept(self, start: List[str], load: List[str]) -> List[Step]:
        """The host's ends that a kept instance lacks, for instance after the module was loaded anew."""
        if not self._can_attach():
            return []
        return [
            step
            for name in sorted((set(self.specs.channels) | set(self.specs)).intersection(self.names).difference(start, load))
            for step in steps.attachments(self.specs[name])
            if step.args["name"] not in self.attached
        ]

    def _can_attach(self) -> bool:
        return self.state.get("channels") is not None

    def _instance(self, name: str) -> Dict[str, Any]:
        one: Dict[str, Any] = self.placed["instances"][name]
        return one


def _take_down(name: str, one: Dict[str, Any], attached: Set[str], loaded: Tuple[Step, ...] = ()) -> List[Step]:
    """Detach and stop one instance. What was running comes back when the plan is undone, and what is loaded with it. A channel to another
    instance is looked after until this one is stopped, so that the other is told."""
    known = [channel for channel in one["spec"]["channels"] if specs.host_has(channel) and channel["name"] in attached]
    channels = [channel for channel in known if HOST in channel["between"]]
    again: Tuple[Step, ...] = ()
    if one["state"] in ALIVE:
        again = (steps.stop(one["spec"]), steps.unload()) + tuple(steps.start(one["spec"], one.get("health"), bool(known))) + loaded
    wanted = [steps.channel_detach(channel, name) for channel in channels]
    if one["state"] != "loaded":
        wanted.append(steps.stop(one["spec"], again))
    return wanted + [steps.watch_end(channel, name) for channel in known if HOST not in channel["between"]]


def _attached(state: Dict[str, Any]) -> Set[str]:
    return {name for name, one in (state.get("channels") or {}).items() if one.get("attached")}
