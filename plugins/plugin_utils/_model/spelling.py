# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How people spell values in a layout, turned at once into the one form that the rest of the code deals in.

Sizes and addresses become bytes (int), CPU lists become sorted lists of int, durations become seconds (float). Every
refusal is a sentence that says what was found and what would be right. Each type carries its JSON Schema, so that the
published schema accepts exactly the same spellings.
"""

from __future__ import annotations

import difflib
import re
import typing as t

from ...module_utils._layout import cpuset, units
from .._pydantic import BaseModel, BeforeValidator, ConfigDict, PydanticCustomError, WithJsonSchema

NAME_PATTERN = r"^[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!\.)){0,30}$"
SIZE_PATTERN = r"^\s*(?:[0-9]+(?:\.[0-9]+)?\s*(?:B|[KMGT]iB|[kKMGT]B)?|0[xX][0-9a-fA-F]+(?:_[0-9a-fA-F]+)*)\s*$"
ADDRESS_PATTERN = r"^\s*0[xX][0-9a-fA-F]+(?:_[0-9a-fA-F]+)*\s*$"
_RANGE = r"[0-9]+(?:-[0-9]+(?::[0-9]+(?:/[0-9]+)?)?)?"
CPUS_PATTERN = rf"^\s*{_RANGE}(?:\s*,\s*{_RANGE})*\s*$"
DURATION_PATTERN = r"^\s*(?:[0-9]+(?:\.[0-9]+)?\s*(?:us|ms|s|m|min|h|d)\s*)+$"
PATH_PATTERN = r"^/(?!.*(?:^|/)\.\.(?:/|$)).+$"
SHA256_PATTERN = r"^[0-9a-fA-F]{64}$"
# Ansible makes a process for each host, out of one that has imported this: what Python compiles and keeps here is compiled for all of them.
for _pattern in (NAME_PATTERN, PATH_PATTERN, SHA256_PATTERN, *units.WRITTEN, *cpuset.WRITTEN):
    re.compile(_pattern)


class Strict(BaseModel):
    """Base of every model: unknown keys are errors, nothing is converted silently, a value never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True, protected_namespaces=())


def refuse(kind: str, sentence: str, hint: str | None = None) -> t.NoReturn:
    """Leave a validator with a sentence; `hint` says what would be right. Raises PydanticCustomError."""
    # The text goes through the context, because the template would read braces in a user's value as fields.
    raise PydanticCustomError(kind, "{sentence}", {"sentence": sentence, "hint": hint})


def show(value: t.Any) -> str:
    """A user's value as it should appear in a sentence: short, quoted when it is text."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        text = repr(str(value))
    elif isinstance(value, dict):
        text = "a mapping"
    elif isinstance(value, (list, tuple)):
        text = "a list"
    elif isinstance(value, int) and abs(value).bit_length() > 256:
        text = f"a number of {abs(value).bit_length()} bits"  # Python refuses to write thousands of digits
    else:
        text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _size(value: t.Any) -> int:
    try:
        number = units.parse_size(_plain(value))
    except units.UnitError as error:
        refuse("size", str(error))
    if number <= 0:
        refuse("size", f"{show(value)} is no size; it must be more than 0")
    return number


def _address(value: t.Any) -> int:
    try:
        return units.parse_address(_plain(value))
    except units.UnitError as error:
        refuse("address", str(error))


def _cpu_list(value: t.Any) -> list[int]:
    """CPU numbers from the kernel's list format, one number, or a YAML list of numbers, in the order written."""
    wanted = 'write the kernel\'s list format in quotes, for example "2" or "0-3,8,10-14:2"'
    if isinstance(value, bool) or not isinstance(value, (int, str, list, tuple)):
        refuse("cpus", f"{show(value)} is no CPU list", wanted)
    if isinstance(value, str):
        try:
            numbers = cpuset.parse(str(value))
        except cpuset.CpuListError as error:
            refuse("cpus", str(error))
    else:
        numbers = list(value) if isinstance(value, (list, tuple)) else [value]
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 0xFFFFFFFF:
            refuse("cpus", f"{show(number)} is no CPU number", wanted)
    if not numbers:
        refuse("cpus", "the CPU list is empty", wanted)
    return [int(number) for number in numbers]


def _cpu_set(value: t.Any) -> list[int]:
    """Like _cpu_list, for places where neither order nor repetition means anything: ascending, each once."""
    return sorted(set(_cpu_list(value)))


def _duration(value: t.Any) -> float:
    try:
        seconds = units.parse_duration(_plain(value))
    except units.UnitError as error:
        refuse("duration", str(error))
    if seconds <= 0:
        refuse("duration", f"{show(value)} is no duration; it must be more than 0, such as 30s")
    return seconds


def _plain(value: t.Any) -> t.Any:
    """The value without what Ansible tags onto it, so that it prints as it was written."""
    for kind in (bool, str, int, float):
        if isinstance(value, kind):
            return kind(value)
    return value


def _text(value: t.Any) -> str:
    if not isinstance(value, str):
        hint = "YAML reads yes, no, on and off as truth values; put the word in quotes" if isinstance(value, bool) else "put it in quotes"
        refuse("text", f"{show(value)} is not text", hint)
    if any(character in value for character in "\n\r\0"):
        refuse("text", f"{show(value)} has a line break or a NUL in it", "write it on one line")
    return str(value)


