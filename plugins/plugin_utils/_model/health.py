# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Health: the gates that an instance must pass to count as started, and what it is held to from then on."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ...module_utils._layout.canonical import pattern_error
from .._pydantic import BeforeValidator, Field, GetJsonSchemaHandler, WithJsonSchema, model_validator
from .spelling import PATH_PATTERN, Duration, Name, Strict, refuse, show

WORDS = 64  # of a command
WORD = 4096  # characters of each


def _pattern(value: t.Any) -> str:
    if not isinstance(value, str):
        refuse("console", f"{show(value)} is no pattern", "put it in quotes")
    if any(character in value for character in "\n\r\0"):
        refuse("console", f"{show(value)} has a line break or a NUL in it", "it is held against one line at a time")
    reason = pattern_error(str(value))
    if reason is not None:
        refuse("console", f"{show(value)} is no regular expression: {reason}", "write what Python's re.search takes, such as 'ready$'")
    return str(value)


def _command(value: t.Any) -> list[str]:
    wanted = "write a list of words, the first one an absolute path, for example [/usr/local/bin/ask-web, --quick]"
    if not isinstance(value, (list, tuple)):
        refuse("command", f"{show(value)} is no command: no shell is between", wanted)
    if not 1 <= len(value) <= WORDS:
        refuse("command", f"a command has 1 to {WORDS} words, found {len(value)}", wanted)
    for word in value:
        if not isinstance(word, str):
            refuse("command", f"{show(word)} is no word of a command", "put it in quotes")
        if "\0" in word or len(word) > WORD:
            refuse("command", f"{show(word)} has a NUL in it, or more than {WORD} characters", wanted)
    if not re.match(PATH_PATTERN, value[0]):
        refuse("command", f"{show(value[0])} is not an absolute path without '..'", wanted)
    return [str(word) for word in value]


def _address(value: t.Any) -> str:
    try:
        if not isinstance(value, str) or "%" in value:
            raise ValueError
        return str(ipaddress.ip_address(str(value)))
    except ValueError:
        refuse("tcp", f"{show(value)} is no IP address", "write an address: looking a name up may take minutes, and may fail by itself")


def _port(value: t.Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 65535:
        refuse("tcp", f"{show(value)} is no TCP port; write a whole number from 1 to 65535")
    return int(value)


Pattern = t.Annotated[str, BeforeValidator(_pattern), WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 200})]
Argv = t.Annotated[
    list[str],
    BeforeValidator(_command),
    WithJsonSchema(
        {
            "type": "array",
            "items": {"type": "string", "maxLength": WORD},
            "minItems": 1,
            "maxItems": WORDS,
            "prefixItems": [{"type": "string", "pattern": PATH_PATTERN, "maxLength": WORD}],
        }
    ),
]
Ip = t.Annotated[str, BeforeValidator(_address), WithJsonSchema({"type": "string", "pattern": r"^[0-9a-fA-F:.]+$"})]
Port = t.Annotated[int, BeforeValidator(_port), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 65535})]


class Tcp(Strict):
    """A TCP connection that must be accepted."""

    host: Ip = Field(description="IP address, as the host reaches it.", examples=["192.0.2.7"])
    port: Port = Field(description="Port.", examples=[443])

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: t.Any) -> t.Any:
        if not isinstance(value, str):
            return value
        host, colon, port = value.rpartition(":")
        if not colon or not port.isdecimal() or len(port) > 5:
            refuse("tcp", f"{show(value)} does not say where to connect to", "write ADDRESS:PORT, for example '192.0.2.7:443'")
        return {"host": host[1:-1] if host.startswith("[") and host.endswith("]") else host, "port": int(port)}

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: t.Any, handler: GetJsonSchemaHandler) -> dict[str, t.Any]:
        return {
            "title": "Tcp",
            "description": "A TCP connection that must be accepted: address and port.",
            "anyOf": [{"type": "string", "pattern": r"^[0-9a-fA-F:.\[\]]+:[0-9]{1,5}$"}, handler(core_schema)],
            "examples": ["192.0.2.7:443", "[2001:db8::7]:443"],
        }


class Health(Strict):
    """When an instance counts as alive: everything that is given must be well, at the start and, but for the console, from then on."""

    channel: Name | None = Field(default=None, description="Channel on which its heartbeats arrive. Left out: its mailbox alone.")
    within: Duration = Field(
        default=30.0, description="It must be well within this time at the start, and at least once in every such time.", examples=["30s"]
    )
    console: Pattern | None = Field(
        default=None,
        description="Regular expression that a line of its console must match at the start. It needs the console mktty0.",
        examples=["^web: ready"],
    )
    tcp: Tcp | None = Field(default=None, description="A TCP connection that must be accepted.")
    command: Argv | None = Field(
        default=None,
        description="A command of the host, without a shell, that must end with status 0; MULTIKERNEL_INSTANCE names the instance.",
        examples=[["/usr/local/bin/ask-web"]],
    )
