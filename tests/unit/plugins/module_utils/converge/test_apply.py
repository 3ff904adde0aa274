# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An apply makes the host have the layout, a second one changes nothing, and a failed one leaves it as it was."""

from __future__ import annotations

import json
import os
import signal
import stat

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._converge import files, journal, run
from ansible_collections.multikernel.core.plugins.module_utils._layout import canonical
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import MIB, Machine, image, instance

KINDS = [{}, {"strict": True}, {"mkstock": False}, {"reserved": False}]
NAMES = ["mkstock", "strict mkstock", "the RFC's own kernel", "memory blocks"]
ALLOW = {"isolation": {"minimum_grade": None}, "disruption": "allow"}


@pytest.fixture(params=KINDS, ids=NAMES)
def machine(request, tmp_path):
    return Machine(tmp_path, **request.param)


def two(**changes):
    return simulated.layout(instances={"web": instance(), "db": instance(cpus={"count": 2})}, **changes)


def test_every_instance_runs_on_its_cpus(machine):
    result = run.apply(two(), system=machine)
    assert machine.running() == {"db": [1, 2], "web": [3]}
    assert machine.harm == []
    assert machine.images == []
    assert [one["state"] for one in result["instances"]] == ["running", "running"]
    assert {one["uname"] for one in result["instances"]} == {"6.1.0-sim"}
    assert result["changed"]


def test_a_second_apply_changes_nothing(machine):
    run.apply(two(), system=machine)
    boots = machine.nonces
    result = run.apply(two(), system=machine)
    assert (result["changed"], result["plan"], result["steps"]) == (False, [], [])
    assert machine.nonces == boots


@pytest.mark.parametrize(
    "layout",
    [
        two(),
        simulated.layout(instances={"web": instance(state="loaded")}, channels={}),
        simulated.layout(instances={"web": instance(state="defined")}, channels={}),
        simulated.layout(instances={"web": instance(cpus={"ids": [3, 2], "count": None})}),
        simulated.layout(instances={"web": instance(cpus={"ids": [3], "count": None, "space": "apic"})}),
        simulated.layout(instances={"web": instance(memory={"base": 0x48000000, "size": 64 * MIB})}),
        simulated.layout(instances={"web": instance(health={"channel": "beat", "within": 5.0}, restart="always", trust="public")}),
        simulated.layout(instances={"web": instance(console={"device": "ttyS1"}, cmdline="debug")}),
        simulated.layout(
            instances={"web": instance(), "rt": instance(image="tiny")},
            images={"debian": image("/boot/vmlinuz"), "tiny": image("/srv/tiny", format="flat", initrd=None)},
        ),
        simulated.layout(instances={}, channels={}),
    ],
    ids=["two", "loaded", "defined", "ids", "apic ids", "base", "health", "console", "flat", "empty"],
)
def test_each_option_is_idempotent(tmp_path, layout):
    machine = Machine(tmp_path)
    assert run.apply(layout, system=machine)["changed"]
    assert not run.apply(layout, system=machine)["changed"]
    assert not run.apply(layout, check=True, system=machine)["changed"]
    assert machine.harm == []


def test_absent_gives_everything_back_and_nothing_else(machine):
    machine.online.discard(3)  # somebody else took it offline
    blocks = dict(machine.blocks)
    run.apply(simulated.layout(), system=machine)
    result = run.apply(None, state="absent", system=machine)
    assert result["changed"]
    assert machine.running() == {}
    assert machine.online == {0, 1, 2}
    assert machine.blocks == blocks
    assert machine.harm == []
    assert not run.apply(None, state="absent", system=machine)["changed"]


def test_absent_on_a_host_that_never_had_a_layout(machine):
    assert run.apply(None, state="absent", system=machine)["changed"] is False


def test_absent_works_without_multikernel_when_nothing_was_made(tmp_path):
    machine = Machine(tmp_path, mkstock=False)
    machine.multikernel = False
    assert run.apply(None, state="absent", system=machine)["changed"] is False


def test_what_is_no_longer_wanted_goes_before_what_is_new(machine):
    run.apply(simulated.layout(), system=machine)
    changed = simulated.layout(instances={"web": instance(cpus={"count": 3})}, policy=ALLOW)
    result = run.apply(changed, system=machine)
    order = [one["do"] for one in result["steps"]]
    assert order.index("stop") < order.index("cpu_offline") < order.index("load")
    assert machine.running() == {"web": [1, 2, 3]}
    assert machine.harm == []