def _name(value: t.Any) -> str:
    text = _text(value)
    if re.match(NAME_PATTERN, text):
        return text
    wanted = "use letters, digits, '-', '_' and single dots, starting with a letter or digit, at most 31 characters"
    if "/" in text:
        refuse("name", f"{show(text)} is no name: it has a '/' in it", wanted)
    if ".." in text:
        refuse("name", f"{show(text)} is no name: it has '..' in it", wanted)
    refuse("name", f"{show(text)} is no name", wanted)


def _instance_name(value: t.Any) -> str:
    text = _name(value)
    if text == "host":
        refuse("name", "'host' cannot name an instance: in channels it means the host kernel", "give the instance another name")
    return text


def _path(value: t.Any) -> str:
    text = _text(value)
    if not text.startswith("/"):
        refuse(
            "path",
            f"{show(text)} is not an absolute path",
            "images are files on the target; write the path from the root, for example /boot/vmlinuz",
        )
    if ".." in text.split("/"):
        refuse("path", f"{show(text)} has a '..' in it", "write the path without '..'")
    return text


def _sha256(value: t.Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        refuse("sha256", "this checksum was read as a number", "put it in quotes")
    text = _text(value)
    if not re.match(SHA256_PATTERN, text):
        refuse("sha256", f"{show(text)} is no SHA-256 checksum: that is 64 hexadecimal digits", "sha256sum FILE prints it")
    return text.lower()


def _count(value: t.Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        refuse("count", f"{show(value)} is no number of CPUs; write a whole number of at least 1")
    return int(value)


def _node(value: t.Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1024:
        refuse("node", f"{show(value)} is no NUMA node number; write a whole number from 0")
    return int(value)


def _switch(value: t.Any) -> bool:
    if not isinstance(value, bool):
        refuse("switch", f"{show(value)} is no truth value; write true or false")
    return bool(value)


def choice(*words: str) -> t.Any:
    """The validator of a key that takes one of some words. YAML 1.1 reads a bare no as false; it means the word."""

    def check(value: t.Any) -> str:
        if value is False and "no" in words:
            return "no"
        if isinstance(value, str) and value in words:
            return str(value)
        near = difflib.get_close_matches(str(value), words, 1)
        refuse("choice", f"{show(value)} is not one of {', '.join(words)}", f"did you mean {near[0]!r}?" if near else None)

    return check


def one_of(*words: str) -> t.Any:
    """An annotated type for a key that takes one of the given words."""
    schema: dict[str, t.Any] = {"enum": [*words, False]} if "no" in words else {"type": "string", "enum": list(words)}
    return t.Annotated[str, BeforeValidator(choice(*words)), WithJsonSchema(schema)]


def _either(*schemas: dict[str, t.Any]) -> dict[str, t.Any]:
    return {"anyOf": list(schemas)}


CPU_LIST_SCHEMA: dict[str, t.Any] = _either(
    {"type": "string", "pattern": CPUS_PATTERN},
    {"type": "integer", "minimum": 0},
    {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
)

Size = t.Annotated[
    int, BeforeValidator(_size), WithJsonSchema(_either({"type": "string", "pattern": SIZE_PATTERN}, {"type": "integer", "minimum": 1}))
]
Address = t.Annotated[
    int,
    BeforeValidator(_address),
    WithJsonSchema(_either({"type": "string", "pattern": ADDRESS_PATTERN}, {"type": "integer", "minimum": 0})),
]
Duration = t.Annotated[
    float,
    BeforeValidator(_duration),
    WithJsonSchema(_either({"type": "string", "pattern": DURATION_PATTERN}, {"type": "number", "exclusiveMinimum": 0})),
]
CpuSet = t.Annotated[list[int], BeforeValidator(_cpu_set), WithJsonSchema(CPU_LIST_SCHEMA)]
CpuList = t.Annotated[list[int], BeforeValidator(_cpu_list), WithJsonSchema(CPU_LIST_SCHEMA)]
Text = t.Annotated[str, BeforeValidator(_text), WithJsonSchema({"type": "string", "pattern": r"^[^\n\r]*$"})]
Name = t.Annotated[str, BeforeValidator(_name), WithJsonSchema({"type": "string", "pattern": NAME_PATTERN})]
InstanceName = t.Annotated[
    str, BeforeValidator(_instance_name), WithJsonSchema({"type": "string", "pattern": NAME_PATTERN.replace("^", "^(?!host$)", 1)})
]
FilePath = t.Annotated[str, BeforeValidator(_path), WithJsonSchema({"type": "string", "pattern": PATH_PATTERN})]
Sha256 = t.Annotated[str, BeforeValidator(_sha256), WithJsonSchema({"type": "string", "pattern": SHA256_PATTERN})]
Count = t.Annotated[int, BeforeValidator(_count), WithJsonSchema({"type": "integer", "minimum": 1})]
Node = t.Annotated[int, BeforeValidator(_node), WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 1023})]
Switch = t.Annotated[bool, BeforeValidator(_switch), WithJsonSchema({"type": "boolean"})]
