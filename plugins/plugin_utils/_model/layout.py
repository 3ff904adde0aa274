# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The layout as a whole, and `load_layout`: from what people wrote to the one canonical form."""

from __future__ import annotations

import typing as t

from ...module_utils._layout.canonical import GATES
from ...module_utils._plan import collector
from .._pydantic import BeforeValidator, Field, ValidationError, WithJsonSchema, require
from .channel import Channel
from .errors import LayoutErrors, Locator, explain, structural
from .host import Host
from .image import Image
from .instance import Instance
from .memory import Pool
from .policy import Policy
from .references import references
from .spelling import InstanceName, Name, Strict, Text, refuse, show

VERSION = 1


def _version(value: t.Any) -> int:
    if isinstance(value, bool) or value != VERSION or not isinstance(value, int):
        refuse(
            "version", f"layout version {show(value)} is not known here", f"this release reads version {VERSION}; write version: {VERSION}"
        )
    return int(value)


Version = t.Annotated[int, BeforeValidator(_version), WithJsonSchema({"type": "integer", "const": VERSION})]


class Layout(Strict):
    """Which Linux kernels run side by side on one x86 machine."""

    version: Version = Field(description="Version of the layout language.")
    name: Name = Field(description="Name of the layout.", examples=["edge-box"])
    host: Host = Field(default_factory=Host, description="What stays with the host kernel.")
    pool: Pool = Field(description="What instances may be made of.")
    images: dict[Name, Image] = Field(description="The images that instances boot, by name.")
    instances: dict[InstanceName, Instance] = Field(description="The kernels that run beside the host, by name.")
    channels: dict[Name, Channel] = Field(default_factory=dict, description="How kernels talk to each other, by name.")
    policy: Policy = Field(default_factory=Policy, description="What an apply may do.")
    waivers: dict[Text, Text] = Field(default_factory=dict, description="Rules that may fail here: rule id and the reason, in words.")

    def canonical(self) -> dict[str, t.Any]:
        """The canonical layout: plain JSON values, every key present, defaults filled in.

        Sizes and addresses are bytes, durations seconds, CPU lists sorted lists of int. The canonical form is itself a
        valid layout, and its canonical form is itself. Instances that ask for the same CPUs by count, or the same memory, share
        one dictionary: it is to be read, and what changes something takes a copy.
        """
        plain: dict[str, t.Any] = self.model_dump()
        for image in plain["images"].values():
            if image["signed_by"] is None:
                del image["signed_by"]  # so that a layout without signers is what it was before there were any
        for one in plain["instances"].values():
            if one["id"] is None:
                del one["id"]  # so that a layout without ids is what it was before there were ids
            for gate in GATES:
                if one["health"] is not None and one["health"][gate] is None:
                    del one["health"][gate]
        _share(plain["instances"].values())
        plain["channels"] = {name: channel.canonical() for name, channel in self.channels.items()}
        return plain


def _share(instances: t.Iterable[dict[str, t.Any]]) -> None:
    """Keep each wish once: of ten thousand instances most ask for the same, and all of them are read many times."""
    known: dict[tuple[t.Any, ...], dict[str, t.Any]] = {}
    for one in instances:
        for key in ("cpus", "memory"):
            wish = one[key]
            if wish.get("ids") is None:
                one[key] = known.setdefault((key, *wish.values()), wish)


@collector.paused
def load_layout(raw: t.Any, locator: Locator | None = None) -> dict[str, t.Any]:
    """Read a layout as people write it.

    raw: what YAML gave, plain or tagged by Ansible; it is not changed. locator: says where each value was written.
    Returns the canonical layout. Raises LayoutErrors with everything that is wrong, in the order of the text where
    positions are known; MissingLibraryError when pydantic is not installed.
    """
    require()
    errors = structural(raw, Layout)
    layout: Layout | None = None
    if not errors:
        try:
            layout = Layout.model_validate(raw)
        except ValidationError as error:
            errors = explain(error, raw, Layout)
        errors += references(raw, known=[item.path for item in errors])
    if errors:
        raise LayoutErrors(errors).locate(locator)
    if layout is None:  # cannot be: no error was found and no layout either
        raise RuntimeError("the layout was neither read nor refused")
    return layout.canonical()
