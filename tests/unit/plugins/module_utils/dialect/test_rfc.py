# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules for a client of the RFC's kernel, which checks nothing: each is kept before the kernel is asked."""

from __future__ import annotations

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._dialect import choice, image, observe
from ansible_collections.multikernel.core.plugins.module_utils._dialect.base import DialectError, InstanceError
from ansible_collections.multikernel.core.plugins.module_utils._dialect.rfc import Rfc
from ansible_collections.multikernel.core.plugins.module_utils._plan import spec, steps
from ansible_collections.multikernel.core.plugins.module_utils._plan.place import place
from ansible_collections.multikernel.core.plugins.module_utils._plan.steps import Step
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import MIB, Machine, instance

FILES = ("/boot/vmlinuz", "/srv/initrd")


class Bench:
    """A machine, its dialect, and the specs of web (CPU 1) and db (CPUs 2 and 3), whose CPUs are offline."""

    def __init__(self, tmp_path, **kind):
        self.machine = Machine(tmp_path, **kind)
        self.dialect = Rfc(self.machine)
        layout = simulated.layout(instances={"web": instance(cpus={"ids": [1], "count": None}), "db": instance(cpus={"count": 2})})
        facts = self.dialect.open(self.machine.facts(FILES), False, {})
        placed = place(layout, facts)
        self.web, self.db = spec.of("web", placed, facts), spec.of("db", placed, facts)
        self.machine.online = {0}

    def do(self, *some):
        for step in some:
            result = self.dialect.perform(step)
        return result

    def start(self, one):
        return self.do(*steps.start(one, None, attach=self.machine.mkstock))


@pytest.fixture(params=[{}, {"strict": True}, {"mkstock": False}], ids=["mkstock", "strict", "rfc"])
def bench(request, tmp_path):
    return Bench(tmp_path, **request.param)


@pytest.fixture
def plain(tmp_path):
    return Bench(tmp_path, mkstock=False)


def refused(bench, step, sentence):
    with pytest.raises(DialectError, match=sentence):
        bench.do(step)
    assert bench.machine.harm == []


def test_one_image_in_the_list_at_boot(plain):
    plain.do(steps.load(plain.web), steps.load(plain.db))
    refused(
        plain,
        steps.boot(plain.db),
        "the kernel boots the first image of its list, and the list holds 2 images; only that of db may be in it",
    )
    assert plain.machine.running() == {}


def test_a_chosen_entry_needs_no_empty_list(tmp_path):
    bench = Bench(tmp_path)
    bench.do(steps.load(bench.web), steps.load(bench.db), steps.boot(bench.db))
    assert bench.machine.running() == {"db": [2, 3]}


def test_load_before_every_boot(bench):
    refused(bench, steps.boot(bench.web), r"the image of web \(entry 0x[0-9a-f]+\) is not in the kernel's list; load it before every boot")


@pytest.mark.parametrize(
    ("cpus", "sentence"),
    [
        ([0], "web cannot boot on CPU 0: it is online in the host"),
        ([-1], "web cannot boot on CPU -1: this host has no such CPU"),
        ([4], "web cannot boot on CPU 4: this host has no such CPU"),
        ([1, 1 << 31], "web cannot boot on CPU 2147483648: this host has no such CPU"),
    ],
)
def test_no_odd_cpu_reaches_the_kernel(bench, cpus, sentence):
    bench.do(steps.load(bench.web))
    refused(bench, steps.boot(dict(bench.web, cpus=cpus)), sentence)


def test_a_busy_cpu_is_never_booted(bench):
    bench.start(bench.web)
    other = dict(bench.db, cpus=[1])
    bench.do(steps.load(other))
    refused(bench, steps.boot(other), "db cannot boot on CPU 1: web runs on it")


def test_a_cpu_that_a_forgotten_instance_holds_is_never_booted(tmp_path):
    bench = Bench(tmp_path)
    bench.start(bench.web)
    bench.dialect = Rfc(bench.machine)
    bench.dialect.open(bench.machine.facts(), False, {})
    other = dict(bench.db, cpus=[1])
    bench.do(steps.load(other))
    refused(bench, steps.boot(other), "db cannot boot on CPU 1: another instance runs on it")


def test_a_running_instance_is_not_loaded_over(bench):
    bench.start(bench.web)
    refused(bench, steps.load(bench.web), "web runs; loading it again would overwrite its memory while it runs; stop it first")


