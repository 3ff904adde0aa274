# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The supervisor on a simulated host: it restarts as an apply does, keeps what can be saved, and brings all back after a boot."""

from __future__ import annotations

import fcntl
import io
import json
import pathlib

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._converge import desired, files, run, store
from ansible_collections.multikernel.core.plugins.module_utils._supervise import loop, mortem, restore, status
from ansible_collections.multikernel.core.plugins.module_utils._supervise.notify import Systemd
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import Machine, instance

HEALTH = {"channel": None, "within": 5.0}


def layout(**changes):
    instances = {
        "web": instance(restart="always", health=HEALTH, console={"device": "mktty0"}),
        "db": instance(restart="no", health=HEALTH),
    }
    for name, one in changes.items():
        instances[name] = dict(instances[name], **one)
    return simulated.layout(instances=instances, channels={})


class Bench:
    """A host with a layout, and a supervisor that is turned by hand."""

    def __init__(self, machine):
        self.machine, self.log = machine, io.StringIO()
        self.supervisor = loop.Supervisor(machine, Systemd({}, self.log), run.Options(lock_timeout=0.2))

    def turns(self, count=5):
        for _turn in range(count):
            self.supervisor.turn()
            self.machine.sleep(1.0)

    def said(self):
        return [line[3:] for line in self.log.getvalue().splitlines()]

    def folder(self, name):
        return pathlib.Path(self.machine.root) / name


@pytest.fixture
def bench(tmp_path):
    machine = Machine(tmp_path)
    run.apply(layout(), system=machine)
    made = Bench(machine)
    made.turns(3)
    return made


def nonces(machine):
    return {name: one["nonce"] for name, one in store.Store(machine.root).state()["instances"].items()}


def locked_down(bench):
    """The host is locked down, in either dialect: nobody is restarted, and nobody is said to live."""
    machine, before = bench.machine, nonces(bench.machine)
    machine.physical = lambda address, size: None
    bench.turns(30)
    assert (nonces(machine), machine.harm) == (before, [])
    assert {name: one.alive for name, one in bench.supervisor.core.entries.items()} == {"web": None, "db": None}
    assert [line for line in bench.said() if "down" in line] == []
    found = run.apply(layout(), system=machine)
    assert found["changed"] is False
    assert {one["name"]: (one["state"], one["evidence"]["state"]) for one in found["instances"]} == dict.fromkeys(
        ("db", "web"), ("running", "unverifiable")
    )


def test_what_beats_is_left_alone(bench):
    before = nonces(bench.machine)
    bench.turns(100)
    assert (bench.said(), nonces(bench.machine), bench.machine.harm) == ([], before, [])


def test_what_cannot_be_read_any_more_is_not_taken_for_dead(bench):
    locked_down(bench)


def test_one_that_panics_is_started_again_alone(bench):
    machine, before = bench.machine, nonces(bench.machine)
    machine.consoles[machine.running()["web"][0]] = "boot\nKernel panic - not syncing: \x1b[31mred\n"
    machine.end("web", 3, "Kernel panic")
    bench.turns()
    after = nonces(machine)
    assert (after["db"] == before["db"], after["web"] == before["web"], machine.harm) == (True, False, [])
    kept = mortem.listed(machine.root)
    assert [name.rpartition("-")[0] for name in kept] == ["web"]
    assert bench.said() == [
        "what could be saved of web is in %s" % bench.folder("var/lib/multikernel/post-mortem/" + kept[0]),
        "web is down: it panicked: Kernel panic; it is started again in 1 s",
        "start web again (it panicked: Kernel panic)",
        "web runs again (restart 1)",
    ]
    folder = bench.folder("var/lib/multikernel/post-mortem") / kept[0]
    report = json.loads((folder / "report.json").read_text())
    assert (report["state"], report["nonce"], report["last_words"]) == ("panicked", before["web"], "Kernel panic")
    assert (folder / "console.txt").read_text() == "boot\nKernel panic - not syncing:  [31mred\n"
    assert (folder / "mailbox.bin").stat().st_size == 4096
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {one.stat().st_mode & 0o777 for one in folder.iterdir()} == {0o600}


def test_one_with_restart_no_stays_down_and_is_told(bench):
    bench.machine.end("db", 3, "gone")
    bench.turns(50)
    assert "db is down: it panicked: gone; it stays down (restart: no)" in bench.said()
    told = json.loads(bench.folder(loop.STATUS).read_text())["instances"]
    assert (told["db"]["state"], told["db"]["restart_in"], told["web"]["state"]) == ("down", None, "alive")