def test_a_running_instance_keeps_its_place(machine):
    run.apply(two(), system=machine)
    one = simulated.layout(instances={"web": instance(), "db": instance(state="absent")})
    run.apply(one, system=machine)
    assert machine.running() == {"web": [3]}
    result = run.apply(simulated.layout(instances={"aaa": instance(), "web": instance()}), system=machine)
    assert machine.running() == {"aaa": [1], "web": [3]}
    assert [step["instance"] for step in result["plan"] if step["do"] == "load"] == ["aaa"]


def test_stopping_by_name_needs_no_further_consent(machine):
    run.apply(two(), system=machine)
    for state in ("defined", "loaded"):
        run.apply(simulated.layout(instances={"web": instance(), "db": instance(cpus={"count": 2}, state=state)}), system=machine)
        assert machine.running() == {"web": [3]}
    assert [one["entry"] for one in machine.images] == [0x40003000]
    run.apply(two(), system=machine)
    assert set(machine.running()) == {"web", "db"}
    assert machine.images == []
    assert machine.harm == []


def test_an_instance_that_ended_is_started_again(machine):
    run.apply(two(), system=machine)
    machine.end("web", 3, "Kernel panic - not syncing")
    result = run.apply(two(), check=True, system=machine)
    assert result["instances"][1]["state"] == "ended"
    assert run.apply(two(), system=machine)["changed"]
    assert set(machine.running()) == {"web", "db"}
    assert machine.harm == []


def test_an_instance_that_never_reports_is_taken_back(machine):
    machine.mute.add("web")
    blocks = dict(machine.blocks)
    with pytest.raises(run.ApplyError) as caught:
        run.apply(two(), system=machine)
    error = caught.value
    assert error.message.startswith("web did not report within 60 s: its mailbox says 'blank' after 0 beats; undone: stop web (CPU 3)")
    assert "bring CPU 3 online in the host" in error.message
    assert error.details["undone"][0] == "stop web (CPU 3)"
    assert error.details["stuck"] == []
    assert error.details["instance"] == "web"
    assert "; its last words: (none: nothing is in its mailbox, and one kernel cannot read the serial port of another" in error.message
    assert machine.running() == {}
    assert machine.online == {0, 1, 2, 3}
    assert (machine.images, machine.channels, machine.blocks) == ([], {}, blocks)
    assert machine.harm == []
    machine.mute.clear()
    assert run.apply(two(), system=machine)["changed"]


def test_an_instance_that_dies_takes_its_last_words_into_the_error(machine):
    machine.dies["web"] = (3, "VFS: Unable to mount root fs")
    with pytest.raises(run.ApplyError) as caught:
        run.apply(simulated.layout(), system=machine)
    assert caught.value.message.startswith("web panicked before it reported; undone: ")
    assert caught.value.details["console"] == ["mailbox: 6.1.0-sim", "mailbox: VFS: Unable to mount root fs"]
    assert machine.now < 1010  # nobody waited for the dead
    assert machine.running() == {}


def test_the_console_log_is_part_of_the_error(tmp_path):
    machine = Machine(tmp_path)
    machine.mute.add("web")
    machine.read = lambda path, read=machine.read: "line\n" * 50 + "Oops\n" if path == "/var/log/web" else read(path)
    with pytest.raises(run.ApplyError) as caught:
        run.apply(simulated.layout(), options=run.Options(console_logs={"web": "/var/log/web"}), system=machine)
    assert caught.value.details["console"][-1] == "Oops"
    assert len(caught.value.details["console"]) == 20


def test_health_within_is_kept_to_the_second(tmp_path):
    machine = Machine(tmp_path)
    machine.mute.add("web")
    began = machine.now
    with pytest.raises(run.ApplyError, match="web did not report within 3 s"):
        run.apply(simulated.layout(instances={"web": instance(health={"channel": "beat", "within": 3.0})}), system=machine)
    assert 3 <= machine.now - began < 3.2


