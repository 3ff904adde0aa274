# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables with frames for a terminal, in Unicode box drawing or plain ASCII."""

from __future__ import annotations

import dataclasses
import textwrap

WIDTH = 100


@dataclasses.dataclass(frozen=True)
class Pen:
    """The characters of a frame: its three kinds of line (left, cross, right), its rails, and two kinds of filling."""

    top: str
    middle: str
    bottom: str
    rail: str
    dash: str
    full: str
    half: str
    cut: str


UNICODE = Pen("┌┬┐", "├┼┤", "└┴┘", "│", "─", "█", "▒", "…")
ASCII = Pen("+++", "+++", "+++", "|", "-", "#", ":", "~")


def pen(ascii_only: bool) -> Pen:
    """The pen for a terminal that shows Unicode, or one that does not."""
    return ASCII if ascii_only else UNICODE


def framed(head: list[list[str]], rows: list[list[str]], style: Pen, right: tuple[int, ...] = (), centre: tuple[int, ...] = ()) -> str:
    """A framed table: some lines of head, then rows. right and centre: numbers of the columns that are aligned so."""
    widths = [max(len(cell) for cell in column) for column in zip(*head, *rows, strict=True)]

    def line(cells: list[str]) -> str:
        padded = []
        for number, (cell, width) in enumerate(zip(cells, widths, strict=True)):
            padded.append(cell.rjust(width) if number in right else cell.center(width) if number in centre else cell.ljust(width))
        return f"{style.rail} " + f" {style.rail} ".join(padded) + f" {style.rail}"

    def rule(ends: str) -> str:
        return ends[0] + ends[1].join(style.dash * (width + 2) for width in widths) + ends[2]

    return "\n".join([rule(style.top), *map(line, head), rule(style.middle), *map(line, rows), rule(style.bottom)])


def columns(head: list[str], rows: list[list[str]], width: int = WIDTH) -> str:
    """A table without frame; the last column is wrapped so that no line is longer than `width`."""
    widths = [max(len(cell) for cell in column) for column in zip(head, *rows, strict=True)]
    room = max(16, width - sum(widths[:-1]) - 2 * (len(head) - 1))
    lines = []
    for row in [head, *rows]:
        last = textwrap.wrap(row[-1], room) or [""]
        start = "  ".join(cell.ljust(width) for cell, width in zip(row[:-1], widths[:-1], strict=True))
        lines.append(f"{start}  {last[0]}".rstrip())
        lines.extend(f"{'':{len(start)}}  {more}" for more in last[1:])
    return "\n".join(lines)


def clip(text: str, width: int, style: Pen) -> str:
    """The text, cut to `width` with a mark where it was cut."""
    return text if len(text) <= width else text[: width - 1] + style.cut
