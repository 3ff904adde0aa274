# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module of the same name, and draws the machine as it is afterwards."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible_collections.multikernel.core.plugins.plugin_utils._remote import run_module
from ansible_collections.multikernel.core.plugins.plugin_utils._report.result import add_pictures


class ActionModule(ActionBase):
    """One remote module run; the earlier layout lies on the host, so there is nothing to read on the controller."""

    _supports_check_mode = True
    _supports_diff = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Execute the module once and add the pictures."""
        super().run(tmp, task_vars)
        result = run_module(self, "rollback", dict(self._task.args), task_vars)
        return add_pictures(result)