def test_what_the_operator_stopped_stays_stopped(bench):
    desired.instance("web", "stopped", system=bench.machine)
    bench.turns(50)
    assert bench.said() == []
    assert set(bench.machine.running()) == {"db"}


def test_the_lock_of_an_apply_is_honoured(bench):
    path = bench.folder("run/multikernel/lock")
    with path.open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        bench.machine.end("web", 3, "by the apply")
        bench.turns(30)
        assert bench.said() == []
    bench.turns()
    assert "web runs again (restart 1)" in bench.said()


def test_a_layout_that_changes_between_death_and_restart_wins(bench):
    bench.machine.end("web", 3, "x")
    bench.turns(1)
    kept = store.Store(bench.machine.root)
    real = bench.supervisor.watch.refresh

    def changed():
        wish = layout(web={"state": "defined"})
        files.replace_json(str(bench.folder(store.LAYOUT)), wish)
        real()

    bench.supervisor.watch.refresh = changed
    bench.turns(1)
    assert "web is not started now: the layout does not want it to run any more" in bench.said()
    assert kept.desired()["instances"]["web"]["state"] == "defined"


def test_a_start_that_fails_is_tried_again_later_and_later(bench):
    bench.machine.end("web", 3, "x")
    bench.machine.mute.add("web")
    bench.turns(60)
    failures = [line for line in bench.said() if line.startswith("web could not be started again")]
    assert [line.rpartition(" in ")[2] for line in failures[:4]] == ["2 s", "4 s", "8 s", "16 s"]
    bench.machine.mute.clear()
    bench.turns(60)
    assert "web" in bench.machine.running()
    assert bench.machine.harm == []


def test_an_image_of_another_that_is_gone_does_not_keep_it_down(bench):
    machine = bench.machine
    machine.end("web", 3, "x")
    machine.end("db", 3, "x")
    wish = layout()
    real = machine.facts

    def without(*asked):
        told = real(*asked)
        for path in told["images"]:
            if path == "/boot/lost":
                told["images"][path] = dict(told["images"][path], exists=False, regular=False, kind=None, header=None, sha256=None)
        return told

    wish["images"]["lost"] = simulated.image("/boot/lost")
    wish["instances"]["db"]["image"] = "lost"
    state = store.Store(machine.root).state()
    files.replace_json(str(bench.folder("var/lib/multikernel/layouts/%s.json" % state["digest"])), wish)
    files.replace_json(str(bench.folder(store.LAYOUT)), wish)
    machine.facts = without
    bench.turns(10)
    assert "web runs again (restart 1)" in bench.said()
    assert store.Store(machine.root).desired() == wish


def test_a_disk_without_room_keeps_nobody_down(bench, monkeypatch):
    def full(*_what, **_more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mortem, "_write", full)
    monkeypatch.setattr(restore, "note", full)
    monkeypatch.setattr(loop, "_replace", full)
    bench.machine.end("web", 3, "x")
    bench.turns()
    assert "nothing could be kept of web: [Errno 28] No space left on device" in bench.said()
    assert "web runs again (restart 1)" in bench.said()
    assert mortem.listed(bench.machine.root) == []


def test_a_gate_that_fails_after_the_start_is_a_death(tmp_path):
    machine = Machine(tmp_path)
    run.apply(layout(web={"health": dict(HEALTH, tcp={"host": "192.0.2.7", "port": 80})}), system=machine)
    bench = Bench(machine)
    bench.turns(10)
    assert bench.said() == []
    machine.answers["tcp", "web"] = [(0.0, False), (0.0, False), (0.0, False), (0.0, False), (0.0, False), (0.0, False), (0.0, True)]
    bench.turns(15)
    assert any("web is down: tcp: not well, for 5 s (5 s are allowed)" in line for line in bench.said())
    assert "web runs again (restart 1)" in bench.said()


def test_the_end_touches_no_instance(bench):
    before = nonces(bench.machine)
    bench.machine.asked = "SIGTERM"
    bench.supervisor.end()
    assert (nonces(bench.machine), set(bench.machine.running())) == (before, {"web", "db"})
    assert not bench.folder(loop.STATUS).exists()
    seen = json.loads(bench.folder(restore.SEEN).read_text())
    assert (seen["ended"], sorted(seen["instances"])) == ("SIGTERM", ["db", "web"])
    assert bench.said() == ["supervision ends (SIGTERM); the instances go on"]


