# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden plans: a layout, the state of a host and its facts give these words, in this order."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._layout import canonical
from ansible_collections.multikernel.core.plugins.module_utils._plan import plan, spec, steps
from ansible_collections.multikernel.core.plugins.module_utils._plan.place import place
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import BLOCK, MIB, Machine, image, instance

ALLOW = {"isolation": {"minimum_grade": None}, "disruption": "allow"}
IMAGES = ("/boot/vmlinuz", "/boot/new", "/srv/initrd", "/srv/tiny")


def words(some):
    """Each step as its kind and what it is about."""
    shown = []
    for step in some:
        args = step.args
        about = step.instance if step.do in ("load", "boot", "wait_health", "stop", "unload") else None
        about = about or args.get("cpu", args.get("block", args.get("name")))
        if step.do.startswith("pool_"):
            about = "0x%x+%dM" % (args["base"], args["size"] // MIB)
        shown.append(step.do if about is None else "%s %s" % (step.do, about))
    return shown


class Host:
    """Facts, and a state that grows by what was planned before."""

    def __init__(self, reserved=True, mkstock=True, select=False):
        self.machine = Machine("/nowhere", reserved=reserved, mkstock=mkstock)
        self.machine.digests["/boot/new"] = "1" * 64
        self.state = {
            "digest": None,
            "select": select,
            "images": [],
            "cpus": {"online": [0, 1, 2, 3], "present": [0, 1, 2, 3]},
            "pool": self.machine.pool if mkstock else None,
            "channels": {} if mkstock else None,
            "instances": {},
            "made": {"cpus": [], "blocks": [], "pool": [], "channels": {}},
        }

    def facts(self):
        facts = self.machine.facts(IMAGES)
        for block in facts["memory"]["blocks"]:
            if block["number"] in self.state["made"]["blocks"]:
                block["state"] = "offline"
        return facts

    def plan(self, layout, **arguments):
        placed = place(layout, self.facts(), self.state)
        return plan.plan(placed, self.state, self.facts(), canonical.digest(layout), **arguments)

    def have(self, layout, **states):
        """Let the layout be applied; states overrides what is observed of an instance."""
        facts = self.facts()
        for step in self.plan(layout):
            made = self.state["made"]
            if step.do == "cpu_offline":
                self.state["cpus"]["online"].remove(step.args["cpu"])
                made["cpus"].append(step.args["cpu"])
            elif step.do == "memory_offline":
                made["blocks"].append(step.args["block"])
            elif step.do == "pool_add":
                made["pool"].append([step.args["base"], step.args["size"]])
                self.state["pool"] = list(made["pool"])
            elif step.do == "channel_attach":
                self.state["channels"][step.args["name"]] = {"attached": True}
        placed = place(layout, facts, self.state)
        for name, one in layout["instances"].items():
            if one["state"] in ("running", "loaded"):
                made = spec.of(name, placed, facts)
                self.state["instances"][name] = {"state": states.get(name, one["state"]), "spec": made, "health": one["health"]}
                if one["state"] == "loaded":
                    self.state["images"].append({"type": "multikernel", "entry": made["entry"], "segments": 4})
        self.state["digest"] = canonical.digest(layout)
        return self


def two(**changes):
    return simulated.layout(instances={"web": instance(), "db": instance(cpus={"count": 2})}, **changes)


START_WEB = ["load web", "channel_attach beat", "boot web", "wait_health web", "unload web"]
STOP_WEB = ["channel_detach beat", "stop web"]

GOLDEN = {
    "an empty host": (Host(), simulated.layout(), ["cpu_offline 1"] + START_WEB + ["save"]),
    "the same again": (Host().have(simulated.layout()), simulated.layout(), []),
    "two instances, by name": (
        Host(),
        two(),
        ["cpu_offline 1", "cpu_offline 2", "cpu_offline 3", "load db", "boot db", "wait_health db", "unload db"] + START_WEB + ["save"],
    ),
    "two instances that boot side by side": (
        Host(select=True),
        two(),
        [
            "cpu_offline 1",
            "cpu_offline 2",
            "cpu_offline 3",
            "load db",
            "boot db",
            "unload db",
            "load web",
            "channel_attach beat",
            "boot web",
        ]
        + ["unload web", "wait_health db", "wait_health web", "save"],
    ),
    "memory of the host is taken in blocks": (
        Host(reserved=False),
        simulated.layout(),
        ["memory_offline 8", "memory_offline 9", "memory_offline 10", "memory_offline 11", "pool_add 0x40000000+512M", "cpu_offline 1"]
        + START_WEB
        + ["save"],
    ),
    "the RFC's own kernel has no pool and no channel": (
        Host(mkstock=False),
        simulated.layout(),
        ["cpu_offline 1", "load web", "boot web", "wait_health web", "unload web", "save"],
    ),
    "an instance more": (
        Host().have(simulated.layout()),
        simulated.layout(instances={"web": instance(), "zed": instance()}),
        ["cpu_offline 2", "load zed", "boot zed", "wait_health zed", "unload zed", "save"],
    ),
    "an instance less": (
        Host().have(two()),
        simulated.layout(instances={"web": instance(), "db": instance(state="absent")}),
        ["stop db", "cpu_online 1", "cpu_online 2", "save"],
    ),
    "an instance is only to be defined": (
        Host().have(simulated.layout()),
        simulated.layout(instances={"web": instance(state="defined")}),
        STOP_WEB + ["cpu_online 1", "save"],
    ),
    "an instance is only to be loaded": (
        Host().have(simulated.layout()),
        simulated.layout(instances={"web": instance(state="loaded")}),
        STOP_WEB + ["load web", "channel_attach beat", "save"],
    ),
    "a loaded instance is to run": (
        Host().have(simulated.layout(instances={"web": instance(state="loaded")})),
        simulated.layout(),
        ["channel_detach beat", "unload"] + START_WEB + ["save"],
    ),
    "another image": (
        Host().have(simulated.layout()),
        simulated.layout(images={"debian": image("/boot/new")}, policy=ALLOW),
        STOP_WEB + START_WEB + ["save"],
    ),
    "more CPUs": (
        Host().have(simulated.layout()),
        simulated.layout(instances={"web": instance(cpus={"count": 2})}, policy=ALLOW),
        STOP_WEB + ["cpu_offline 2"] + START_WEB + ["save"],
    ),
    "other CPUs: released before others are taken": (
        Host().have(simulated.layout()),
        simulated.layout(instances={"web": instance(cpus={"ids": [3], "count": None})}, policy=ALLOW),
        STOP_WEB + ["cpu_online 1", "cpu_offline 3"] + START_WEB + ["save"],
    ),
    "an instance that ended": (Host().have(simulated.layout(), web="ended"), simulated.layout(), STOP_WEB + START_WEB + ["save"]),
    "an instance that is silent stays": (Host().have(simulated.layout(), web="silent"), simulated.layout(), []),
    "unless it is to be restarted": (
        Host().have(simulated.layout(instances={"web": instance(restart="always")}), web="silent"),
        simulated.layout(instances={"web": instance(restart="always")}),
        STOP_WEB + START_WEB + ["save"],
    ),
    "loaded instances leave the list for a boot, and come back": (
        Host().have(simulated.layout(instances={"web": instance(state="loaded")})),
        simulated.layout(instances={"web": instance(state="loaded"), "zed": instance()}),
        ["channel_detach beat", "unload", "cpu_offline 2", "load zed", "boot zed", "wait_health zed", "unload zed"]
        + ["load web", "channel_attach beat", "save"],
    ),
    "another policy": (Host().have(simulated.layout()), simulated.layout(policy=ALLOW), ["save"]),
    "a smaller pool": (
        Host(reserved=False).have(simulated.layout(channels={})),
        simulated.layout(channels={}, pool={"memory": [{"base": 0x40000000, "size": 2 * BLOCK, "node": None}]}),
        ["pool_remove 0x50000000+256M", "memory_online 10", "memory_online 11", "save"],
    ),
}


@pytest.mark.parametrize("case", list(GOLDEN), ids=list(GOLDEN))
def test_golden(case):
    host, layout, expected = GOLDEN[case]
    before = copy.deepcopy(host.state)
    assert words(host.plan(layout)) == expected
    assert host.state == before, "plan is pure"


def test_absent_takes_back_what_was_made():
    host = Host(reserved=False).have(two())
    assert words(plan.plan_absent(host.state, host.facts())) == [
        "stop db",
        "channel_detach beat",
        "stop web",
        "cpu_online 1",
        "cpu_online 2",
        "cpu_online 3",
        "pool_remove 0x40000000+512M",
        "memory_online 8",
        "memory_online 9",
        "memory_online 10",
        "memory_online 11",
        "save",
    ]


def test_absent_leaves_what_was_there_before():
    host = Host()
    host.state["cpus"]["online"].remove(3)
    host.have(simulated.layout())
    assert words(plan.plan_absent(host.state, host.facts())) == ["channel_detach beat", "stop web", "cpu_online 1", "save"]
    assert plan.plan_absent(Host().state, Host().facts()) == []


def test_who_writes_a_channel_starts_before_who_reads_it():
    chosen = simulated.layout(instances={"aaa": instance(), "mid": instance(), "zed": instance()})
    chosen["channels"] = {
        "one": dict(chosen["channels"]["beat"], between=["zed", "mid"]),
        "two": dict(chosen["channels"]["beat"], between=["mid", "aaa"]),
    }
    boots = [step.instance for step in Host().plan(chosen) if step.do == "boot"]
    assert boots == ["zed", "mid", "aaa"]
    writes = {
        (one.instance, channel["name"])
        for one in Host().plan(chosen)
        if one.do == "load"
        for channel in one.args["spec"]["channels"]
        if channel["writes"]
    }
    assert writes == {("zed", "one"), ("mid", "two")}


def test_channels_in_a_circle_still_have_an_order():
    chosen = simulated.layout(instances={"aaa": instance(), "zed": instance()})
    beat = chosen["channels"]["beat"]
    chosen["channels"] = {"one": dict(beat, between=["zed", "aaa"]), "two": dict(beat, between=["aaa", "zed"])}
    assert sorted(step.instance for step in Host().plan(chosen) if step.do == "boot") == ["aaa", "zed"]


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        (simulated.layout(instances={"web": instance(cmdline="x")}), "its command line changes from 'quiet' to 'quiet x'"),
        (simulated.layout(instances={"web": instance(cpus={"count": 2})}), "its CPUs change from 1 to 1,2"),
        (
            simulated.layout(instances={"web": instance(memory={"size": 32 * MIB})}),
            "its memory changes from 0x40000000 (64 MiB) to 0x40000000 (32 MiB)",
        ),
        (
            simulated.layout(images={"debian": image("/boot/new")}),
            "its kernel changes from /boot/vmlinuz (000000000000) to /boot/new (111111111111)",
        ),
        (
            simulated.layout(images={"debian": image("/boot/vmlinuz", initrd=None)}),
            "its initrd changes from /srv/initrd (000000000000) to none",
        ),
        (simulated.layout(instances={"web": instance(console={"device": "ttyS1"})}), "its console changes"),
        (simulated.layout(channels={}), "its channel beat goes"),
    ],
)
def test_each_disruption_is_put_into_words_and_refused(layout, message):
    with pytest.raises(plan.PlanRefused) as caught:
        Host().have(simulated.layout()).plan(layout)
    (finding,) = caught.value.findings
    assert finding.message == "web runs and would be restarted: " + message
    assert finding.path == ("instances", "web")
    assert words(Host().have(simulated.layout()).plan(layout, consent=["web"]))