def test_a_failed_change_starts_the_old_instance_again(machine):
    run.apply(simulated.layout(), system=machine)
    machine.digests["/boot/other"] = "1" * 64
    machine.dies["other"] = (3, "")
    layout = simulated.layout(images={"debian": image("/boot/vmlinuz")}, policy=ALLOW, channels={}, instances={"other": instance()})
    with pytest.raises(run.ApplyError, match="other panicked before it reported"):
        run.apply(layout, system=machine)
    assert machine.running() == {"web": [1]}
    assert machine.harm == []
    assert not run.apply(simulated.layout(), system=machine)["changed"]


@pytest.mark.parametrize("what", ["cpu1/online", "memory10/state", "mkstock/pool", "mkstock/channels", "mkstock/select", "load", "boot"])
def test_whatever_the_kernel_refuses_everything_is_undone(tmp_path, what):
    machine = Machine(tmp_path, reserved=False)
    machine.fails[(what, {"cpu1/online": "0", "memory10/state": "offline"}.get(what))] = "the kernel says no"
    with pytest.raises(run.ApplyError, match="the kernel says no"):
        run.apply(simulated.layout(), system=machine)
    assert machine.running() == {}
    assert machine.online == {0, 1, 2, 3}
    assert set(machine.blocks.values()) == {"online"}
    assert (machine.images, machine.pool, machine.channels, machine.harm) == ([], [], {}, [])


def test_what_cannot_be_undone_is_said_and_remembered(tmp_path):
    machine = Machine(tmp_path)
    machine.mute.add("web")
    machine.fails[("cpu1/online", "1")] = "the kernel says no"
    with pytest.raises(run.ApplyError) as caught:
        run.apply(simulated.layout(), system=machine)
    assert "NOT undone: bring CPU 1 online in the host: the kernel says no" in caught.value.message
    assert caught.value.details["changed"] is True
    machine.fails.clear()
    assert run.apply(None, state="absent", system=machine)["changed"]
    assert machine.online == {0, 1, 2, 3}


def test_check_mode_changes_nothing_and_has_the_same_plan(machine):
    online, blocks = set(machine.online), dict(machine.blocks)
    checked = run.apply(two(), check=True, system=machine)
    assert (machine.online, machine.blocks, machine.images, machine.running()) == (online, blocks, [], {})
    assert simulated.state_files(machine.root) == []
    assert checked["steps"] == []
    done = run.apply(two(), system=machine)
    assert checked["plan"] == done["plan"]
    assert [one["say"] for one in done["steps"]] == [one["say"] for one in checked["plan"]]
    assert checked["changed"] is done["changed"] is True


def test_the_diff_shows_layout_map_and_steps(tmp_path):
    diff = run.apply(simulated.layout(), check=True, system=Machine(tmp_path))["diff"]
    assert diff["before"] == ""
    assert "  web:\n" in diff["after"]
    assert "    - base: 0x40000000\n      size: 512MiB\n" in diff["after"]
    assert "# CPU 1: web\n# 0x40000000-0x43ffffff (64 MiB): web\n" in diff["after"]
    assert diff["prepared"].startswith("1. take CPU 1 offline in the host\n2. load debian (/boot/vmlinuz) for web at 0x40000000\n")


def test_a_change_that_needs_no_step_is_only_remembered(machine):
    run.apply(simulated.layout(), system=machine)
    result = run.apply(simulated.layout(instances={"web": instance(trust="public", restart="always")}), system=machine)
    assert [one["do"] for one in result["plan"]] == ["save"]
    assert set(machine.running()) == {"web"}


def test_a_renamed_file_with_the_same_contents_is_no_change(machine):
    run.apply(simulated.layout(), system=machine)
    result = run.apply(simulated.layout(images={"debian": image("/srv/copy-of-vmlinuz")}), system=machine)
    assert [one["do"] for one in result["plan"]] == ["save"]


def test_after_a_boot_of_the_host_everything_starts_again(machine):
    run.apply(two(), system=machine)
    machine = machine.reboot()
    result = run.apply(simulated.layout(instances={"web": instance()}), system=machine)
    assert machine.running() == {"web": [1]}
    assert result["changed"]
    assert result["after"]["made"]["cpus"] == [1]
    assert machine.harm == []


