# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An update of one instance: stage by stage there and back, and nothing else is touched, whatever happens in between."""

from __future__ import annotations

import copy
import itertools
import os

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._converge import desired, files, journal, run, store, underway, update
from ansible_collections.multikernel.core.plugins.module_utils._layout import canonical
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import Crash, Machine, instance
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated_kernfs import KernfsKernel

HEALTH = {"channel": "beat", "within": 30.0}
WRITE_ALL = files.write_all


def first(**changes):
    made = simulated.layout(instances={"web": instance(health=HEALTH), "db": instance()}, **changes)
    made["instances"]["web"]["health"] = dict(HEALTH)
    return made


def how_far(digest, switched):
    """The stage of an update by stop and start, of what its record says and what was committed."""
    record = {"instance": "web", "way": "stop-start", "boot_id": "b", "present": "old", "digest": "new", "switched": switched}
    return underway.stage(record, {"boot_id": "b", "digest": digest, "instances": {}}, "b")


def test_what_was_committed_counts_when_the_record_was_not_written_any_more():
    assert (how_far("old", switched=True), how_far("new", switched=False)) == ("begun", "switched")
    assert (how_far("old", switched=False), how_far("new", switched=True)) == ("begun", "switched")


def second(**changes):
    made = copy.deepcopy(first(**changes))
    made["instances"]["web"]["cmdline"] = "new"
    return made


@pytest.fixture
def machine(tmp_path):
    made = Machine(tmp_path)
    run.apply(first(), system=made)
    return made


def stage(machine, word, layout=None, **more):
    result = update.run(word, "web" if layout else None, layout, system=machine, soak=2.0, **more)
    assert machine.harm == []
    return result


def entries(machine):
    return {name: one["spec"]["entry"] for name, one in store.Store(machine.root).state()["instances"].items()}


def kernels(machine):
    """What runs: CPUs by the address of the entry."""
    return {entry: one["cpus"] for entry, one in machine.instances.items()}


def words(machine):
    return {entry: one.cmdline for entry, one in machine.specs.items() if entry in machine.instances}


def has(machine, layout):
    """Whether the host has exactly this layout, and nothing else."""
    assert store.Store(machine.root).desired() == layout
    assert not run.apply(layout, system=machine)["changed"]
    assert len(machine.instances) == 2
    assert len(machine.online) == 2
    assert set(machine.channels) == {"beat"}
    assert machine.harm == []
    assert not os.path.exists(underway.Record(machine.root).path)
    return True


def test_from_begin_to_retire_the_old_kernel_serves_and_the_new_layout_is_true_afterwards(machine):
    old = entries(machine)
    begun = stage(machine, "begin", second())
    assert begun["changed"]
    assert (begun["stage"], begun["way"], begun["blackout"]) == ("begun", "side-by-side", 0.0)
    assert [one["do"] for one in begun["steps"]] == ["cpu_offline", "load", "channel_attach", "boot", "unload", "wait_health", "save"]
    assert store.Store(machine.root).desired() == first()
    assert entries(machine)["web"] == old["web"]
    assert old["web"] in machine.instances
    assert set(machine.channels) == {"beat", "beat.next"}
    assert machine.assembled.name == "web"
    assert [one.name for one in machine.assembled.channels] == ["beat"]
    assert stage(machine, "watch")["watched"] == "web.next"
    switched = stage(machine, "switch")
    assert switched["stage"] == "switched"
    assert [one["do"] for one in switched["steps"]] == ["channel_rename", "channel_rename", "save"]
    assert set(machine.channels) == {"beat", "beat.old"}
    assert entries(machine)["web.old"] == old["web"]
    assert store.Store(machine.root).desired() == second()
    assert stage(machine, "watch")["watched"] == "web"
    retired = stage(machine, "retire")
    assert [one["do"] for one in retired["steps"]] == ["channel_detach", "stop", "cpu_online", "save"]
    assert old["web"] not in machine.instances
    assert entries(machine)["db"] == old["db"]
    assert has(machine, second())


def test_retreat_at_each_stage_gives_exactly_what_was(machine):
    old = entries(machine)
    stage(machine, "begin", second())
    retreated = stage(machine, "retreat")
    assert [one["do"] for one in retreated["steps"]] == ["channel_detach", "stop", "cpu_online", "save"]
    assert entries(machine) == old
    assert has(machine, first())
    stage(machine, "begin", second())
    stage(machine, "switch")
    back = stage(machine, "back")
    assert back["stage"] == "begun"
    assert entries(machine)["web"] == old["web"]
    assert set(machine.channels) == {"beat", "beat.next"}
    stage(machine, "retreat")
    assert entries(machine) == old
    assert has(machine, first())


