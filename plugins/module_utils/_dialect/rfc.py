# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The RFC dialect: /proc/multikernel, kexec_load(2) and reboot(2), and what mkstock adds to them.

The kernel of the RFC checks nothing: it overwrites System RAM, restarts a CPU that runs an instance, and boots the first
image of its list whatever was meant. So every check is made here, before the call; and what the kernel cannot tell is
remembered, and said to be remembered.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from .._plan import plan as planner
from .._plan import ranges
from .._plan import spec as specs
from .._plan.place import place
from .._plan.steps import Step
from .._rules.finding import Finding
from . import books, devices, image, observe, table, verify
from .base import DialectError, InstanceError, State
from .gates import Gates
from .report import Reports
from .system import System

TABLE = "proc/multikernel"
MKSTOCK = "sys/kernel/mkstock/"
POLL = 0.05  # seconds between two looks at a mailbox
HEALTH_WITHIN = 60.0  # seconds until an instance must have reported when the layout gives no limit
KILL_WITHIN = 5.0  # seconds until a killed instance must be gone from mkstock's list
ATTEMPTS, ATTEMPT_PAUSE = 3, 0.5  # at a memory block that does not go offline; seconds
SILENCE = "(none: nothing is in its mailbox, and one kernel cannot read the serial port of another; see console_logs)"
UNLOADS = 64  # one call drops ten images at most; more calls than this mean that the list does not shrink


