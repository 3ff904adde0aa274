# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One rollout as one self-contained HTML page: waves, hosts, times and reasons. No script, nothing loaded; light and dark."""

from __future__ import annotations

import html
import time
import typing as t

from .._rollout import gate, host
from .._rollout.ledger import Ledger
from . import style
from .page import document, table

Plain = dict[str, t.Any]
#: Sign and class of the style sheet of each state. The word always stands beside the sign.
_SIGN = {
    "planned": ("…", "soft"),
    "done": ("✓", "good"),
    "skipped": ("–", "odd"),
    "applying": ("→", "odd"),
    "changed": ("→", "odd"),
    "healthy": ("✓", "good"),
    "failed": ("✗", "bad"),
    "stuck": ("!", "bad"),
    "unreachable": ("?", "bad"),
    "sick": ("✗", "bad"),
    "returned": ("↩", "odd"),
}
_OUTCOME = {
    "open": "It goes on; this page is as new as its last step.",
    "finished": "It is finished.",
    "stopped": "It was stopped at a gate.",
    "refused": "It did not begin: nothing was changed.",
    "dry run": "A dry run: nothing was changed.",
}


def page(ledger: Ledger) -> str:
    """The report of a rollout as far as it came."""
    states = ledger.states
    counted = {state: list(states.values()).count(state) for state in gate.STATES}
    said = ", ".join(f"{count} {state}" for state, count in counted.items() if count)
    intro = f"{_OUTCOME[ledger.outcome]} {said or 'No host'}. Layout {ledger.digest[:12]}, begun {_clock(ledger.begun)}."
    sections = [
        ("outcome", "Outcome", [_reasons(ledger), _settings(ledger)]),
        ("waves", "Waves", [_wave(ledger, wave) for wave in ledger.waves] or ["<p>No host is to be changed.</p>"]),
        ("hosts", "Hosts", [_hosts(ledger)]),
        ("classes", "Classes of machines", [_kinds(ledger)]),
        ("story", "What happened when", [_story(ledger)]),
        ("words", "What the states mean", [_words()]),
    ]
    return document(
        f"Rollout {ledger.digest[:12]} to {len(ledger.hosts)} hosts",
        intro,
        sections,
        style.sheet(1),
        "Made by the playbook multikernel.core.rollout from its ledger.",
    )


def _reasons(ledger: Ledger) -> str:
    """The sentences of those that count against the budget; equal ones once."""
    together: dict[tuple[str, str], list[str]] = {}
    for name, one in ledger.hosts.items():
        if one["state"] in gate.DAMAGED:
            together.setdefault((one["state"], one["reason"]), []).append(name)
    if not together:
        return "<p>No host came to harm.</p>"
    items = [
        f"<li>{_state(state)} {html.escape(', '.join(names[:12]) + (f' and {len(names) - 12} more' if len(names) > 12 else ''))}"
        f"{': ' + html.escape(reason) if reason else ''}</li>"
        for (state, reason), names in together.items()
    ]
    return f"<ul>{''.join(items)}</ul>"


def _settings(ledger: Ledger) -> str:
    told = [
        ("Waves", ", ".join(ledger.settings.get("waves", []))),
        ("Error budget", ledger.settings.get("budget", "")),
        ("Taken back when it stops", ledger.settings.get("return", "")),
        ("Attempts", str(ledger.attempts)),
    ]
    return f"<dl>{''.join(f'<dt>{word}</dt><dd>{html.escape(value)}</dd>' for word, value in told)}</dl>"


def _wave(ledger: Ledger, wave: Plain) -> str:
    took = f", changed in {wave['seconds']:g} s" if wave["seconds"] is not None else ""
    begun = f", begun {_clock(wave['begun'])}" if wave["begun"] else ", not begun"
    judged = wave["gate"]
    verdict = ""
    if judged:
        sign, kind = ("✓", "good") if judged["go"] else ("✗", "bad")
        verdict = f'<p><span class="{kind}"><span aria-hidden="true">{sign} </span>gate:</span> {html.escape(judged["reason"])}</p>'
    cards = "".join(_card(name, ledger.hosts[name]) for name in wave["hosts"] if name in ledger.hosts)
    head = f"Wave {wave['number']}, {wave['label']}: {len(wave['hosts'])} host{'' if len(wave['hosts']) == 1 else 's'}"
    return (
        f'<h3>{html.escape(head)}</h3><p class="soft">{html.escape((begun + took).lstrip(", "))}</p><ul class="fleet">{cards}</ul>{verdict}'
    )


def _card(name: str, one: Plain) -> str:
    blackout = one.get("blackout") or {}
    away = f'<p class="soft">predicted blackout: {html.escape(host.blackout_line(blackout))}</p>' if blackout else ""
    since = f'<p class="soft">since {_clock(one["since"])}</p>' if one["state"] != "planned" else ""
    return f'<li class="{_SIGN[one["state"]][1]}"><h3>{html.escape(name)}</h3><strong>{_state(one["state"])}</strong>{since}{away}</li>'


def _hosts(ledger: Ledger) -> str:
    rows = [
        [
            html.escape(name),
            str(one.get("wave") or "–"),
            _state(one["state"]),
            html.escape(one["reason"] or "–"),
            html.escape(one.get("kind") or "not known"),
            html.escape(str(one.get("before") or "none")[:12]),
            html.escape(host.blackout_line(one.get("blackout") or {})),
            _clock(one["since"]),
        ]
        for name, one in ledger.hosts.items()
    ]
    head = ["Host", "Wave", "State", "Reason", "Class", "Layout before", "Predicted blackout", "Since"]
    drawn = table("Every host of the rollout", head, rows, ("", "n", "", "", "mono", "mono", "", "mono"))
    return drawn if len(rows) <= 40 else f"<details><summary>{len(rows)} hosts</summary>{drawn}</details>"


def _kinds(ledger: Ledger) -> str:
    rows = []
    for name, said in ledger.kinds.items():
        members = [host_name for host_name, one in ledger.hosts.items() if one.get("kind") == name]
        if members:
            rows.append([f'<span class="mono">{html.escape(name)}</span>', str(len(members)), html.escape(said)])
    return table("What the machines of a class have in common", ["Class", "Hosts", "What it is"], rows, ("", "n"))


def _story(ledger: Ledger) -> str:
    items = [f'<li><span class="mono">{_clock(one["at"])}</span> {html.escape(one["say"])}</li>' for one in ledger.events]
    return f"<ol>{''.join(items)}</ol>"


def _words() -> str:
    return f"<dl>{''.join(f'<dt>{_state(state)}</dt><dd>{html.escape(said)}</dd>' for state, said in gate.STATES.items())}</dl>"


def _state(state: str) -> str:
    sign, kind = _SIGN[state]
    return f'<span class="{kind}"><span aria-hidden="true">{sign} </span>{state}</span>'


def _clock(seconds: float | None) -> str:
    return "never" if not seconds else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
