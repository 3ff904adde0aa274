# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The spec of an instance: everything that went into its memory and onto its CPUs, so that two of them can be compared.

A spec is what is remembered of a started instance, and it suffices to start the same instance again. An instance that runs beside the one
that it is to replace (see successor.py) has another name on the host than its own kernel is told: that is in "called", as for its channels.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Optional, Tuple

from . import ranges
from .place import HOST, LOW_SIZE, is_flat


def of(name: str, placed: Dict[str, Any], facts: Dict[str, Any]) -> Dict[str, Any]:
    """The spec of one instance of a placed layout: plain JSON, bytes and absolute addresses.

    Digests of the image files come from the facts (the content that is there), else from the layout (what is promised).
    """
    return of_all([name], placed, facts)[name]


def of_all(names: Iterable[str], placed: Dict[str, Any], facts: Dict[str, Any]) -> Dict[str, Dict[str, Any]]:
    """The specs of several instances by name; images and channels are looked at once for all of them."""
    specs = Specs(placed, facts)
    return {name: specs[name] for name in names}


class Specs(Dict[str, Dict[str, Any]]):
    """The specs of the instances of a placed layout, each made when it is asked for. channels: those of each instance that has some."""

    def __init__(self, placed: Dict[str, Any], facts: Dict[str, Any]) -> None:
        super().__init__()
        self.placed, self.facts = placed, facts
        self.channels = _channels(placed)
        self.images: Dict[str, Tuple[Dict[str, Any], str]] = {}

    def __missing__(self, name: str) -> Dict[str, Any]:
        one = self.placed["instances"][name]
        place = one["placed"]
        if one["image"] not in self.images:
            words = self.placed["images"][one["image"]]["cmdline"].strip()
            self.images[one["image"]] = (_image(one["image"], self.placed, self.facts), words)
        image, words = self.images[one["image"]]
        own = one["cmdline"].strip()
        made = self[name] = {
            "name": name,
            "cpus": place["cpus"],
            "apic_ids": place["apic_ids"],
            "base": place["base"],
            "size": place["size"],
            "low": place["low"],
            "entry": place["entry"],
            "image": image,
            "cmdline": words + " " + own if own and words else own or words,
            "console": one["console"],
            "channels": self.channels.get(name, []),
            "devices": [{"pci": device["pci"], "alias": device["alias"]} for device in one.get("devices") or []],
        }
        if "called" in one:
            made["called"] = one["called"]
        return made


def _image(name: str, placed: Dict[str, Any], facts: Dict[str, Any]) -> Dict[str, Any]:
    image = placed["images"][name]
    return {
        "name": name,
        "flat": is_flat(placed, facts, name),
        "format": image["format"],
        "kernel": image["kernel"]["path"],
        "kernel_sha256": _digest(image["kernel"], facts),
        "initrd": image["initrd"]["path"] if image["initrd"] else None,
        "initrd_sha256": _digest(image["initrd"], facts),
    }


def called(one: Dict[str, Any]) -> str:
    """The name of an instance, or of a channel of it, as its own kernel is told."""
    return str(one.get("called") or one["name"])


def memory_of(spec: Dict[str, Any]) -> List[ranges.Range]:
    """Every byte that an instance owns alone: its private memory and its chunk below 1 MiB."""
    owned = [(spec["base"], spec["base"] + spec["size"])]
    if spec.get("low") is not None:
        owned.append((spec["low"], spec["low"] + LOW_SIZE))
    return owned


def devices_of(spec: Dict[str, Any]) -> List[str]:
    """The PCI functions of an instance, by address; specs of older releases know none."""
    return sorted(one["pci"] for one in spec.get("devices") or [])


def writer_of(channel: Dict[str, Any]) -> str:
    """Which end of an entry of "channels" may write its memory, as mkstock reads it: "0", "1", or "both"."""
    writer = channel.get("writer")
    return "both" if writer is None else str(channel["between"].index(writer))


def host_end(channel: Dict[str, Any]) -> str:
    """The host's end of an entry of "channels" as mkstock reads it: "0", "1", or "-" when the channel is between two instances."""
    return str(channel["between"].index(HOST)) if HOST in channel["between"] else "-"


def host_has(channel: Dict[str, Any]) -> bool:
    """Whether the host is to know of an entry of "channels": it has an end of it, or tells one end of messages when the other stops.

    That it does with the instance whose image carries the area.
    """
    return HOST in channel["between"] or (channel["kind"] == "ipi" and channel["writes"])