def test_there_and_back_and_there_again(machine):
    stage(machine, "begin", second())
    for word in ("switch", "back", "switch", "retire"):
        stage(machine, word)
    assert has(machine, second())
    for word, layout in (("begin", first()), ("switch", None), ("retire", None)):
        stage(machine, word, layout)
    assert has(machine, first())


def test_a_stage_done_twice_changes_nothing_the_second_time(machine):
    stage(machine, "begin", second())
    before = machine.nonces
    assert not stage(machine, "begin", second())["changed"]
    assert machine.nonces == before
    stage(machine, "switch")
    assert not stage(machine, "switch")["changed"]
    assert stage(machine, "begin", second())["stage"] == "switched"
    stage(machine, "retire")
    assert not stage(machine, "retire")["changed"]
    assert not stage(machine, "retreat")["changed"]
    assert not stage(machine, "begin", second())["changed"]
    assert stage(machine, "status")["say"] == ["no update is under way"]


def test_a_stage_out_of_turn_is_refused_with_what_would_be_right(machine):
    for word in ("watch", "switch", "back"):
        with pytest.raises(run.ApplyError, match="no update is under way on this host, so there is nothing to %s" % word):
            stage(machine, word)
    stage(machine, "begin", second())
    with pytest.raises(run.ApplyError, match=r"not the time for stage: retire; .* stage: switch and stage: retire finish it"):
        stage(machine, "retire")
    stage(machine, "switch")
    with pytest.raises(run.ApplyError, match=r"not the time for stage: retreat; .* stage: back and stage: retreat undo it"):
        stage(machine, "retreat")
    with pytest.raises(run.ApplyError, match="db is asked for, and an update of web"):
        update.run("begin", "db", second(), system=machine)


def test_in_the_middle_of_an_update_no_layout_is_applied_but_one_instance_may_be_restarted(machine):
    stage(machine, "begin", second())
    for layout in (first(), second()):
        with pytest.raises(run.ApplyError, match=r"nothing was changed: an update of web"):
            run.apply(layout, system=machine)
    with pytest.raises(run.ApplyError, match=r"nothing was changed: an update of web"):
        desired.instance("db", "stopped", system=machine)
    assert desired.instance("db", "restarted", system=machine)["changed"]
    assert "web.next" in entries(machine)
    other = second()
    other["instances"]["web"]["cmdline"] = "newer"
    with pytest.raises(run.ApplyError, match=r"nothing was changed: an update of web"):
        stage(machine, "begin", other)
    stage(machine, "retreat")
    assert has(machine, first())


def test_everything_can_be_taken_back_in_the_middle_of_an_update(machine):
    for word in ("begin", "switch"):
        run.apply(first(), system=machine)
        stage(machine, "begin", second())
        if word == "switch":
            stage(machine, "switch")
        run.apply(None, state="absent", system=machine)
        assert machine.instances == {}
        assert machine.online == {0, 1, 2, 3}
        assert machine.channels == {}
        assert stage(machine, "status")["stage"] == "none"
    assert machine.harm == []


@pytest.mark.parametrize(("how", "said"), [("mute", "did not report within"), ("dies", "panicked before it reported")])
def test_a_successor_that_does_not_come_up_is_taken_back(machine, how, said):
    old = entries(machine)
    if how == "mute":
        machine.mute.add("web")
    else:
        machine.dies["web"] = (3, "VFS: Unable to mount root fs")
    # the old kernel of that name goes on as it was
    with pytest.raises(run.ApplyError, match="the old kernel was not touched: .*" + said) as caught:
        stage(machine, "begin", second())
    assert not caught.value.details["stuck"]
    machine.mute.clear()
    machine.dies.clear()
    assert entries(machine) == old
    assert has(machine, first())


def test_a_successor_that_dies_during_the_soak_is_told_and_taken_back(machine):
    stage(machine, "begin", second())
    dead = entries(machine)["web.next"]
    machine.physical(dead - 0x3000, 4096)
    machine.mailboxes[dead - 0x3000].update(state=3, text="Oops: it was healthy")
    with pytest.raises(run.ApplyError, match=r"web\.next is not well: it panicked: Oops: it was healthy.*stage: retreat undoes it"):
        stage(machine, "watch")
    with pytest.raises(run.ApplyError, match=r"web\.next is not well"):
        stage(machine, "switch")
    stage(machine, "retreat")
    assert has(machine, first())


