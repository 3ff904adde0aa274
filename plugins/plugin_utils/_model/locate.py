# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where each part of a layout file was written.

`SourceFile` reads YAML (and so JSON) into plain data and remembers line and column of every key and value. Nothing but
plain YAML is accepted: no tags that build objects, no key twice, no recursion, and no alias bombs.
"""

from __future__ import annotations

import typing as t

import yaml

from .errors import LayoutError, LayoutErrors, Path, Position

#: A layout of a thousand instances has some 20 000 nodes; more comes from aliases that multiply.
NODE_LIMIT = 200_000


class SourceFile:
    """A layout file: its data and the places of its parts. A Locator."""

    def __init__(self, name: str, text: str, below: Path = ()) -> None:
        """Read `text`; `name` is shown in messages. below: where in the file the layout is, when not at its top.

        Raises LayoutErrors with the place when the text is no plain YAML.
        """
        self.name = name
        self.lines = text.splitlines()
        self._values: dict[Path, yaml.Mark] = {}
        self._keys: dict[Path, yaml.Mark] = {}
        self._below = tuple(below)
        self._errors: list[LayoutError] = []
        data = self._read(text)
        if self._errors:
            raise LayoutErrors(self._errors)
        self.data = self._layout(data)

    @classmethod
    def open(cls, path: str, below: Path = ()) -> SourceFile:
        """Read the file at `path`. Raises LayoutErrors when it cannot be read or is no UTF-8 text."""
        try:
            with open(path, encoding="utf-8") as file:
                return cls(path, file.read(), below)
        except OSError as error:
            raise LayoutErrors([LayoutError((), f"{path} cannot be read: {error.strerror}")]) from None
        except UnicodeDecodeError as error:
            raise LayoutErrors([LayoutError((), f"{path} is no text in UTF-8: byte {error.start}")]) from None

    def position(self, path: Path, key: bool = False) -> Position | None:
        """The place of the value at `path` (key: of its key), else of the nearest part around it."""
        at = (*self._below, *path)
        if key and at in self._keys:
            return self._position(self._keys[at])
        while at not in self._values and at:
            at = at[:-1]
        return self._position(self._values[at]) if at in self._values else None

    def _read(self, text: str) -> t.Any:
        try:
            loader = yaml.SafeLoader(text)
            node = loader.get_single_node()
            return None if node is None else _Walk(self, loader).value(node, ())
        except yaml.reader.ReaderError as error:
            before = text[: error.position]
            mark = yaml.Mark(self.name, error.position, before.count("\n"), error.position - before.rfind("\n") - 1, None, 0)
            self.refuse((), f"this is no YAML: it has the control character U+{ord(text[error.position]):04X} in it", mark)
        except yaml.MarkedYAMLError as error:
            problem = " ".join(part for part in (error.context, error.problem) if part)
            self.refuse((), f"this is no YAML: {problem}", error.problem_mark or error.context_mark)
        except RecursionError:
            self.refuse((), "this is nested too deeply", None)
        return None

    def _layout(self, data: t.Any) -> t.Any:
        for number, part in enumerate(self._below):
            if not isinstance(data, dict) or part not in data:
                path = ".".join(str(one) for one in self._below[: number + 1])
                raise LayoutErrors([LayoutError((), f"{self.name} has no key {path}")])
            data = data[part]
        return data

    def refuse(self, path: Path, message: str, mark: yaml.Mark | None, hint: str | None = None) -> None:
        """Note an error of the text itself."""
        position = self._position(mark) if mark else Position(self.name, 1, 1)
        self._errors.append(LayoutError(path, message, hint, position))

    def _position(self, mark: yaml.Mark) -> Position:
        snippet = self.lines[mark.line].expandtabs(1) if mark.line < len(self.lines) else None
        return Position(self.name, mark.line + 1, mark.column + 1, snippet)


class _Walk:
    """From YAML nodes to plain data, noting places on the way."""

    def __init__(self, source: SourceFile, loader: yaml.SafeLoader) -> None:
        self.source, self.loader = source, loader
        self.nodes = 0
        self.open: list[int] = []

    def value(self, node: yaml.Node, path: Path) -> t.Any:
        self.nodes += 1
        if self.nodes > NODE_LIMIT:
            raise yaml.MarkedYAMLError(problem="its aliases multiply without end", problem_mark=node.start_mark)
        if id(node) in self.open:
            raise yaml.MarkedYAMLError(problem="an alias stands inside the part that it names", problem_mark=node.start_mark)
        self.source._values[path] = node.start_mark  # pylint: disable=protected-access
        self.open.append(id(node))
        try:
            if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
                return [self.value(item, (*path, number)) for number, item in enumerate(node.value)]
            if isinstance(node, yaml.ScalarNode):
                return self._scalar(node)
            raise yaml.MarkedYAMLError(problem=f"the tag {node.tag} has no meaning in a layout", problem_mark=node.start_mark)
        finally:
            self.open.pop()

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[t.Any, t.Any]:
        own = {id(pair[0]) for pair in node.value}
        seen: dict[t.Any, yaml.Mark] = {}
        for key_node, _value in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self._key(key_node)
            if key in seen:
                first = seen[key].line + 1
                self.source.refuse(
                    (*path, key), f"the key {key!r} is there twice; the first is in line {first}", key_node.start_mark, "keep one of them"
                )
            seen[key] = key_node.start_mark
        self.loader.flatten_mapping(node)  # resolves `<<: *name`
        result: dict[t.Any, t.Any] = {}
        # What a merge brings comes first in the list, so that the mapping's own keys replace it.
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key in result and id(key_node) not in own:
                continue
            self.source._keys[(*path, key)] = key_node.start_mark  # pylint: disable=protected-access
            result[key] = self.value(value_node, (*path, key))
        return result

    def _key(self, node: yaml.Node) -> t.Any:
        if not isinstance(node, yaml.ScalarNode):
            raise yaml.MarkedYAMLError(problem="a key must be one word", problem_mark=node.start_mark)
        return self._scalar(node)

    def _scalar(self, node: yaml.ScalarNode) -> t.Any:
        kind = node.tag.rpartition(":")[2]
        if node.tag.startswith("tag:yaml.org,2002:") and kind in ("str", "int", "float", "bool", "null"):
            return self.loader.construct_object(node)
        if kind == "timestamp":
            return node.value  # a word such as 2026-11-22 is a label here, not a date
        raise yaml.MarkedYAMLError(problem=f"the tag {node.tag} has no meaning in a layout", problem_mark=node.start_mark)
