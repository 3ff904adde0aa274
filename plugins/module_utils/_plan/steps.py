# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Steps: what a plan is made of. Every step is built here, and its inverse is written next to it.

A step names one change of the machine in words of its own (`do`), with plain JSON arguments, so that the journal can hold
it and a later run can undo it. Each step and each inverse may be performed twice without harm.

    memory_offline {block}     pool_add {base, size}       cpu_offline {cpu}    load {spec}      channel_attach {name, address, end}
    memory_online  {block}     pool_remove {base, size}    cpu_online {cpu}     unload {}        channel_detach {name}
    channel_rename {name, to, address}
    device_unbind, device_bind {address, driver, override, power}
    boot {spec}    wait_health {spec, within, channel, gates}     stop {spec}          save {digest}
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Tuple, Union

from .._layout.canonical import GATES
from . import spec as specs
from .place import amount

Spec = Dict[str, Any]
Args = Union[Dict[str, Any], Tuple[Any, ...], Callable[["Step"], Dict[str, Any]]]


class Step:
    """One change: `do` is its kind, `say` the sentence for people, `undo` the steps that take it back, first one first.

    A large plan has tens of thousands of steps and most of them are never read out, so that the arguments may be given as
    (name, value, ...), the sentence as (format, value, ...), and each of both and the inverse as a function of the step; they are
    made when somebody asks.
    """

    __slots__ = ("do", "instance", "_args", "_say", "_undo")

    def __init__(
        self,
        do: str,
        args: Args = (),
        say: Union[str, Tuple[Any, ...], Callable[["Step"], str]] = "",
        undo: Union[Tuple["Step", ...], Callable[["Step"], Tuple["Step", ...]]] = (),
        instance: Optional[str] = None,
    ) -> None:
        self.do = do
        self.instance = instance
        self._args = args
        self._say = say
        self._undo = undo

    @property
    def args(self) -> Dict[str, Any]:
        """The arguments by name."""
        given = self._args
        if not isinstance(given, dict):
            given = self._args = dict(zip(given[::2], given[1::2])) if isinstance(given, tuple) else given(self)
        return given

    @property
    def say(self) -> str:
        """The sentence."""
        said = self._say
        if not isinstance(said, str):
            said = self._say = said[0] % said[1:] if isinstance(said, tuple) else said(self)
        return said

    @property
    def undo(self) -> Tuple["Step", ...]:
        """The steps that take this one back."""
        back = self._undo
        if not isinstance(back, tuple):
            back = self._undo = back(self)
        return back

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Step) and self.record() == other.record()

    __hash__ = None  # type: ignore[assignment]  # its arguments are dictionaries

    def __repr__(self) -> str:
        return "Step(%r, %r, instance=%r)" % (self.do, self.say, self.instance)

    def to_dict(self) -> Dict[str, Any]:
        """The step as the result of a module shows it."""
        back = "; ".join(one.say for one in self.undo)
        return {"do": self.do, "say": self.say, "instance": self.instance, "undo": back or None}

    def record(self) -> Dict[str, Any]:
        """The step as the journal keeps it: everything that is needed to undo it later."""
        return {"do": self.do, "args": self.args, "say": self.say, "instance": self.instance, "undo": [one.record() for one in self.undo]}


def from_record(record: Dict[str, Any]) -> Step:
    """The step that a journal record describes."""
    undo = tuple(from_record(one) for one in record["undo"])
    return Step(record["do"], record["args"], record["say"], undo, record["instance"])


def memory_offline(block: int, size: int) -> Step:
    """Take one memory block (its number and size in bytes) from the host's page allocator."""
    back = Step("memory_online", {"block": block}, "give memory block %d back to the host" % block)
    return Step(
        "memory_offline", {"block": block}, "take memory block %d (%s at 0x%x) from the host" % (block, amount(size), block * size), (back,)
    )


def memory_online(block: int, size: int) -> Step:
    """Give one memory block back to the host."""
    back = Step("memory_offline", {"block": block}, "take memory block %d from the host again" % block)
    return Step("memory_online", {"block": block}, "give memory block %d (%s) back to the host" % (block, amount(size)), (back,))


def pool_add(base: int, size: int) -> Step:
    """Tell the multikernel module that instances may be made of a range of memory."""
    back = Step("pool_remove", {"base": base, "size": size}, "take 0x%x (%s) out of the pool" % (base, amount(size)))
    return Step("pool_add", {"base": base, "size": size}, "put 0x%x (%s) into the pool" % (base, amount(size)), (back,))


def pool_remove(base: int, size: int) -> Step:
    """Tell the multikernel module that a range of memory is no longer for instances."""
    back = Step("pool_add", {"base": base, "size": size}, "put 0x%x (%s) back into the pool" % (base, amount(size)))
    return Step("pool_remove", {"base": base, "size": size}, "take 0x%x (%s) out of the pool" % (base, amount(size)), (back,))