def test_a_new_kernel_that_dies_after_the_switch_is_taken_back(machine):
    old = entries(machine)["web"]
    stage(machine, "begin", second())
    stage(machine, "switch")
    dead = entries(machine)["web"]
    machine.physical(dead - 0x3000, 4096)
    machine.mailboxes[dead - 0x3000].update(state=3, text="Oops")
    with pytest.raises(run.ApplyError, match=r"web is not well: it panicked: Oops; .*stage: back and stage: retreat undo it"):
        stage(machine, "watch")
    stage(machine, "back")
    assert entries(machine)["web"] == old
    stage(machine, "retreat")
    assert has(machine, first())


def test_only_one_instance_its_image_and_its_channels_may_change(machine):
    other = second()
    other["instances"]["db"]["cmdline"] = "new"
    other["pool"]["memory"][0]["size"] -= 2 << 20
    with pytest.raises(run.ApplyError, match=r"the new layout changes pool, instances\.db as well.*apply the rest first"):
        stage(machine, "begin", other)
    other = second()
    other["images"]["debian"]["cmdline"] = "loud"
    with pytest.raises(run.ApplyError, match=r"the new layout changes images\.debian as well"):
        stage(machine, "begin", other)
    own = second()
    own["images"]["newer"] = simulated.image("/boot/vmlinuz-new")
    own["instances"]["web"]["image"] = "newer"
    own["channels"]["beat"]["slots"] = 128
    for word, layout in (("begin", own), ("switch", None), ("retire", None)):
        stage(machine, word, layout)
    assert has(machine, own)


def test_a_kernel_file_with_new_content_is_an_update_of_the_same_layout(machine):
    machine.digests["/boot/vmlinuz"] = "f" * 64
    # db has the old content, and nothing wants it to change now
    with pytest.raises(run.ApplyError, match="db runs and would be restarted: its kernel changes"):
        stage(machine, "begin", first())


def test_a_host_that_has_no_layout_has_nothing_to_update(tmp_path):
    with pytest.raises(run.ApplyError, match=r"has no layout yet, so there is nothing to update; apply one with multikernel\.core\.layout"):
        stage(Machine(tmp_path), "begin", second())
    assert simulated.state_files(tmp_path) == ["run/multikernel/lock"]


def test_a_new_layout_without_a_running_kernel_is_no_update(machine):
    other = second()
    other["instances"]["web"]["state"] = "loaded"
    with pytest.raises(run.ApplyError, match="the new layout has web as loaded; an update brings a running kernel"):
        stage(machine, "begin", other)


def test_what_does_not_run_is_not_updated(machine):
    desired.instance("web", "stopped", system=machine)
    with pytest.raises(run.ApplyError, match="web does not run on this host, so nothing could go on meanwhile; start it"):
        stage(machine, "begin", second())


def test_on_a_host_of_the_other_dialect_it_is_refused_and_nothing_stays_mounted(tmp_path):
    machine = KernfsKernel(tmp_path, mounted=False)
    for _again in range(2):
        with pytest.raises(run.ApplyError, match="this host has no layout yet"):
            stage(machine, "begin", second())
        assert not machine.is_mounted
    run.apply(first(), system=machine)
    with pytest.raises(run.ApplyError, match="is made in the dialect rfc only; this host speaks kernfs"):
        stage(machine, "begin", second())
    assert machine.is_mounted, "what an instance lives in stays"


def test_a_journal_that_cannot_be_read_is_told(machine):
    path = os.path.join(machine.root, journal.PATH)
    os.rename(path, path + ".away")
    os.mkdir(path)
    with pytest.raises(run.ApplyError, match=r"so nothing was begun: .*journal\.jsonl: Is a directory"):
        stage(machine, "begin", second())
    assert len(machine.instances) == 2


def test_the_old_kernel_that_died_meanwhile_does_not_come_back(machine):
    old = entries(machine)["web"]
    stage(machine, "begin", second())
    assert stage(machine, "back")["say"] == ["web is not switched"]
    stage(machine, "switch")
    machine.physical(old - 0x3000, 4096)
    machine.mailboxes[old - 0x3000].update(state=3, text="Oops")
    with pytest.raises(run.ApplyError, match="web cannot be switched: the kernel that is to have its name is ended"):
        stage(machine, "back")
    stage(machine, "retire")
    assert has(machine, second())


