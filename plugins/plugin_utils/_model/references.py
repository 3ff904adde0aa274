# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that point at other parts of the layout: every one of them must lead somewhere.

These checks read the raw layout, not the model, so that a slip elsewhere does not hide them: all errors are shown at once.
"""

from __future__ import annotations

import difflib
import typing as t

from .errors import LayoutError, Path


def references(raw: dict[str, t.Any], known: t.Iterable[Path] = ()) -> list[LayoutError]:
    """Every name that leads nowhere. known: paths already found wrong, which are not reported twice."""
    reported = {tuple(path) for path in known}
    found = [*_images(raw), *_ends(raw), *_health(raw)]
    return [error for error in found if error.path not in reported]


def _images(raw: dict[str, t.Any]) -> t.Iterator[LayoutError]:
    if not isinstance(raw.get("images"), dict):
        return  # that itself is an error; every image being unknown is only its consequence
    declared = list(raw["images"])
    for name, instance in _mapping(raw.get("instances")).items():
        image = _mapping(instance).get("image")
        if isinstance(image, str) and image not in declared:
            yield LayoutError(
                ("instances", name, "image"), f"image {str(image)!r} is not declared", _among(image, declared, "declared images")
            )


def _ends(raw: dict[str, t.Any]) -> t.Iterator[LayoutError]:
    if not isinstance(raw.get("instances"), dict):
        return
    kernels = _kernels(raw)
    known = set(kernels)
    for name, channel in _mapping(raw.get("channels")).items():
        ends = _mapping(channel).get("between")
        if not isinstance(ends, (list, tuple)):
            continue
        for number, end in enumerate(ends):
            if isinstance(end, str) and end not in known:
                yield LayoutError(
                    ("channels", name, "between", number),
                    f"the channel leads to {str(end)!r}, which is no kernel here",
                    _among(end, kernels, "kernels"),
                )
        writer = _mapping(channel).get("writer")
        if isinstance(writer, str) and writer not in ends:
            sentence = f"the writer {str(writer)!r} is not an end of this channel"
            yield LayoutError(("channels", name, "writer"), sentence, _among(writer, [end for end in ends if isinstance(end, str)], "ends"))


def _health(raw: dict[str, t.Any]) -> t.Iterator[LayoutError]:
    channels = _mapping(raw.get("channels"))
    known = set(_kernels(raw))
    for name, instance in _mapping(raw.get("instances")).items():
        channel = _mapping(_mapping(instance).get("health")).get("channel")
        path: Path = ("instances", name, "health", "channel")
        if not isinstance(channel, str):
            continue
        if channel not in channels:
            yield LayoutError(path, f"channel {str(channel)!r} is not declared", _among(channel, list(channels), "declared channels"))
            continue
        ends = _mapping(channels[channel]).get("between")
        # Ends that are themselves wrong are told already; that they do not name this instance is only the consequence.
        if not isinstance(ends, (list, tuple)) or len(ends) != 2 or any(not isinstance(end, str) or end not in known for end in ends):
            continue
        if name not in ends:
            between = " and ".join(str(end) for end in ends)
            yield LayoutError(
                path, f"channel {str(channel)!r} joins {between}, not {name}", "name a channel that this instance is an end of"
            )


def _kernels(raw: dict[str, t.Any]) -> list[str]:
    return ["host", *(str(name) for name in _mapping(raw.get("instances")) if name != "host")]


def _mapping(value: t.Any) -> dict[str, t.Any]:
    return value if isinstance(value, dict) else {}


def _among(name: str, names: list[str], what: str) -> str:
    near = difflib.get_close_matches(name, names, 1, 0.6)
    listed = f"{what}: {', '.join(str(one) for one in names)}" if names else f"{what}: none"
    return f"did you mean {str(near[0])!r}? {listed}" if near else listed
