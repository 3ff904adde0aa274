# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host goes into another kernel: what refuses it changes nothing, and what arrives is held against what left."""

from __future__ import annotations

import json
import pathlib

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._boot.kexec import KexecError
from ansible_collections.multikernel.core.plugins.module_utils._converge import carried, run
from ansible_collections.multikernel.core.plugins.module_utils._converge.store import Store
from ansible_collections.multikernel.core.plugins.module_utils._handover import handover, judge
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import Machine, instance

WANTED = simulated.layout(instances={"web": instance(), "db": instance()})
NEXT = handover.Wish("/boot/vmlinuz")
RECORD = "version 1\ninstances 2\ncarries everything\n"


class Host(Machine):
    """A machine whose mkstock leaves a record, and is loaded at each boot."""

    record = RECORD
    there = frozenset({judge.WANTS, "lib/modules/6.1.0-sim/updates/mkstock.ko"})

    def read(self, path):
        if path == judge.RECORD:
            return self.record
        return "" if path in self.there else super().read(path)

    def reboot(self):
        fresh = super().reboot()
        fresh.__class__ = Host
        return fresh


class Ways:
    """The calls into the kernel, written down."""

    def __init__(self, fails=None):
        self.calls, self.fails = [], fails

    def load(self, *words):
        self._did("load", *words)

    def unload(self):
        self._did("unload")

    def leave(self, delay):
        self._did("leave", delay)

    def _did(self, *words):
        self.calls.append(words)
        if words[0] == self.fails:
            raise KexecError(16, "cannot %s" % words[0])


@pytest.fixture
def machine(tmp_path):
    made = Host(tmp_path)
    run.apply(WANTED, system=made)
    return made


def refused(machine, wish=NEXT, **options):
    """The sentence of a refusal, which changed nothing."""
    ways, word = Ways(), machine.word
    with pytest.raises(handover.HandoverError) as caught:
        handover.leave(machine, wish, ways=ways, **options)
    assert ways.calls == []
    assert machine.word == word
    assert caught.value.message.startswith("the host stays in its kernel: ")
    return caught.value.message


def test_it_leaves_with_the_line_and_the_word(machine):
    ways = Ways()
    told = handover.leave(machine, NEXT, ways=ways)
    assert ways.calls == [("load", "/boot/vmlinuz", None, told["cmdline"]), ("leave", handover.DELAY)]
    first = min(cpu for cpus in machine.running().values() for cpu in cpus)
    assert told["cmdline"].split()[-2:] == ["no_ipi_broadcast=1", "maxcpus=%d" % first]
    assert machine.word == carried.word(Store(machine.root).state())
    assert set(told["instances"]) == {"web", "db"}
    json.dumps(told)


def test_check_mode_tells_the_line_and_does_nothing(machine):
    ways = Ways()
    assert "maxcpus=" in handover.leave(machine, NEXT, check=True, ways=ways)["cmdline"]
    assert (ways.calls, machine.word) == ([], "")


def test_a_host_without_instances_may_go(tmp_path):
    told = handover.leave(Host(tmp_path), NEXT, ways=Ways())
    assert told["instances"] == {}
    assert "maxcpus" not in told["cmdline"]


def disable(machine):
    machine.load_disabled = True


def lock_down(machine):
    machine.lockdown = "integrity"


def drop_privilege(machine):
    machine.privileged = False


def panic(machine):
    machine.end("db", 3, "out of memory")


def forget_the_unit(machine):
    machine.there = machine.there - {judge.WANTS}


def forget_the_module(machine):
    machine.there = frozenset({judge.WANTS})


def take_more(machine):
    machine.record = "carries an instance of the kernfs ABI runs in memory that the next kernel would use\n"


def say_nothing(machine):
    machine.record = "version 9\n"


def leave_no_record(machine):
    machine.record = None


def reserve_nothing(machine):
    machine._cmdline = lambda: "ro quiet"


def add_a_stranger(machine):
    machine.instances[0x5F003000] = {"cpus": [0], "memory": [(0x5F000000, 4096)], "name": "x", "since": machine.now}


def give_a_device(machine):
    path = machine.state_path()
    kept = json.loads(path.read_text())
    kept["instances"]["web"]["spec"]["devices"] = [{"pci": "0000:01:00.0"}]
    path.write_text(json.dumps(kept))


def make_in_kernfs(machine):
    path = machine.state_path()
    path.write_text(json.dumps(dict(json.loads(path.read_text()), dialect="kernfs")))


def cut_an_apply_off(machine):
    pathlib.Path(machine.root, "var/lib/multikernel/journal").write_text("")
    from ansible_collections.multikernel.core.plugins.module_utils._converge.journal import Journal

    Journal(machine.root).begin({"digest": None, "boot_id": machine.boot_id, "topology": {}})


def lose_the_kernel(machine):
    real = machine._image
    machine._image = lambda path, *signers: dict(real(path, *signers), exists=False)


