# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances: the kernels that run beside the host, each with its CPUs, memory, console, health and wish."""

from __future__ import annotations

import typing as t

from .._pydantic import Field, GetJsonSchemaHandler, model_validator
from .device import Device
from .health import Health
from .memory import Memory
from .spelling import CPUS_PATTERN, Count, CpuList, Name, Strict, Switch, Text, one_of, refuse

LAST_ID = 511


class Cpus(Strict):
    """Which CPUs an instance runs on: named ones, or so many to be chosen."""

    ids: CpuList | None = Field(default=None, description="The CPUs by number.", examples=["4-7"])
    space: one_of("logical", "apic") = Field(  # type: ignore[valid-type]
        default="logical", description="What the numbers are: the host's logical CPU numbers, or local APIC ids."
    )
    count: Count | None = Field(default=None, description="So many CPUs, to be chosen.", examples=[4])
    near: one_of("memory") | None = Field(  # type: ignore[valid-type]
        default=None, description="memory: choose CPUs of the NUMA node that the instance's memory belongs to."
    )
    whole_cores: Switch = Field(default=False, description="Take whole cores only, so that no SMT sibling runs another kernel.")
    llc: one_of("own") | None = Field(  # type: ignore[valid-type]
        default=None, description="own: share no last-level cache with another kernel."
    )
    pick: one_of("packed", "spread") = Field(  # type: ignore[valid-type]
        default="packed",
        description="packed: choose CPUs below one cache and in one node where they fit; spread: core by core, as far apart as can be.",
    )

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: t.Any) -> t.Any:
        if isinstance(value, str) and value.strip().startswith("apic:"):
            return {"space": "apic", "ids": value.strip()[len("apic:") :]}
        if isinstance(value, (str, int, list)) and not isinstance(value, bool):
            return {"ids": value}
        if isinstance(value, dict):
            ids = value.get("ids")
            if isinstance(ids, str) and ids.strip().startswith("apic:") and value.get("space") in (None, "apic"):
                return {**value, "space": "apic", "ids": ids.strip()[len("apic:") :]}
        return value

    @model_validator(mode="after")
    def _named_or_counted(self) -> Cpus:
        if self.ids is None and self.count is None:
            refuse("cpus", "neither ids nor count is given", 'name the CPUs, for example "2-3", or say how many: {count: 2}')
        if self.ids is not None and self.count is not None:
            refuse("cpus", "both ids and count are given", "give one of the two")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: t.Any, handler: GetJsonSchemaHandler) -> dict[str, t.Any]:
        long_form = handler(core_schema)
        number = {"type": "integer", "minimum": 0}
        return {
            "title": "Cpus",
            "description": "CPUs in the kernel's list format (apic:… for local APIC ids), or so many to be chosen.",
            "anyOf": [
                {"type": "string", "pattern": CPUS_PATTERN.replace("^", r"^\s*(?:apic:)?", 1)},
                number,
                {"type": "array", "items": number, "minItems": 1},
                long_form,
            ],
            "examples": ["2", "0-3,8,10-14:2", "apic:4,6", {"count": 4, "near": "memory", "whole_cores": True, "llc": "own"}],
        }


class Console(Strict):
    """The serial port that belongs to an instance."""

    device: t.Annotated[
        Text,
        Field(
            description="Name of the serial device; mktty0: the console that the host reads at /dev/mktty.", examples=["ttyS1", "mktty0"]
        ),
    ]

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: t.Any) -> t.Any:
        return {"device": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _serial(self) -> Console:
        if self.device != "mktty0" and not (self.device.startswith("ttyS") and self.device[4:].isdigit()):
            refuse(
                "console",
                f"{self.device!r} is neither a serial device of a PC nor the multikernel console",
                "write ttyS0, ttyS1, ... or mktty0",
            )
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: t.Any, handler: GetJsonSchemaHandler) -> dict[str, t.Any]:
        long_form = handler(core_schema)
        device = {
            "type": "string",
            "pattern": "^(ttyS[0-9]+|mktty0)$",
            "description": "Name of the device.",
            "examples": ["ttyS1", "mktty0"],
        }
        long_form["properties"]["device"] = device
        return {"title": "Console", "description": "The serial port that belongs to the instance.", "anyOf": [device, long_form]}


class Instance(Strict):
    """One kernel that runs beside the host."""

    image: Name = Field(description="Which of the declared images it boots.")
    cpus: Cpus = Field(description="The CPUs that it runs on.")
    memory: Memory = Field(description="Its private memory, out of the pool.")
    cmdline: Text = Field(default="", description="Appended to the command line of the image.")
    console: Console | None = Field(default=None, description="The serial port that belongs to it.")
    devices: list[Device] = Field(
        default_factory=list,
        description="PCI functions that belong to it, taken from the host while it is defined. All of a bus go together.",
        max_length=64,
    )
    state: one_of("running", "loaded", "defined", "absent") = Field(  # type: ignore[valid-type]
        default="running",
        description="What is wanted: running; loaded (in memory, not started); defined (known, nothing done); absent (stopped and gone).",
    )
    restart: one_of("no", "on-failure", "always") = Field(  # type: ignore[valid-type]
        default="no", description="When it is started again after it has ended or died: never (an apply does), after a failure, or always."
    )
    health: Health | None = Field(default=None, description="When it counts as alive.")
    id: Count | None = Field(
        default=None, description="Its number in the kernel (dialect kernfs), up to 511. Left out: the kernel picks.", examples=[7]
    )
    trust: Text | None = Field(default=None, description="Label; the isolation report says which labels share what.", examples=["public"])

    @model_validator(mode="after")
    def _id_in_range(self) -> Instance:
        if self.id is not None and self.id > LAST_ID:
            refuse("id", f"the id {self.id} is none that a kernel gives", f"choose 1 to {LAST_ID}, or leave it out")
        return self
