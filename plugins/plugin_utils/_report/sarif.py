# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors and findings in SARIF 2.1.0, the format in which code review tools take the results of checkers."""

from __future__ import annotations

import typing as t

Plain = dict[str, t.Any]

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
#: The id under which structural errors (unknown keys, wrong units, names that lead nowhere) are reported.
LANGUAGE = "layout-language"

_LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def sarif(errors: list[Plain], findings: list[Plain], rules: list[Plain] | None = None) -> Plain:
    """A SARIF log with one run.

    errors: LayoutError.to_dict() each; findings: located findings as plain data, of which those that failed are reported;
    rules: {"id", "title", "why"} of the rules that are known, for the texts of the tool's catalogue.
    """
    catalogue = {LANGUAGE: {"id": LANGUAGE, "shortDescription": {"text": "The layout follows the layout language."}}}
    for rule in rules or []:
        catalogue[rule["id"]] = {
            "id": rule["id"],
            "shortDescription": {"text": rule["title"]},
            "fullDescription": {"text": rule.get("why") or rule["title"]},
        }
    results = [_result(LANGUAGE, "error", error) for error in errors]
    for finding in findings:
        if finding["verdict"] == "fail":
            catalogue.setdefault(finding["rule"], {"id": finding["rule"]})
            result = _result(finding["rule"], _LEVELS.get(finding["severity"], "warning"), finding)
            if finding.get("waived"):
                result["suppressions"] = [{"kind": "inSource", "justification": str(finding["waived"])}]
            results.append(result)
    driver = {
        "name": "mkl",
        "rules": list(catalogue.values()),
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _result(rule: str, level: str, told: Plain) -> Plain:
    text = told["message"] + (f" ({told['hint']})" if told.get("hint") else "")
    path = ".".join(str(part) for part in told.get("path") or ())
    result: Plain = {"ruleId": rule, "level": level, "message": {"text": f"{path}: {text}" if path else text}}
    if told.get("file"):
        place: Plain = {"artifactLocation": {"uri": told["file"]}}
        place["region"] = {"startLine": told["line"], "startColumn": told["column"]}
        result["locations"] = [{"physicalLocation": place}]
    return result
