# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cuts every change of a host at every point at which it can be cut, and looks at what a user finds afterwards.

A point is everything that the process does to the machine (before it and behind it) or to the disk (before it, and each write in the
middle). At each point the process is killed, or the whole host loses its power; sometimes the recovery is cut as well. Then the next
command, which wants the old layout or the new one, must get through, and

* no byte and no core has two owners, and no running kernel was written over (the simulated kernels write down such harm),
* every CPU and every block of memory is the host's or stands in the books,
* the host has exactly the layout that was asked for, once more changes nothing, and `absent` gives back everything.
"""

from __future__ import annotations

import contextlib
import copy
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.multikernel.core.plugins.module_utils._converge import journal, run, store, update
from ansible_collections.multikernel.core.plugins.module_utils._host import mounts
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import MIB, Crash, Machine
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated_kernfs import KernfsKernel

from .disk import Disk, Gate

Layout = dict[str, Any]
KINDS: dict[str, dict[str, Any]] = {
    "mkstock": {},
    "strict": {"strict": True},
    "rfc": {"mkstock": False},
    "blocks": {"reserved": False},
    "kernfs": {"mounted": False},
    "kernfs-bare": {"mkstock": False},
}
NAMES = ("a", "b", "c")
# calls by which the target ring changes a machine
CHANGES = (
    "write",
    "load",
    "boot",
    "unload",
    "write_bytes",
    "rmdir",
    "mount_kernfs",
    "unmount_kernfs",
    "file_load",
    "file_unload",
    "command",
)
UPDATE = ("begin", "switch", "back", "retire", "retreat")


class Wrong(AssertionError):
    """What a user would find after a cut is not what was promised."""


def machine_of(kind: str, root: Path) -> Machine:
    """A new host."""
    if kind.startswith("kernfs"):
        made: Machine = KernfsKernel(root, **KINDS[kind])
        made.kinds["/boot/vmlinuz"] = "vmlinux"
        return made
    return Machine(root, **KINDS[kind])


def layout_of(kind: str, dice: random.Random) -> Layout:
    """A random layout that may disrupt: up to three instances, their states, sizes and command lines, up to two channels."""
    instances = {}
    for name in NAMES:
        if dice.random() < 0.6:
            instances[name] = simulated.instance(
                cpus={"count": dice.choice([1, 1, 2])},
                memory={"size": dice.choice([64, 96]) * MIB},
                state=dice.choice(["running"] * 6 + ["loaded", "defined"]),
                cmdline=dice.choice(["", "debug"]),
            )
    made = simulated.layout(instances=instances, channels={}, policy={"isolation": {"minimum_grade": None}, "disruption": "allow"})
    if kind.startswith("kernfs"):
        made["pool"] = {"memory": [{"base": None, "size": dice.choice([512, 640]) * MIB, "node": None}]}
    ends = ["host", *sorted(instances)]
    for name, pair in (("beat", ends[:2]), ("talk", ends[1:3])):
        if kind not in ("rfc", "kernfs-bare") and len(pair) == 2 and dice.random() < 0.5:
            its = {"kind": "ipi", "slots": 64, "message_size": 256, "size": None, "writer": None}
            made["channels"][name] = {"between": pair, **its}
    return made


class Change:
    """One change of a host: an apply, the removal of everything, or a stage of an update."""

    def __init__(self, word: str, layout: Layout | None, old: Layout | None) -> None:
        self.word, self.layout, self.old = word, layout, old

    def go(self, machine: Machine) -> None:
        """Do it. Raises ApplyError."""
        if self.word in UPDATE:
            update.run(self.word, "a" if self.word == "begin" else None, self.layout if self.word == "begin" else None, system=machine)
        elif self.word == "apply":
            run.apply(self.layout, system=machine)
        else:
            run.apply(None, state="absent", system=machine)

    def settle(self, machine: Machine, new: bool) -> Layout | None:
        """What a user does after a cut, towards the new layout or the old one; returns the layout that the host must have now."""
        if self.word in UPDATE:
            self._settle_update(machine, new)
            return store.Store(machine.root).desired()
        wish = self.layout if new else self.old
        run.apply(wish, state="present" if wish is not None else "absent", system=machine)
        return wish

    def _settle_update(self, machine: Machine, new: bool) -> None:
        """As the role does it: begin once more and go on, or back and retreat. An update that is over stays so."""
        stage = update.run("status", system=machine)["stage"]
        over = stage == "none" and self.word == "retire"
        if stage in ("none", "lost", "done"):
            # the host may have been booted: first its supervisor brings back what it is to have
            run.apply(store.Store(machine.root).desired(), system=machine)
        if new:
            if update.run("begin", "a", self.layout, system=machine)["stage"] == "none":
                return
            if update.run("status", system=machine)["stage"] == "begun":
                update.run("switch", system=machine)
            update.run("retire", system=machine)
        else:
            if update.run("status", system=machine)["stage"] in ("switched", "done"):
                update.run("back", system=machine)
            update.run("retreat", system=machine)
        want = self.layout if new or over else self.old
        if store.Store(machine.root).desired() != want:
            raise Wrong("after the update was %s the host has another layout" % ("finished" if new else "taken back"))


class Story:
    """One machine with a history, and a change of it that is cut everywhere."""

    def __init__(self, kind: str, seed: int, folder: Path) -> None:
        self.kind, self.seed, self.folder = kind, seed, folder
        self.dice = random.Random(f"{kind}-{seed}")
        self.told: Counter[str] = Counter()

    def tell(self, most: int) -> Counter[str]:
        """Cut the change at up to `most` points. Returns counts. Raises Wrong, with all that is needed to see it again."""
        machine = machine_of(self.kind, self.folder / "before")
        Path(machine.root).mkdir()
        self.empty = _belongings(machine)
        change = self._history(machine)
        if change is None:
            self.told["refused"] += 1
            return self.told
        total = self._count(machine, change)
        points = range(1, total + 1)
        for at in points if total <= most else sorted(self.dice.sample(points, most)):
            for power in (False, True):
                self._cut(machine, change, at, power)
        self.told["stories"] += 1
        return self.told

    def _history(self, machine: Machine) -> Change | None:
        old = None
        for _turn in range(self.dice.randint(0, 2)):
            wish = layout_of(self.kind, self.dice)
            with contextlib.suppress(run.ApplyError):
                run.apply(wish, system=machine)
                old = wish
        word = self.dice.choice(["apply", "apply", "apply", "absent", "update"])
        if word == "absent" and old is not None:
            return Change(word, None, old)
        if word == "update" and not self.kind.startswith("kernfs"):
            found = self._updated(machine, old)
            if found is not None:
                return found
        return Change("apply", layout_of(self.kind, self.dice), old)

    def _updated(self, machine: Machine, old: Layout | None) -> Change | None:
        """A stage of an update of instance a, the stages before it being done."""
        if old is None or old["instances"].get("a", {}).get("state") != "running":
            return None
        new = copy.deepcopy(old)
        new["instances"]["a"]["cmdline"] += " new"
        word = self.dice.choice(UPDATE)
        before = {"begin": [], "switch": ["begin"], "back": ["begin", "switch"], "retire": ["begin", "switch"], "retreat": ["begin"]}
        with contextlib.suppress(run.ApplyError):
            for one in before[word]:
                Change(one, new, old).go(machine)
            return Change(word, new, old)
        return None

    def _count(self, machine: Machine, change: Change) -> int:
        """How many points an uncut run has; 0 when it is refused, which must not change anything."""
        gate, copied = Gate(), self._copy(machine, "count")
        try:
            self._run(copied, Disk(copied.root, gate), gate, change.go)
        except run.ApplyError:
            self.told["refused"] += 1
            return 0
        return gate.count

    def _copy(self, machine: Machine, name: str) -> Machine:
        """The same machine with files of its own."""
        root = self.folder / name
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(machine.root, root)
        copied = copy.deepcopy(machine)
        copied.root = str(root)
        return copied

    def _run(self, machine: Machine, disk: Disk, gate: Gate, what: Callable[[Machine], Any]) -> None:
        """Let the process do something until the gate ends it, if it does."""
        for name in CHANGES:
            if hasattr(type(machine), name):
                setattr(machine, name, _gated(getattr(machine, name), gate))
        try:
            with disk.in_use():
                what(machine)
        finally:
            for name in CHANGES:
                machine.__dict__.pop(name, None)

    def _cut(self, before: Machine, change: Change, at: int, power: bool) -> None:
        machine = self._copy(before, "cut")
        new = self.dice.random() < 0.5
        where = f"{self.kind} seed {self.seed}, {change.word} cut at {at} by {'power' if power else 'kill'}, then {'new' if new else 'old'}"
        try:
            machine = self._end(machine, change.go, at, power)
            if self.dice.random() < 0.2:
                where += ", the recovery cut as well"
                machine = self._end(machine, lambda one: change.settle(one, new), self.dice.randint(1, 60), self.dice.random() < 0.3)
            self._look(machine, change, new)
        except Wrong as error:
            raise Wrong(f"{where}: {error}") from error
        except Exception as error:
            raise Wrong(f"{where}: {type(error).__name__}: {error}") from error

    def _end(self, machine: Machine, what: Callable[[Machine], Any], at: int, power: bool) -> Machine:
        """A process that ends at one point; the machine as it is then."""
        gate = Gate(at)
        disk = Disk(machine.root, gate)
        with contextlib.suppress(Crash):
            self._run(machine, disk, gate, what)
        if not gate.dead:
            return machine
        self.told["cuts"] += 1
        self.told["power" if power else "kill"] += 1
        if power:
            disk.lose_power(self.dice)
            machine = machine.reboot()
        return machine

    def _look(self, machine: Machine, change: Change, new: bool) -> None:
        journal.read(f"{machine.root}/{journal.PATH}")
        desired = store.Store(machine.root).desired()
        if desired not in (change.old, change.layout, None):
            raise Wrong("the layout that the host is to have is neither the old nor the new one")
        wish = change.settle(machine, new)
        _sound(machine)
        want = {name for name, one in (wish or {"instances": {}})["instances"].items() if one["state"] == "running"}
        if set(machine.running()) != want:
            raise Wrong(f"running: {sorted(machine.running())}, wanted: {sorted(want)}")
        if wish is not None and run.apply(wish, system=machine)["changed"]:
            raise Wrong("the same layout once more changes something")
        run.apply(None, state="absent", system=machine)
        _sound(machine)
        left = _belongings(machine)
        if left != self.empty:
            raise Wrong(f"not everything came back: {left}, there was {self.empty}")


def _gated(call: Callable[..., Any], gate: Gate) -> Callable[..., Any]:
    """The same call with a point at which the process may end before it and one behind it."""

    def gated(*arguments: Any, **more: Any) -> Any:
        gate.step()
        result = call(*arguments, **more)
        gate.step()
        return result

    return gated


def _sound(machine: Machine) -> None:
    """Nothing is owned twice or by nobody."""
    wrong = machine.misowned()
    if wrong:
        raise Wrong("; ".join(wrong))


def _belongings(machine: Machine) -> Any:
    """What the host has when nothing is applied."""
    had: list[Any] = [sorted(machine.online), machine.running(), sorted(machine.channels)]
    if isinstance(machine, KernfsKernel):
        mounted_here = machine.is_mounted and machine.source == mounts.SOURCE
        return [*had, sorted(machine.state.pool_cpus), len(machine.state.chunks), mounted_here]
    return [*had, dict(machine.blocks), sorted(map(list, machine.pool)), len(machine.images)]


def tell(kind: str, seed: int, most: int) -> Counter[str]:
    """One story in folders of its own."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        return Story(kind, seed, Path(folder)).tell(most)
