# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels: how two kernels talk, by inter-processor interrupt or by shared memory."""

from __future__ import annotations

import typing as t

from ...module_utils._layout.canonical import MESSAGE_SIZE, SLOTS
from .._pydantic import BeforeValidator, Field, WithJsonSchema, model_validator
from .spelling import Name, Size, Strict, one_of, refuse, show


def _slots(value: t.Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 2 <= value <= 32768 or value & (value - 1):
        refuse("slots", f"{show(value)} is no number of slots; write a power of two from 2 to 32768")
    return int(value)


def _message_size(value: t.Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MESSAGE_SIZE:
        refuse("message_size", f"{show(value)} is no message size; write a number of bytes from 1 to {MESSAGE_SIZE}")
    return int(value)


def _ends(value: t.Any) -> list[str]:
    wanted = "write two names, for example [host, web]"
    if not isinstance(value, (list, tuple)):
        refuse("between", f"{show(value)} does not say who talks to whom", wanted)
    if len(value) != 2:
        refuse("between", f"a channel has two ends, found {len(value)}", wanted)
    if any(not isinstance(end, str) for end in value):
        refuse("between", "the ends of a channel are names", wanted)
    if value[0] == value[1]:
        refuse("between", f"both ends are {show(value[0])}", "a channel joins two different kernels")
    return [str(end) for end in value]


Slots = t.Annotated[int, BeforeValidator(_slots), WithJsonSchema({"type": "integer", "enum": [1 << shift for shift in range(1, 16)]})]
MessageSize = t.Annotated[int, BeforeValidator(_message_size), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MESSAGE_SIZE})]
Ends = t.Annotated[
    list[str],
    BeforeValidator(_ends),
    WithJsonSchema({"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2, "uniqueItems": True}),
]


class Channel(Strict):
    """A way for two kernels to talk."""

    between: Ends = Field(description="The two ends: names of instances, or host.", examples=[["host", "web"]])
    kind: one_of("ipi", "shared_memory") = Field(  # type: ignore[valid-type]
        default="ipi", description="ipi: a queue of messages each way, with an interrupt. shared_memory: an area that both can map."
    )
    slots: Slots | None = Field(
        default=None, description="ipi: messages that fit into the queue of one direction; a power of two. Left out: 64."
    )
    message_size: MessageSize | None = Field(default=None, description="ipi: largest message in bytes. Left out: 256.")
    size: Size | None = Field(default=None, description="shared_memory: size of the area.", examples=["2MiB"])
    writer: Name | None = Field(default=None, description="shared_memory: the one end that writes. Left out: both do.")

    @model_validator(mode="after")
    def _keys_of_the_kind(self) -> Channel:
        if self.kind == "shared_memory":
            for key in ("slots", "message_size"):
                if getattr(self, key) is not None:
                    refuse("channel", f"{key} belongs to channels of kind ipi; this one is shared_memory", "use size, or change the kind")
            if self.size is None:
                refuse("channel", "a shared_memory channel needs a size", "write for example size: 2MiB")
        else:
            for key in ("size", "writer"):
                if getattr(self, key) is not None:
                    refuse(
                        "channel",
                        f"{key} belongs to channels of kind shared_memory; this one is ipi",
                        "use slots and message_size, or change the kind",
                    )
        return self

    def canonical(self) -> dict[str, t.Any]:
        """The channel as plain data, with the defaults of its kind filled in."""
        plain: dict[str, t.Any] = self.model_dump()
        if self.kind == "ipi":
            plain["slots"] = self.slots or SLOTS
            plain["message_size"] = self.message_size or MESSAGE_SIZE
        return plain