# after a boot of the host


def booted(bench):
    fresh = Bench(bench.machine.reboot())
    fresh.supervisor.bring_back()
    return fresh


def statement(bench):
    return json.loads(bench.folder(restore.RESTORED).read_text())


def test_everything_that_is_declared_comes_back(bench):
    fresh = booted(bench)
    assert set(fresh.machine.running()) == {"web", "db"}
    told = statement(fresh)
    assert (told["restarted"], told["failed"], told["before"]["running"]) == (["db", "web"], {}, ["db", "web"])
    assert told["before"]["boot_id"] == bench.machine.boot_id
    assert any(line.startswith("lost: the memory of every instance that ran") for line in fresh.said())
    assert not run.apply(layout(), system=fresh.machine)["changed"]
    fresh.turns(20)
    assert [line for line in fresh.said() if "down" in line] == []


def test_what_was_stopped_does_not_come_back(bench):
    desired.instance("db", "stopped", system=bench.machine)
    fresh = booted(bench)
    assert set(fresh.machine.running()) == {"web"}
    assert statement(fresh)["not_running"] == ["db"]


def test_nothing_comes_back_after_the_layout_was_taken_back(bench):
    run.apply(None, state="absent", system=bench.machine)
    fresh = booted(bench)
    assert (fresh.machine.running(), fresh.said()) == ({}, [])
    assert not fresh.folder(restore.RESTORED).exists()


def test_one_that_cannot_come_back_is_told_and_the_others_run(bench):
    machine = bench.machine.reboot()
    machine.mute.add("db")
    fresh = Bench(machine)
    fresh.supervisor.bring_back()
    assert set(machine.running()) == {"web"}
    told = statement(fresh)
    assert (told["restarted"], list(told["failed"])) == (["web"], ["db"])
    assert "db did not report within 5 s" in told["failed"]["db"]
    assert store.Store(machine.root).desired() == layout()
    fresh.turns(20)
    assert machine.running().keys() == {"web"}
    assert machine.harm == []


def test_one_that_cannot_come_back_and_is_to_be_restarted_is_tried_again(bench):
    machine = bench.machine.reboot()
    machine.mute.add("web")
    fresh = Bench(machine)
    fresh.supervisor.bring_back()
    machine.mute.clear()
    fresh.turns(10)
    assert set(machine.running()) == {"web", "db"}
    assert not run.apply(layout(), system=machine)["changed"]


def test_a_module_that_is_not_there_is_no_traceback(bench):
    machine = bench.machine.reboot()
    machine.multikernel = machine.mkstock = False
    fresh = Bench(machine)
    fresh.supervisor.bring_back()
    assert set(statement(fresh)["failed"]) == {"web", "db"}
    fresh.turns(3)


def test_what_a_host_kernel_before_this_one_left_running_is_not_started_over(bench):
    machine = bench.machine
    machine.boot_id = "after a kexec"
    fresh = Bench(machine)
    fresh.supervisor.bring_back()
    assert "nothing is started beside what is not adopted" in fresh.said()[0]
    fresh.turns(30)
    assert [line for line in fresh.said() if "down" in line] == []
    assert machine.harm == []
    assert set(machine.running()) == {"web", "db"}
    # somebody adopts them
    state = store.Store(machine.root).state()
    store.Store(machine.root).commit(dict(state, boot_id=machine.boot_id))
    fresh.turns(10)
    assert {name: one.alive for name, one in fresh.supervisor.core.entries.items()} == {"web": True, "db": True}


def test_without_a_boot_nothing_is_brought_back(bench):
    again = Bench(bench.machine)
    again.supervisor.bring_back()
    assert again.said() == []


def test_the_state_of_the_supervision_is_told(bench, monkeypatch):
    root = bench.machine.root
    told = status.status(root)
    assert (told["installed"], told["running"], told["pid"], told["restored"], told["post_mortem"]) == (False, False, None, None, [])
    path = pathlib.Path(root) / status.PATH
    with path.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        told = status.status(root)
    assert told["running"]
    assert {name: one["state"] for name, one in told["instances"].items()} == {"web": "alive", "db": "alive"}
