# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Small checkers of the shape of plain JSON data; a checker is a function (value, path) that raises ShapeError."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Optional, Tuple

Path = Tuple[Any, ...]
Checker = Callable[[Any, Path], None]


class ShapeError(ValueError):
    """Data has not the shape it must have; `path` leads to the value, the text is a sentence."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__("{0} {1}".format(dotted(path), message))
        self.path = path


def dotted(path: Path) -> str:
    """Return a path as people read it: ``("pool", "memory", 0, "size")`` is ``pool.memory[0].size``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += "[{0}]".format(step)
        else:
            text += ("." if text else "") + str(step)
    return text or "the layout"


def integer(minimum: int = 0) -> Checker:
    """Check for a whole number of at least `minimum`."""

    def check(value: Any, path: Path) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ShapeError(path, "is {0}; it must be a whole number".format(_shown(value)))
        if value < minimum:
            raise ShapeError(path, "is {0}; it must be at least {1}".format(value, minimum))

    return check


def number(value: Any, path: Path) -> None:
    """Check for a number that is not negative."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise ShapeError(path, "is {0}; it must be a number of seconds, zero or more".format(_shown(value)))


def text(value: Any, path: Path) -> None:
    """Check for a text."""
    if not isinstance(value, str):
        raise ShapeError(path, "is {0}; it must be a text".format(_shown(value)))


def matching(pattern: str, what: str) -> Checker:
    """Check for a text that a pattern matches whole; `what` says it in words."""

    def check(value: Any, path: Path) -> None:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ShapeError(path, "is {0}; it must be {1}".format(_shown(value), what))

    return check


def boolean(value: Any, path: Path) -> None:
    """Check for true or false."""
    if not isinstance(value, bool):
        raise ShapeError(path, "is {0}; it must be true or false".format(_shown(value)))


def choice(*allowed: Any) -> Checker:
    """Check for one of a few values."""

    def check(value: Any, path: Path) -> None:
        if not any(value == one and type(value) is type(one) for one in allowed):
            raise ShapeError(path, "is {0}; it must be one of {1}".format(_shown(value), ", ".join(str(one) for one in allowed)))

    return check


def optional(checker: Checker) -> Checker:
    """Allow null, else check as given."""

    def check(value: Any, path: Path) -> None:
        if value is not None:
            checker(value, path)

    return check


def listing(checker: Checker, length: Optional[int] = None) -> Checker:
    """Check every item of a list, and the number of items where one is given."""

    def check(value: Any, path: Path) -> None:
        if not isinstance(value, list):
            raise ShapeError(path, "is {0}; it must be a list".format(_shown(value)))
        if length is not None and len(value) != length:
            raise ShapeError(path, "has {0} item{1}; it must have {2}".format(len(value), "" if len(value) == 1 else "s", length))
        for index, item in enumerate(value):
            checker(item, path + (index,))

    return check


def mapping(checker: Checker) -> Checker:
    """Check every value of a mapping from free names."""

    def check(value: Any, path: Path) -> None:
        _expect_mapping(value, path)
        for name, item in value.items():
            text(name, path + (str(name),))
            checker(item, path + (name,))

    return check


def record(fields: Dict[str, Checker], optional_fields: Optional[Dict[str, Checker]] = None) -> Checker:
    """Check a mapping with fixed keys: all of `fields`, perhaps `optional_fields`, nothing else."""
    extra = optional_fields or {}

    def check(value: Any, path: Path) -> None:
        _expect_mapping(value, path)
        for key in fields:
            if key not in value:
                raise ShapeError(path, "lacks the key {0!r}".format(key))
        for key, item in value.items():
            checker = fields.get(key) or extra.get(key)
            if checker is None:
                raise ShapeError(path, "has the unknown key {0!r}; the keys are {1}".format(key, ", ".join(sorted(fields))))
            checker(item, path + (key,))

    return check


def _expect_mapping(value: Any, path: Path) -> None:
    if not isinstance(value, dict):
        raise ShapeError(path, "is {0}; it must be a mapping".format(_shown(value)))


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    kind = {str: "the text", bool: "the truth value", int: "the number", float: "the number", list: "the list", dict: "the mapping"}
    shown = repr(value)
    if len(shown) > 60:
        shown = shown[:57] + "..."
    return "{0} {1}".format(kind.get(type(value), "the value"), shown)
