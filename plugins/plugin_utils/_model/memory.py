# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory: the pool that instances are made of, and each instance's own piece of it."""

from __future__ import annotations

import typing as t

from .._pydantic import Field, GetJsonSchemaHandler, model_validator
from .spelling import Address, Node, Size, Strict


class Region(Strict):
    """One piece of the machine's memory that instances may be made of."""

    size: Size = Field(description="How much memory.", examples=["512MiB"])
    base: Address | None = Field(
        default=None,
        description="Physical address where it starts. Left out: what the module offers, else blocks without the host's kernel.",
        examples=["0x40000000"],
    )
    node: Node | None = Field(default=None, description="NUMA node that the memory belongs to.")


class Pool(Strict):
    """What instances may be made of."""

    memory: list[Region] = Field(min_length=1, description="The pieces of memory that the host gives up for instances.")


class Memory(Strict):
    """The private memory of one instance."""

    size: Size = Field(description="How much memory.", examples=["256MiB"])
    base: Address | None = Field(
        default=None, description="Physical address where it starts, inside the pool. Left out: chosen.", examples=["0x48000000"]
    )
    node: Node | None = Field(default=None, description="Take it from pool memory of this NUMA node.")

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: t.Any) -> t.Any:
        return {"size": value} if isinstance(value, (str, int)) and not isinstance(value, bool) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: t.Any, handler: GetJsonSchemaHandler) -> dict[str, t.Any]:
        long_form = handler(core_schema)
        return {
            "title": "Memory",
            "description": "A size alone, or size with base address or NUMA node.",
            "anyOf": [*long_form["properties"]["size"]["anyOf"], long_form],
        }
