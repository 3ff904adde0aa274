# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and judges a layout on the controller. Needs no connection: it works against hosts that are not there."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.multikernel.core.plugins.plugin_utils import _fleet
from ansible_collections.multikernel.core.plugins.plugin_utils._arguments import file_argument, origin_of, read_subjects, refused
from ansible_collections.multikernel.core.plugins.plugin_utils._check import Verdict, examine, failures
from ansible_collections.multikernel.core.plugins.plugin_utils._facts import read_facts
from ansible_collections.multikernel.core.plugins.plugin_utils._model.errors import LayoutErrors
from ansible_collections.multikernel.core.plugins.plugin_utils._pydantic import MissingLibraryError
from ansible_collections.multikernel.core.plugins.plugin_utils._subject import finding_line, located


class ActionModule(ActionBase):
    """Never touches the host."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Return canonical, digest, findings and errors; fail with located sentences when something is wrong."""
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(
            argument_spec={
                "layout": {"type": "raw"},
                "file": {"type": "path"},
                "facts": {"type": "list", "elements": "path", "default": []},
                "fail": {"type": "bool", "default": True},
            },
            required_one_of=[["layout", "file"]],
        )
        bundles, unreadable = self._bundles(arguments["facts"], arguments["fail"])
        subjects = read_subjects(self, self._task.args)
        try:
            verdicts = [examine(subject) for subject in subjects]
        except MissingLibraryError as error:
            raise AnsibleActionFail(str(error)) from None
        for subject, verdict in zip(subjects, verdicts, strict=True):
            if verdict.errors and arguments["fail"]:
                raise refused(subject, verdict.errors)
        errors = [error.to_dict() for verdict in verdicts for error in verdict.errors]
        if not errors and len({verdict.digest for verdict in verdicts}) > 1:
            raise AnsibleActionFail(
                "layout and file are both given, but they say different things; give one of them, or make them the same"
            )
        findings = self._findings(subjects[0], verdicts[0], bundles)
        broken = failures(findings)
        result = {
            "changed": False,
            "valid": not errors and not broken,
            "canonical": verdicts[0].canonical,
            "digest": verdicts[0].digest,
            "errors": errors,
            "findings": findings,
        }
        if arguments["facts"]:
            result["machines"] = self._machines(subjects[0], verdicts[0], bundles, unreadable)
            result["valid"] = result["valid"] and not unreadable
        if broken and arguments["fail"]:
            lead = "The layout breaks a rule:" if len(broken) == 1 else f"The layout breaks {len(broken)} rules:"
            message = "\n".join([lead, *map(finding_line, broken)])
            raise AnsibleActionFail(message, obj=origin_of(subjects[0], broken[0]["path"]), result=result)
        return result

    def _bundles(self, paths: list[str], fail: bool) -> tuple[list[tuple[str, dict[str, t.Any]]], list[tuple[str, str]]]:
        """The bundles by path, and what is to be said of those that cannot be used. Raises AnsibleActionFail for these when they matter."""
        bundles, unreadable = [], []
        for path in paths:
            try:
                bundles += [(one, read_facts(one)) for one in _fleet.bundles([file_argument(self, path)])]
            except AnsibleActionFail:
                if fail:
                    raise
                unreadable.append((path, f"there is no bundle {path}; the playbook multikernel.core.collect writes it"))
            except LayoutErrors as refusal:
                if fail:
                    raise AnsibleActionFail(str(refusal)) from None
                unreadable.append((path, str(refusal)))
        return bundles, unreadable

    @staticmethod
    def _machines(
        subject: t.Any, verdict: Verdict, bundles: list[tuple[str, dict[str, t.Any]]], unreadable: list[tuple[str, str]]
    ) -> list[dict[str, t.Any]]:
        """What each machine says to the layout; nothing when the layout itself has errors."""
        if verdict.canonical is None:
            return []
        machines = [_fleet.verdict(verdict.canonical, facts, path) for path, facts in bundles]
        machines += [_fleet.Machine(path, path, _fleet.UNREADABLE, sentence=sentence) for path, sentence in unreadable]
        return [
            {
                "name": machine.name,
                "facts": machine.facts,
                "verdict": machine.verdict,
                "reasons": [located(one, subject.locator) for one in machine.reasons],
                "warnings": machine.warnings,
                "message": machine.sentence,
            }
            for machine in machines
        ]

    @staticmethod
    def _findings(subject: t.Any, verdict: Verdict, bundles: list[tuple[str, dict[str, t.Any]]]) -> list[dict[str, t.Any]]:
        """The findings, for each machine when there are several; `facts` then names the bundle."""
        if not bundles or verdict.errors:
            return verdict.findings
        return [{**finding, "facts": path} for path, facts in bundles for finding in examine(subject, facts).findings]
