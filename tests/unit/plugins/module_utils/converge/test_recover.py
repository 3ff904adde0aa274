# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever the moment at which an apply is cut off: no CPU is lost, no byte is owned twice, and the next apply gets through."""

from __future__ import annotations

import contextlib
import copy
from types import SimpleNamespace

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._converge import execute, files, journal, run
from ansible_collections.multikernel.core.plugins.module_utils._plan import steps
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import Crash, Machine

KINDS = [{}, {"strict": True}, {"mkstock": False}, {"reserved": False}]
NAMES = ["mkstock", "strict mkstock", "the RFC's own kernel", "memory blocks"]


class Cut:
    """Ends the process at the n-th journal record: before it is written, or just after."""

    def __init__(self, monkeypatch, at, before):
        self.left, self.before = at, before
        self.write = journal.Journal.write
        monkeypatch.setattr(journal.Journal, "write", lambda mine, kind, record=None: self(mine, kind, record))

    def __call__(self, mine, kind, record):
        self.left -= 1
        if self.left == 0 and self.before:
            raise Crash()
        self.write(mine, kind, record)
        if self.left == 0:
            raise Crash()


def two(**changes):
    """web on CPU 1 with a channel to the host, db on the CPUs 2 and 3."""
    db = simulated.instance(cpus={"count": 2})
    return simulated.layout(instances={"web": simulated.instance(), "db": db}, **changes)


def moved():
    """The same with a new command line for db and web on another CPU and in another place: both restart."""
    db = simulated.instance(cpus={"count": 1}, cmdline="changed")
    web = simulated.instance(cpus={"ids": [3], "count": None}, memory={"size": 32 << 20, "base": 0x50000000})
    return simulated.layout(instances={"web": web, "db": db}, policy={"isolation": {"minimum_grade": None}, "disruption": "allow"})


def cuts(tmp_path, kind, before, target, state="present"):
    """How many journal records an uninterrupted apply of target on top of before writes."""
    machine = Machine(tmp_path / "count", **kind)
    if before is not None:
        run.apply(before, system=machine)
    path = tmp_path / "count" / journal.PATH
    first = len(journal.read(str(path)))
    run.apply(target, state=state, system=machine)
    return len(journal.read(str(path))) - first


def check_ownership(machine):
    """Every CPU is the host's, an instance's, or reserved for one; no byte is written that is not ours."""
    assert machine.misowned() == []


SCENES = [("first apply", None, two(), "present"), ("change of two", two(), moved(), "present"), ("removal", two(), None, "absent")]


@pytest.mark.parametrize("scene", SCENES, ids=[scene[0] for scene in SCENES])
@pytest.mark.parametrize(
    ("kind", "before"),
    [(kind, True) for kind in KINDS] + [(kind, False) for kind in (KINDS[0], KINDS[2])],
    ids=["before a record, " + name for name in NAMES] + ["after a record, " + name for name in (NAMES[0], NAMES[2])],
)
def test_a_cut_at_every_record_is_recovered(tmp_path, monkeypatch, kind, scene, before):
    _name, first, target, state = scene
    total = cuts(tmp_path, kind, first, target, state)
    assert total > 6
    for at in range(1, total + 1):
        machine = Machine(tmp_path / str(at), **kind)
        if first is not None:
            run.apply(first, system=machine)
        was = copy.deepcopy(machine.running())
        with monkeypatch.context() as patch:
            Cut(patch, at, before)
            with pytest.raises(Crash):
                run.apply(target, state=state, system=machine)
        if at < total:  # after that the apply is committed
            run.apply(first, state="present" if first is not None else "absent", system=machine)
            assert machine.running() == was, "cut %d" % at
        assert machine.harm == [], "cut %d" % at
        run.apply(target, state=state, system=machine)
        check_ownership(machine)
        assert set(machine.running()) == (set(target["instances"]) if target else set()), "cut %d" % at
        check_ownership(machine)
        assert not run.apply(target, state=state, system=machine)["changed"], "cut %d" % at


