# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine as an SVG file: CPUs across, memory down, every kernel in its colour. For documents and web pages."""

from __future__ import annotations

import math
import typing as t
from xml.sax.saxutils import escape

from ...module_utils._layout import cpuset
from .machine import FREE, Piece, amount, memory_map, owners, span

#: Colours that differ for colour-blind readers, too (Okabe and Ito); the host comes first.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442")
EMPTY = "#d9d9d9"

_LEFT, _TOP, _WIDTH, _ROW = 200, 96, 560, 24


def draw(layout: dict[str, t.Any], facts: dict[str, t.Any] | None = None) -> str:
    """The picture of a placed (or canonical) layout as the text of an SVG file.

    A row's height grows with the logarithm of its size, so that a channel of 40 KiB is seen beside 32 GiB.
    """
    cpus = owners(layout, facts)
    colours = _colours(list(cpus))
    parts = [_text(16, 26, layout["name"], 18, "bold"), *_cpu_boxes(cpus, colours, facts)]
    at = float(_TOP)
    for piece in memory_map(layout, facts):
        height = _height(piece)
        parts += _row(piece, at, height, colours)
        at += height + 3
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 16} {at + 16:.0f}" '
        f'font-family="sans-serif" role="img" aria-label="{escape(layout["name"], {chr(34): "&quot;"})}">'
    )
    return "\n".join([head, '<rect width="100%" height="100%" fill="#ffffff"/>', *parts, "</svg>"]) + "\n"


def _cpu_boxes(cpus: dict[str, str], colours: dict[str, str], facts: dict[str, t.Any] | None) -> t.Iterator[str]:
    """One box for each kernel, as wide as it has CPUs where their number is known."""
    counts = {kernel: _count(words) for kernel, words in cpus.items()}
    total = sum(counts.values())
    yield _text(16, 66, f"{len(facts['cpus']['present'])} CPUs" if facts else "CPUs", 13)
    at = float(_LEFT)
    for kernel, words in cpus.items():
        width = _WIDTH * counts[kernel] / total
        yield _box(at, 44, width - 3, 36, colours[kernel])
        yield _text(at + width / 2, 60, kernel, 12, "bold", "middle")
        yield _text(at + width / 2, 74, words, 11, "normal", "middle")
        at += width


def _row(piece: Piece, at: float, height: float, colours: dict[str, str]) -> t.Iterator[str]:
    """A range of memory; one that kernels share is divided between their colours."""
    where = span(piece.base, piece.size) if piece.base is not None else "in the pool"
    yield _text(_LEFT - 8, at + height / 2 + 4, where, 11, "normal", "end", "monospace")
    fills = [colours[kernel] for kernel in piece.kernels if kernel in colours] or [EMPTY]
    width = _WIDTH / len(fills)
    for number, fill in enumerate(fills):
        yield _box(_LEFT + number * width, at, width - (3 if number == len(fills) - 1 else 0), height, fill)
    yield _text(_LEFT + _WIDTH / 2, at + height / 2 + 4, f"{piece.label} ({amount(piece.size)})", 12, "normal", "middle")


def _colours(kernels: list[str]) -> dict[str, str]:
    named = [kernel for kernel in kernels if kernel != FREE]
    return {FREE: EMPTY, **{kernel: COLOURS[number % len(COLOURS)] for number, kernel in enumerate(named)}}


def _count(words: str) -> int:
    """How many CPUs these words mean; 1 where that is open."""
    if words.startswith("any "):
        return int(words[4:])
    return len(cpuset.parse(words.removeprefix("apic:"))) if words[-1:].isdigit() else 1


def _height(piece: Piece) -> float:
    return _ROW + 6 * max(0.0, math.log2(piece.size / (1 << 24)))


def _box(x: float, y: float, width: float, height: float, fill: str) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect {place} rx="3" fill="{fill}" fill-opacity="0.55" stroke="#333333"/>'


def _text(x: float, y: float, words: str, size: int, weight: str = "normal", anchor: str = "start", family: str = "inherit") -> str:
    style = f'font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" font-family="{family}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style} fill="#111111">{escape(words)}</text>'