def cpu_offline(cpu: int, instance: Optional[str] = None) -> Step:
    """Take a logical CPU offline in the host."""
    return Step("cpu_offline", ("cpu", cpu), _say_offline, _bring_back, instance)


def _say_offline(step: Step) -> str:
    return "take CPU %d offline in the host" % step.args["cpu"]


def _bring_back(step: Step) -> Tuple[Step, ...]:
    return (Step("cpu_online", step.args, ("bring CPU %d online in the host", step.args["cpu"])),)


def cpu_online(cpu: int) -> Step:
    """Bring a logical CPU online in the host."""
    back = Step("cpu_offline", {"cpu": cpu}, "take CPU %d offline in the host" % cpu)
    return Step("cpu_online", {"cpu": cpu}, "bring CPU %d online in the host" % cpu, (back,))


def device_unbind(address: str, had: Dict[str, Any], instance: Optional[str] = None) -> Step:
    """Take a PCI function from its driver of the host, and keep all drivers off it. had: what it gets back, see device_bind."""
    args = dict(had, address=address)
    driver = had["driver"]
    back = Step("device_bind", args, "give PCI device %s back to the host%s" % (address, " (%s)" % driver if driver else ""))
    say = "take PCI device %s from %s" % (address, "the host's driver %s" % driver if driver else "the host, where it has no driver")
    return Step("device_unbind", args, say, (back,), instance)


def device_bind(address: str, had: Dict[str, Any]) -> Step:
    """Give a PCI function back to the host: had is {"driver": its name or None, "override": what driver_override said, "power": {address
    of it and of each bridge before it: "auto" where the host was allowed to let it sleep}}."""
    args = dict(had, address=address)
    back = Step("device_unbind", args, "take PCI device %s from the host again" % address)
    say = "give PCI device %s back to the host%s" % (address, " (%s)" % had["driver"] if had["driver"] else "")
    return Step("device_bind", args, say, (back,))


def load(spec: Spec, args: Args = ()) -> Step:
    """Load an instance's image into its memory and into the kernel's list."""
    return Step("load", args or ("spec", spec), _say_load, _take_out, spec["name"])


def _say_load(step: Step) -> str:
    spec = step.args["spec"]
    return "load %s (%s) for %s at 0x%x" % (spec["image"]["name"], spec["image"]["kernel"], spec["name"], spec["base"])


def _take_out(step: Step) -> Tuple[Step, ...]:
    return (Step("unload", {}, ("unload the image of %s", step.instance), (), step.instance),)


def unload(instance: Optional[str] = None, again: Tuple[Step, ...] = ()) -> Step:
    """Empty the kernel's list of multikernel images; running instances go on. `again` loads what was in the list."""
    if instance is None:
        return Step("unload", {}, "empty the kernel's list of multikernel images", (unload(),) + again if again else ())
    return Step("unload", (), _say_unload, (), instance)


def _say_unload(step: Step) -> str:
    return "take the image of %s from the kernel's list; %s goes on" % (step.instance, step.instance)


def channel_attach(channel: Dict[str, Any], instance: str) -> Step:
    """Attach the host's end of a channel (an entry of a spec's "channels"); or have the host look after one between two instances."""
    name, end = channel["name"], specs.host_end(channel)
    args: Dict[str, Any] = {"name": name, "address": channel["address"], "end": int(end) if end != "-" else end}
    if channel["kind"] == "shared_memory":
        args.update(size=channel["size"], writer=specs.writer_of(channel))
    say = "attach the host to channel %s" if end != "-" else "have the host look after channel %s"
    return Step("channel_attach", args, (say, name), _let_go, instance)


def _let_go(step: Step) -> Tuple[Step, ...]:
    return (Step("channel_detach", {"name": step.args["name"]}, _say_detach(step.args), (), step.instance),)


def _say_detach(args: Dict[str, Any]) -> str:
    return ("have the host leave channel %s alone" if args["end"] == "-" else "detach the host from channel %s") % str(args["name"])


def channel_detach(channel: Dict[str, Any], instance: str) -> Step:
    """Detach the host's end of a channel (an entry of a spec's "channels")."""
    attach = channel_attach(channel, instance)
    back = Step(attach.do, attach.args, attach.say, (), instance)
    return Step("channel_detach", {"name": channel["name"]}, _say_detach(attach.args), (back,), instance)


def watch_end(channel: Dict[str, Any], instance: str) -> Step:
    """The last of a channel between two instances, after its maker was stopped: who starts that again, has the host look after it again."""
    attach = channel_attach(channel, instance)
    return Step("channel_detach", {"name": channel["name"]}, _say_detach(attach.args), (), instance)


