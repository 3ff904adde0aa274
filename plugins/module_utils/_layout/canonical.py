# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""The canonical layout: one plain form that everything past the model speaks.

It is plain JSON. Sizes and addresses are whole numbers of bytes, durations seconds, CPU numbers lists of whole numbers;
every key is present and null where nothing was given::

    {"version": 1, "name": "edge-box",
     "host": {"cpus": [0, 1] | null, "memory_min": 1073741824 | null},
     "pool": {"memory": [{"base": int | null, "size": int, "node": int | null}]},
     "images": {"debian": {"kernel": {"path": str, "sha256": str | null},
                           "initrd": {"path": str, "sha256": str | null} | null,
                           "cmdline": str, "format": "auto" | "bzimage" | "vmlinux" | "flat",
                           "signed_by": str (left out: nobody need sign)}},
     "instances": {"web": {"image": str,
                           "cpus": {"space": "logical" | "apic", "ids": [int] | null, "count": int | null,
                                    "near": "memory" | null, "whole_cores": bool, "llc": "own" | null,
                                    "pick": "packed" | "spread"},
                           "memory": {"size": int, "base": int | null, "node": int | null},
                           "cmdline": str, "console": {"device": "ttyS1"} | null,
                           "devices": [{"pci": "0000:01:00.0", "vendor": int | null, "device": int | null,
                                        "alias": str | null}],
                           "state": "running" | "loaded" | "defined" | "absent",
                           "restart": "no" | "on-failure" | "always",
                           "health": {"channel": str | null, "within": float, and where they are given:
                                      "console": regular expression, "tcp": {"host", "port"}, "command": [str]} | null,
                           "trust": str | null, "id": int (left out: the kernel picks)}},
     "channels": {"beat": {"between": ["host", "web"], "kind": "ipi" | "shared_memory", "slots": int | null,
                           "message_size": int | null, "size": int | null, "writer": str | null}},
     "policy": {"isolation": {"minimum_grade": str | null}, "disruption": "refuse" | "allow"},
     "waivers": {"rule-id": "reason"}}

A *placed* layout is a canonical layout whose instances and channels carry a key "placed" besides: for an instance
{"cpus": [logical], "apic_ids": [int], "base": int | null, "size": int, "low": int | null, "entry": int | null},
where null is what the kernel picks, for a channel
{"address": int, "size": int, "ends": [apic id, apic id]}.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from typing import Any, Dict, Optional

from . import shape

Layout = Dict[str, Any]

HOST = "host"  # the name of the host kernel as an end of a channel

IMAGE_FORMATS = ("auto", "bzimage", "vmlinux", "flat")
STATES = ("running", "loaded", "defined", "absent")
RESTARTS = ("no", "on-failure", "always")
PICKS = ("packed", "spread")
CHANNEL_KINDS = ("ipi", "shared_memory")
GATES = ("console", "tcp", "command")  # of health: left out where there is none, so that a layout is what it was before there were any
SLOTS = 64
MESSAGE_SIZE = 256
# Both become words of a command line and names of files.
PCI_ADDRESS = r"[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]"
ALIAS = r"[a-z][a-z0-9]{0,14}"


class LayoutShapeError(shape.ShapeError):
    """The target was handed something that is no canonical layout."""


def pattern_error(pattern: str) -> Optional[str]:
    """Why a text is no pattern for the lines of a console; None when it is one."""
    if not 1 <= len(pattern) <= 200:
        return "it has {0} characters; 1 to 200 are possible".format(len(pattern))
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return str(error)
    return None


def digest(layout: Layout) -> str:
    """Return the SHA-256 (hexadecimal) of the layout's compact JSON with sorted keys."""
    return hashlib.sha256(json.dumps(layout, sort_keys=True, separators=(",", ":")).encode("utf-8")).hexdigest()