def test_the_memory_of_a_running_instance_is_not_written(bench):
    bench.start(bench.web)
    thief = dict(bench.db, base=bench.web["base"], entry=bench.web["entry"])
    refused(bench, steps.load(thief), "a segment of db .* lies in the memory of web .*, which runs")


def test_memory_of_the_host_is_not_written(bench):
    outside = dict(bench.db, base=0x10000000, entry=0x10003000)
    refused(bench, steps.load(outside), "db is not loaded: .*")
    assert bench.machine.images == []


def test_memory_that_the_host_took_after_it_was_looked_at_is_not_written(tmp_path):
    bench = Bench(tmp_path)
    bench.machine.reserved = False
    refused(bench, steps.load(bench.web), "web is not loaded: .* System RAM")
    bench.machine.reserved = True
    bench.machine.pool.clear()
    refused(bench, steps.load(bench.web), "web is not loaded: .* not part of the pool that the host has declared")
    assert bench.machine.images == []


def test_memory_outside_the_instances_own_is_not_written(bench):
    small = dict(bench.db, size=2 * MIB)
    refused(bench, steps.load(small), r"a segment of db \(.*\) lies outside its memory \(.*\)")


def test_unload_until_empty_and_only_ours(bench):
    others = [{"type": kind, "entry": 0x1000, "spec": None, "fresh": True} for kind in ("default", "crash")]
    bench.machine.images = (
        [dict(others[0])] + [{"type": "multikernel", "entry": one, "spec": None} for one in range(25)] + [dict(others[1])]
    )
    bench.do(steps.unload("web"))
    assert bench.machine.images == others


def test_a_list_that_does_not_shrink_is_said(bench):
    bench.do(steps.load(bench.web))
    bench.machine.unload = lambda: None
    refused(bench, steps.unload("web"), "does not become empty: 1 images stay")


def test_success_is_the_instances_own_word(bench):
    bench.do(steps.load(bench.web), steps.boot(bench.web))
    bench.machine.mailboxes[bench.web["base"]]["nonce"] += 1
    with pytest.raises(InstanceError, match="its mailbox does not carry the mark of this boot"):
        bench.do(steps.wait_health(bench.web, 2.0, None))


def test_a_mailbox_that_cannot_be_read_is_no_success(bench):
    bench.do(steps.load(bench.web), steps.boot(bench.web))
    bench.machine.physical = lambda address, size: None
    with pytest.raises(InstanceError, match=r"its mailbox cannot be read on this host \(neither /dev/mkstock nor /dev/mem shows it\)"):
        bench.do(steps.wait_health(bench.web, 1.0, None))


def test_health_over_a_channel_needs_a_heartbeat_there(tmp_path):
    bench = Bench(tmp_path)
    bench.do(steps.load(bench.web), steps.boot(bench.web))
    with pytest.raises(InstanceError, match="it runs, but no heartbeat came over channel beat"):
        bench.do(steps.wait_health(bench.web, 1.0, "beat"))
    bench.do(*steps.attachments(bench.web))
    assert bench.do(steps.wait_health(bench.web, 1.0, "beat"))["uname"] == "6.1.0-sim"


def test_a_look_every_fifty_milliseconds(bench):
    bench.do(steps.load(bench.web), steps.boot(bench.web))
    began = bench.machine.now
    bench.do(steps.wait_health(bench.web, 5.0, None))
    assert bench.machine.now - began <= simulated.BOOT_TIME + 0.11


@pytest.mark.parametrize("which", ["web", "db"])
def test_stop_frees_every_cpu_and_keeps_it_offline(bench, which):
    one = getattr(bench, which)
    bench.start(one)
    bench.do(steps.stop(one))
    assert bench.machine.running() == {}
    assert bench.machine.online == {0}
    bench.start(one)
    assert bench.machine.running() == {which: one["cpus"]}
    assert bench.machine.harm == []