def give_another_file(machine):
    machine.kinds["/boot/vmlinuz"] = "vmlinux"


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (disable, "kexec_load_disabled"),
        (lock_down, "lockdown is integrity"),
        (drop_privilege, "needs root"),
        (panic, "db is not seen to live (it panicked: out of memory)"),
        (forget_the_unit, "stock_kernel_boot: true"),
        (forget_the_module, "neither mkstock for 6.1.0-sim nor its source"),
        (take_more, "mkstock cannot carry everything on: an instance of the kernfs ABI"),
        (say_nothing, "it does not say that it can"),
        (leave_no_record, "leaves no record"),
        (reserve_nothing, "memory of db is not kept off by memmap="),
        (add_a_stranger, "is in no layout of this host"),
        (give_a_device, "web owns devices"),
        (make_in_kernfs, "the dialect kernfs"),
        (cut_an_apply_off, "an apply was cut off"),
        (lose_the_kernel, "there is no kernel /boot/vmlinuz"),
        (give_another_file, "is no bzImage"),
    ],
)
def test_what_is_not_proven_is_refused(machine, spoil, sentence):
    spoil(machine)
    assert sentence in refused(machine)
    with pytest.raises(handover.HandoverError):
        handover.leave(machine, NEXT._replace(unproven=True), check=True)


def test_an_initrd_that_is_not_there(machine):
    assert "no initrd /boot/none" in refused(machine, NEXT._replace(initrd="/boot/none"))


def test_kernels_that_were_not_measured_need_consent(machine):
    real = machine._image
    machine._image = lambda path, *signers: dict(real(path, *signers), header=dict(simulated.HEADER, kernel_version="7.3.0-sim (x@y)"))
    machine.there = machine.there | {"lib/modules/7.3.0-sim/updates/mkstock.ko"}
    assert "from 6.1 to 7.3 was not measured" in refused(machine)
    assert handover.leave(machine, NEXT._replace(unproven=True), ways=Ways())["release"] == "7.3.0-sim"


@pytest.mark.parametrize(("fails", "calls"), [("load", ["load"]), ("leave", ["load", "leave", "unload"])])
def test_a_kernel_that_refuses_leaves_nothing_loaded(machine, fails, calls):
    ways = Ways(fails)
    with pytest.raises(handover.HandoverError, match="cannot %s" % fails):
        handover.leave(machine, NEXT, ways=ways)
    assert [one[0] for one in ways.calls] == calls


def away(machine, seconds=20.0, **how):
    """(what was known before, the machine in its next kernel)."""
    before = json.loads(json.dumps(handover.leave(machine, NEXT, ways=Ways())))
    after = machine.kexec(**how)
    after.now += seconds
    return before, after


def test_it_arrives_and_remembers(machine):
    before, after = away(machine)
    told = handover.arrive(after, before)
    assert {name: one["gap"] for name, one in told["instances"].items()} == {"web": False, "db": False}
    assert told["instances"]["web"]["seconds"] >= 20
    assert Store(after.root).state()["boot_id"] == after.boot_id
    assert run.apply(WANTED, system=after)["changed"] is False


def test_cpus_beyond_the_first_instance_come_back(machine):
    before, after = away(machine)
    free = ({1, 2, 3} & machine.online).pop()
    after.online.discard(free)
    assert handover.arrive(after, before, check=True)["online"] == []
    assert handover.arrive(after, before)["online"] == [free]
    assert free in after.online


def test_the_same_boot_is_no_arrival(machine):
    before = handover.leave(machine, NEXT, ways=Ways())
    with pytest.raises(handover.HandoverError, match="same boot"):
        handover.arrive(machine, before)


def test_without_adoption_it_fails_and_nothing_is_remembered(machine):
    before, after = away(machine, adopts=False)
    with pytest.raises(handover.HandoverError, match=r"adopted nothing \(nothing ran\)"):
        handover.arrive(after, before)
    assert Store(after.root).state()["boot_id"] != after.boot_id


def test_one_that_died_meanwhile_is_named(machine):
    before, after = away(machine)
    after.end("db", 3, "out of memory")
    with pytest.raises(handover.HandoverError, match=r"db did not live on \(it panicked: out of memory\)"):
        handover.arrive(after, before)


def test_one_that_went_without_a_beat_is_named_with_its_own_count(machine, monkeypatch):
    before, after = away(machine)
    monkeypatch.setattr(handover, "_between", lambda *_what: {"beats": 346, "seconds": 384.1, "longest": 3.9, "gap": True})
    with pytest.raises(handover.HandoverError, match=r"it made 346 in 384\.1 s of its own clock, none of them for 3\.9 s;"):
        handover.arrive(after, before)


OLD = {"beats": 100, "tsc": 100_000_000, "first": 1, "longest": 1_100_000}


@pytest.mark.parametrize(
    ("new", "gap"),
    [
        ({"beats": 120, "tsc": 120_000_000, "longest": 1_200_000}, False),
        ({"beats": 120, "tsc": 120_000_000, "longest": 5_000_000}, True),
        ({"beats": 120, "tsc": 120_000_000, "longest": 0}, False),
        ({"beats": 101, "tsc": 120_000_000, "longest": 0}, True),
        ({"beats": 120, "tsc": 20_000_000, "longest": 0}, None),
        ({}, None),
    ],
)
def test_a_gap_is_told_by_the_instance_itself(new, gap):
    assert handover._between(OLD, new, 1000, 2.0)["gap"] is gap


def test_a_long_gap_of_before_says_nothing_of_now():
    old = dict(OLD, longest=9_000_000)
    assert handover._between(old, {"beats": 120, "tsc": 120_000_000, "longest": 9_000_000}, 1000, 2.0)["gap"] is False
    assert handover._between(old, {"beats": 101, "tsc": 120_000_000, "longest": 9_000_000}, 1000, 2.0)["gap"] is True
