# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at a host through the module layout_info, and keeps of it what a rollout has to know."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible_collections.multikernel.core.plugins.module_utils._layout.canonical import digest
from ansible_collections.multikernel.core.plugins.plugin_utils._arguments import canonical_argument
from ansible_collections.multikernel.core.plugins.plugin_utils._remote import run_module
from ansible_collections.multikernel.core.plugins.plugin_utils._rollout import host


class ActionModule(ActionBase):
    """One remote module run; nothing is changed on the host."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Convert the layout, look, return the short form; `wanted` also when the host does not answer."""
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        _subject, canonical = canonical_argument(self, arguments, required=True)
        wanted = digest(canonical or {})
        try:
            result = run_module(self, "layout_info", {"layout": canonical}, task_vars)
        except AnsibleConnectionFailure as error:
            return {"unreachable": True, "msg": str(error), "wanted": wanted}
        if result.get("failed") or result.get("unreachable") or not isinstance(result.get("facts"), dict):
            return {**result, "wanted": wanted}
        return {"changed": False, "wanted": wanted, "look": host.look(result, wanted)}
