# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action host_kexec: it waits for another boot in which mkstock has judged the record, and says what it heard last."""

from __future__ import annotations

import types
import typing as t

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible_collections.multikernel.core.plugins.action import host_kexec

Plain = dict[str, t.Any]
LEFT: Plain = {"changed": True, "boot_id": "one", "online": [0], "instances": {"web": {"beats": 5}}, "cmdline": "maxcpus=1"}
ARRIVED: Plain = {"changed": True, "instances": {"web": {"gap": False}}, "online": []}


class Host:
    """What a host answers, in order; None: it does not. Time passes only when somebody sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answers: list[str | None], left: Plain | None = None) -> None:
        self.answers, self.left, self.stages, self.now = answers, left or LEFT, [], 0.0
        monkeypatch.setattr(ActionBase, "run", lambda *_arguments, **_named: {})
        monkeypatch.setattr(host_kexec, "time", types.SimpleNamespace(monotonic=lambda: self.now, sleep=self.sleep))

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def run(self, check: bool = False, **arguments: t.Any) -> Plain:
        task = types.SimpleNamespace(args={"kernel": "/boot/vmlinuz", **arguments}, check_mode=check, diff=False, async_val=0)
        connection = types.SimpleNamespace(reset=lambda: None)
        plugin = host_kexec.ActionModule(task, t.cast(t.Any, connection), None, None, None, None)
        plugin._execute_module = self.module
        plugin._low_level_execute_command = self.answer
        return t.cast(Plain, plugin.run(None, {}))

    def module(self, module_args: Plain, **_more: t.Any) -> Plain:
        self.stages.append(module_args)
        return dict(self.left if module_args["stage"] == "leave" else ARRIVED)

    def answer(self, _command: str) -> Plain:
        said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if said is None:
            raise AnsibleConnectionFailure("no route")
        return {"stdout": said}


def test_it_waits_for_a_new_boot_with_the_record_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(monkeypatch, ["one\nstate none\n", None, None, "two\n", "two\nstate pending\n", "two\nstate adopted\n"])
    told = host.run()
    assert [one["stage"] for one in host.stages] == ["leave", "arrive"]
    assert host.stages[1]["before"] == {"boot_id": "one", "online": [0], "instances": {"web": {"beats": 5}}}
    assert (told["instances"], told["cmdline"], told["away"]) == ({"web": {"gap": False}}, "maxcpus=1", 10.0)


def test_check_mode_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(monkeypatch, [None])
    assert host.run(check=True) == LEFT
    assert len(host.stages) == 1


def test_a_refusal_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(monkeypatch, [None], left={"failed": True, "msg": "the host stays in its kernel"})
    assert host.run() == {"failed": True, "msg": "the host stays in its kernel"}
    assert len(host.stages) == 1


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("one\nstate none\n", "its kexec did not happen"),
        ("two\n", "last heard: a new boot without mkstock"),
        (None, "within 300 s; last heard: nothing"),
    ],
)
def test_what_it_heard_last_is_said(monkeypatch: pytest.MonkeyPatch, answer: str | None, sentence: str) -> None:
    host = Host(monkeypatch, [answer])
    told = host.run(timeout=300)
    assert told["failed"] is True
    assert sentence in told["msg"]
    assert len(host.stages) == 1
