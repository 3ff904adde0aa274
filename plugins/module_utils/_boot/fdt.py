# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause

"""Flattened device trees: the bytes that a multikernel host shows and takes below /sys/fs/multikernel.

A tree is read into and written from plain nodes. What is read comes from a kernel or from another tool and may be torn, damaged or
hostile: the answer is a tree or an FdtError with a sentence, in time and memory linear in the size of the blob.
Source: Devicetree Specification 0.4, chapter 5, "Flattened Devicetree (DTB) Format"; everything in it is big-endian.
"""

from __future__ import annotations

import struct
from typing import Dict, Iterable, Iterator, List, Optional, Sequence, Tuple, Union

MAGIC = 0xD00DFEED
VERSION = 17
COMPATIBLE = 16

LARGEST = 1 << 20
"""Bytes of the largest blob that is read or written: what the root file of a multikernel host takes in one write."""
DEEPEST = 64
"""Nodes on a path, the root included: as deep as Linux follows a tree (FDT_MAX_DEPTH)."""
LONGEST_NAME = 255
"""Bytes of a name. The specification has 31; kernels, dtc and file systems take more."""

BEGIN_NODE, END_NODE, PROP, NOP, END = 1, 2, 3, 4, 9

_HEADER = struct.Struct(">10I")
_WORD = struct.Struct(">I")
_PROPERTY = struct.Struct(">2I")
_RESERVE_END = bytes(16)
"""The memory reservation block ends in two zero words of 64 bits; ours has no entry before them."""

Bytes = Union[bytes, bytearray, memoryview]


class FdtError(ValueError):
    """A blob is no device tree, a tree cannot be written, or a property is not of the asked width; str() is a sentence."""