def fill_defaults(layout: Layout) -> Layout:
    """Return a deep copy in which every key of the canonical form is present.

    Defaults: state running, restart no, format auto, pick packed, disruption refuse; 64 slots of 256 bytes for an ipi channel; null
    for the rest. Values that are there are kept as they are: whether they are right is for check_shape and the rules.
    """
    full = _with(
        {"version": 1, "name": "", "host": {}, "pool": {}, "images": {}, "instances": {}, "channels": {}, "policy": {}, "waivers": {}},
        layout,
    )
    full["host"] = _with({"cpus": None, "memory_min": None}, full["host"])
    full["pool"] = _with({"memory": []}, full["pool"])
    full["pool"]["memory"] = [_with({"base": None, "node": None}, chunk) for chunk in full["pool"]["memory"]]
    full["images"] = {name: _fill_image(image) for name, image in full["images"].items()}
    full["instances"] = {name: _fill_instance(instance) for name, instance in full["instances"].items()}
    full["channels"] = {name: _fill_channel(channel) for name, channel in full["channels"].items()}
    full["policy"] = _with({"isolation": {}, "disruption": "refuse"}, full["policy"])
    full["policy"]["isolation"] = _with({"minimum_grade": None}, full["policy"]["isolation"])
    return full


def check_shape(layout: Any) -> None:
    """Raise LayoutShapeError unless `layout` has exactly the canonical (or placed) form.

    The target never trusts what it is sent: types and keys are checked here, meaning by the rules.
    """
    try:
        _LAYOUT(layout, ())
        for name, instance in layout["instances"].items():
            if instance["cpus"]["ids"] is not None and instance["cpus"]["count"] is not None:
                path = ("instances", name, "cpus")
                raise shape.ShapeError(path, "names both CPU numbers and a count; exactly one of ids and count may be given")
    except shape.ShapeError as error:
        raise LayoutShapeError(error.path, str(error)[len(shape.dotted(error.path)) + 1 :]) from None


def instances(layout: Layout) -> Dict[str, Any]:
    """Return the instances that are to exist, in the order of their names."""
    return {name: one for name, one in sorted(layout["instances"].items()) if one["state"] != "absent"}


def command_line(layout: Layout, name: str) -> str:
    """Return an instance's command line: that of its image, then its own."""
    instance = layout["instances"][name]
    image = layout["images"].get(instance["image"])
    parts = [image["cmdline"] if image else "", instance["cmdline"]]
    return " ".join(part.strip(" ") for part in parts if part.strip(" "))


def _with(defaults: Dict[str, Any], given: Any) -> Dict[str, Any]:
    merged = copy.deepcopy(defaults)
    merged.update(copy.deepcopy(given or {}))
    return merged


def _fill_image(image: Any) -> Dict[str, Any]:
    full = _with({"kernel": {}, "initrd": None, "cmdline": "", "format": "auto"}, image)
    full["kernel"] = _with({"sha256": None}, full["kernel"])
    if full["initrd"] is not None:
        full["initrd"] = _with({"sha256": None}, full["initrd"])
    return full


def _fill_instance(instance: Any) -> Dict[str, Any]:
    full = _with(
        {
            "image": "",
            "cpus": {},
            "memory": {},
            "cmdline": "",
            "console": None,
            "devices": [],
            "state": "running",
            "restart": "no",
            "health": None,
            "trust": None,
        },
        instance,
    )
    full["cpus"] = _with(
        {"space": "logical", "ids": None, "count": None, "near": None, "whole_cores": False, "llc": None, "pick": "packed"}, full["cpus"]
    )
    full["memory"] = _with({"base": None, "node": None}, full["memory"])
    full["devices"] = [_with({"vendor": None, "device": None, "alias": None}, one) for one in full["devices"]]
    if full["health"] is not None:
        full["health"] = _with({"channel": None, "within": 30.0}, full["health"])
    return full


def _fill_channel(channel: Any) -> Dict[str, Any]:
    full = _with({"kind": "ipi", "slots": None, "message_size": None, "size": None, "writer": None}, channel)
    if full["kind"] == "ipi":
        full["slots"] = SLOTS if full["slots"] is None else full["slots"]
        full["message_size"] = MESSAGE_SIZE if full["message_size"] is None else full["message_size"]
    return full


