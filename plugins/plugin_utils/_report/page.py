# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One machine as one self-contained HTML page: no script, nothing loaded; light and dark; for keyboards and screen readers.

Every drawing is an image with a sentence for those who do not see it, and a table beside it says the same. The style follows
WCAG 2.2 AA: marks besides colours, contrast, visible focus, no fixed sizes of text.
"""

from __future__ import annotations

import html
import math
import typing as t

from ...module_utils._isolation import vector
from ...module_utils._layout import cpuset
from . import isolation, style
from .machine import FREE, Piece, amount, span
from .scene import Owner, Scene, Socket, Thread

Plain = dict[str, t.Any]
#: More CPUs than MANY are drawn smaller; up to FEW have room for their owner's name.
MANY_CPUS, FEW_CPUS = 128, 16
#: The table of more kernels than this is folded.
MANY_KERNELS = 12

_SIGN = {
    vector.HARDWARE: ("●", "good"),
    vector.SOFTWARE: ("◐", "odd"),
    vector.DETECTED: ("◔", "odd"),
    vector.OPEN: ("○", "bad"),
    vector.UNKNOWN: ("?", "bad"),
    "partly": ("◐", "odd"),
}


_UNLISTED = "<p>There are too many pairs of kernels to list them here; mkl report --kernel NAME tells those of one kernel.</p>"


def page(after: Scene, report: Plain | None, before: Scene | None = None, steps: t.Sequence[str] = (), host: str | None = None) -> str:
    """The page of a machine: its kernels, CPUs, memory and channels, and what separates them.

    report: of isolation; None when there are too many pairs. before: the same machine as it is now, drawn beside it; steps: what a
    plan would do, in order. host: the machine's name.
    """
    owners = {**(before.owners if before else {}), **after.owners}
    title = f"{after.title} on {host}" if host else after.title
    scenes = [("Before", before), ("After", after)] if before else [("", after)]
    sections = [
        ("kernels", "Kernels", [_pick(owners), _kernel_table(after)]),
        ("cpus", "CPUs", [_columns([_cpus(scene, word) for word, scene in scenes if scene])]),
        ("memory", "Memory", [_columns([_memory(scene, word) for word, scene in scenes if scene])]),
        ("channels", "Channels", [_channels(after)]),
        ("isolation", "What separates these kernels", _isolation(report) if report else [_UNLISTED]),
    ]
    if steps:
        sections.insert(0, ("plan", "Plan", [_plan(steps)]))
    intro = f"{_counted(sum(len(socket.threads) for socket in after.sockets), 'CPU')}, " if after.sockets else "No machine is known; "
    intro += f"{_counted(len(after.owners) - (FREE in after.owners), 'kernel')}, {_counted(len(after.wires), 'channel')}."
    most = max((one.number for one in owners.values()), default=0) + 1
    return document(title, intro, sections, style.sheet(most))


_FOOTER = "Made by mkl render. It shows who is given what. Who can reach it nevertheless is told way by way."


def document(title: str, intro: str, sections: t.Sequence[tuple[str, str, t.Sequence[str]]], sheet: str, footer: str = _FOOTER) -> str:
    """A page of sections, each an id, a heading and its parts (HTML); with landmarks, a way past them, and a policy that loads nothing."""
    links = "".join(f'<li><a href="#{name}">{html.escape(heading)}</a></li>' for name, heading, _parts in sections)
    body = "\n".join(
        f'<section aria-labelledby="{name}">\n<h2 id="{name}" tabindex="-1">{html.escape(heading)}</h2>\n'
        + "\n".join(parts)
        + "\n</section>"
        for name, heading, parts in sections
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{html.escape(title)}</title>
<style>
{sheet}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the picture</a>
<header>
<h1>{html.escape(title)}</h1>
<p>{html.escape(intro)}</p>
<nav aria-label="Parts of this page"><ul>{links}</ul></nav>
</header>
<main id="main" tabindex="-1">
{body}
</main>
<footer>{html.escape(footer)}</footer>
</body>
</html>
"""


