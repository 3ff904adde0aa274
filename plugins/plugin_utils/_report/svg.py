# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine as an SVG file, for documents and web pages: sockets and cores on top, memory below, every kernel with its mark."""

from __future__ import annotations

import math
from xml.sax.saxutils import escape

from .colour import GROUND_DARK, GROUND_LIGHT, INK_DARK, INK_LIGHT, colour
from .machine import FREE, Piece, amount, span
from .scene import Scene, Socket

#: Width of one state of the machine, of the margin, and of the column of addresses.
WIDTH, MARGIN, ADDRESSES = 640, 16, 176
_LINE, _ROW, _GAP = 20, 20, 3
#: Room that one character takes at 11 and 12 pixels; DejaVu Sans is one of the widest fonts.
_CHARACTER = 7.4

_STYLE = """\
text{fill:%(ink)s;font:12px system-ui,"DejaVu Sans",sans-serif}.h{font-size:18px;font-weight:700}.b{font-weight:700}
.m{font:11px "DejaVu Sans Mono",monospace}.s{font-size:9.5px}.c{text-anchor:middle}.e{text-anchor:end}
.ground{fill:%(ground)s}rect.box{stroke-width:1.5}.none{fill:none;stroke:#737b8a;stroke-dasharray:4 3}.frame{fill:none;stroke:#737b8a}
"""


