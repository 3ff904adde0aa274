# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the new layout on the controller, hands its canonical form to the module of the same name."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.multikernel.core.plugins.plugin_utils._arguments import canonical_argument
from ansible_collections.multikernel.core.plugins.plugin_utils._remote import run_module


class ActionModule(ActionBase):
    """One remote module run for each stage."""

    _supports_check_mode = True
    _supports_diff = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Validate, convert, execute the module once, locate its findings."""
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        begins = arguments.get("stage") == "begin"
        if begins and not arguments.get("name"):
            raise AnsibleActionFail("stage: begin needs name: (the instance that is to be updated)", obj=self._task.args.get("stage"))
        subject, canonical = canonical_argument(self, arguments, required=begins)
        if canonical is not None:
            arguments["layout"] = canonical
        return run_module(self, "update", arguments, task_vars, subject)