_FILE = shape.record({"path": shape.text, "sha256": shape.optional(shape.text)})
_IDS = shape.listing(shape.integer())


def _pattern(value: Any, path: shape.Path) -> None:
    shape.text(value, path)
    reason = pattern_error(value)
    if reason is not None:
        raise shape.ShapeError(path, "is no regular expression: {0}".format(reason))


def _argv(value: Any, path: shape.Path) -> None:
    shape.listing(shape.text)(value, path)
    if not value or not value[0].startswith("/") or any("\0" in word for word in value):
        raise shape.ShapeError(path, "is no command; its first word must be an absolute path")


_IMAGE = shape.record(
    {"kernel": _FILE, "initrd": shape.optional(_FILE), "cmdline": shape.text, "format": shape.choice(*IMAGE_FORMATS)},
    {"signed_by": shape.text},
)
_INSTANCE = shape.record(
    {
        "image": shape.text,
        "cpus": shape.record(
            {
                "space": shape.choice("logical", "apic"),
                "ids": shape.optional(_IDS),
                "count": shape.optional(shape.integer()),
                "near": shape.optional(shape.choice("memory")),
                "whole_cores": shape.boolean,
                "llc": shape.optional(shape.choice("own")),
            },
            {"pick": shape.choice(*PICKS)},
        ),
        "memory": shape.record({"size": shape.integer(), "base": shape.optional(shape.integer()), "node": shape.optional(shape.integer())}),
        "cmdline": shape.text,
        "console": shape.optional(shape.record({"device": shape.text})),
        "state": shape.choice(*STATES),
        "restart": shape.choice(*RESTARTS),
        "health": shape.optional(
            shape.record(
                {"channel": shape.optional(shape.text), "within": shape.number},
                {"console": _pattern, "tcp": shape.record({"host": shape.text, "port": shape.integer(1)}), "command": _argv},
            )
        ),
        "trust": shape.optional(shape.text),
    },
    {
        # layouts that a host remembers of an older release have none
        "devices": shape.listing(
            shape.record(
                {
                    "pci": shape.matching(PCI_ADDRESS, "a PCI address such as 0000:01:00.0"),
                    "vendor": shape.optional(shape.integer()),
                    "device": shape.optional(shape.integer()),
                    "alias": shape.optional(shape.matching(ALIAS, "small letters and digits, at most 15")),
                }
            )
        ),
        "id": shape.optional(shape.integer()),
        "placed": shape.record(
            {
                "cpus": _IDS,
                "apic_ids": _IDS,
                "base": shape.optional(shape.integer()),
                "size": shape.integer(),
                "low": shape.optional(shape.integer()),
                "entry": shape.optional(shape.integer()),
            }
        ),
    },
)
_CHANNEL = shape.record(
    {
        "between": shape.listing(shape.text, length=2),
        "kind": shape.choice(*CHANNEL_KINDS),
        "slots": shape.optional(shape.integer()),
        "message_size": shape.optional(shape.integer()),
        "size": shape.optional(shape.integer()),
        "writer": shape.optional(shape.text),
    },
    {
        "placed": shape.record(
            {"address": shape.optional(shape.integer()), "size": shape.integer(), "ends": shape.listing(shape.integer(), length=2)}
        )
    },
)
_LAYOUT = shape.record(
    {
        "version": shape.choice(1),
        "name": shape.text,
        "host": shape.record({"cpus": shape.optional(_IDS), "memory_min": shape.optional(shape.integer())}),
        "pool": shape.record(
            {
                "memory": shape.listing(
                    shape.record(
                        {"base": shape.optional(shape.integer()), "size": shape.integer(), "node": shape.optional(shape.integer())}
                    )
                )
            }
        ),
        "images": shape.mapping(_IMAGE),
        "instances": shape.mapping(_INSTANCE),
        "channels": shape.mapping(_CHANNEL),
        "policy": shape.record(
            {"isolation": shape.record({"minimum_grade": shape.optional(shape.text)}), "disruption": shape.choice("refuse", "allow")}
        ),
        "waivers": shape.mapping(shape.text),
    }
)