def test_a_restart_on_demand():
    host = Host().have(simulated.layout())
    assert words(host.plan(simulated.layout(), restart=["web"])) == STOP_WEB + START_WEB + ["save"]


def test_memory_that_is_no_whole_block_is_refused_with_both_ways_out():
    pool = {"memory": [{"base": 0x40000000, "size": 130 * MIB, "node": None}]}
    with pytest.raises(plan.PlanRefused) as caught:
        Host(reserved=False).plan(simulated.layout(pool=pool))
    (finding,) = caught.value.findings
    assert finding.message == "the pool 0x40000000-0x481fffff is System RAM that the host uses (0x48000000-0x481fffff)"
    assert finding.hint == (
        "reserve it on the host's command line: memmap=130M$0x40000000, or let it begin and end at a multiple of 0x8000000 "
        "so that whole memory blocks can be taken offline"
    )


INVERSES = {
    "cpu_offline": "cpu_online",
    "cpu_online": "cpu_offline",
    "memory_offline": "memory_online",
    "memory_online": "memory_offline",
    "pool_add": "pool_remove",
    "pool_remove": "pool_add",
    "channel_attach": "channel_detach",
    "channel_detach": "channel_attach",
    "load": "unload",
    "boot": "stop",
}


def every_step():
    plans = [host.plan(layout) for host, layout, _expected in GOLDEN.values()]
    host = Host(reserved=False).have(two())
    return [step for one in plans + [plan.plan_absent(host.state, host.facts())] for step in one]


