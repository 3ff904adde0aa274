# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a layout, as sentences with a place: LayoutError, and how the model's findings become one."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing as t

from .._pydantic import BaseModel, ValidationError
from .spelling import show

Path = tuple[str | int, ...]


@dataclasses.dataclass(frozen=True)
class Position:
    """A place in a text: file name as the user knows it, line and column from 1, and the line itself when it is known."""

    file: str
    line: int
    column: int
    snippet: str | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Locator(t.Protocol):
    """Says where a part of the layout was written."""

    def position(self, path: Path, key: bool = False) -> Position | None:
        """The place of the value at `path` (or of its key), else of the nearest part around it; None when not known."""


@dataclasses.dataclass(frozen=True)
class LayoutError:
    """One thing that is wrong: where (path in the layout), what (a sentence), and what would be right (hint).

    at_key says that the key, not its value, is the offender: an unknown key, a name that is none.
    """

    path: Path
    message: str
    hint: str | None = None
    position: Position | None = None
    at_key: bool = False

    @property
    def where(self) -> str:
        """The path in dots, as people write it: instances.web.memory."""
        return dotted(self.path)

    def sentence(self) -> str:
        """Path, message and hint in one line."""
        text = f"{self.where}: {self.message}" if self.path else self.message
        return f"{text} ({self.hint})" if self.hint else text

    def __str__(self) -> str:
        if self.position is None:
            return self.sentence()
        text = f"{self.position}: {self.sentence()}"
        if self.position.snippet is not None:
            text += f"\n    {self.position.snippet}\n    {' ' * (self.position.column - 1)}^"
        return text

    def to_dict(self) -> dict[str, t.Any]:
        """Plain data for results and reports: path, key in dots, message, hint, file, line, column (null when not known)."""
        place = self.position
        return {
            "path": list(self.path),
            "key": self.where,
            "message": self.message,
            "hint": self.hint,
            "file": place.file if place else None,
            "line": place.line if place else None,
            "column": place.column if place else None,
        }


class LayoutErrors(ValueError):
    """Everything that is wrong with one layout."""

    def __init__(self, errors: list[LayoutError]) -> None:
        super().__init__(errors)
        self.errors = errors

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)

    def __iter__(self) -> t.Iterator[LayoutError]:
        return iter(self.errors)

    def locate(self, locator: Locator | None) -> LayoutErrors:
        """The same errors with their places, in the order of the text."""
        if locator is None:
            return self
        located = [dataclasses.replace(error, position=locator.position(error.path, error.at_key)) for error in self.errors]
        # Errors without a place go last; sorted() keeps the given order among them.
        return LayoutErrors(
            sorted(located, key=lambda e: (e.position.file, e.position.line, e.position.column) if e.position else ("\U0010ffff", 0, 0))
        )


def dotted(path: t.Iterable[str | int]) -> str:
    """A path as people write it: instances.web.cpus, pool.memory[0].size."""
    text = ""
    for part in path:
        text += f"[{show(part)}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def structural(raw: t.Any, model: type[BaseModel]) -> list[LayoutError]:
    """What stops the model from being asked at all: no mapping, or keys that are not text."""
    if not isinstance(raw, dict):
        hint = f"its keys are {', '.join(model.model_fields)}"
        if isinstance(raw, str):
            hint = "give a file with file:, or turn text into a mapping with the filter from_yaml"
        return [LayoutError((), f"a layout is a mapping; {'it is empty' if raw is None else f'found {show(raw)}'}", hint)]
    return list(_odd_keys(raw, ()))


def explain(error: ValidationError, raw: t.Any, model: type[BaseModel]) -> list[LayoutError]:
    """The model's errors as sentences, one LayoutError for each slip of the author."""
    details = error.errors(include_url=False)
    # A misspelt key is both unknown and missing; that it is missing is only the consequence.
    misspelt = {
        (detail["loc"][:-1], near)
        for detail in details
        if detail["type"] == "extra_forbidden" and (near := _near(str(detail["loc"][-1]), known_keys(detail["loc"][:-1], model)))
    }
    slips = [detail for detail in details if detail["type"] != "missing" or (detail["loc"][:-1], detail["loc"][-1]) not in misspelt]
    return [_sentence(detail, raw, model) for detail in slips]