@pytest.mark.parametrize("bytes_lost", [1, 20, 200])
def test_a_torn_last_line_counts_as_not_written(tmp_path, bytes_lost):
    machine = Machine(tmp_path)
    machine.mute.add("web")
    with pytest.raises(run.ApplyError):
        run.apply(simulated.layout(), system=machine)
    path = tmp_path / journal.PATH
    path.write_bytes(path.read_bytes()[:-bytes_lost])
    machine.mute.clear()
    assert run.apply(simulated.layout(), system=machine)["changed"]
    assert machine.running() == {"web": [1]}
    assert machine.harm == []
    assert journal.read(str(path))[-1]["kind"] == "end"


def test_a_crash_during_the_recovery_is_recovered(tmp_path, monkeypatch):
    for at in range(1, 30):
        machine = Machine(tmp_path / str(at))
        run.apply(two(), system=machine)
        was = copy.deepcopy(machine.running())
        with monkeypatch.context() as patch:
            Cut(patch, 20, True)
            with pytest.raises(Crash):
                run.apply(moved(), system=machine)
        with monkeypatch.context() as patch:
            Cut(patch, at, at % 2 == 0)
            with contextlib.suppress(Crash):
                run.apply(two(), system=machine)
        run.apply(two(), system=machine)
        assert machine.running() == was
        check_ownership(machine)


def test_after_a_boot_of_the_host_nothing_is_undone(tmp_path, monkeypatch):
    machine = Machine(tmp_path)
    with monkeypatch.context() as patch:
        Cut(patch, 9, True)
        with pytest.raises(Crash):
            run.apply(two(), system=machine)
    machine = machine.reboot()
    result = run.apply(two(), system=machine)
    assert result["recovered"] == []
    assert set(machine.running()) == {"web", "db"}
    assert machine.harm == []


def test_check_mode_only_tells_of_the_interrupted_apply(tmp_path, monkeypatch):
    machine = Machine(tmp_path)
    with monkeypatch.context() as patch:
        Cut(patch, 5, True)
        with pytest.raises(Crash):
            run.apply(two(), system=machine)
    online = set(machine.online)
    result = run.apply(two(), check=True, system=machine)
    assert machine.online == online
    assert any("was cut off; the next apply undoes it" in one["message"] for one in result["findings"])


def test_what_the_recovery_cannot_undo_stops_the_next_apply_until_it_can(tmp_path, monkeypatch):
    machine = Machine(tmp_path)
    with monkeypatch.context() as patch:
        Cut(patch, 5, True)
        with pytest.raises(Crash):
            run.apply(two(), system=machine)
    machine.fails[("cpu1/online", "1")] = "the kernel says no"
    for _attempt in range(2):
        with pytest.raises(run.ApplyError, match="an earlier apply was cut off and could not be undone: bring CPU 1 online in the host"):
            run.apply(two(), system=machine)
    machine.fails.clear()
    assert run.apply(two(), system=machine)["recovered"] == ["bring CPU 1 online in the host"]
    check_ownership(machine)


def test_the_result_tells_what_was_recovered(tmp_path, monkeypatch):
    machine = Machine(tmp_path)
    with monkeypatch.context() as patch:
        Cut(patch, 7, True)
        with pytest.raises(Crash):
            run.apply(two(), system=machine)
    result = run.apply(None, state="absent", system=machine)
    assert result["recovered"] == ["bring CPU 3 online in the host", "bring CPU 2 online in the host", "bring CPU 1 online in the host"]
    assert result["changed"]


