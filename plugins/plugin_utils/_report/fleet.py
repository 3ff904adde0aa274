# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One layout against many machines at a glance: a card for each, and the reasons of each group once, as one HTML page."""

from __future__ import annotations

import html
import typing as t

from .. import _fleet
from .._model.errors import Locator
from .._subject import finding_line, located
from . import style
from .page import document, table

#: Sign, word for people, and class of the style sheet of each verdict. The word always stands beside the sign.
_SIGN = {
    _fleet.OK: ("✓", "fits", "good"),
    _fleet.UNKNOWN: ("?", "not known", "odd"),
    _fleet.REFUSED: ("✗", "would break", "bad"),
    _fleet.UNREADABLE: ("!", "unreadable", "bad"),
}
_ORDER = (_fleet.REFUSED, _fleet.UNREADABLE, _fleet.UNKNOWN, _fleet.OK)


def page(name: str, machines: t.Sequence[_fleet.Machine], locator: Locator | None = None) -> str:
    """The overview of what judge() found, as a self-contained page: a card for each machine, those that would break first."""
    groups = _fleet.groups(machines)
    number = {machine.facts: group.number for group in groups for machine in group.machines}
    ordered = sorted(machines, key=lambda one: (_ORDER.index(one.verdict), number[one.facts] or 0, one.name, one.facts))
    cards = "".join(_card(one, number[one.facts]) for one in ordered)
    rows = [
        [html.escape(one.name), _verdict(one), _link(number[one.facts]) or "–", str(one.warnings), html.escape(one.facts)]
        for one in machines
    ]
    whole = table(
        "Every machine, in the order given", ["Machine", "Verdict", "Reason", "Warnings", "Facts"], rows, ("", "", "", "n", "mono")
    )
    sections = [
        ("machines", "Machines", [f'<ul class="fleet">{cards}</ul>']),
        ("reasons", "Reasons", [_group(one, locator) for one in groups if one.number is not None] or ["<p>Every machine fits.</p>"]),
        ("table", "All of it as a table", [f"<details><summary>{len(machines)} machines</summary>{whole}</details>"]),
    ]
    counts = _fleet.counts(machines)
    words = {one: "fit" if one == _fleet.OK and counts[one] != 1 else _SIGN[one][1] for one in _ORDER}
    said = ", ".join(f"{counts[one]} {words[one]}" for one in _ORDER if counts[one])
    return document(f"{name} on {len(machines)} machines", f"{said or 'No machines'}.", sections, style.sheet(1))


def _card(one: _fleet.Machine, group: int | None) -> str:
    warnings = f'<p class="soft">{one.warnings} warning{"s" if one.warnings != 1 else ""}</p>' if one.warnings else ""
    why = ""
    if group is not None:
        rules = list(dict.fromkeys(reason["rule"] for reason in one.reasons))
        more = f" and {len(rules) - 3} more" if len(rules) > 3 else ""
        why = f"<p>{_link(group)}: {html.escape(', '.join(rules[:3]) or 'its bundle cannot be used')}{more}</p>"
    return f'<li class="{_SIGN[one.verdict][2]}"><h3>{html.escape(one.name)}</h3><strong>{_verdict(one)}</strong>{why}{warnings}</li>'


def _group(one: _fleet.Group, locator: Locator | None) -> str:
    names = ", ".join(machine.name for machine in one.machines[:12])
    more = f" and {len(one.machines) - 12} more" if len(one.machines) > 12 else ""
    lines = [finding_line(located(reason, locator)) for reason in one.reasons] or [one.machines[0].sentence or ""]
    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    head = f'<h3 id="reason-{one.number}" tabindex="-1">Reason {one.number}: {_SIGN[one.verdict][1]}</h3>'
    differ = f"<p>{html.escape(one.difference[0].upper() + one.difference[1:])}.</p>" if one.difference else ""
    return f"{head}<p>{html.escape(names)}{more}</p><ul>{items}</ul>{differ}"


def _link(group: int | None) -> str:
    return "" if group is None else f'<a href="#reason-{group}">reason {group}</a>'


def _verdict(one: _fleet.Machine) -> str:
    sign, word, kind = _SIGN[one.verdict]
    return f'<span class="{kind}"><span aria-hidden="true">{sign} </span>{word}</span>'
