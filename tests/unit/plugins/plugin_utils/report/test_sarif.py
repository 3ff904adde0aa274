# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings in the format of code review tools."""

from __future__ import annotations

from ansible_collections.multikernel.core.plugins.plugin_utils._report.sarif import LANGUAGE, sarif

ERROR = {"path": ["instances", "web", "memory"], "message": "no size", "hint": "write 1MiB", "file": "a.yml", "line": 3, "column": 7}
FAILED = {
    "rule": "cpu.boot",
    "severity": "warning",
    "verdict": "fail",
    "message": "m",
    "path": ["host"],
    "hint": None,
    "file": None,
    "waived": None,
}


def test_error_becomes_a_result_with_its_place() -> None:
    log = sarif([ERROR], [])
    (result,) = log["runs"][0]["results"]
    assert (result["ruleId"], result["level"]) == (LANGUAGE, "error")
    assert result["message"]["text"] == "instances.web.memory: no size (write 1MiB)"
    assert result["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "a.yml"},
        "region": {"startLine": 3, "startColumn": 7},
    }


def test_only_what_failed_is_a_result_and_its_severity_is_kept() -> None:
    passed, unknown = {**FAILED, "verdict": "pass"}, {**FAILED, "verdict": "unknown"}
    (result,) = sarif([], [FAILED, passed, unknown])["runs"][0]["results"]
    assert (result["ruleId"], result["level"], "locations" in result) == ("cpu.boot", "warning", False)


def test_waived_finding_is_suppressed_with_its_reason() -> None:
    (result,) = sarif([], [{**FAILED, "severity": "info", "waived": "lab only"}])["runs"][0]["results"]
    assert result["suppressions"] == [{"kind": "inSource", "justification": "lab only"}]


def test_every_result_names_a_rule_of_the_catalogue() -> None:
    log = sarif([ERROR], [FAILED], [{"id": "cpu.other", "title": "T", "why": "W"}])
    ids = {rule["id"] for rule in log["runs"][0]["tool"]["driver"]["rules"]}
    assert ids == {LANGUAGE, "cpu.boot", "cpu.other"}
