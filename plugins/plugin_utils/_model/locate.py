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

#: A layout of a thousand instances has some 20 000 nodes in half a MiB; more comes from aliases that multiply, or is no layout.
NODE_LIMIT = 200_000
MAX_BYTES = 4 << 20
#: A layout is nested 7 deep; other files that carry one in a key may be deeper.
DEPTH_LIMIT = 64
#: What stands beside these columns of a line is not shown with an error: JSON often is one line of megabytes.
_SHOWN = 160


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
        """Read the file at `path`. Raises LayoutErrors when it cannot be read, is too large or is no UTF-8 text."""
        try:
            with open(path, "rb") as file:
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise LayoutErrors([LayoutError((), f"{path} cannot be read: {error.strerror}")]) from None
        except ValueError:
            raise LayoutErrors([LayoutError((), f"{path!r} cannot be read: it has a NUL in its name")]) from None
        return cls.of_bytes(path, content, below)

    @classmethod
    def of_bytes(cls, name: str, content: bytes, below: Path = ()) -> SourceFile:
        """Read the content of a file. Raises LayoutErrors when it is too large, no UTF-8 text or no plain YAML."""
        if len(content) > MAX_BYTES:
            raise LayoutErrors([LayoutError((), f"{name} is too large for a layout: more than {MAX_BYTES >> 20} MiB")])
        try:
            # As a text file is read: any line ending is one newline.
            text = content.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
        except UnicodeDecodeError as error:
            raise LayoutErrors([LayoutError((), f"{name} is no text in UTF-8: byte {error.start}")]) from None
        return cls(name, text, below)

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
            loader = _Loader(text)
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
        if snippet is not None and len(snippet) > _SHOWN:
            snippet = snippet[:_SHOWN] if mark.column < _SHOWN else None
        return Position(self.name, mark.line + 1, mark.column + 1, snippet)


class _Loader(yaml.SafeLoader):
    """Builds the tree of nodes within bounds; what it is made of is judged by _Walk."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.composed = 0
        self.depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.composed += 1
        self.depth += 1
        if self.composed > NODE_LIMIT or self.depth > DEPTH_LIMIT:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            problem = "this is nested too deeply" if self.depth > DEPTH_LIMIT else f"it has more than {NODE_LIMIT} parts"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
        try:
            node: yaml.Node | None = super().compose_node(parent, index)
            return node
        finally:
            self.depth -= 1

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Resolve `<<: *name`, counting what comes in: merges of merges multiply as aliases do."""
        super().flatten_mapping(node)
        self.composed += len(node.value)
        if self.composed > NODE_LIMIT:
            raise yaml.MarkedYAMLError(problem="its merges multiply without end", problem_mark=node.start_mark)


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
            try:
                return self.loader.construct_object(node)
            except (ValueError, LookupError, OverflowError):  # such as 0x_, !!int word, !!bool word, or thousands of digits
                short = node.value if len(node.value) <= 40 else node.value[:37] + "..."
                raise yaml.MarkedYAMLError(problem=f"{short!r} is no {kind}", problem_mark=node.start_mark) from None
        if kind == "timestamp":
            return node.value  # a word such as 2026-11-22 is a label here, not a date
        raise yaml.MarkedYAMLError(problem=f"the tag {node.tag} has no meaning in a layout", problem_mark=node.start_mark)