def test_what_nothing_can_confirm_is_said(tmp_path):
    result = run.apply(simulated.layout(), system=Machine(tmp_path / "rfc", mkstock=False))
    assert result["unverifiable"] == ["that web owns CPU 1 and nothing else: this kernel does not tell, the journal remembers"]
    assert result["instances"][0]["evidence"] == {
        "state": "observed",
        "cpus": "remembered",
        "memory": "remembered",
        "uname": "observed",
        "image": "remembered",
    }
    assert run.apply(simulated.layout(), system=Machine(tmp_path / "mkstock"))["unverifiable"] == []


def test_a_host_that_does_not_match_in_the_end_is_put_back(tmp_path, monkeypatch):
    machine = Machine(tmp_path)
    boot = machine.boot

    def stale(cpu):
        boot(cpu)
        machine.mailboxes[0x40000000]["nproc"] = 7

    monkeypatch.setattr(machine, "boot", stale)
    with pytest.raises(run.ApplyError, match="the host is not as it should be after the last step: web reports 7 CPUs and was given 1"):
        run.apply(simulated.layout(), system=machine)
    assert machine.running() == {}
    assert machine.online == {0, 1, 2, 3}


def test_the_files_are_for_root_alone(tmp_path):
    run.apply(simulated.layout(), system=Machine(tmp_path))
    for name in simulated.state_files(tmp_path):
        assert stat.S_IMODE(os.stat(str(tmp_path / name)).st_mode) == 0o600, name
    layout = json.loads((tmp_path / "etc/multikernel/layout.json").read_text())
    assert layout == simulated.layout()
    assert canonical.digest(layout) == json.loads((tmp_path / "var/lib/multikernel/state.json").read_text())["digest"]


def test_foreign_images_of_the_host_are_left_alone(tmp_path):
    machine = Machine(tmp_path)
    crash = {"type": "crash", "entry": 0x1000, "spec": None, "fresh": True}
    machine.images.append(dict(crash))
    run.apply(two(), system=machine)
    run.apply(None, state="absent", system=machine)
    assert machine.images == [crash]


def test_an_instance_that_cannot_be_stopped_is_remembered_as_running(tmp_path):
    machine = Machine(tmp_path)
    machine.dies["web"] = (3, "")
    machine.fails[("mkstock/kill", None)] = "the kernel says no"
    with pytest.raises(run.ApplyError, match="NOT undone: stop web"):
        run.apply(simulated.layout(), system=machine)
    machine.fails.clear()
    machine.dies.clear()
    run.apply(simulated.layout(), system=machine)
    assert machine.running() == {"web": [1]}
    assert machine.harm == []


def test_what_somebody_else_runs_is_left_alone(tmp_path):
    machine = Machine(tmp_path)
    machine.online.discard(1)
    machine.instances[0x40003000] = {"cpus": [1], "memory": [(0x40000000, 64 * MIB)], "name": "foreign", "since": machine.now}
    run.apply(simulated.layout(), system=machine)
    assert machine.running() == {"foreign": [1], "web": [2]}
    run.apply(None, state="absent", system=machine)
    assert machine.running() == {"foreign": [1]}
    assert machine.harm == []
    with pytest.raises(run.ApplyError, match="a names CPU 1, but an instance that was not started from here runs on it"):
        run.apply(simulated.layout(instances={"a": instance(cpus={"ids": [1], "count": None})}, channels={}), system=machine)


def test_all_instances_are_listened_to_at_once(tmp_path):
    machine = Machine(tmp_path, mkstock=False)
    run.apply(two(), system=machine)
    began = machine.now
    run.apply(two(), system=machine)
    assert machine.now - began < 0.2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("at", ["boot", "load"])
def test_a_signal_in_the_middle_takes_the_change_back(tmp_path, monkeypatch, number, at):
    machine = Machine(tmp_path)
    original = getattr(machine, at)

    def hit(*arguments):
        os.kill(os.getpid(), number)
        original(*arguments)

    monkeypatch.setattr(machine, at, hit)
    before = signal.getsignal(number)
    with pytest.raises(run.ApplyError, match="the apply was ended by " + number.name):
        run.apply(simulated.layout(), system=machine)
    assert signal.getsignal(number) == before
    assert machine.running() == {}
    assert machine.online == {0, 1, 2, 3}
    assert machine.now < 1010


