# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is found dead, who is started again and when: decided from observations alone, over a day of simulated time, too."""

from __future__ import annotations

import tracemalloc

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._dialect.liveness import Look
from ansible_collections.multikernel.core.plugins.module_utils._supervise import core
from ansible_collections.multikernel.core.plugins.module_utils._supervise.core import Core, Seen, Wanted

DAY = 24 * 3600


class World:
    """Instances that beat once a second, die when told to, and come up again after two seconds when somebody starts them."""

    def __init__(self, **wanted):
        self.core, self.now = Core(), 0.0
        self.wanted = wanted
        self.marks = dict.fromkeys(wanted, 1)
        self.ends = {}  # name -> (state, text)
        self.stuck = {}  # name -> beats at which it stands still
        self.fails = {}  # name -> why it cannot be started
        self.sick, self.busy = {}, None
        self.said, self.kept, self.starts = [], [], []

    def look(self, name):
        if name in self.ends:
            return Look(self.ends[name][0], beats=1, text=self.ends[name][1])
        return Look("running", beats=self.stuck.get(name, int(self.now)), uname="6.1.0")

    def turn(self, seconds=1.0):
        self.now += seconds
        mine = {name: mark for name, mark in self.marks.items() if name in self.wanted}
        seen = Seen(dict(self.wanted), mine, {name: self.look(name) for name in mine}, dict(self.sick), self.busy)
        for action in self.core.decide(self.now, seen):
            if action.do == "say":
                self.said.append(action.say)
            elif action.do == "keep":
                self.kept.append((action.name, action.verdict["state"]))
            else:
                self.start(action.name)

    def start(self, name):
        self.starts.append(self.now)
        self.now += 2.0
        failure = self.fails.get(name)
        if failure is None:
            self.marks[name] = self.marks.get(name, 0) + 1
            self.ends.pop(name, None)
            self.stuck.pop(name, None)
            self.sick.pop(name, None)
        said = self.core.restarted(name, self.now, self.marks.get(name), failure)
        self.said.append(said)

    def run(self, seconds):
        end = self.now + seconds
        while self.now < end:
            self.turn()

    def states(self):
        return {name: one.state(self.now)["state"] for name, one in self.core.entries.items()}


def test_what_beats_is_left_alone():
    world = World(web=Wanted("always", 10.0), db=Wanted("no", None))
    world.run(600)
    assert (world.states(), world.said, world.kept) == ({"web": "alive", "db": "alive"}, [], [])
    assert world.core.status(world.now) == "2 of 2 instances beat"


@pytest.mark.parametrize(
    ("restart", "state", "again"),
    [
        ("no", "panicked", False),
        ("no", "restart-requested", False),
        ("on-failure", "panicked", True),
        ("on-failure", "gone", True),
        ("on-failure", "restart-requested", True),
        ("on-failure", "halted", False),
        ("on-failure", "powered-off", False),
        ("always", "halted", True),
        ("always", "powered-off", True),
        ("always", "panicked", True),
    ],
)
def test_the_policy_decides_who_is_started_again(restart, state, again):
    world = World(web=Wanted(restart, 10.0))
    world.run(5)
    world.ends["web"] = (state, "words")
    world.run(30)
    assert bool(world.starts) is again
    assert world.kept == [("web", state)]
    assert world.states() == {"web": "alive" if again else "down"}
    assert len(world.said) == (2 if again else 1), "it is said once, and not once a second"
    if not again:
        assert "it stays down (restart: %s" % restart in world.said[0]


def test_one_that_is_stuck_is_dead_after_its_time_and_no_earlier():
    world = World(web=Wanted("always", 10.0))
    world.run(20)
    world.stuck["web"] = int(world.now)
    world.run(9)
    assert world.kept == []
    world.run(4)
    assert world.kept == [("web", "running")]
    assert "no heartbeat in its mailbox for 10.0 s (10 s are allowed)" in world.said[0]


def test_silence_is_no_death_where_the_layout_does_not_watch_it():
    world = World(web=Wanted("always", None))
    world.run(5)
    world.stuck["web"] = 5
    world.run(DAY / 24)
    assert (world.kept, world.starts) == ([], [])


def test_a_gate_that_is_not_passed_any_more_is_a_death():
    world = World(web=Wanted("on-failure", 10.0))
    world.run(5)
    world.sick["web"] = "192.0.2.7 port 80 did not answer within 5 s, for 10 s (10 s are allowed)"
    world.run(10)
    assert world.kept == [("web", "sick")]
    assert len(world.starts) == 1
    assert world.states() == {"web": "alive"}