def channel_rename(name: str, to: str, address: int, instance: str) -> Step:
    """Give the host's end of the channel at an address another name; whoever has its device open goes on with it."""
    args = {"name": to, "to": name, "address": address}
    back = Step("channel_rename", args, "call channel %s %s again" % (to, name), (), instance)
    return Step("channel_rename", {"name": name, "to": to, "address": address}, "call channel %s %s" % (name, to), (back,), instance)


def boot(spec: Spec, args: Args = ()) -> Step:
    """Start the loaded image on the first of its CPUs."""
    return Step("boot", args or ("spec", spec), _say_boot, _stop_it, spec["name"])


def _say_boot(step: Step) -> str:
    return "boot %s on CPU %s" % (step.instance, step.args["spec"]["cpus"][0])


def _stop_it(step: Step) -> Tuple[Step, ...]:
    return (stop(step.args["spec"]),)


def wait_health(spec: Spec, within: Optional[float], channel: Optional[str], gates: Optional[Dict[str, Any]] = None) -> Step:
    """Wait until the instance itself reports and all gates are passed, at most `within` seconds (None: the default of the run)."""
    args: Tuple[Any, ...] = ("spec", spec, "within", within, "channel", channel)
    return Step("wait_health", args + ("gates", gates) if gates else args, _say_wait, (), spec["name"])


def _say_wait(step: Step) -> str:
    within, channel = step.args["within"], step.args["channel"]
    where = " on channel %s" % channel if channel else ""
    gates = sorted(step.args.get("gates") or {})
    passed = " and passes its gate%s %s" % ("" if len(gates) == 1 else "s", ", ".join(gates)) if gates else ""
    return "wait until %s reports%s%s" % (step.instance, where, passed) + ("" if within is None else ", at most %g s" % within)


def stop(spec: Spec, again: Tuple[Step, ...] = ()) -> Step:
    """Stop an instance; its CPUs stay offline in the host and are free. `again` starts what was stopped; its
    first step is the stop once more, since a kernel that tells nothing may have let half of it run on."""
    return Step("stop", {"spec": spec}, _say_stop, again, spec["name"])


def save(digest: Optional[str]) -> Step:
    """Remember the layout (None: forget it) as the one that this host is to have."""
    if digest is None:
        return Step("save", {"digest": None}, "forget the layout")
    return Step("save", {"digest": digest}, "remember layout %s" % digest[:12])


def start(spec: Spec, health: Optional[Dict[str, Any]], attach: bool = True) -> List[Step]:
    """All steps from an offline CPU to an instance that reports; the list of images is empty before and after."""
    launched = launch(spec, attach)
    return launched[:-1] + [report(spec, health)] + launched[-1:]


def launch(spec: Spec, attach: bool = True) -> List[Step]:
    """The same without waiting for the report: only for a kernel whose boot call returns when the CPU has arrived."""
    args = ("spec", spec)  # of both steps: of ten thousand instances every object counts
    if not attach or not spec["channels"]:
        return [load(spec, args), boot(spec, args), unload(spec["name"])]
    return [load(spec, args)] + attachments(spec) + [boot(spec, args), unload(spec["name"])]


class Plain:
    """Launch and report of instances without channels and a health of their own, out of specs that are made when they are needed."""

    def __init__(self, specs_by_name: Dict[str, Spec]) -> None:
        self.specs = specs_by_name
        self.spec, self.wait = self._spec, self._wait  # bound once

    def launch(self, name: str) -> List[Step]:
        """See launch."""
        return [Step("load", self.spec, _say_load, _take_out, name), Step("boot", self.spec, _say_boot, _stop_it, name), unload(name)]

    def report(self, name: str) -> Step:
        """See report."""
        return Step("wait_health", self.wait, _say_wait, (), name)

    def _spec(self, step: Step) -> Dict[str, Any]:
        return {"spec": self.specs[str(step.instance)]}

    def _wait(self, step: Step) -> Dict[str, Any]:
        return {"spec": self.specs[str(step.instance)], "within": None, "channel": None}


def report(spec: Spec, health: Optional[Dict[str, Any]]) -> Step:
    """Wait for an instance's own word; health is the layout's entry for it, or None."""
    known = health or {"channel": None, "within": None}
    gates = {kind: known[kind] for kind in GATES if known.get(kind) is not None}
    return wait_health(spec, known["within"], known["channel"], gates)


def attachments(spec: Spec) -> List[Step]:
    """What the host does for an instance's channels before it starts."""
    return [channel_attach(one, spec["name"]) for one in spec["channels"] if specs.host_has(one)]


def _say_stop(step: Step) -> str:
    return "stop %s (CPU %s)" % (step.instance, ", ".join(str(cpu) for cpu in step.args["spec"]["cpus"]))