def test_a_disk_that_is_full_from_the_start_refuses(tmp_path, monkeypatch):
    machine = Machine(tmp_path)
    monkeypatch.setattr(journal.Journal, "write", lambda *_some: (name for name in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(run.ApplyError, match=r"the journal cannot be written, so nothing was changed: .*No space left on device"):
        run.apply(simulated.layout(), system=machine)
    assert machine.online == {0, 1, 2, 3}


@pytest.mark.parametrize("at", range(2, 14))
def test_a_disk_that_fills_up_in_the_middle_undoes(tmp_path, monkeypatch, at):
    machine = Machine(tmp_path)
    write, count = journal.Journal.write, []

    def failing(mine, kind, record=None):
        count.append(kind)
        if len(count) >= at:
            raise OSError(28, "No space left on device")
        write(mine, kind, record)

    with monkeypatch.context() as patch:
        patch.setattr(journal.Journal, "write", failing)
        with pytest.raises(run.ApplyError, match="No space left on device"):
            run.apply(simulated.layout(), system=machine)
    assert machine.running() == {}
    assert machine.online == {0, 1, 2, 3}
    run.apply(simulated.layout(), system=machine)
    assert machine.running() == {"web": [1]}
    assert machine.harm == []


@pytest.mark.parametrize("name", ["state.json", "layout.json", ".json"])
def test_what_cannot_be_remembered_is_undone(tmp_path, monkeypatch, name):
    machine = Machine(tmp_path)
    run.apply(simulated.layout(), system=machine)
    replace, left = files.replace, [1]

    def failing(path, text):
        if path.endswith(name) and left:
            left.pop()
            raise OSError(28, "No space left on device")
        replace(path, text)

    with monkeypatch.context() as patch:
        patch.setattr(files, "replace", failing)
        with pytest.raises(run.ApplyError, match=r"what was done cannot be written down: .*No space left on device"):
            run.apply(two(), system=machine)
    assert machine.running() == {"web": [1]}
    assert not run.apply(simulated.layout(), system=machine)["changed"]
    assert json.loads((tmp_path / "etc/multikernel/layout.json").read_text()) == simulated.layout()


def test_a_defect_of_ours_undoes_too(tmp_path, monkeypatch):
    machine = Machine(tmp_path)
    monkeypatch.setattr(machine, "boot", lambda cpu: {}["missing"])
    with pytest.raises(run.ApplyError, match="boot web on CPU 1 failed unexpectedly: KeyError"):
        run.apply(simulated.layout(), system=machine)
    assert machine.online == {0, 1, 2, 3}


def test_a_block_that_goes_at_the_second_attempt_is_enough(tmp_path, monkeypatch):
    machine = Machine(tmp_path, reserved=False)
    write, refusals = machine.write, [1, 1]

    def reluctant(path, text):
        if path.endswith("memory9/state") and text == "offline" and refusals:
            refusals.pop()
            raise simulated.DialectError("Device or resource busy")
        write(path, text)

    monkeypatch.setattr(machine, "write", reluctant)
    run.apply(simulated.layout(), system=machine)
    assert machine.running() == {"web": [1]}


def test_an_instance_whose_stop_fails_goes_on_undisturbed(tmp_path):
    machine = Machine(tmp_path)
    run.apply(simulated.layout(), system=machine)
    mark = machine.mailboxes[0x40000000]["nonce"]
    machine.fails[("mkstock/kill", None)] = "the kernel says no"
    with pytest.raises(run.ApplyError) as caught:
        run.apply(None, state="absent", system=machine)
    assert caught.value.message == "the kernel says no; undone: attach the host to channel beat"
    assert machine.mailboxes[0x40000000]["nonce"] == mark
    assert machine.channels["beat"]["end"] == 0
    machine.fails.clear()
    assert not run.apply(simulated.layout(), system=machine)["changed"]


def test_a_loaded_instance_that_loses_its_channel_leaves_none_behind(tmp_path):
    machine = Machine(tmp_path)
    run.apply(simulated.layout(instances={"web": instance(state="loaded")}), system=machine)
    assert set(machine.channels) == {"beat"}
    result = run.apply(simulated.layout(instances={"web": instance(state="loaded")}, channels={}), system=machine)
    assert [one["do"] for one in result["steps"]] == ["channel_detach", "unload", "load", "save"]
    assert machine.channels == {}
