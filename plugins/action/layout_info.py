# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the optional layout on the controller, hands its canonical form to the module of the same name, and keeps the facts."""

from __future__ import annotations

import os
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.multikernel.core.plugins.module_utils._host import bundle
from ansible_collections.multikernel.core.plugins.plugin_utils._arguments import canonical_argument
from ansible_collections.multikernel.core.plugins.plugin_utils._remote import run_module
from ansible_collections.multikernel.core.plugins.plugin_utils._report.result import add_pictures


class ActionModule(ActionBase):
    """One remote module run; nothing is changed on the host."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Convert the layout when there is one, execute the module once, locate its findings, add the pictures."""
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        subject, canonical = canonical_argument(self, arguments, required=False)
        if canonical is not None:
            arguments["layout"] = canonical
        wanted = arguments.pop("bundle", None)
        result = run_module(self, "layout_info", arguments, task_vars, subject)
        if wanted is not None and isinstance(result.get("facts"), dict):
            self._keep(result, str(wanted), str((task_vars or {}).get("inventory_hostname", "host")))
        return add_pictures(result, keep_facts=True)

    def _keep(self, result: dict[str, t.Any], wanted: str, host: str) -> None:
        """Write the facts to a file on the controller, when it does not say the same already."""
        path = self._loader.path_dwim(wanted)
        if wanted.endswith("/") or os.path.isdir(path):
            path = os.path.join(path, f"{host.replace('/', '_')}.json")
        text = bundle.text(result["facts"])
        result["bundle"] = path
        try:
            with open(path, encoding="utf-8") as file:
                if file.read() == text:
                    return
        except (OSError, ValueError):
            pass  # it is not there yet, or it is no bundle: it is written anew
        result["changed"] = True
        if self._task.check_mode:
            return
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(f"{path}.part", "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(f"{path}.part", path)
        except OSError as error:
            raise AnsibleActionFail(f"the bundle {path} cannot be written: {error.strerror}", obj=wanted) from error
