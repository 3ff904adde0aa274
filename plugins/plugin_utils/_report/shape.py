# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The form of the isolation report for other programs: JSON Schema 2020-12."""

from __future__ import annotations

import json
import typing as t

from ...module_utils._isolation import vector

_TEXT = {"type": "string", "minLength": 1}
_MAYBE_TEXT = {"type": ["string", "null"]}
_EVIDENCE = {
    "type": "array",
    "items": {"type": "string", "pattern": "^(fact|layout|rule|nature):"},
    "minItems": 1,
    "description": "What the answer stands on: a fact of the bundle, a place in the layout, a rule, or the nature of such machines.",
}
_GRADE = {"enum": ["A", "B", "C", "D", "F"]}
_KNOWN = {"type": ["boolean", "null"], "description": "null: not known."}


def _record(keys: dict[str, t.Any], description: str) -> dict[str, t.Any]:
    return {"type": "object", "description": description, "properties": keys, "required": list(keys), "additionalProperties": False}


def _list(item: dict[str, t.Any]) -> dict[str, t.Any]:
    return {"type": "array", "items": item}


_VERDICT = {"enum": list(vector.VERDICTS), "description": " ".join(f"{one}: {vector.MEANING[one]}." for one in vector.VERDICTS)}
_WAY = _record({"verdict": _VERDICT, "why": _TEXT, "evidence": _EVIDENCE}, "What stands in one way between two kernels.")

SCHEMA: dict[str, t.Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "urn:multikernel.core:isolation:1",
    "title": "Isolation report of a multikernel layout",
    **_record(
        {
            "format": {"const": "multikernel-isolation"},
            "version": {"const": 1},
            "layout": _record({"name": {"type": "string"}, "digest": {"type": "string", "pattern": "^[0-9a-f]{64}$"}}, "What was judged."),
            "machine": {
                "anyOf": [
                    {"type": "null"},
                    _record(
                        {"hostname": _MAYBE_TEXT, "boot_id": _MAYBE_TEXT}, "For which machine; null: for none, so that much is not known."
                    ),
                ]
            },
            "grade": _record(
                {
                    "proven": _GRADE,
                    "possible": _GRADE,
                    "minimum": {"anyOf": [_GRADE, {"type": "null"}], "description": "What the layout asks for."},
                    "reached": _KNOWN,
                    "conditions": _list(
                        _record({"grade": _GRADE, "met": _KNOWN, "sentence": _TEXT, "evidence": _EVIDENCE}, "What a grade asks for.")
                    ),
                },
                "proven: all its conditions are met; possible: no known fact rules it out.",
            ),
            "vectors": _list(
                _record(
                    {
                        "id": {"enum": [one.id for one in vector.VECTORS]},
                        "title": _TEXT,
                        "what": _TEXT,
                        "hypervisor": _record(
                            {"verdict": {"enum": [*vector.VERDICTS, "partly"]}, "how": _TEXT},
                            "What a partitioning hypervisor such as Jailhouse would do.",
                        ),
                    },
                    "One way on which a kernel can reach another.",
                )
            ),
            "kernels": _list(
                _record(
                    {
                        "name": _TEXT,
                        "kind": {"enum": ["host", "linux", "flat", None], "description": "null: nobody looked into its image."},
                        "cpus": {"anyOf": [_list({"type": "integer"}), {"type": "null"}]},
                        "trust": _MAYBE_TEXT,
                    },
                    "One kernel of the machine.",
                )
            ),
            "pairs": _list(
                _record(
                    {"from": _TEXT, "to": _TEXT, "ways": _record({one.id: _WAY for one in vector.VECTORS}, "By vector id.")},
                    "What stops the kernel `from` from reaching the kernel `to`.",
                )
            ),
            "shared_fate": _list(
                _record(
                    {"kind": _TEXT, "name": _TEXT, "kernels": {**_list(_TEXT), "minItems": 2}, "sentence": _TEXT, "evidence": _EVIDENCE},
                    "What strikes several kernels at once.",
                )
            ),
        },
        "One verdict for each ordered pair of kernels and each way; version 1.",
    ),
}


#: What `mkl report OLD --diff NEW --format json` writes; see difference.py.
DIFFERENCE: dict[str, t.Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "urn:multikernel.core:isolation-difference:1",
    "title": "Difference between the isolation reports of two multikernel layouts",
    **_record(
        {
            "format": {"const": "multikernel-isolation-difference"},
            "version": {"const": 1},
            "worse": {
                "type": "boolean",
                "description": "Whether the grade fell, a way opened, or a new pair has a way worse than any two had before.",
            },
            "grade": _record({"before": _GRADE, "after": _GRADE}, "The proven grades."),
            "changes": _list(
                {
                    **_record(
                        {
                            "kind": {
                                "enum": ["opened", "closed", "new", "gone"],
                                "description": "new, gone: only one report has the pair.",
                            },
                            "from": _TEXT,
                            "to": _TEXT,
                            "vector": {"enum": [one.id for one in vector.VECTORS]},
                            "before": {"enum": [*vector.VERDICTS, None], "description": "null: there was no such pair."},
                            "after": {"enum": [*vector.VERDICTS, None], "description": "null: there is no such pair any more."},
                            "why": _TEXT,
                        },
                        "What changed for one ordered pair of kernels on one way.",
                    ),
                    "allOf": [
                        {
                            "if": {"properties": {"kind": {"const": kind}}},
                            "then": {"properties": {"before": {"type": before}, "after": {"type": after}}},
                        }
                        for kind, before, after in (
                            ("opened", "string", "string"),
                            ("closed", "string", "string"),
                            ("new", "null", "string"),
                            ("gone", "string", "null"),
                        )
                    ],
                }
            ),
        },
        "What opened and what closed; version 1.",
    ),
}


def schema_text(schema: dict[str, t.Any] | None = None) -> str:
    """The schema of the report, or another one, as a file."""
    return json.dumps(SCHEMA if schema is None else schema, indent=2, ensure_ascii=False) + "\n"