class Rfc:
    """One host that speaks the RFC dialect. health_within: seconds, for instances whose layout says nothing."""

    name = "rfc"

    def __init__(
        self,
        system: System,
        health_within: float = HEALTH_WITHIN,
        console_logs: Optional[Mapping[str, str]] = None,
        adopt: Sequence[str] = (),
    ) -> None:
        self.system = system
        self.adopt = list(adopt)
        self.health_within = health_within
        self.console_logs = console_logs or {}
        self.reports = Reports(system, self.console_logs, SILENCE)
        self.nonces: Dict[str, int] = {}
        self.busy: Dict[str, Dict[str, Any]] = {}
        self.facts: Dict[str, Any] = {}

    def probe(self, facts: Dict[str, Any]) -> List[Finding]:
        """Whether this host speaks another dialect. What else prevents a load (privilege, settings, lockdown) the rules tell."""
        name = facts["dialect"]["name"]
        if self.adopt:
            message = "%s cannot be adopted: a kernel of the dialect rfc does not tell what its instances are" % ", ".join(self.adopt)
            return [Finding("dialect.adopt", "error", "fail", message, (), "leave adopt out, and stop what was started by hand")]
        if name in (self.name, "none"):
            return []
        message = "this host speaks the multikernel dialect %s, which is not %s" % (name, self.name)
        return [Finding("dialect.other", "error", "fail", message, (), "use a kernel that offers /proc/multikernel")]

    def observe(self, remembered: Optional[Dict[str, Any]], facts: Dict[str, Any]) -> State:
        """The state of the host, as base.py describes it."""
        state = observe.observe(self.system, remembered, facts)
        alive = {name: one for name, one in state["instances"].items() if one["state"] in ("running", "silent")}
        self.busy = {name: one["spec"] for name, one in alive.items()}
        self.nonces = {name: one["nonce"] for name, one in alive.items() if one["nonce"] is not None}
        return state

    def open(self, facts: Dict[str, Any], check: bool, remembered: Dict[str, Any]) -> Dict[str, Any]:
        """Nothing has to be done to read an RFC host."""
        self.facts = facts
        return facts

    def close(self) -> None:
        """Nothing was done."""

    def place(self, layout: Dict[str, Any], facts: Dict[str, Any], state: State) -> Dict[str, Any]:
        """CPUs and addresses for everything; see place.place."""
        placed: Dict[str, Any] = place(layout, facts, state)
        return placed

    def located(self, placed: Dict[str, Any], state: State) -> Dict[str, Any]:
        """All addresses were chosen here."""
        return placed

    def plan(self, placed: Dict[str, Any], state: State, facts: Dict[str, Any], digest: str, *wish: Any) -> List[Step]:
        """The steps to a placed layout; see plan.plan."""
        steps: List[Step] = planner.plan(placed, state, facts, digest, *wish)
        return steps

    def plan_absent(self, state: State, facts: Dict[str, Any]) -> List[Step]:
        """The steps that take everything back."""
        return planner.plan_absent(state, facts)

    def wanted(
        self, placed: Dict[str, Any], state: State, facts: Dict[str, Any], only: Optional[Sequence[str]] = None
    ) -> Dict[str, Dict[str, Any]]:
        """The specs of what is to run or to be loaded."""
        return planner.wanted(placed, state, facts, only)

    def verify(self, placed: Dict[str, Any], specs_: Dict[str, Dict[str, Any]], state: State) -> Tuple[List[str], List[str]]:
        """What differs, and what cannot be seen."""
        return verify.verify(self.system, placed, specs_, state)

    def made(self, old: Dict[str, Any], steps: Sequence[Step], placed: Optional[Dict[str, Any]]) -> Dict[str, Any]:
        """CPUs, blocks, ranges of the pool, and the areas of the channels of a placed layout."""
        areas = {} if placed is None else {name: one["placed"] for name, one in sorted(placed["channels"].items())}
        channels = {name: {"address": one["address"], "size": one["size"]} for name, one in areas.items()}
        return dict(books.made(old, steps), channels=channels)

    def still_made(self, old: Dict[str, Any], steps: Sequence[Step]) -> Dict[str, Any]:
        """What the host has not back."""
        return books.still_made(old, steps, self.system)

    def left(self, steps: Sequence[Step]) -> Dict[str, Dict[str, Any]]:
        """What was booted and could not be stopped."""
        booted = [step.args["spec"] for step in steps if step.do == "boot"]
        return {spec["name"]: spec for spec in booted if self.busy.get(spec["name"]) == spec}

    def renewed(self, name: str, spec: Dict[str, Any]) -> Dict[str, Any]:
        """An instance that is started again is where it was."""
        return spec

    def alive(self, spec: Dict[str, Any]) -> bool:
        """Whether the instance of this spec runs, and is the one that was booted last under its name."""
        lines = table.instances(self.system.read(MKSTOCK + "instances"))
        words = observe.mailbox(self.system, spec["base"])
        if words is None or words["nonce"] != self.nonces.get(spec["name"]) or words["state"] in observe.ENDED:
            return False
        if lines is not None:
            return any(one["entry"] == spec["entry"] and one["state"] == "running" for one in lines)
        return spec["cpus"][0] not in observe.online(self.system) and observe.advances(self.system, spec["base"])[1]

    def perform(self, step: Step) -> Dict[str, Any]:
        """Do one step. Raises DialectError or InstanceError; doing a step twice does no harm."""
        acts: Dict[str, Callable[..., Dict[str, Any]]] = {
            "memory_offline": self._memory_offline,
            "memory_online": self._memory_online,
            "pool_add": self._pool_add,
            "pool_remove": self._pool_remove,
            "cpu_offline": self._cpu_offline,
            "cpu_online": self._cpu_online,
            "device_unbind": self._device_unbind,
            "device_bind": self._device_bind,
            "load": self._load,
            "unload": self._unload,
            "channel_attach": self._channel_attach,
            "channel_detach": self._channel_detach,
            "channel_rename": self._channel_rename,
            "boot": self._boot,
            "wait_health": self._wait_health,
            "stop": self._stop,
        }
        return acts[step.do](**step.args)

    # memory

    def _memory_offline(self, block: int) -> Dict[str, Any]:
        return self._switch_block(block, "offline")

    def _memory_online(self, block: int) -> Dict[str, Any]:
        return self._switch_block(block, "online")

    def _switch_block(self, block: int, wanted: str) -> Dict[str, Any]:
        path = "sys/devices/system/memory/memory%d/state" % block
        if (self.system.read(path) or "").strip() == wanted:
            return {"already": True}
        try:
            self._insist(path, wanted)
        except DialectError as error:
            help_ = "; the host has pages there that it cannot move: reserve the memory with memmap= instead" if wanted == "offline" else ""
            raise DialectError("memory block %d does not go %s: %s%s" % (block, wanted, error, help_)) from error
        return {}

    def _insist(self, path: str, wanted: str) -> None:
        """The host moves pages out of a block as well as it can at that moment; another attempt may succeed."""
        for attempt in range(ATTEMPTS):
            try:
                self.system.write(path, wanted)
                return
            except DialectError:
                if attempt == ATTEMPTS - 1:
                    raise
            self.system.sleep(ATTEMPT_PAUSE)

    def _pool_add(self, base: int, size: int) -> Dict[str, Any]:
        return self._change_pool("add", base, size)

    def _pool_remove(self, base: int, size: int) -> Dict[str, Any]:
        return self._change_pool("remove", base, size)

    def _change_pool(self, verb: str, base: int, size: int) -> Dict[str, Any]:
        have = ranges.sized(table.pool(self.system.read(MKSTOCK + "pool")))
        mine = (base, base + size)
        if verb == "add":
            parts = ranges.subtract([mine], have)
            self._tell_pool("add", parts)
            return {} if parts else {"already": True}
        # The module gives back what it was given, whole: a part comes out by putting the rest back.
        touched = [one for one in have if ranges.overlap(one, mine)]
        self._tell_pool("remove", touched)
        self._tell_pool("add", ranges.subtract(touched, [mine]))
        return {} if touched else {"already": True}

    def _tell_pool(self, verb: str, parts: List[ranges.Range]) -> None:
        for start, end in parts:
            self.system.write(MKSTOCK + "pool", "%s 0x%x 0x%x" % (verb, start, end - start))

    # CPUs

    def _cpu_offline(self, cpu: int) -> Dict[str, Any]:
        return self._switch_cpu(cpu, False)

    def _cpu_online(self, cpu: int) -> Dict[str, Any]:
        owner = next((name for name, one in sorted(self.busy.items()) if cpu in one["cpus"]), None)
        if owner is not None:
            raise DialectError("CPU %d cannot come online in the host while %s runs on it; stop %s first" % (cpu, owner, owner))
        return self._switch_cpu(cpu, True)

    def _switch_cpu(self, cpu: int, online: bool) -> Dict[str, Any]:
        if (cpu in observe.online(self.system)) == online:
            return {"already": True}
        self.system.write("sys/devices/system/cpu/cpu%d/online" % cpu, "1" if online else "0")
        if (cpu in observe.online(self.system)) != online:
            raise DialectError("CPU %d did not go %s, although the kernel accepted it" % (cpu, "online" if online else "offline"))
        return {}

    # devices

    def _device_unbind(self, address: str, driver: Optional[str], override: Optional[str], power: Dict[str, str]) -> Dict[str, Any]:
        return devices.take(self.system, address, power)

    def _device_bind(self, address: str, driver: Optional[str], override: Optional[str], power: Dict[str, str]) -> Dict[str, Any]:
        owner = next((name for name, one in sorted(self.busy.items()) if address in specs.devices_of(one)), None)
        if owner is not None:
            raise DialectError("PCI device %s cannot go back to the host while %s uses it; stop %s first" % (address, owner, owner))
        return devices.give_back(self.system, address, driver, override, power)

    # images

    def _load(self, spec: Dict[str, Any]) -> Dict[str, Any]:
        name = spec["name"]
        if name in self.busy:
            raise DialectError("%s runs; loading it again would overwrite its memory while it runs; stop it first" % name)
        # what the host uses changes, by this apply and without it; what the machine is built of does not
        facts = self.system.memory_now(self.facts)
        nonce = self.system.nonce()
        built = self.system.assemble(image.boot_spec(spec, facts, self.system.read(MKSTOCK + "info"), nonce))
        image.prove(spec, built.segments, facts, self.busy)
        devices.quiet(self.system, specs.devices_of(spec))
        self.system.load(built.entry, built.segments)
        if built.entry not in self._entries():
            raise DialectError(
                "the kernel accepted the image of %s, but /proc/multikernel does not list its entry 0x%x" % (name, built.entry)
            )
        self.nonces[name] = nonce
        return {"nonce": nonce, "entry": built.entry, "segments": len(built.segments)}

    def _unload(self) -> Dict[str, Any]:
        left = len(self._entries())
        if not left:
            return {"already": True}
        for _round in range(UNLOADS):
            before = left
            self.system.unload()
            left = len(self._entries())
            if not left:
                return {}
            if left >= before:
                break
        raise DialectError("the kernel's list of multikernel images does not become empty: %d images stay" % len(self._entries()))

    def _entries(self) -> List[int]:
        return [row["entry"] for row in table.images(self.system.read(TABLE)) if row["type"] == "multikernel"]

    # instances

    def _boot(self, spec: Dict[str, Any]) -> Dict[str, Any]:
        name, cpu = spec["name"], spec["cpus"][0]
        self._prove_cpus(spec)
        entries = self._entries()
        selectable = self.system.exists(MKSTOCK + "select") and not self._strict()
        if spec["entry"] not in entries:
            raise DialectError(
                "the image of %s (entry 0x%x) is not in the kernel's list; load it before every boot" % (name, spec["entry"])
            )
        if not selectable and entries != [spec["entry"]]:
            raise DialectError(
                "the kernel boots the first image of its list, and the list holds %d images; only that of %s may be in it"
                % (len(entries), name)
            )
        if selectable:
            memory = ",".join("0x%x+0x%x" % (start, end - start) for start, end in specs.memory_of(spec))
            cpus = ",".join(str(one) for one in spec["cpus"])
            self.system.write(MKSTOCK + "select", "entry=0x%x cpus=%s memory=%s" % (spec["entry"], cpus, memory))
        self.busy[name] = spec
        self.reports.boots(name)
        self.system.boot(cpu)
        return {"cpu": cpu}

    def _prove_cpus(self, spec: Dict[str, Any]) -> None:
        """The RFC kernel crashes on an odd CPU number and restarts a busy one: neither may reach it."""
        name = spec["name"]
        present, online = observe.present(self.system), observe.online(self.system)
        running = table.instances(self.system.read(MKSTOCK + "instances")) or []  # one that ended holds its CPUs, too
        for cpu in spec["cpus"]:
            if cpu not in present:
                raise DialectError("%s cannot boot on CPU %d: this host has no such CPU" % (name, cpu))
            if cpu in online:
                raise DialectError("%s cannot boot on CPU %d: it is online in the host" % (name, cpu))
            owner = next((other for other, one in sorted(self.busy.items()) if cpu in one["cpus"]), None)
            if owner is not None or any(cpu in one["cpus"] for one in running):
                raise DialectError("%s cannot boot on CPU %d: %s runs on it" % (name, cpu, owner or "another instance"))

    def _strict(self) -> bool:
        return "strict_rfc 1" in " ".join((self.system.read(MKSTOCK + "info") or "").split())

    def _wait_health(
        self, spec: Dict[str, Any], within: Optional[float], channel: Optional[str], gates: Optional[Dict[str, Any]] = None
    ) -> Dict[str, Any]:
        name, limit = spec["name"], self.health_within if within is None else within
        lines = table.instances(self.system.read(MKSTOCK + "instances")) or []
        console = next((one["console"] for one in lines if one["entry"] == spec["entry"]), None)
        asked = Gates(self.system, name, gates, limit, console)
        try:
            return self.reports.wait(name, spec["base"], self.nonces.get(name), limit, channel, asked)
        finally:
            asked.close()

    def _stop(self, spec: Dict[str, Any]) -> Dict[str, Any]:
        running = table.instances(self.system.read(MKSTOCK + "instances"))
        result: Dict[str, Any] = {}
        if running is not None:
            result = self._kill(spec, running)
        else:
            self._reset(spec["cpus"])
        devices.quiet(self.system, specs.devices_of(spec))
        self.busy.pop(spec["name"], None)
        self.nonces.pop(spec["name"], None)
        return result

    def _kill(self, spec: Dict[str, Any], instances: List[Dict[str, Any]]) -> Dict[str, Any]:
        mine = [one for one in instances if one["entry"] == spec["entry"]]
        if not mine:
            # A stop that was cut off may have ended the CPU that the module knows, and not those that the instance had started by itself.
            if self._strict():
                self._reset(spec["cpus"][1:])
            return {"already": True}
        self.system.write(MKSTOCK + "kill", str(mine[0]["cpus"][0]))
        begin = self.system.monotonic()
        while any(
            one["entry"] == spec["entry"] and one["state"] == "running"
            for one in table.instances(self.system.read(MKSTOCK + "instances")) or []
        ):
            if self.system.monotonic() - begin > KILL_WITHIN:
                raise InstanceError(spec["name"], "%s was killed, and mkstock still lists it as running" % spec["name"])
            self.system.sleep(POLL)
        # A boot without a selection names one CPU: the others were started by the instance itself, and nobody knows of them.
        self._reset([cpu for cpu in spec["cpus"] if cpu not in mine[0]["cpus"]])
        return {}

    def _reset(self, cpus: List[int]) -> None:
        """The RFC's only stop: the INIT that brings a CPU online in the host ends what ran there. Then it goes offline again."""
        for cpu in cpus:
            self._switch_cpu(cpu, True)
            self._switch_cpu(cpu, False)

    # channels

    def _channel_attach(
        self, name: str, address: int, end: Union[int, str], size: Optional[int] = None, writer: str = "both"
    ) -> Dict[str, Any]:
        one = (table.channels(self.system.read(MKSTOCK + "channels")) or {}).get(name)
        if one is not None and (one["address"], one["end"]) == (address, end):
            return {"already": True}
        if one is not None:
            self._channel_detach(name)
        told = "add %s 0x%x %s" % (name, address, end)
        if size is not None:
            told = "share %s 0x%x 0x%x %s %s" % (name, address, size, end, writer)
        self.system.write(MKSTOCK + "channels", told)
        return {}

    def _channel_detach(self, name: str) -> Dict[str, Any]:
        if name not in (table.channels(self.system.read(MKSTOCK + "channels")) or {}):
            return {"already": True}
        self.system.write(MKSTOCK + "channels", "remove %s" % name)
        return {}

    def _channel_rename(self, name: str, to: str, address: int) -> Dict[str, Any]:
        have = table.channels(self.system.read(MKSTOCK + "channels")) or {}
        if to in have and have[to]["address"] == address:
            return {"already": True}
        if name not in have or have[name]["address"] != address:
            raise DialectError("channel %s is not attached at 0x%x, so it cannot be called %s" % (name, address, to))
        self.system.write(MKSTOCK + "channels", "rename %s %s" % (name, to))
        return {}