def test_every_step_twice_does_no_harm(tmp_path):
    bench = Bench(tmp_path, reserved=False)
    bench.machine.online = {0, 1, 2, 3}
    twice = [steps.memory_offline(number, simulated.BLOCK) for number in (8, 9, 10, 11)]
    twice += [steps.pool_add(0x40000000, 512 * MIB), steps.cpu_offline(1)]
    for step in twice:
        bench.do(step)
        assert bench.do(step) == {"already": True}
    bench.start(bench.web)
    for step in steps.attachments(bench.web):
        assert bench.do(step) == {"already": True}
    for step in [steps.stop(bench.web)] + [back for one in reversed(steps.attachments(bench.web)) for back in one.undo]:
        bench.do(step)
        assert bench.do(step) == {"already": True}
    for step in [back for one in reversed(twice) for back in one.undo]:
        bench.do(step)
        assert bench.do(step) == {"already": True}
    assert bench.machine.online == {0, 1, 2, 3}
    assert set(bench.machine.blocks.values()) == {"online"}
    assert bench.machine.harm == []


def test_a_part_of_the_pool_comes_out_and_the_rest_stays(tmp_path):
    bench = Bench(tmp_path)
    bench.do(steps.pool_remove(0x48000000, 64 * MIB))
    assert sorted(bench.machine.pool) == [[0x40000000, 128 * MIB], [0x4C000000, 320 * MIB]]


def test_a_cpu_does_not_come_online_under_an_instance(bench):
    bench.start(bench.web)
    refused(bench, steps.cpu_online(1), "CPU 1 cannot come online in the host while web runs on it; stop web first")
    assert bench.machine.running() == {"web": [1]}


def test_a_memory_block_that_stays_says_what_to_do(tmp_path):
    bench = Bench(tmp_path, reserved=False)
    bench.machine.fails[("memory9/state", "offline")] = "Device or resource busy"
    refused(
        bench,
        steps.memory_offline(9, simulated.BLOCK),
        "memory block 9 does not go offline: Device or resource busy; the host has pages there that it cannot move: "
        "reserve the memory with memmap= instead",
    )


def test_a_cpu_that_only_seems_to_go_is_noticed(bench):
    bench.machine.online = {0, 1}
    bench.machine._switch = lambda cpu, online: None
    refused(bench, steps.cpu_offline(1), "CPU 1 did not go offline, although the kernel accepted it")


def test_an_unknown_console_is_named(tmp_path):
    bench = Bench(tmp_path)
    refused(
        bench,
        steps.load(dict(bench.web, console={"device": "ttyS9"})),
        r"the console of web is ttyS9, and this host has no such UART \(known: ttyS0, ttyS1, ttyS2, ttyS3\)",
    )


def test_the_loader_is_told_everything(tmp_path):
    bench = Bench(tmp_path)
    facts = bench.machine.facts(FILES)
    told = image.boot_spec(dict(bench.web, console={"device": "ttyS1"}), facts, bench.machine.read("sys/kernel/mkstock/info"), 7)
    assert (told.name, told.base, told.low, told.apic_ids) == ("web", bench.web["base"], bench.web["low"], [1])
    assert (told.tsc_khz, told.bsp_apic_id, told.nonce, told.digest) == (2000000, 0, 7, "0" * 64)
    assert told.console == ("ttyS1", 0x2F8)
    assert [uart.device for uart in told.other_uarts] == ["ttyS0", "ttyS2", "ttyS3"]
    (beat,) = told.channels
    assert (beat.name, beat.end, beat.area) == ("beat", 1, (64, 256, (0, 1)))
    assert image.boot_spec(dict(bench.web, image=dict(bench.web["image"], flat=True)), facts, None, 7).format == "flat"


def test_the_state_of_each_instance_is_what_is_seen(bench):
    bench.start(bench.web)
    known = {
        "boot_id": "boot-1",
        "digest": None,
        "made": {"cpus": [], "blocks": [], "pool": [], "channels": {}},
        "instances": {"web": {"state": "running", "spec": bench.web, "health": None, "nonce": bench.dialect.nonces["web"], "uname": None}},
    }

    def state():
        return bench.dialect.observe(known, bench.machine.facts())["instances"]["web"]["state"]

    assert state() == "running"
    bench.machine.end("web", 3, "panic")
    assert state() == "ended"
    bench.machine.end("web", 2, "")
    known["instances"]["web"]["nonce"] += 1
    assert state() == "silent"
    bench.do(steps.stop(bench.web))
    bench.machine.online = {0, 1}
    assert state() == "ended"
    known["boot_id"] = "another"
    assert bench.dialect.observe(known, bench.machine.facts())["instances"] == {}