def test_a_full_disk_during_the_recovery_is_a_sentence(tmp_path, monkeypatch):
    machine = Machine(tmp_path)
    with monkeypatch.context() as patch:
        Cut(patch, 7, True)
        with pytest.raises(Crash):
            run.apply(two(), system=machine)
    with monkeypatch.context() as patch:
        patch.setattr(files, "replace", lambda path, text: (name for name in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(run.ApplyError, match="an earlier apply was cut off, and what is undone of it cannot be written down"):
            run.apply(two(), system=machine)
    run.apply(two(), system=machine)
    check_ownership(machine)


def crashes_behind(machine, call, when=lambda *_arguments: True):
    """The process ends right behind the next such call to the machine; returns how to let it live again."""
    plain = getattr(machine, call)

    def ends(*arguments):
        plain(*arguments)
        if when(*arguments):
            raise Crash()

    setattr(machine, call, ends)
    return lambda: delattr(machine, call)


def removal_and_recovery_are_cut(machine, monkeypatch, at, call):
    """A removal of two() is cut before its record `at`, and the recovery from that right behind a call; then two() is applied."""
    with monkeypatch.context() as patch:
        Cut(patch, at, True)
        with pytest.raises(Crash):
            run.apply(None, state="absent", system=machine)
    live = crashes_behind(machine, call)
    with pytest.raises(Crash):
        run.apply(two(), system=machine)
    live()
    run.apply(two(), system=machine)


def test_a_recovery_that_is_cut_behind_a_boot_leaves_no_image_in_the_list(tmp_path, monkeypatch):
    machine = Machine(tmp_path)
    run.apply(two(), system=machine)
    was = copy.deepcopy(machine.running())
    removal_and_recovery_are_cut(machine, monkeypatch, 6, "boot")
    assert machine.running() == was
    assert machine.images == []
    check_ownership(machine)


def test_a_strict_stop_that_is_cut_behind_the_first_cpu_is_finished_before_the_memory_is_loaded_again(tmp_path):
    machine = Machine(tmp_path, strict=True)
    run.apply(two(), system=machine)
    was = copy.deepcopy(machine.running())
    live = crashes_behind(machine, "write", lambda path, _text: path.endswith("mkstock/kill"))
    with pytest.raises(Crash):
        run.apply(None, state="absent", system=machine)
    live()
    assert any(one.get("listed") is False for one in machine.instances.values()), "its second CPU runs on, and nobody tells"
    run.apply(two(), system=machine)
    assert machine.running() == was
    check_ownership(machine)


class Written:
    """A dialect and a journal that only write down; the power goes before inverse number `cut`."""

    system = SimpleNamespace(stopped=None)

    def __init__(self, cut=None):
        self.done, self.records, self.cut = [], [], cut

    def alive(self, _spec):
        """As on the RFC's kernel, which tells nothing."""
        return False

    def perform(self, step):
        """Note it."""
        if len(self.done) == self.cut:
            raise Crash()
        self.done.append(step.say)
        return {}

    def note(self, kind, record):
        """Note that, too."""
        self.records.append(dict(record, kind=kind))


def test_what_was_taken_back_wholly_is_not_taken_back_once_more():
    """Something else may stand in its place by then."""
    begun = [steps.cpu_offline(1), steps.cpu_offline(2)]
    first, second = Written(cut=1), Written()
    with pytest.raises(Crash):
        execute.undo(begun, first, first)
    undone, stuck = execute.undo(begun, second, second, execute.taken_back(first.records))
    assert first.done == ["bring CPU 2 online in the host"]
    assert second.done == undone == ["bring CPU 1 online in the host"]
    assert stuck == []


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_what_was_taken_back_in_part_is_taken_back_from_its_beginning(cut):
    """Half a restart may have left a kernel running, which nothing tells of; its first step is the stop once more."""
    spec = {"name": "web", "cpus": [1], "base": 0x40000000, "image": {"name": "debian", "kernel": "/boot/vmlinuz"}, "channels": []}
    begun = [steps.stop(spec, (steps.stop(spec), steps.unload(), *steps.start(spec, None)))]
    first, second = Written(cut), Written()
    with pytest.raises(Crash):
        execute.undo(begun, first, first)
    execute.undo(begun, second, second, execute.taken_back(first.records))
    assert first.done == second.done[:cut]
    assert second.done[0] == "stop web (CPU 1)" and len(second.done) == len(begun[0].undo)
