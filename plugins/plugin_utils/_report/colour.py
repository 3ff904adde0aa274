# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A colour for every kernel, readable on light and on dark ground. A colour is never the only sign: every kernel has a mark, too."""

from __future__ import annotations

import colorsys
import typing as t

#: Hues in an order in which neighbours differ much, also for colour-blind readers: blue, orange, green, pink, yellow, ...
_HUES = (212, 32, 158, 320, 52, 268, 8, 190, 100, 290, 240, 80)
INK_LIGHT, GROUND_LIGHT = "#16181d", "#ffffff"
INK_DARK, GROUND_DARK = "#f3f4f6", "#14161a"


class Colour(t.NamedTuple):
    """The fill and the edge of a kernel's boxes, on light and on dark ground."""

    fill: str
    edge: str
    dark_fill: str
    dark_edge: str


def colour(number: int) -> Colour:
    """The colour of the kernel with this number; after the last hue they begin anew, a little deeper."""
    hue, turn = _HUES[number % len(_HUES)], number // len(_HUES) % 4
    return Colour(
        _hex(hue, 0.78 - 0.08 * turn, 0.87 - 0.025 * turn),
        _hex(hue, 0.75, 0.28),
        _hex(hue, 0.48, 0.21 - 0.015 * turn),
        _hex(hue, 0.55, 0.62 + 0.03 * turn),
    )


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _hex(hue: int, saturation: float, lightness: float) -> str:
    return "#" + "".join(f"{round(part * 255):02x}" for part in colorsys.hls_to_rgb(hue / 360, lightness, saturation))


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