def test_an_image_that_changed_since_the_successor_was_booted_stops_the_switch(tmp_path):
    machine = Machine(tmp_path)
    alone = [first(), second()]
    for layout in alone:
        layout["instances"].pop("db")
    run.apply(alone[0], system=machine)
    stage(machine, "begin", alone[1])
    machine.digests["/boot/vmlinuz"] = "f" * 64
    with pytest.raises(
        run.ApplyError, match=r"the successor of web is no longer what the new layout wants: its kernel .*take the update back"
    ):
        stage(machine, "switch")
    stage(machine, "retreat")
    assert set(entries(machine)) == {"web"}


def test_a_layout_of_before_that_is_forgotten_is_told(machine):
    stage(machine, "begin", second())
    os.unlink(os.path.join(machine.root, store.LAYOUTS, canonical.digest(first()) + ".json"))
    with pytest.raises(run.ApplyError, match="this host no longer remembers the layout %s of before" % canonical.digest(first())[:12]):
        stage(machine, "retreat")
    assert "web.next" in entries(machine)


def no_room(**policy):
    layouts = [first(), second()]
    for layout in layouts:
        layout["instances"]["db"]["cpus"].update(count=2)
        layout["policy"].update(policy)
    return layouts


def test_without_room_it_is_refused_unless_the_layout_permits_to_stop_and_start(tmp_path):
    machine = Machine(tmp_path)
    old, new = no_room()
    run.apply(old, system=machine)
    before = entries(machine)
    with pytest.raises(run.ApplyError, match=r"no room for two kernels of web .*has 4 .* away: about 0\.[45] s .*disruption: allow"):
        stage(machine, "begin", new)
    assert entries(machine) == before
    assert stage(machine, "status")["stage"] == "none"


def test_stop_start_says_how_long_and_goes_there_and_back(tmp_path):
    machine = Machine(tmp_path)
    old, new = no_room(disruption="allow")
    run.apply(old, system=machine)
    begun = stage(machine, "begin", new)
    assert (begun["way"], begun["stage"]) == ("stop-start", "begun")
    assert begun["blackout"] >= 0.4
    assert begun["steps"] == []
    assert "CPU" in begun["why"][0]
    assert store.Store(machine.root).desired() == old
    switched = stage(machine, "switch")
    assert [one["do"] for one in switched["steps"]].count("boot") == 1
    assert store.Store(machine.root).desired() == new
    stage(machine, "watch")
    assert stage(machine, "back")["stage"] == "begun"
    assert store.Store(machine.root).desired() == old
    stage(machine, "switch")
    stage(machine, "retire")
    assert not run.apply(new, system=machine)["changed"]


def test_what_was_never_measured_is_said_so(tmp_path):
    machine = Machine(tmp_path)
    old, new = no_room(disruption="allow")
    run.apply(old, system=machine)
    os.unlink(os.path.join(machine.root, "var/lib/multikernel/history.json"))
    begun = stage(machine, "begin", new)
    assert begun["blackout"] is None
    assert begun["say"][1] == "it will be away not measured yet"


def test_the_length_of_a_name_and_a_name_that_is_taken_stand_in_the_way_of_two(tmp_path):
    machine = Machine(tmp_path)
    layouts = [first(), second()]
    for layout in layouts:
        layout["channels"]["a-channel-with-quite-a-long-name"[:28]] = layout["channels"].pop("beat")
        layout["instances"]["web"]["health"] = None
    run.apply(layouts[0], system=machine)
    with pytest.raises(run.ApplyError, match="is too long for an update beside the old one"):
        stage(machine, "begin", layouts[1])


def test_check_mode_says_what_would_be_and_changes_nothing(machine):
    before = simulated.state_files(machine.root)
    result = stage(machine, "begin", second(), check=True)
    assert result["changed"]
    assert result["way"] == "side-by-side"
    assert [one["do"] for one in result["plan"]][:2] == ["cpu_offline", "load"]
    assert simulated.state_files(machine.root) == before
    stage(machine, "begin", second())
    for word in ("switch", "retreat"):
        kept = simulated.state_files(machine.root)
        assert stage(machine, word, check=True)["changed"]
        assert simulated.state_files(machine.root) == kept
    assert stage(machine, "status")["stage"] == "begun"


