# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An instance counts as started when it beats and every gate of its health is passed; else the apply takes it back."""

from __future__ import annotations

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._converge import history, run
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import Machine, Probe, instance

TCP = {"host": "192.0.2.7", "port": 80}
ASK = ["/bin/ask", "-q"]


@pytest.fixture
def machine(tmp_path):
    Probe.open = 0
    return Machine(tmp_path)


def layout(**gates):
    return simulated.layout(
        instances={"web": instance(console={"device": "mktty0"}, health=dict({"channel": None, "within": 10.0}, **gates))}
    )


def waited(result):
    return next(step["result"] for step in result["steps"] if step["do"] == "wait_health")


def test_every_gate_is_asked_and_told(machine):
    machine.consoles[3] = machine.consoles[1] = "boot\r\nweb: ready\r\n"
    result = run.apply(layout(tcp=TCP, command=ASK, console="^web: ready$"), system=machine)
    assert waited(result)["gates"] == ["command", "console", "tcp"]
    assert sorted(machine.questions) == [("command", ASK, "web"), ("tcp", TCP, "web")]
    assert Probe.open == 0
    assert not run.apply(layout(tcp=TCP, command=ASK, console="^web: ready$"), system=machine)["changed"]


def test_one_that_is_not_well_at_first_is_asked_again(machine):
    machine.answers["tcp", "web"] = [(0.0, False), (60.0, True), (1.0, True)]
    assert 6.0 < waited(run.apply(layout(tcp=TCP), system=machine))["seconds"] < 8.0
    assert len(machine.questions) == 3
    assert Probe.open == 0


@pytest.mark.parametrize(
    ("gates", "answers", "sentence"),
    [
        ({"tcp": TCP}, (0.0, False), "web runs, and is not well within 10 s: tcp: not well"),
        ({"command": ASK}, (999.0, True), "web runs, and is not well within 10 s: command: not well"),
        ({"console": "^never$"}, None, "web runs, and is not well within 10 s: no line of its console matches '\\^never\\$'"),
        ({"console": "^never$", "tcp": TCP}, (0.0, True), "within 10 s: no line of its console matches '\\^never\\$'; undone"),
    ],
)
def test_a_gate_that_stays_closed_takes_the_instance_back(machine, gates, answers, sentence):
    machine.consoles[1] = "web: \x1b[1mstarts\n\n"
    if answers:
        machine.answers[next(iter(set(gates) - {"console"})), "web"] = [answers]
    with pytest.raises(run.ApplyError, match=sentence) as caught:
        run.apply(layout(**gates), system=machine)
    assert machine.running() == {}
    assert Probe.open == 0
    assert caught.value.details["console"][0] == "web:  [1mstarts"
    assert history.read(machine.root) == {}


def test_a_gate_does_not_outweigh_a_missing_heartbeat(machine):
    machine.mute.add("web")
    with pytest.raises(run.ApplyError, match="web did not report within 10 s"):
        run.apply(layout(tcp=TCP), system=machine)


def test_the_time_to_the_first_heartbeat_is_not_that_to_the_last_gate(machine):
    machine.answers["tcp", "web"] = [(3.0, True)]
    assert waited(run.apply(layout(tcp=TCP), system=machine))["first_beat"] < 1.0


def test_a_console_line_needs_a_console_that_the_host_reads(machine):
    wish = layout(console="ready")
    wish["instances"]["web"]["console"] = {"device": "ttyS1"}
    with pytest.raises(run.ApplyError, match="web has the console ttyS1, which the host cannot read"):
        run.apply(wish, system=machine)


@pytest.mark.parametrize(
    ("gates", "sentence"),
    [
        ({"console": "("}, "instances.web.health.console is no regular expression: missing \\)"),
        ({"console": ""}, "it has 0 characters"),
        ({"console": 3}, "instances.web.health.console is the number 3; it must be a text"),
        ({"tcp": {"host": "x"}}, "instances.web.health.tcp lacks the key 'port'"),
        ({"tcp": None}, "instances.web.health.tcp is null; it must be a mapping"),
        ({"command": []}, "instances.web.health.command is no command"),
        ({"command": ["ask"]}, "its first word must be an absolute path"),
        ({"command": ["/ask", "a\0b"]}, "instances.web.health.command is no command"),
        ({"cammand": ["/ask"]}, "has the unknown key 'cammand'"),
    ],
)
def test_the_target_looks_at_gates_itself(machine, gates, sentence):
    with pytest.raises(run.ApplyError, match=sentence):
        run.apply(layout(**gates), system=machine)
    assert machine.questions == []