class Node:
    """One node: its name (the root's is empty), its properties as bytes by name, its children in order."""

    __slots__ = ("children", "name", "properties")

    def __init__(self, name: str = "", properties: Optional[Dict[str, bytes]] = None, children: Optional[Iterable[Node]] = None) -> None:
        self.name = name
        self.properties: Dict[str, bytes] = dict(properties or {})
        self.children: List[Node] = list(children or ())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Node):
            return NotImplemented
        pairs = [(self, other)]
        while pairs:
            one, two = pairs.pop()
            # the order of properties has no meaning, that of children has: the first of a name is the one that counts
            if one.name != two.name or one.properties != two.properties or len(one.children) != len(two.children):
                return False
            pairs.extend(zip(one.children, two.children))
        return True

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "Node(%r, %d properties, %d children)" % (self.name, len(self.properties), len(self.children))

    def child(self, name: str) -> Optional[Node]:
        """The first child of exactly this name, its unit address included; None when there is none."""
        return next((one for one in self.children if one.name == name), None)

    def find(self, path: str) -> Optional[Node]:
        """The node at a path that begins at this node, such as "/resources/devices"; "/" is this node; None when it is absent."""
        node: Optional[Node] = self
        for name in path.split("/"):
            if name and node is not None:
                node = node.child(name)
        return node

    def walk(self) -> Iterator[Tuple[str, Node]]:
        """Every node from this one down with its path below this one; parents come before their children."""
        stack = [("", "", self)]
        while stack:
            above, name, node = stack.pop()
            path = above + name  # joined late: a hostile tree has many nodes below a long path
            yield path or "/", node
            stack.extend((path, "/" + one.name, one) for one in reversed(node.children))

    def u32(self, name: str) -> Optional[int]:
        """A number of 32 bits; None when the property is absent, FdtError when it has another width."""
        return self._number(name, 4)

    def u64(self, name: str) -> Optional[int]:
        """A number of 64 bits; None when the property is absent, FdtError when it has another width."""
        return self._number(name, 8)

    def u32s(self, name: str) -> Optional[List[int]]:
        """A list of numbers of 32 bits; None when the property is absent, FdtError when it ends inside a number."""
        return self._numbers(name, 4)

    def u64s(self, name: str) -> Optional[List[int]]:
        """A list of numbers of 64 bits; None when the property is absent, FdtError when it ends inside a number."""
        return self._numbers(name, 8)

    def string(self, name: str) -> Optional[str]:
        """A text; None when the property is absent, FdtError when it does not end in its only NUL or is no UTF-8."""
        value = self.properties.get(name)
        if value is None:
            return None
        if value[-1:] != b"\0" or b"\0" in value[:-1]:
            raise FdtError("property %s of node %s is no text: it must end in a NUL and have no other" % (_short(name), _short(self.name)))
        try:
            return value[:-1].decode()
        except UnicodeDecodeError:
            raise FdtError("property %s of node %s is no text: it is not UTF-8" % (_short(name), _short(self.name))) from None

    def _number(self, name: str, width: int) -> Optional[int]:
        value = self.properties.get(name)
        if value is not None and len(value) != width:
            raise FdtError(
                "property %s of node %s has %d bytes instead of the %d of one number" % (_short(name), _short(self.name), len(value), width)
            )
        return None if value is None else int.from_bytes(value, "big")

    def _numbers(self, name: str, width: int) -> Optional[List[int]]:
        value = self.properties.get(name)
        if value is None:
            return None
        if len(value) % width:
            raise FdtError(
                "property %s of node %s has %d bytes, no list of numbers of %d bytes each"
                % (_short(name), _short(self.name), len(value), width)
            )
        return list(struct.unpack(">%d%s" % (len(value) // width, "I" if width == 4 else "Q"), value))


def u32(*values: int) -> bytes:
    """The bytes of a property with numbers of 32 bits; FdtError for a number that does not fit."""
    return _packed(values, 4)


def u64(*values: int) -> bytes:
    """The bytes of a property with numbers of 64 bits; FdtError for a number that does not fit."""
    return _packed(values, 8)


def string(text: str) -> bytes:
    """The bytes of a property with a text; FdtError for a text with a NUL in it or one that UTF-8 cannot write."""
    return _named(text, "the text of a property") + b"\0"


def complete(blob: Bytes) -> bool:
    """Whether a blob has the length that its header tells: a tree that the kernel renewed between two reads mostly has not."""
    return len(blob) >= 8 and _PROPERTY.unpack_from(blob, 0) == (MAGIC, len(blob))


def parse(blob: Bytes) -> Node:
    """The root node of the device tree in *blob*, which must be exactly as long as its header says. Raises FdtError with a sentence.

    Stricter than libfdt where it could not be told what was meant: properties after children, a property twice in a node.
    Nodes of the same name are kept, as libfdt does; the first is the one that counts.
    """
    data = bytes(blob)
    position, end, strings = _blocks(data)
    names: Dict[int, str] = {}
    root: Optional[Node] = None
    path: List[Node] = []
    while True:
        if position + 4 > end:
            raise FdtError("the device tree is damaged: its structure ends at byte %d without an end mark" % end)
        token = _WORD.unpack_from(data, position)[0]
        position += 4
        if token == NOP:
            continue
        if token == END:
            break
        if root is not None and not path:
            raise FdtError("the device tree is damaged: something follows its root node at byte %d" % (position - 4))
        if token == BEGIN_NODE:
            stop = data.find(b"\0", position, min(end, position + LONGEST_NAME + 1))
            node = Node(_text(data, position, stop, "a node"))
            if len(path) == DEEPEST:
                raise FdtError("the device tree is deeper than %d nodes" % DEEPEST)
            if path:
                path[-1].children.append(node)
            root = root or node
            path.append(node)
            position = _aligned(stop + 1)
        elif not path:
            raise FdtError("the device tree is damaged: there is no root node at byte %d" % (position - 4))
        elif token == END_NODE:
            path.pop()
        elif token == PROP:
            if position + 8 > end:
                raise FdtError("the device tree is damaged: it ends inside a property at byte %d" % position)
            length, offset = _PROPERTY.unpack_from(data, position)
            position += 8
            if length > end - position:
                raise FdtError("the device tree is damaged: a property at byte %d has %d bytes and so leaves the tree" % (position, length))
            if offset not in names:
                names[offset] = _property_name(data, strings, offset)
            _add(path[-1], names[offset], data[position : position + length])
            position = _aligned(position + length)
        else:
            raise FdtError("the device tree is damaged: there is an unknown mark %d at byte %d" % (token, position - 4))
    if root is None or path:
        raise FdtError("the device tree is damaged: it ends %s" % ("inside node %s" % _short(path[-1].name) if path else "without a node"))
    return root


def build(node: Node) -> bytes:
    """The blob of the tree below *node*. Raises FdtError for what no reader would find again: bad or double names, too deep, too large."""
    offsets, strings = _strings(property_names(node))
    out = bytearray()
    stack: List[Tuple[Optional[Node], int]] = [(node, 1)]
    while stack:
        one, depth = stack.pop()
        if one is None:
            out += _WORD.pack(END_NODE)
            continue
        if depth > DEEPEST:
            raise FdtError("the device tree is deeper than %d nodes" % DEEPEST)
        _check_children(one)
        out += _WORD.pack(BEGIN_NODE) + _padded(_name(one.name, "a node's name") + b"\0")
        for name, value in one.properties.items():
            out += _WORD.pack(PROP) + _PROPERTY.pack(len(value), offsets[name]) + _padded(value)
        stack.append((None, depth))
        stack.extend((child, depth + 1) for child in reversed(one.children))
        if len(out) > LARGEST:
            break
    out += _WORD.pack(END)
    start = _HEADER.size + len(_RESERVE_END)
    total = start + len(out) + len(strings)
    if total > LARGEST:
        raise FdtError("the device tree has more than %d bytes" % LARGEST)
    header = _HEADER.pack(
        MAGIC, total, start, start + len(out), _HEADER.size, VERSION, COMPATIBLE, 0, len(strings), len(out)
    )  # fmt: skip
    return header + _RESERVE_END + bytes(out) + strings


def property_names(node: Node) -> List[str]:
    """The names of all properties from *node* down, each once, in the order of their first use."""
    return list(dict.fromkeys(name for _path, one in node.walk() for name in one.properties))


def node_size(node: Node) -> int:
    """Bytes that *node* and what is below it take in a blob, without the names of properties."""
    size = 0
    for _path, one in node.walk():
        size += 8 + _aligned(len(one.name.encode("utf-8", "surrogatepass")) + 1)
        size += sum(12 + _aligned(len(value)) for value in one.properties.values())
    return size


def blob_size(nodes: int, names: Iterable[str]) -> int:
    """Bytes of a blob whose nodes take *nodes* bytes (node_size) and whose properties have these names: what build() will give."""
    return _HEADER.size + len(_RESERVE_END) + nodes + 4 + len(_strings(names)[1])


def _blocks(data: bytes) -> Tuple[int, int, bytes]:
    """Where the structure begins and ends, and the block of names; FdtError unless all lies inside the blob."""
    if len(data) < _HEADER.size:
        raise FdtError("this is no device tree: it has %d bytes, and the header alone has %d" % (len(data), _HEADER.size))
    magic, total, structure, strings, reserve, version, compatible, _cpu, strings_size, structure_size = _HEADER.unpack_from(data, 0)
    if magic != MAGIC:
        raise FdtError("this is no device tree: it begins with 0x%08x instead of 0x%08x" % (magic, MAGIC))
    if total != len(data):
        raise FdtError("the device tree is incomplete: its header tells %d bytes, there are %d" % (total, len(data)))
    if total > LARGEST:
        raise FdtError("the device tree has %d bytes, more than %d" % (total, LARGEST))
    if version < COMPATIBLE or compatible > VERSION:
        raise FdtError(
            "the device tree has version %d, compatible with %d; known are %d and %d" % (version, compatible, COMPATIBLE, VERSION)
        )
    if version < VERSION:  # the last field of the header came with version 17
        structure_size = (strings if strings > structure else total) - structure
    for what, start, size in (("structure", structure, structure_size), ("names", strings, strings_size), ("reservations", reserve, 16)):
        if start < _HEADER.size or size < 0 or start + size > total:
            raise FdtError("the device tree is damaged: its %s (%d bytes at %d) leave its %d bytes" % (what, size, start, total))
    if structure % 4:
        raise FdtError("the device tree is damaged: its structure begins at byte %d, no multiple of 4" % structure)
    return structure, structure + structure_size, data[strings : strings + strings_size]


def _property_name(data: bytes, strings: bytes, offset: int) -> str:
    stop = strings.find(b"\0", offset, offset + LONGEST_NAME + 1) if offset < len(strings) else -1
    return _text(strings, offset, stop, "a property")


def _text(data: bytes, start: int, stop: int, what: str) -> str:
    if stop < 0:
        raise FdtError("the device tree is damaged: the name of %s has no end within %d bytes" % (what, LONGEST_NAME))
    try:
        name = data[start:stop].decode()
    except UnicodeDecodeError:
        raise FdtError("the device tree is damaged: the name of %s is no UTF-8" % what) from None
    if "/" in name:
        raise FdtError("the device tree is damaged: the name %s of %s has a / in it" % (_short(name), what))
    return name


def _add(node: Node, name: str, value: bytes) -> None:
    if node.children:
        raise FdtError("the device tree is damaged: property %s of node %s comes after its children" % (_short(name), _short(node.name)))
    if name in node.properties:
        raise FdtError("the device tree is damaged: property %s is twice in node %s" % (_short(name), _short(node.name)))
    node.properties[name] = value


def _check_children(node: Node) -> None:
    names = [child.name for child in node.children]
    if len(set(names)) != len(names):
        double = next(name for number, name in enumerate(names) if name in names[:number])
        raise FdtError("node %s has two children named %s" % (_short(node.name), _short(double)))


def _strings(names: Iterable[str]) -> Tuple[Dict[str, int], bytes]:
    """The block of names, and where each begins in it. A name that ends another shares its bytes, as dtc and libfdt do."""
    offsets: Dict[str, int] = {}
    block = bytearray()
    last, begin = b"", 0
    raw = [(name, _name(name, "a property's name")) for name in set(names)]
    for name, text in sorted(raw, key=lambda pair: pair[1][::-1], reverse=True):
        # sorted by their ends, a name comes right after those that it is the end of
        if not last.endswith(text) or not block:
            last, begin = text, len(block)
            block += text + b"\0"
        offsets[name] = begin + len(last) - len(text)
    return offsets, bytes(block)


def _name(name: str, what: str) -> bytes:
    text = _named(name, what)
    if len(text) > LONGEST_NAME or b"/" in text:
        raise FdtError("%s, %s, cannot be written: it has more than %d bytes or a / in it" % (what, _short(name), LONGEST_NAME))
    return text


def _named(text: str, what: str) -> bytes:
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        raise FdtError("%s, %s, cannot be written in UTF-8" % (what, _short(text))) from None
    if b"\0" in raw:
        raise FdtError("%s, %s, has a NUL in it" % (what, _short(text)))
    return raw


def _packed(values: Sequence[int], width: int) -> bytes:
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 8 * width:
            raise FdtError("%s is no number of %d bits" % (_short(str(value)), 8 * width))
    return b"".join(value.to_bytes(width, "big") for value in values)


def _aligned(size: int) -> int:
    return size + (-size & 3)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) & 3)


def _short(name: str) -> str:
    return repr(name if len(name) <= 60 else name[:57] + "...")