def table(caption: str, head: t.Sequence[str], rows: t.Iterable[t.Sequence[str]], classes: t.Sequence[str] = ()) -> str:
    """A table in a region that can be scrolled by keyboard. The first cell of a row is its heading; cells are HTML."""
    kinds = [*classes, *[""] * len(head)]
    top = "".join(f'<th scope="col">{one}</th>' for one in head)
    lines = []
    for first, *rest in rows:
        cells = "".join(
            f'<td class="{kind}">{cell}</td>' if kind else f"<td>{cell}</td>" for kind, cell in zip(kinds[1:], rest, strict=False)
        )
        lines.append(f'<tr><th scope="row">{first}</th>{cells}</tr>')
    label = html.escape(caption, quote=True)
    return (
        f'<div class="scroll" role="region" aria-label="{label}" tabindex="0"><table><caption>{html.escape(caption)}</caption>'
        f"<thead><tr>{top}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def _mark(owner: Owner) -> str:
    kind = "" if owner.name == FREE else f" k{owner.number}"
    return f'<span class="mark{kind}" aria-hidden="true">{html.escape(owner.mark)}</span>'


def _pick(owners: dict[str, Owner]) -> str:
    """One kernel can be made to stand out: radio buttons, reached and turned by keyboard."""
    buttons = ['<label><input type="radio" name="pick" checked> all</label>']
    buttons += [
        f'<label><input type="radio" name="pick" id="pick-{one.number}"> {_mark(one)} {html.escape(one.name)}</label>'
        for one in owners.values()
        if one.name != FREE
    ]
    return f'<fieldset><legend>Make one stand out</legend><div class="pick">{"".join(buttons)}</div></fieldset>'


def _kernel_table(scene: Scene) -> str:
    rows = [
        [
            f"{_mark(one)} {html.escape(one.name)}",
            html.escape(one.cpus),
            amount(one.memory) if one.memory is not None else "not known",
            html.escape(one.image or "–"),
            html.escape(one.trust or "–"),
            html.escape(one.state or "–"),
        ]
        for one in scene.owners.values()
    ]
    drawn = table("Each kernel and what it is given", ["Kernel", "CPUs", "Memory", "Image", "Trust", "State"], rows, ("", "mono", "n mono"))
    return drawn if len(rows) <= MANY_KERNELS else f"<details><summary>What each kernel is given, as a table</summary>{drawn}</details>"


def _columns(parts: list[str]) -> str:
    return f'<div class="cols{" two" if len(parts) > 1 else ""}">{"".join(f"<div>{part}</div>" for part in parts)}</div>'


def _cpus(scene: Scene, word: str) -> str:
    head = f"<h3>{word}</h3>" if word else ""
    if not scene.sockets:
        return f"{head}<p>No machine is known: give its facts to see its sockets and cores.</p>"
    count = sum(len(socket.threads) for socket in scene.sockets)
    size = "many" if count > MANY_CPUS else "few" if count <= FEW_CPUS else "some"
    return head + "".join(_socket(scene, socket, size) for socket in scene.sockets)


def _socket(scene: Scene, socket: Socket, size: str) -> str:
    name = "CPUs of a package that is not known" if socket.number is None else f"Socket {socket.number}"
    nodes = f", memory node {cpuset.format(socket.nodes)}" if socket.nodes else ""
    by_owner: dict[str, list[int]] = {}
    for thread in socket.threads:
        by_owner.setdefault(thread.owner, []).append(thread.cpu)
    said = "; ".join(f"{owner}: CPU {cpuset.format(cpus)}" for owner, cpus in by_owner.items())
    caches = []
    for cache in socket.caches:
        cores = []
        for core in cache.cores:
            threads = "".join(_thread(scene, thread, size) for thread in core)
            cores.append(f'<span class="core">{threads}</span>')
        caches.append(f'<div class="cache">{"".join(cores)}</div>')
    count = len(socket.caches)
    shared = f"; {count} last-level caches, parted by dashed lines" if count > 1 else ""
    label = html.escape(f"{name}{nodes}. {said}", quote=True)
    return (
        f'<div class="socket"><h3>{html.escape(name + nodes)}</h3>'
        f'<p class="soft">A frame is a core, the boxes in it are its threads{shared}.</p>'
        f'<div role="img" aria-label="{label}" class="{size}">{"".join(caches)}</div></div>'
    )


def _thread(scene: Scene, thread: Thread, size: str) -> str:
    cpu, owner = thread.cpu, thread.owner
    kind = "" if owner == FREE else f" k{scene.number(owner)}"
    where = f"CPU {cpu}" + (f", APIC id {thread.apic}" if thread.apic is not None else "") + f": {owner}"
    name = f"<i>{html.escape(owner)}</i>" if size == "few" else ""
    return f'<span class="cpu o{kind}" title="{html.escape(where, quote=True)}">{cpu}<b>{html.escape(scene.mark(owner))}</b>{name}</span>'


def _memory(scene: Scene, word: str) -> str:
    head = f"<h3>{word}</h3>" if word else ""
    low = [piece for piece in scene.memory if piece.base is not None and piece.base < 1 << 20]
    high = [piece for piece in scene.memory if piece not in low]
    drawn = high if len(low) > 6 else list(scene.memory)
    said = "; ".join(f"{piece.label} {amount(piece.size)}" for piece in drawn)
    parts = [f'{head}<p class="soft">Low addresses first. A row grows with the logarithm of its size; a shared row is divided.</p>']
    parts.append(f'<div class="map" role="img" aria-label="{html.escape("Memory from low to high: " + said, quote=True)}">')
    parts += [_piece(scene, piece) for piece in drawn]
    parts.append("</div>")
    rows = [
        [
            f'<span class="mono">{html.escape(span(piece.base, piece.size)) if piece.base is not None else "in the pool"}</span>',
            amount(piece.size),
            html.escape(piece.label),
            html.escape(" and ".join(piece.kernels) or "nobody"),
        ]
        for piece in scene.memory
    ]
    caption = f"Memory map{', ' + word.lower() if word else ''}"
    below = ", with what lies below 1 MiB" if len(low) > 6 else ""
    parts.append(f"<details><summary>{caption} as a table ({_counted(len(rows), 'row')}){below}</summary>")
    parts.append(table(caption, ["Addresses", "Size", "What", "Used by"], rows, ("", "n mono")) + "</details>")
    return "".join(parts)


def _piece(scene: Scene, piece: Piece) -> str:
    height = 1.6 + 0.28 * max(0.0, math.log2(max(piece.size, 1) / (1 << 24)))
    bars = []
    for number, kernel in enumerate(piece.kernels or (FREE,)):
        kind = f" k{scene.number(kernel)}" if scene.number(kernel) is not None else " none"
        label = f" <i>{html.escape(piece.label)}, {amount(piece.size)}</i>" if number == 0 else f" <i>{html.escape(kernel)}</i>"
        mark = html.escape(scene.mark(kernel)) if kernel in scene.owners else "–"
        bars.append(f'<div class="bar o{kind}"><b>{mark}</b>{label}</div>')
    where = html.escape(span(piece.base, piece.size)) if piece.base is not None else "in the pool"
    return (
        f'<div class="piece"><span>{where}</span><div class="bars" style="min-height:{min(height, 5):.2f}rem">{"".join(bars)}</div></div>'
    )


def _channels(scene: Scene) -> str:
    if not scene.wires:
        return "<p>None is declared.</p>"
    rows = [
        [
            html.escape(wire.name),
            " ↔ ".join(f"{_mark(scene.owners[end])} {html.escape(end)}" if end in scene.owners else html.escape(end) for end in wire.ends),
            "interrupts and a ring" if wire.kind == "ipi" else "shared memory",
            html.escape(span(wire.base, wire.size)) if wire.base is not None and wire.size else "not chosen yet",
        ]
        for wire in scene.wires
    ]
    return table("Each channel, whom it joins and where it lies", ["Channel", "Joins", "Kind", "Memory"], rows, ("", "", "", "mono"))


def _plan(steps: t.Sequence[str]) -> str:
    return f"<ol>{''.join(f'<li>{html.escape(step)}</li>' for step in steps)}</ol>"


def _isolation(report: Plain) -> list[str]:
    own, names = report["grade"], [one["name"] for one in report["kernels"]]
    letter = own["proven"]
    kind = "good" if letter in "ABC" else "bad"
    best = "" if own["possible"] == letter else f" With the facts that are missing it may be {own['possible']} at best."
    asked = {True: "and that is reached", False: "and that is not reached", None: "and whether that is reached is not known"}
    minimum = f" The layout asks for {own['minimum']}, {asked[own['reached']]}." if own["minimum"] else ""
    marks = {True: ("yes", "good"), False: ("no", "bad"), None: ("not known", "odd")}
    conditions = [
        [f"for {one['grade']}", f'<span class="{marks[one["met"]][1]}">{marks[one["met"]][0]}</span>', html.escape(one["sentence"])]
        for one in own["conditions"]
    ]
    parts = [
        (
            f'<p><span class="grade {kind}">{letter}</span>is the isolation grade that the facts prove, from A to F.'
            f"{best}{html.escape(minimum)}</p>"
        ),
        "<p>No hypervisor stands between these kernels. Each verdict is about one way, never about all.</p>",
        "<details><summary>What the grade stands on</summary>"
        + table("Conditions of the grades", ["Grade", "Met", "Condition"], conditions)
        + "</details>",
        _ways(report),
        *_details(report, names),
    ]
    fates = [
        [html.escape(one["name"]), html.escape(", ".join(one["kernels"])), html.escape(one["sentence"])] for one in report["shared_fate"]
    ]
    parts.append("<h3>Shared fate</h3>" + table("What strikes several kernels at once", ["What", "Kernels", "How"], fates))
    return parts


def _ways(report: Plain) -> str:
    rows = []
    for way in report["vectors"]:
        kinds = [pair["ways"][way["id"]]["verdict"] for pair in report["pairs"]]
        worst = max(kinds, key=vector.VERDICTS.index, default=vector.UNKNOWN)
        how_many = "" if len(set(kinds)) < 2 else f" ({kinds.count(worst)} of {len(kinds)} pairs)"
        rows.append(
            [
                html.escape(way["title"]),
                _verdict(worst) + how_many,
                _verdict(way["hypervisor"]["verdict"]),
                html.escape(way["hypervisor"]["how"]),
            ]
        )
    return table("Each way beside a partitioning hypervisor", ["Way", "Worst here", "Below Jailhouse", "What it would do"], rows)


def _details(report: Plain, names: list[str]) -> t.Iterator[str]:
    yield "<h3>Way by way</h3>"
    for way in report["vectors"]:
        rows = [
            [_verdict(kind), html.escape(isolation.who(pairs, names, "→")), html.escape(why), html.escape(", ".join(evidence))]
            for (kind, why, evidence), pairs in isolation.cells(report, way["id"]).items()
        ]
        yield f"<details><summary>{html.escape(way['title'])}: {html.escape(way['what'])}</summary>"
        yield (
            table(f"{way['title']}, pair by pair", ["Verdict", "From → to", "Because", "Stands on"], rows, ("", "", "", "mono"))
            + "</details>"
        )


def _verdict(kind: str) -> str:
    sign, colour = _SIGN[kind]
    return f'<span class="{colour}"><span aria-hidden="true">{sign} </span>{html.escape(isolation.SHORT[kind])}</span>'


def _counted(count: int, word: str) -> str:
    return f"{count} {word}" + ("" if count == 1 else "s")
