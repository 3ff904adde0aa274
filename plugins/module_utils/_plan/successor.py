# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The successor of an instance: the same instance out of another layout, beside the one that it is to replace. Pure.

On the host the successor of web is web.next and its channels are CHANNEL.next, until both change places: then what ran as web is
web.old with CHANNEL.old, and the successor is web. Its own kernel is told the plain names from the beginning (see spec.called),
so that nothing has to change in it, and the layout that it came from is then the truth about the host.
"""

from __future__ import annotations

import copy
from typing import Any, Dict, List, Optional, Sequence, Tuple

from .place import HOST
from .spec import called

NEXT, OLD = ".next", ".old"
IMAGE = "+next"  # no layout can name an image so
NAME_MAX = 31  # what mkstock takes as the name of a channel

Layout = Dict[str, Any]
# (suffix now, suffix afterwards): the switch, and its inverse
SWITCH = (("", OLD), (NEXT, ""))
BACK = (("", NEXT), (OLD, ""))


def beyond(present: Layout, wanted: Layout, name: str) -> List[str]:
    """What a layout changes besides one instance, its image and its channels, as keys (instances.db); an update is about nothing else."""
    words = [key for key in ("host", "pool") if present[key] != wanted[key]]
    for group in ("images", "instances", "channels"):
        for one in sorted(set(present[group]) | set(wanted[group])):
            before, after = present[group].get(one), wanted[group].get(one)
            if before != after and not _is_of(group, one, present, wanted, name):
                words.append("%s.%s" % (group, one))
    return words


def _is_of(group: str, one: str, present: Layout, wanted: Layout, name: str) -> bool:
    """Whether a part of the layouts is the business of this instance alone."""
    if group == "instances":
        return one == name
    if group == "images":
        users = {other for layout in (present, wanted) for other, it in layout["instances"].items() if it["image"] == one}
        return users <= {name}
    ends = {end for layout in (present, wanted) if one in layout["channels"] for end in layout["channels"][one]["between"]}
    return ends <= {HOST, name}


def obstacles(present: Layout, wanted: Layout, name: str) -> List[str]:
    """Why the successor cannot run beside the old one, whatever the machine has room for; sentences."""
    words = []
    one = wanted["instances"][name]
    if one.get("devices"):
        words.append("%s has PCI devices, which two kernels cannot have at a time" % name)
    if one.get("id") is not None:
        words.append("%s has the id %d, which two instances cannot have at a time" % (name, one["id"]))
    for channel, its in sorted(wanted["channels"].items()):
        if name in its["between"] and HOST not in its["between"]:
            other = next(end for end in its["between"] if end != name)
            words.append("channel %s ends at %s, which would have to be restarted to hear the successor" % (channel, other))
        elif name in its["between"] and its["kind"] != "ipi":
            words.append("channel %s is memory that %s shares, and is not doubled" % (channel, name))
    for old in [name] + [key for key, its in sorted(wanted["channels"].items()) if name in its["between"]]:
        for other in (old + NEXT, old + OLD):
            if other in present["instances"] or other in present["channels"]:
                words.append("the name %s, which an update of %s needs, is taken" % (other, name))
        if len(old + NEXT) > NAME_MAX:
            words.append("the name %s is too long for an update beside the old one (at most %d characters)" % (old, NAME_MAX - len(NEXT)))
    return words


def bridge(present: Layout, wanted: Layout, name: str) -> Layout:
    """The layout of the host for as long as both run: the present one, and the instance of the wanted one as its successor."""
    made = copy.deepcopy(present)
    one = copy.deepcopy(wanted["instances"][name])
    made["images"][one["image"] + IMAGE] = copy.deepcopy(wanted["images"][one["image"]])
    channels = {key: its for key, its in wanted["channels"].items() if name in its["between"]}
    one.update(image=one["image"] + IMAGE, called=name, health=_health(one["health"], {key: key + NEXT for key in channels}))
    made["instances"][name + NEXT] = one
    for key, its in channels.items():
        between = [name + NEXT if end == name else end for end in its["between"]]
        made["channels"][key + NEXT] = dict(its, between=between, called=key)
    return made


def room(placed: Layout, name: str) -> Dict[str, Any]:
    """Where a placed bridge has the successor: {"cpus", "base", "size"}."""
    one = placed["instances"][name + NEXT]["placed"]
    return {"cpus": one["cpus"], "base": one["base"], "size": one["size"]}


def renames(state: Dict[str, Any], name: str, moves: Sequence[Tuple[str, str]]) -> List[Tuple[str, str, int, str]]:
    """(name, new name, address, instance afterwards) of each attached channel of the host that changes its name, in a good order."""
    found = []
    attached = state.get("channels") or {}
    for now, then in moves:
        one = (state["instances"].get(name + now) or {}).get("spec")
        for channel in (one or {}).get("channels") or []:
            if channel["name"] in attached:
                found.append((channel["name"], called(channel) + then, channel["address"], name + then))
    return found


def moved(kept: Dict[str, Any], name: str, moves: Sequence[Tuple[str, str]]) -> Dict[str, Any]:
    """What is remembered (or observed) of a host, with the two instances under their other names."""
    made = copy.deepcopy(kept)
    areas = (made.get("made") or {}).get("channels") or {}
    taken = {then: made["instances"].pop(name + now, None) for now, then in moves}
    names = {then: _channel_names(one) for then, one in taken.items()}
    carried = {key: areas.pop(key, None) for keys in names.values() for key in keys}
    for then, one in taken.items():
        if one is None:
            continue
        made["instances"][name + then] = _renamed(one, name, then)
        for key, plain in names[then].items():
            if carried.get(key) is not None:
                areas[plain + then] = carried[key]
    return made


def _channel_names(one: Optional[Dict[str, Any]]) -> Dict[str, str]:
    """The names of an instance's channels on the host, each with what its own kernel calls it."""
    return {} if one is None else {channel["name"]: called(channel) for channel in one["spec"]["channels"]}


def _renamed(one: Dict[str, Any], name: str, suffix: str) -> Dict[str, Any]:
    """The entry of an instance under another name on the host; its own kernel goes on calling itself by the plain one."""
    spec = copy.deepcopy(one["spec"])
    before = spec["name"]
    channels = {channel["name"]: called(channel) + suffix for channel in spec["channels"]}
    spec.update(name=name + suffix, called=name)
    image = spec["image"]["name"]
    spec["image"]["name"] = image[: -len(IMAGE)] if image.endswith(IMAGE) else image
    for channel in spec["channels"]:
        channel.update(called=called(channel), name=channels[channel["name"]])
        channel["between"] = [name + suffix if end == before else end for end in channel["between"]]
    if not suffix:
        for part in [spec, *spec["channels"]]:
            part.pop("called")
    return dict(one, spec=spec, health=_health(one.get("health"), channels))


def _health(health: Any, names: Dict[str, str]) -> Any:
    """A declared health whose gates look at channels by their new names."""
    if isinstance(health, list):
        return [_health(one, names) for one in health]
    if not isinstance(health, dict):
        return health
    return {
        key: names.get(value, value) if key == "channel" and isinstance(value, str) else _health(value, names)
        for key, value in health.items()
    }