def test_an_instance_that_cannot_be_seen_to_live_is_silent_and_unverifiable(plain):
    plain.start(plain.web)
    known = {
        "boot_id": "boot-1",
        "instances": {"web": {"state": "running", "spec": plain.web, "health": None, "nonce": plain.dialect.nonces["web"], "uname": None}},
    }
    plain.machine.physical = lambda address, size, read=plain.machine.physical, now=plain.machine.now: (
        read(address, size)[:8] + bytes(24) + read(address, size)[32:]
    )
    one = plain.dialect.observe(known, plain.machine.facts())["instances"]["web"]
    assert (one["state"], one["evidence"]["state"]) == ("silent", "unverifiable")


def test_foreign_instances_and_images_are_shown_as_such(tmp_path):
    bench = Bench(tmp_path)
    bench.start(bench.web)
    bench.do(steps.load(bench.db))
    state = Rfc(bench.machine).observe(None, bench.machine.facts())
    assert [one["entry"] for one in state["foreign"]["instances"]] == [bench.web["entry"]]
    assert state["foreign"]["images"] == [bench.db["entry"]]


def test_advances_gives_up_after_its_time(tmp_path):
    bench = Bench(tmp_path)
    began = bench.machine.now
    assert observe.advances(bench.machine, 0x40000000, 0.5) == (None, False)
    bench.do(steps.load(bench.web), steps.boot(bench.web))
    bench.machine.mute.add("web")
    bench.machine.mailboxes[bench.web["base"]]["state"] = 0
    assert observe.advances(bench.machine, bench.web["base"], 0.5)[1] is False
    assert bench.machine.now - began < 0.6


def test_a_host_without_multikernel_is_probed_by_the_rfc(tmp_path):
    machine = Machine(tmp_path, mkstock=False)
    machine.multikernel = False
    facts = machine.facts()
    assert isinstance(choice.choose(facts, machine, 60.0, {}), Rfc)
    facts["dialect"]["name"] = "kernfs"
    (finding,) = Rfc(machine).probe(facts)
    assert finding.message == "this host speaks the multikernel dialect kernfs, which is not rfc"


def test_a_step_that_nobody_knows_is_a_defect():
    with pytest.raises(KeyError):
        Rfc(Machine("/nowhere")).perform(Step("dance"))


def test_an_image_that_the_table_does_not_show_is_no_success(bench):
    bench.machine.load = lambda entry, segments: None
    refused(bench, steps.load(bench.web), "the kernel accepted the image of web, but /proc/multikernel does not list its entry 0x")


def test_an_instance_that_survives_its_killing_is_said(tmp_path):
    bench = Bench(tmp_path)
    bench.start(bench.web)
    bench.machine._kill = lambda cpu: None
    refused(bench, steps.stop(bench.web), "web was killed, and mkstock still lists it as running")


def test_a_signal_ends_the_wait_for_an_instance(bench):
    bench.do(steps.load(bench.web), steps.boot(bench.web))
    bench.machine.stopped = "SIGTERM"
    refused(bench, steps.wait_health(bench.web, 60.0, None), "the apply was ended by SIGTERM while it waited for web")


def test_a_channel_at_another_place_is_attached_anew(tmp_path):
    bench = Bench(tmp_path)
    bench.start(bench.web)
    (attach,) = steps.attachments(bench.web)
    bench.machine.channels["beat"]["address"] += 0x1000
    bench.do(attach)
    assert bench.machine.channels["beat"]["address"] == attach.args["address"]


def test_a_kernel_of_this_dialect_does_not_tell_what_its_instances_are(tmp_path):
    machine = Machine(tmp_path)
    (one,) = Rfc(machine, adopt=["web", "db"]).probe(machine.facts())
    assert one.message.startswith("web, db cannot be adopted: a kernel of the dialect rfc does not tell")


def test_a_channel_that_lies_elsewhere_keeps_its_name(tmp_path):
    bench = Bench(tmp_path)
    bench.machine.channels["beat"] = {"address": 0x5000, "end": "host"}
    with pytest.raises(DialectError, match=r"channel beat is not attached at 0x6000, so it cannot be called beat\.old"):
        bench.do(steps.channel_rename("beat", "beat.old", 0x6000, "web"))
    assert set(bench.machine.channels) == {"beat"}
