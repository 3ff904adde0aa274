# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host does for channels that have no end of messages in it: memory that it shares, and messages between two instances."""

from __future__ import annotations

from ansible_collections.multikernel.core.plugins.module_utils._converge import run
from ansible_collections.multikernel.core.plugins.module_utils._plan import plan, spec
from ansible_collections.multikernel.core.plugins.module_utils._plan.place import place
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.plan.test_plan import Host, words
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import Machine, instance

IPI = {"kind": "ipi", "slots": 64, "message_size": 256, "size": None, "writer": None}
MEMORY = {"kind": "shared_memory", "slots": None, "message_size": None, "size": 0x2000, "writer": None}
CHANNELS = {
    "pair": dict(IPI, between=["web", "db"]),
    "feed": dict(MEMORY, between=["host", "web"], writer="web"),
    "both": dict(MEMORY, between=["web", "db"]),
}


def layout(**changes):
    instances = {"web": instance(), "db": instance()}
    return simulated.layout(**dict({"instances": instances, "channels": CHANNELS}, **changes))


def attached(steps):
    return {step.args["name"]: step.args for step in steps if step.do == "channel_attach"}


def test_the_host_attaches_to_its_memory_and_looks_after_messages_between_others_once():
    steps = Host().plan(layout())
    assert [one for one in words(steps) if one.startswith("channel")] == ["channel_attach feed", "channel_attach pair"]
    told = attached(steps)
    assert (told["feed"]["end"], told["feed"]["size"], told["feed"]["writer"]) == (0, 0x2000, "1")
    assert told["pair"]["end"] == "-"
    assert "size" not in told["pair"]
    says = {step.args["name"]: step.say for step in steps if step.do == "channel_attach"}
    assert says == {"feed": "attach the host to channel feed", "pair": "have the host look after channel pair"}


def test_the_maker_of_a_channel_is_stopped_before_the_host_leaves_it_alone():
    gone = [one for one in words(plan.plan_absent(*_there())) if one.split()[0] in ("channel_detach", "stop")]
    assert gone == ["stop db", "channel_detach feed", "stop web", "channel_detach pair"]


def _there():
    host = Host().have(layout())
    return host.state, host.facts()


def test_who_finds_a_channel_stops_without_an_end_of_the_care():
    host = Host().have(layout())
    ended = {name: dict(one) for name, one in host.state["instances"].items()}
    ended["db"]["state"] = "ended"
    host.state["instances"] = ended
    steps = words(host.plan(layout()))
    assert "stop db" in steps
    assert not [one for one in steps if "channel_" in one]


def test_a_care_that_was_lost_comes_back():
    host = Host().have(layout())
    del host.state["channels"]["pair"]
    assert words(host.plan(layout())) == ["channel_attach pair", "save"]


def test_who_may_write_is_told_to_both_ends():
    host = Host()
    placed = place(layout(), host.facts(), host.state)
    of_web = {one["name"]: one for one in spec.of("web", placed, host.facts())["channels"]}
    of_db = {one["name"]: one for one in spec.of("db", placed, host.facts())["channels"]}
    assert [spec.writer_of(of_web["feed"]), spec.writer_of(of_web["both"]), spec.writer_of(of_db["both"])] == ["1", "both", "both"]


def test_an_apply_makes_them_and_its_end_takes_them_away(tmp_path):
    machine = Machine(tmp_path)
    wanted = layout()
    run.apply(wanted, system=machine)
    assert machine.channels["pair"]["end"] == "-"
    assert {key: machine.channels["feed"][key] for key in ("end", "shared", "writer")} == {"end": 0, "shared": 0x2000, "writer": "1"}
    assert run.apply(wanted, system=machine)["changed"] is False
    run.apply(None, state="absent", system=machine)
    assert machine.channels == {}