def _odd_keys(raw: t.Any, path: Path) -> t.Iterator[LayoutError]:
    items: t.Iterable[tuple[t.Any, t.Any]] = raw.items() if isinstance(raw, dict) else enumerate(raw) if isinstance(raw, list) else ()
    for key, value in items:
        if isinstance(raw, dict) and not isinstance(key, str):
            hint = "YAML reads yes, no, on and off as truth values; put the key in quotes" if isinstance(key, bool) else "put it in quotes"
            yield LayoutError((*path, key), f"the key {show(key)} is not text", hint, at_key=True)
        else:
            yield from _odd_keys(value, (*path, str(key) if isinstance(key, str) else key))


def _sentence(detail: t.Any, raw: t.Any, model: type[BaseModel]) -> LayoutError:
    kind, context = detail["type"], detail.get("ctx") or {}
    at_key = bool(detail["loc"]) and detail["loc"][-1] == "[key]"
    path: Path = detail["loc"][:-1] if at_key else detail["loc"]
    # A short form (memory: 256MiB) is spelled out before it is judged; what was written ends one step earlier.
    while path and not _present(raw, path) and kind != "missing":
        path = path[:-1]
    if "sentence" in context:
        return LayoutError(path, context["sentence"], context["hint"], at_key=at_key)
    if kind == "extra_forbidden":
        return LayoutError(path, f"unknown key {path[-1]!r}", _suggestion(str(path[-1]), path[:-1], model), at_key=True)
    if kind == "missing":
        return LayoutError(path[:-1], f"the key {path[-1]!r} is missing", _description(path, model), at_key=True)
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        known = ", ".join(known_keys(path, model))
        return LayoutError(
            path,
            f"expected a mapping, found {show(detail['input'])}",
            f"its keys are {known}" if known else "it maps names to declarations",
        )
    if kind == "list_type":
        return LayoutError(path, f"expected a list, found {show(detail['input'])}", "write one item per line, each after a dash")
    if kind == "too_short":
        return LayoutError(path, "the list is empty", "it needs at least one item")
    return LayoutError(path, f"{show(detail['input'])} cannot be used here: {detail['msg']}")


def _present(raw: t.Any, path: Path) -> bool:
    at = raw
    for part in path:
        if not isinstance(at, (dict, list, tuple)):
            return False
        try:
            at = at[part]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def known_keys(path: Path, model: type[BaseModel]) -> list[str]:
    """The keys that a mapping at `path` may have; empty where names are free."""
    place = _place(path, model)
    return list(place.model_fields) if place is not None else []


def _suggestion(key: str, path: Path, model: type[BaseModel]) -> str:
    here = known_keys(path, model)
    near = _near(key, here)
    if near:
        return f"did you mean {near!r}?"
    elsewhere = [place for place in _places(model, ()) if place[-1] == key]
    if elsewhere:
        places = " or ".join(dotted(place[:-1]) or "the top" for place in elsewhere[:3])
        return f"it belongs under {places}; the keys here are {', '.join(here)}"
    return f"the keys here are {', '.join(here)}"


def _near(key: str, known: list[str]) -> str | None:
    return next(iter(difflib.get_close_matches(key, known, 1, 0.6)), None)


def _description(path: Path, model: type[BaseModel]) -> str | None:
    place = _place(path[:-1], model)
    field = place.model_fields.get(str(path[-1])) if place is not None else None
    return field.description[:1].lower() + field.description[1:].rstrip(".") if field is not None and field.description else None


def _place(path: Path, model: type[BaseModel]) -> type[BaseModel] | None:
    """The model that describes the mapping at `path`, or None where there is none."""
    at: t.Any = model
    for part in path:
        if isinstance(at, type) and issubclass(at, BaseModel):
            field = at.model_fields.get(str(part))
            at = field.annotation if field is not None else None
        else:
            arguments = t.get_args(at)
            at = arguments[-1] if arguments else None
        at = _unwrapped(at)
    return at if isinstance(at, type) and issubclass(at, BaseModel) else None


def _places(model: type[BaseModel], path: Path) -> t.Iterator[tuple[str | int, ...]]:
    for name, field in model.model_fields.items():
        yield (*path, name)
        inner, below = _unwrapped(field.annotation), (*path, name)
        if t.get_origin(inner) is dict:
            inner, below = t.get_args(inner)[-1], (*below, "NAME")
        elif t.get_origin(inner) is list:
            inner = t.get_args(inner)[-1]
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _places(inner, below)


def _unwrapped(annotation: t.Any) -> t.Any:
    """An annotation without Optional."""
    if t.get_origin(annotation) in (t.Union, types.UnionType):
        kinds = [kind for kind in t.get_args(annotation) if kind is not type(None)]
        return kinds[0] if len(kinds) == 1 else annotation
    return annotation
