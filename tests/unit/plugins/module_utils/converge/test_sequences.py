# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever happens to a host in whatever order: nothing of it is harmed, an apply can be repeated, and all of it comes back."""

from __future__ import annotations

import contextlib
import tempfile

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._converge import journal, run
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import MIB, Crash, Machine, image, instance
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

KINDS = {"mkstock": {}, "strict": {"strict": True}, "rfc": {"mkstock": False}, "blocks": {"reserved": False}}
NAMES = ("a", "b", "c")

INSTANCE = st.builds(
    lambda count, mebibytes, state, words, restart: instance(
        cpus={"count": count}, memory={"size": mebibytes * MIB}, state=state, cmdline=words, restart=restart
    ),
    st.integers(1, 2),
    st.sampled_from([64, 96]),
    st.sampled_from(["running", "running", "running", "loaded", "defined", "absent"]),
    st.sampled_from(["", "debug"]),
    st.sampled_from(["no", "always"]),
)


@st.composite
def layouts(draw):
    """Up to three instances, perhaps with a channel from the host to the first and one between the first two."""
    made = simulated.layout(instances=draw(st.dictionaries(st.sampled_from(NAMES), INSTANCE, max_size=3)), channels={})
    made["policy"]["disruption"] = draw(st.sampled_from(["allow", "allow", "refuse"]))
    made["images"]["debian"] = image("/boot/vmlinuz")
    there = sorted(name for name, one in made["instances"].items() if one["state"] != "absent")
    ends = ["host"] + there
    for name, pair in (("beat", ends[:2]), ("talk", ends[1:3])):
        if len(pair) == 2 and draw(st.booleans()):
            made["channels"][name] = {
                "between": draw(st.permutations(pair)),
                "kind": "ipi",
                "slots": 64,
                "message_size": 256,
                "size": None,
                "writer": None,
            }
    return made


EVENT = st.one_of(
    st.tuples(st.just("apply"), layouts()),
    st.tuples(st.just("apply"), layouts()),
    st.tuples(st.just("cut"), layouts(), st.integers(1, 40), st.booleans()),
    st.tuples(st.just("mute"), st.sampled_from(NAMES)),
    st.tuples(st.just("end"), st.integers(0, 2), st.sampled_from([3, 4, 6])),
    st.tuples(st.just("refuse"), st.sampled_from(["load", "boot", "cpu2/online", "mkstock/channels", "mkstock/pool"])),
    st.tuples(st.just("heal")),
    st.tuples(st.just("absent")),
    st.tuples(st.just("reboot")),
)


class Story:
    """A machine and what happens to it."""

    def __init__(self, root, kind):
        self.machine = Machine(root, **kind)

    def happen(self, what, *arguments):
        getattr(self, what)(*arguments)
        assert self.machine.harm == []
        owners = [cpu for one in self.machine.instances.values() for cpu in one["cpus"]]
        assert len(owners) == len(set(owners))
        assert not set(owners) & self.machine.online

    def apply(self, layout):
        try:
            run.apply(layout, system=self.machine)
        except run.ApplyError as error:
            assert error.message
            return
        again = run.apply(layout, system=self.machine)
        assert (again["changed"], again["plan"]) == (False, [])
        assert set(self.machine.running()) == {name for name, one in layout["instances"].items() if one["state"] == "running"}

    def cut(self, layout, at, before):
        write, left = journal.Journal.write, [at]

        def cutting(mine, kind, record=None):
            left[0] -= 1
            if left[0] == 0 and before:
                raise Crash()
            write(mine, kind, record)
            if left[0] == 0:
                raise Crash()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(journal.Journal, "write", cutting)
            with contextlib.suppress(Crash, run.ApplyError):
                run.apply(layout, system=self.machine)

    def mute(self, name):
        self.machine.mute.add(name)

    def end(self, number, state):
        names = sorted(self.machine.running())
        if number < len(names):
            self.machine.end(names[number], state, "gone")

    def refuse(self, what):
        self.machine.fails[(what, None)] = "the kernel says no"

    def heal(self):
        self.machine.mute.clear()
        self.machine.fails.clear()

    def absent(self):
        with contextlib.suppress(run.ApplyError):
            run.apply(None, state="absent", system=self.machine)

    def reboot(self):
        self.machine = self.machine.reboot()


@pytest.mark.parametrize("kind", list(KINDS))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(events=st.lists(EVENT, min_size=2, max_size=6))
def test_any_story_ends_well(kind, events):
    with tempfile.TemporaryDirectory() as root:
        story = Story(root, KINDS[kind])
        before = (set(story.machine.online), dict(story.machine.blocks), sorted(story.machine.pool))
        for event in events:
            story.happen(*event)
        story.heal()
        run.apply(None, state="absent", system=story.machine)
        assert story.machine.running() == {}
        assert (story.machine.online, story.machine.blocks, sorted(story.machine.pool)) == before
        assert (story.machine.images, story.machine.channels, story.machine.harm) == ([], {}, [])
