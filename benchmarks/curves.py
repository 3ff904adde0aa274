# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Curves as an SVG file that is read by light and by dark, and by ear: every value is in its description."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

WIDE, HIGH, LEFT, TOP, RIGHT, BOTTOM = 720, 400, 70, 40, 140, 50
LIGHT, DARK = ("#0b4f9e", "#9b4a00", "#5a6270", "#1c6b3a"), ("#8ec2ff", "#ffb46b", "#aab1bd", "#7fd6a0")
Point = tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """One curve. limit: it is a bound that was not measured, and is drawn as one."""

    name: str
    points: Sequence[Point]
    limit: bool = False


@dataclass(frozen=True)
class Axis:
    """From where to where, the ticks as (value, text), what it shows."""

    first: float
    last: float
    ticks: Sequence[tuple[float, str]]
    title: str = ""
    logarithmic: bool = field(default=False, kw_only=True)

    def share(self, value: float) -> float:
        """Where a value lies, 0 to 1."""
        if self.logarithmic:
            return math.log(value / self.first) / math.log(self.last / self.first)
        return (value - self.first) / (self.last - self.first)


def draw(title: str, said: str, across: Axis, up: Axis, curves: Sequence[Curve]) -> str:
    """The picture as text. said: its values in words."""

    def at(point: Point) -> Point:
        return (
            round(LEFT + across.share(point[0]) * (WIDE - LEFT - RIGHT), 1),
            round(HIGH - BOTTOM - up.share(point[1]) * (HIGH - TOP - BOTTOM), 1),
        )

    parts = []
    for value, text in up.ticks:
        _x, y = at((across.first, value))
        parts.append(f'<line class="grid" x1="{LEFT}" y1="{y}" x2="{WIDE - RIGHT}" y2="{y}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{text}</text>')
    for value, text in across.ticks:
        x, y = at((value, up.first))
        parts.append(f'<line class="grid" x1="{x}" y1="{y}" x2="{x}" y2="{y + 5}"/>')
        parts.append(f'<text x="{x}" y="{y + 20}" text-anchor="middle">{text}</text>')
    last = 0.0
    ends = [(*at(curve.points[-1]), number, curve) for number, curve in enumerate(curves)]
    for x, y, number, curve in sorted(ends, key=lambda one: one[1]):
        last = max(y + 4, last + 16)  # one below the other, where curves end at the same height
        parts.append(f'<text class="c{number}" x="{x + 10}" y="{round(last, 1)}">{escape(curve.name)}</text>')
    for number, curve in enumerate(curves):
        points = [at(point) for point in curve.points]
        path = " ".join(f"{x},{y}" for x, y in points)
        parts.append(f'<polyline class="c{number}{" limit" if curve.limit else ""}" points="{path}"/>')
        if not curve.limit:
            parts += [f'<circle class="c{number}" cx="{x}" cy="{y}" r="3"/>' for x, y in points]

    def colours(palette: Sequence[str]) -> str:
        pairs = list(enumerate(palette))[: len(curves)]
        return "".join(f"polyline.c{one}{{stroke:{colour}}}circle.c{one},text.c{one}{{fill:{colour}}}" for one, colour in pairs)

    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH}" role="img" aria-labelledby="t d"
 font-family="sans-serif" font-size="13">
<title id="t">{escape(title)}</title><desc id="d">{escape(said)}</desc>
<style>
svg{{background:#fff}}text{{fill:#1b1f24}}.grid{{stroke:#c9ced6}}polyline{{fill:none;stroke-width:2.5}}
polyline.limit{{stroke-width:1.5;stroke-dasharray:6 4}}{colours(LIGHT)}
@media (prefers-color-scheme:dark){{svg{{background:#14161a}}text{{fill:#e8eaee}}.grid{{stroke:#3a404a}}
{colours(DARK)}}}
</style>
<text x="{LEFT}" y="22" font-size="15">{escape(title)}</text>
{chr(10).join(parts)}
<text x="{(LEFT + WIDE - RIGHT) / 2}" y="{HIGH - 10}" text-anchor="middle">{escape(across.title)}</text>
</svg>
"""