def test_the_host_loses_power_at_any_stage_and_the_state_is_told(tmp_path):
    for number, (words_, told, layout) in enumerate(
        [
            (["begin"], "nothing of it runs", first()),
            (["begin", "switch"], "the new layout is that of the host", second()),
            (["begin", "switch", "back"], "nothing of it runs", first()),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        machine = Machine(folder)
        run.apply(first(), system=machine)
        for word in words_:
            stage(machine, word, second() if word == "begin" else None)
        machine = machine.reboot()
        assert told in stage(machine, "status")["say"][0]
        assert store.Store(machine.root).desired() == layout
        run.apply(layout, system=machine)
        assert len(machine.instances) == 2
        stage(machine, "retire" if layout == second() else "retreat")
        assert has(machine, layout)


def test_after_a_power_cut_in_the_middle_the_update_can_begin_anew(machine):
    stage(machine, "begin", second())
    machine = machine.reboot()
    run.apply(first(), system=machine)
    for word, layout in (("begin", second()), ("switch", None), ("retire", None)):
        stage(machine, word, layout)
    assert has(machine, second())


def test_back_is_possible_after_the_host_was_booted_since_the_switch(machine):
    stage(machine, "begin", second())
    stage(machine, "switch")
    machine = machine.reboot()
    stage(machine, "back")
    stage(machine, "retreat")
    assert has(machine, first())


@pytest.mark.parametrize("word", ["begin", "switch", "retire"])
def test_the_process_dies_before_any_write_and_one_command_finishes_or_undoes_it(tmp_path, monkeypatch, word):
    """Every write and every fsync is where a crash may come: after each of them the next commands finish the update, or undo it."""
    before = {"begin": [], "switch": ["begin"], "retire": ["begin", "switch"]}[word]
    for finish in (True, False):
        for count in range(200):
            folder = tmp_path / ("%s-%s-%d" % (word, finish, count))
            folder.mkdir()
            machine = Machine(folder)
            run.apply(first(), system=machine)
            for done in before:
                stage(machine, done, second() if done == "begin" else None)
            calls = itertools.count()

            def cut(*_arguments, calls=calls, last=count):
                if next(calls) >= last:
                    raise Crash

            def write_all(*arguments, cut=cut):
                cut()
                WRITE_ALL(*arguments)

            with monkeypatch.context() as patch:
                patch.setattr(os, "fsync", cut)
                patch.setattr(files, "write_all", write_all)
                try:
                    stage(machine, word, second() if word == "begin" else None)
                    crashed = False
                except Crash:
                    crashed = True
            settle(machine, finish)
            if not crashed:
                break
        else:
            raise AssertionError("it never came to its end")
        assert count > 3


def settle(machine, finish):
    """What the role does, whatever it finds."""
    machine.stopped = None
    far = stage(machine, "status")["stage"]
    if finish:
        stage(machine, "begin", second())
        if stage(machine, "status")["stage"] == "begun":
            stage(machine, "switch")
        stage(machine, "retire")
        assert has(machine, second())
        return
    if far in ("switched", "done"):
        stage(machine, "back")
    stage(machine, "retreat")
    layout = store.Store(machine.root).desired()
    assert layout in (first(), second())
    # an update that was over already cannot be taken back by this; a rollback can
    assert layout == first() or far == "none"
    run.apply(layout, system=machine)
    assert has(machine, layout)


def test_a_disk_that_is_full_changes_nothing(machine, monkeypatch):
    old = entries(machine)

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(run.ApplyError, match="No space left on device"):
            stage(machine, "begin", second())
    assert entries(machine) == old
    stage(machine, "retreat")
    assert has(machine, first())


def test_room_that_was_taken_meanwhile_is_refused_before_anything_is_touched(machine):
    machine.write("sys/devices/system/cpu/cpu3/online", "0")
    machine.instances[0x5F003000] = {"cpus": [3], "memory": [(0x5F000000, 0x1000000)], "name": "foreign", "since": machine.now}
    with pytest.raises(run.ApplyError, match="no room for two kernels of web"):
        stage(machine, "begin", second())
    assert set(machine.channels) == {"beat"}


def test_the_name_that_the_host_uses_is_not_told_to_the_kernel(machine):
    stage(machine, "begin", second())
    kept = store.Store(machine.root).state()["instances"]["web.next"]["spec"]
    assert (kept["name"], kept["called"]) == ("web.next", "web")
    assert [(one["name"], one["called"], one["between"]) for one in kept["channels"]] == [("beat.next", "beat", ["host", "web.next"])]
    stage(machine, "switch")
    kept = store.Store(machine.root).state()["instances"]["web"]["spec"]
    assert "called" not in kept
    assert kept["image"]["name"] == "debian"
    assert canonical.digest(second()) == store.Store(machine.root).state()["digest"]