def test_restarts_come_slower_and_slower_up_to_a_cap():
    world = World(web=Wanted("always", 10.0))
    world.fails["web"] = "no room"
    world.run(5)
    world.ends["web"] = ("panicked", "")
    world.run(4000)
    gaps = [second - first - 2.0 for first, second in zip(world.starts, world.starts[1:])]
    assert gaps[:8] == [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]
    assert set(gaps[8:]) == {core.CAP}
    assert world.said[-1] == "web could not be started again: no room; the next try is in 300 s"


def test_one_that_dies_right_after_each_start_is_slowed_down_too():
    world = World(web=Wanted("always", 10.0))
    for _time in range(8):
        world.run(3)
        world.ends["web"] = ("panicked", "")
        while "web" in world.ends:
            world.turn()
    gaps = [second - first for first, second in zip(world.starts, world.starts[1:])]
    assert gaps == sorted(gaps)
    assert gaps[-1] > 60


def test_a_stable_time_forgets_earlier_deaths():
    world = World(web=Wanted("always", 10.0))
    for _time in range(5):
        world.run(core.STABLE + 20)
        world.ends["web"] = ("panicked", "")
        begin = len(world.starts)
        world.run(10)
        assert len(world.starts) == begin + 1
    assert world.core.entries["web"].restarts == 5


def test_nothing_is_decided_while_an_apply_runs():
    world = World(web=Wanted("always", 10.0))
    world.run(5)
    world.busy = "an apply is running"
    world.ends["web"] = ("gone", "")
    world.run(100)
    assert (world.said, world.starts) == ([], [])
    world.marks["web"], world.busy = 77, None
    del world.ends["web"]
    world.run(5)
    assert (world.said, world.states()) == ([], {"web": "alive"})


def test_what_the_operator_stopped_is_not_started():
    world = World(web=Wanted("always", 10.0))
    world.run(5)
    del world.wanted["web"]
    world.ends["web"] = ("gone", "")
    world.run(1000)
    assert (world.said, world.starts, world.core.entries) == ([], [], {})


def test_an_operators_start_ends_the_waiting():
    world = World(web=Wanted("no", 10.0))
    world.run(5)
    world.ends["web"] = ("panicked", "")
    world.run(5)
    assert world.states() == {"web": "down"}
    del world.ends["web"]
    world.marks["web"] = 9
    world.run(5)
    assert world.states() == {"web": "alive"}
    assert world.core.entries["web"].state(world.now)["restarts"] == 0


def test_a_policy_that_is_changed_while_it_is_down_counts():
    world = World(web=Wanted("no", 10.0))
    world.run(5)
    world.ends["web"] = ("panicked", "")
    world.run(50)
    assert world.starts == []
    world.wanted["web"] = Wanted("always", 10.0)
    world.run(5)
    assert len(world.starts) == 1


def test_one_that_was_never_started_is_started_and_nothing_is_kept_of_it():
    world = World(web=Wanted("always", 10.0))
    del world.marks["web"]
    world.run(5)
    assert (world.kept, len(world.starts)) == ([], 1)


def test_one_that_did_not_come_back_at_boot_is_tried_again_by_its_policy():
    world = World(web=Wanted("on-failure", 10.0), db=Wanted("no", 10.0))
    world.marks.clear()
    for name in world.wanted:
        world.core.failed(name, 0.0, "its image is missing", world.wanted)
    world.run(5)
    assert world.states() == {"web": "alive", "db": "down"}
    assert world.core.status(world.now) == "1 of 2 instances beat; db is down (stays so)"


def test_a_restart_that_was_postponed_is_tried_again():
    world = World(web=Wanted("always", 10.0))
    world.run(5)
    world.ends["web"] = ("panicked", "")
    world.turn()
    world.core.postponed("web", world.now)
    world.run(3)
    assert len(world.starts) == 1


def test_a_day_leaves_nothing_behind():
    """A death and a change of the layout in every hour: what is remembered does not grow."""
    world = World(web=Wanted("always", 10.0), db=Wanted("on-failure", None), old=Wanted("no", 5.0))

    def hours(count):
        for hour in range(count):
            world.run(1800)
            world.ends["web"] = ("panicked", "out of memory")
            world.stuck["db"] = int(world.now)
            world.marks["old"] += 1
            world.wanted["new%d" % hour] = Wanted("always", 1.0)
            world.run(1800)
            del world.wanted["new%d" % hour]
            world.marks.pop("new%d" % hour)
        world.turn()
        world.said.clear(), world.kept.clear(), world.starts.clear()

    world.run(60)
    tracemalloc.start()
    hours(2)
    before = tracemalloc.get_traced_memory()[0]
    hours(22)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert world.now > DAY
    assert set(world.core.entries) == {"web", "db", "old"}
    assert world.core.entries["web"].restarts >= 23
    assert after - before < 4096
