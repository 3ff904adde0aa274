# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One step of the playbook rollout, on the controller. Needs no connection: what was seen of the hosts lies in their variables."""

from __future__ import annotations

import os
import socket
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.multikernel.core.plugins.plugin_utils._rollout import gate, ledger, waves
from ansible_collections.multikernel.core.plugins.plugin_utils._rollout import run as steps

Plain = dict[str, t.Any]
#: What the steps want to know of a result; the rest of it stays where it is.
_KEYS = ("ok", "failed", "unreachable", "timedout", "msg", "stuck", "wanted", "look", "check")
STEPS = ("begin", "plan", "leased", "wave", "applied", "gate", "returned", "end")


class ActionModule(ActionBase):
    """Never touches a host."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: Plain | None = None) -> Plain:
        """Take the step. A rollout that must not go on fails the task, with what is known in the result."""
        super().run(tmp, task_vars)
        _spec, wish = self.validate_argument_spec(
            argument_spec={
                "step": {"type": "str", "choices": list(STEPS), "required": True},
                "hosts": {"type": "list", "elements": "str", "default": []},
                "seen": {"type": "str", "default": ""},
                "results": {"type": "str", "default": ""},
                "canary": {"type": "str", "default": ""},
                "digest": {"type": "str", "default": ""},
                "wave": {"type": "int", "default": 0},
                "waves": {"type": "list", "elements": "raw", "default": list(waves.DEFAULT)},
                "budget": {"type": "raw", "default": 0},
                "returns": {"type": "str", "choices": list(gate.RETURNS), "default": "wave"},
                "folder": {"type": "str", "default": ""},
                "report": {"type": "str", "default": ""},
                "dry_run": {"type": "bool", "default": False},
            },
        )
        settings = self._settings(wish)
        told = task_vars or {}
        try:
            return {"changed": False, **self._step(settings, wish, told)}
        except steps.RolloutError as error:
            raise AnsibleActionFail(str(error), result={"changed": False, **error.result}) from None

    def _settings(self, wish: Plain) -> steps.Settings:
        dry = bool(wish["dry_run"]) or bool(self._task.check_mode)
        user = ledger.user()
        return steps.Settings(
            waves=tuple(wish["waves"]),
            budget=wish["budget"],
            returns=wish["returns"],
            dry_run=dry,
            folder=wish["folder"] or ledger.default_folder(),
            # check mode writes nothing at all, a dry run its report
            report="" if self._task.check_mode or not wish["report"] else self._loader.path_dwim(wish["report"]),
            # tasks run in children of ansible-playbook, to which the lock belongs
            process=os.getppid(),
            who=f"{user}@{socket.gethostname()}",
        )

    def _step(self, settings: steps.Settings, wish: Plain, variables: Plain) -> Plain:
        step, digest, number = wish["step"], wish["digest"], wish["wave"]
        seen = self._of_hosts(wish["hosts"], wish["seen"], variables)
        results = self._of_hosts(wish["hosts"], wish["results"], variables)
        if step == "begin":
            return steps.check(settings, wish["hosts"])
        if step == "plan":
            canaries = {name for name in wish["hosts"] if _true(_variable(variables, name, wish["canary"]))} if wish["canary"] else set()
            return steps.plan(settings, seen, canaries)
        elif step == "leased":
            steps.leased(settings, results)
        elif step == "wave":
            return steps.open_wave(settings, digest, number)
        elif step == "applied":
            return steps.applied(settings, digest, number, results)
        elif step == "gate":
            return steps.decide(settings, digest, number, seen)
        elif step == "returned":
            return steps.returned(settings, digest, results, seen)
        else:
            return steps.end(settings, digest)
        return {}

    @staticmethod
    def _of_hosts(hosts: list[str], name: str, variables: Plain) -> dict[str, Plain]:
        """What a variable of each host holds, in plain data, as far as the steps want to know."""
        found = {}
        for host in hosts if name else []:
            value = _variable(variables, host, name)
            found[host] = {key: value[key] for key in _KEYS if key in value} if isinstance(value, dict) else {}
        return found


def _variable(variables: Plain, host: str, name: str) -> t.Any:
    """A variable of another host; None where it has none."""
    return variables["hostvars"][host].get(name)


def _true(value: t.Any) -> bool:
    return str(value).strip().lower() in ("true", "yes", "1", "on")