def test_every_step_has_its_inverse_beside_it():
    seen = set()
    for step in every_step():
        seen.add(step.do)
        if step.do in INVERSES:
            assert [back.do for back in step.undo] == [INVERSES[step.do]]
            assert step.undo[0].args.get("cpu") == step.args.get("cpu")
    assert set(INVERSES) <= seen


def test_what_was_running_is_started_again_by_the_inverse_of_its_stop():
    stop = next(step for step in Host().have(simulated.layout()).plan(simulated.layout(), restart=["web"]) if step.do == "stop")
    assert words(stop.undo) == ["stop web", "unload"] + START_WEB
    ended = next(step for step in Host().have(simulated.layout(), web="ended").plan(simulated.layout()) if step.do == "stop")
    assert ended.undo == ()


def test_what_is_loaded_is_loaded_again_by_the_inverse_of_a_stop():
    """To start an instance again, the kernel's list is emptied: what is only loaded would be gone with it."""
    old = simulated.layout(instances={"web": instance(), "db": instance(state="loaded")}, channels={}, policy=ALLOW)
    new = simulated.layout(instances={"db": instance(state="loaded")}, channels={}, policy=ALLOW)
    stop = next(step for step in Host().have(old).plan(new) if step.do == "stop")
    assert stop.instance == "web"
    assert words(stop.undo)[-1] == "load db"


def test_a_step_survives_the_journal():
    for step in every_step():
        assert steps.from_record(step.record()) == step
        assert step.to_dict()["say"]