def differences(old: Dict[str, Any], new: Dict[str, Any]) -> List[str]:
    """What a restart would change, in words; empty when the running instance is the wanted one.

    Files are compared by content where both digests are known, else by path: a renamed file is no change.
    """
    words: List[str] = []
    for what in ("kernel", "initrd"):
        if _file_differs(what, old["image"], new["image"]):
            words.append("its %s changes from %s to %s" % (what, _file(what, old["image"]), _file(what, new["image"])))
    if old["image"]["flat"] != new["image"]["flat"]:
        words.append("its image is loaded as %s" % ("a flat payload" if new["image"]["flat"] else "a Linux kernel"))
    if (old["cpus"], old["apic_ids"]) != (new["cpus"], new["apic_ids"]):
        words.append("its CPUs change from %s to %s" % (_list(old["cpus"]), _list(new["cpus"])))
    if (old["base"], old["size"]) != (new["base"], new["size"]):
        words.append(
            "its memory changes from 0x%x (%d MiB) to 0x%x (%d MiB)" % (old["base"], old["size"] >> 20, new["base"], new["size"] >> 20)
        )
    if old["low"] != new["low"]:
        words.append("its memory below 1 MiB moves")
    if old["cmdline"] != new["cmdline"]:
        words.append("its command line changes from %r to %r" % (old["cmdline"], new["cmdline"]))
    if old["console"] != new["console"]:
        words.append("its console changes")
    if devices_of(old) != devices_of(new):
        words.append("its devices change from %s to %s" % (", ".join(devices_of(old)) or "none", ", ".join(devices_of(new)) or "none"))
    elif sorted(old.get("devices") or [], key=_address) != sorted(new.get("devices") or [], key=_address):
        words.append("its devices get other aliases")
    for name in sorted({one["name"] for one in old["channels"] + new["channels"]}):
        before, after = _named(name, old["channels"]), _named(name, new["channels"])
        if before != after:
            words.append("its channel %s %s" % (name, "is new" if before is None else "goes" if after is None else "changes"))
    return words


def _digest(file: Optional[Dict[str, Any]], facts: Dict[str, Any]) -> Optional[str]:
    if file is None:
        return None
    known = (facts.get("images") or {}).get(file["path"]) or {}
    digest: Optional[str] = known.get("sha256") or file["sha256"]
    return digest


def _channels(placed: Dict[str, Any]) -> Dict[str, List[Dict[str, Any]]]:
    """The channels by the instance that they end at; "writes" marks the one end whose image carries the area (host never does)."""
    found: Dict[str, List[Dict[str, Any]]] = {}
    for channel, one in sorted(placed["channels"].items()):
        writer = next((end for end in one["between"] if end != HOST), None)
        called = {"called": one["called"]} if "called" in one else {}
        for name in sorted(set(one["between"]) - {HOST}):
            found.setdefault(name, []).append(
                {
                    **called,
                    "name": channel,
                    "kind": one["kind"],
                    "between": list(one["between"]),
                    "end": one["between"].index(name),
                    "address": one["placed"]["address"],
                    "size": one["placed"]["size"],
                    "ends": list(one["placed"]["ends"]),
                    "slots": one["slots"],
                    "message_size": one["message_size"],
                    "writer": one["writer"],
                    "writes": writer == name,
                }
            )
    return found


def _file_differs(what: str, old: Dict[str, Any], new: Dict[str, Any]) -> bool:
    before, after = old[what + "_sha256"], new[what + "_sha256"]
    if before is not None and after is not None:
        return bool(before != after)
    return bool(old[what] != new[what])


def _file(what: str, image: Dict[str, Any]) -> str:
    if image[what] is None:
        return "none"
    digest = image[what + "_sha256"]
    return "%s (%s)" % (image[what], digest[:12]) if digest else str(image[what])


def _list(cpus: List[int]) -> str:
    return ",".join(str(cpu) for cpu in cpus)


def _address(device: Dict[str, Any]) -> str:
    return str(device["pci"])


def _named(name: str, channels: List[Dict[str, Any]]) -> Optional[Tuple[Any, ...]]:
    for one in channels:
        if one["name"] == name:
            return tuple(sorted((key, str(value)) for key, value in one.items()))
    return None
