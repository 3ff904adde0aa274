# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the layout on the controller, hands its canonical form to the module of the same name, and shows what came back."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.multikernel.core.plugins.plugin_utils._arguments import canonical_argument, origin_of
from ansible_collections.multikernel.core.plugins.plugin_utils._remote import run_module
from ansible_collections.multikernel.core.plugins.plugin_utils._report.result import add_pictures
from ansible_collections.multikernel.core.plugins.plugin_utils._subject import finding_line


class ActionModule(ActionBase):
    """One remote module run for each host and apply."""

    _supports_check_mode = True
    _supports_diff = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Validate, convert, execute the module once, locate its findings, add the pictures."""
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        wanted = arguments.get("state", "present")
        subject, canonical = canonical_argument(self, arguments, required=wanted != "absent")
        if canonical is not None:
            arguments["layout"] = canonical
        result = run_module(self, "layout", arguments, task_vars, subject)
        if subject is not None and result.get("findings"):
            # A refusal tells its findings in one long line; here every one gets a line of its own, with its place.
            blocking = [one for one in result["findings"] if one["severity"] == "error" and one["verdict"] != "pass"]
            if result.get("failed") and blocking and not result.get("steps"):
                message = "\n".join([str(result["msg"]).partition(":")[0] + ":", *map(finding_line, blocking)])
                raise AnsibleActionFail(message, obj=origin_of(subject, blocking[0]["path"]), result=add_pictures(result))
        return add_pictures(result)
