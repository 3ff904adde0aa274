# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices: the PCI functions that an instance owns."""

from __future__ import annotations

import re
import typing as t

from .._pydantic import BeforeValidator, Field, GetJsonSchemaHandler, WithJsonSchema, model_validator
from .spelling import Strict, refuse, show

PCI_PATTERN = r"^[0-9a-fA-F]{4}:[0-9a-fA-F]{2}:[01][0-9a-fA-F]\.[0-7]$"
ID_PATTERN = r"^0[xX][0-9a-fA-F]{1,4}$"
#: A device tree alias and the name of a network interface at once: the kernel's limits are 31 and 15 characters.
ALIAS_PATTERN = r"^[a-z][a-z0-9]{0,14}$"


def _address(value: t.Any) -> str:
    wanted = 'write domain:bus:device.function in quotes, for example "0000:01:00.0"; lspci -D prints it'
    if not isinstance(value, str):
        refuse("pci", f"{show(value)} is no PCI address", wanted)
    if not re.fullmatch(PCI_PATTERN, value):
        if re.fullmatch(PCI_PATTERN, f"0000:{value}"):
            refuse("pci", f"{show(value)} lacks the PCI domain", f'write "0000:{value.lower()}" if it is in the first domain')
        refuse("pci", f"{show(value)} is no PCI address", wanted)
    return str(value).lower()


def _id(value: t.Any) -> int:
    if isinstance(value, str) and re.fullmatch(ID_PATTERN, value):
        return int(value, 16)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 0xFFFF:
        refuse("id", f"{show(value)} is no PCI id", "write four hexadecimal digits, for example 0x8086; lspci -n prints them")
    return int(value)


def _alias(value: t.Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(ALIAS_PATTERN, value):
        refuse("alias", f"{show(value)} is no alias", "use small letters and digits, a letter first, at most 15, for example eth0")
    return str(value)


_ID_SCHEMA = {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 0xFFFF}, {"type": "string", "pattern": ID_PATTERN}]}
PciAddress = t.Annotated[str, BeforeValidator(_address), WithJsonSchema({"type": "string", "pattern": PCI_PATTERN})]
PciId = t.Annotated[int, BeforeValidator(_id), WithJsonSchema(_ID_SCHEMA)]
Alias = t.Annotated[str, BeforeValidator(_alias), WithJsonSchema({"type": "string", "pattern": ALIAS_PATTERN})]


class Device(Strict):
    """A PCI function that belongs to the instance."""

    pci: PciAddress = Field(description="Its address: domain, bus, device and function.", examples=["0000:01:00.0"])
    vendor: PciId | None = Field(default=None, description="Vendor id that must be found there.", examples=["0x8086"])
    device: PciId | None = Field(default=None, description="Device id that must be found there.", examples=["0x10d3"])
    alias: Alias | None = Field(default=None, description="What the instance is to call it.", examples=["eth0"])

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: t.Any) -> t.Any:
        return {"pci": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: t.Any, handler: GetJsonSchemaHandler) -> dict[str, t.Any]:
        long_form = handler(core_schema)
        address = {"type": "string", "pattern": PCI_PATTERN, "examples": ["0000:01:00.0"]}
        return {"title": "Device", "description": "A PCI function that belongs to the instance.", "anyOf": [address, long_form]}
