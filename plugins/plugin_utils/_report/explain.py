# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One rule explained: what it wants, what breaks without, who else checks it, how to mend it, and an example of both."""

from __future__ import annotations

import json
import pathlib
import textwrap
import typing as t

Plain = dict[str, t.Any]

WIDTH = 100
_EXAMPLES = pathlib.Path(__file__).with_name("examples.json")


def explain(rule: Plain) -> str:
    """The text for people about one rule of the registry; the examples are made of the cases that the rule is tested with."""
    example = json.loads(_EXAMPLES.read_text(encoding="utf-8")).get(rule["id"]) or {}
    parts = [
        f"{rule['id']} ({rule['severity']})",
        rule["title"],
        "",
        _told("What breaks", rule["why"]),
        _told("Who else checks it", "nobody that we know of" if rule["anchor"] == "none" else rule["anchor"]),
    ]
    if example.get("fix"):
        parts.append(_told("How to mend it", example["fix"]))
    waiver = f"yes: waivers: {{{rule['id']}: the reason}}" if rule["waivable"] else "no"
    parts.append(_told("Can be waived", waiver))
    if rule["needs"]:
        parts.append(_told("Needs the facts", ", ".join(rule["needs"])))
    if rule["source"]:
        parts.append(_told("Source", rule["source"]))
    if example.get("fails"):
        parts += ["", "Fails:", *_lines(example["fails"], 1), _told("  says", example["says"])]
        parts += ["", "Passes, with the rest as it is:", *_lines(example["passes"], 1)]
    elif example:
        parts += ["", _told("When it fails it says", example["says"])]
    return "\n".join(parts)


def _told(what: str, text: str) -> str:
    return textwrap.fill(f"{what}: {text}", WIDTH, subsequent_indent="  " if not what.startswith(" ") else "    ")


def _lines(tree: Plain, depth: int) -> list[str]:
    """The tree as YAML in block style, its leaves as JSON, which YAML reads; long texts are cut."""
    lines = []
    for key, value in tree.items():
        start = "  " * depth + f"{key}:"
        if isinstance(value, dict) and value and any(isinstance(one, (dict, list)) for one in value.values()):
            lines += [start, *_lines(value, depth + 1)]
        else:
            text = json.dumps(value, ensure_ascii=False)
            lines.append(f"{start} {text if len(text) <= WIDTH else text[: WIDTH - 3] + '...'}")
    return lines