class _Sheet:
    """The elements so far, and how far down they reach."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def text(self, x: float, y: float, words: str, kind: str = "", room: float | None = None) -> None:
        if room is not None:
            fits = max(1, int(room / _CHARACTER))
            words = words if len(words) <= fits else words[: fits - 1] + "…"
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}"{_class(kind)}>{escape(words)}</text>')

    def box(self, x: float, y: float, width: float, height: float, kind: str) -> None:
        place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
        self.parts.append(f'<rect {place} rx="3"{_class(kind)}/>')


def draw(after: Scene, before: Scene | None = None) -> str:
    """One state of a machine, or two side by side, as the text of an SVG file.

    A row's height grows with the logarithm of its size, so that a channel of 40 KiB is seen beside 32 GiB.
    """
    sheet = _Sheet()
    scenes = [("before", before), ("after", after)] if before else [("", after)]
    at, bottom = float(MARGIN), 0.0
    for word, scene in scenes:
        if scene is not None:
            title = f"{scene.title}, {word}" if word else scene.title
            bottom = max(bottom, _state(sheet, scene, at, title))
            at += WIDTH + 2 * MARGIN
    width, height = at - MARGIN, bottom + MARGIN
    label = escape(after.title, {'"': "&quot;"})
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{label}">'
    parts = [head, f"<style>\n{_style(after, before)}</style>", '<rect class="ground" width="100%" height="100%"/>', *sheet.parts, "</svg>"]
    return "\n".join(parts) + "\n"


def _state(sheet: _Sheet, scene: Scene, left: float, title: str) -> float:
    """One state of the machine from the top; returns how far down it reaches."""
    sheet.text(left, 32, title, "h", WIDTH * 0.6)
    down = _legend(sheet, scene, left, 52)
    for socket in scene.sockets:
        down = _socket(sheet, scene, socket, left, down + 8)
    down += 12
    for piece in scene.memory:
        height = _ROW + 5 * max(0.0, math.log2(max(piece.size, 1) / (1 << 24)))
        _row(sheet, scene, piece, left, down, height)
        down += height + _GAP
    down += 6
    for wire in scene.wires:
        ends = " ↔ ".join(scene.mark(end) for end in wire.ends)
        kind = "interrupts and a ring" if wire.kind == "ipi" else "shared memory"
        down += _LINE
        sheet.text(left, down - 6, f"channel {wire.name}: {ends} ({kind})", "", WIDTH)
    return down


def _legend(sheet: _Sheet, scene: Scene, left: float, down: float) -> float:
    """Mark, name and CPUs of each kernel, as many in a line as there is room for."""
    at = left
    for one in scene.owners.values():
        words = f"{one.name}: {one.cpus}" if len(one.cpus) <= 24 else one.name
        room = min(WIDTH, 46 + len(words) * _CHARACTER)
        if at + room > left + WIDTH and at > left:
            at, down = left, down + 24
        sheet.box(at, down - 8, 26, 18, f"box {_kind(scene, one.name)}")
        sheet.text(at + 13, down + 5, one.mark, "b c")
        sheet.text(at + 32, down + 5, words, "", WIDTH - 40)
        at += room
    return down + 20


def _socket(sheet: _Sheet, scene: Scene, socket: Socket, left: float, down: float) -> float:
    name = "CPUs" if socket.number is None else f"socket {socket.number}"
    nodes = f", memory node {', '.join(map(str, socket.nodes))}" if socket.nodes else ""
    sheet.text(left, down + 12, name + nodes, "b")
    top, down = down, down + 20
    width, height = 32.0, 30.0
    for number, cache in enumerate(socket.caches):
        at = left + 8
        if number:
            sheet.parts.append(f'<path d="M{left + 8:.1f} {down + 1:.1f}H{left + WIDTH - 8:.1f}" class="none"/>')
            down += 5
        for core in cache.cores:
            wide = len(core) * (width + 2) + 4
            if at + wide > left + WIDTH - 8 and at > left + 8:
                at, down = left + 8, down + height + 8
            sheet.box(at, down, wide, height + 4, "frame")
            for offset, thread in enumerate(core):
                x = at + 3 + offset * (width + 2)
                sheet.box(x, down + 2, width, height, f"box {_kind(scene, thread.owner)}")
                sheet.text(x + width / 2, down + 13, str(thread.cpu), "s c")
                sheet.text(x + width / 2, down + 27, scene.mark(thread.owner), "b c")
            at += wide + 5
        down += height + 8
    sheet.box(left, top + 16, WIDTH, down - top - 14, "frame")
    return down + 6


def _row(sheet: _Sheet, scene: Scene, piece: Piece, left: float, down: float, height: float) -> None:
    """A range of memory; one that kernels share is divided between them."""
    middle = down + height / 2 + 4
    sheet.text(left + ADDRESSES - 8, middle, span(piece.base, piece.size) if piece.base is not None else "in the pool", "m e")
    kernels = piece.kernels or (FREE,)
    width = (WIDTH - ADDRESSES) / len(kernels)
    for number, kernel in enumerate(kernels):
        at = left + ADDRESSES + number * width
        sheet.box(at, down, width - (_GAP if number < len(kernels) - 1 else 0), height, f"box {_kind(scene, kernel)}")
        sheet.text(at + 8, middle, scene.mark(kernel) if kernel in scene.owners else "–", "b")
        words = f"{piece.label} ({amount(piece.size)})" if number == 0 else kernel
        sheet.text(at + 40, middle, words, "", width - 48)


def _kind(scene: Scene, owner: str) -> str:
    number = scene.number(owner)
    return "none" if number is None else f"k{number}"


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def _style(*scenes: Scene | None) -> str:
    """Colours for light ground, and for dark ground where whoever shows the file can tell."""
    numbers = sorted({one.number for scene in scenes if scene for one in scene.owners.values() if one.name != FREE})
    light, dark = [], [f"text{{fill:{INK_DARK}}}.ground{{fill:{GROUND_DARK}}}"]
    for number in numbers:
        one = colour(number)
        light.append(f".k{number}{{fill:{one.fill};stroke:{one.edge}}}")
        dark.append(f".k{number}{{fill:{one.dark_fill};stroke:{one.dark_edge}}}")
    base = _STYLE % {"ink": INK_LIGHT, "ground": GROUND_LIGHT}
    return base + "\n".join([*light, "@media (prefers-color-scheme:dark){", *dark, "}"]) + "\n"
