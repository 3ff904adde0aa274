# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""From an instance's spec to what kexec_file_load(2) takes: the image and the command line."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from .._boot import cmdline
from .._plan import spec as specs
from .base import DialectError
from .image import MKTTY, PORTS

LIMIT = 2047  # characters of a command line on x86 (COMMAND_LINE_SIZE - 1)


def words(spec: Dict[str, Any], facts: Dict[str, Any], bases: Dict[str, Optional[int]]) -> str:
    """The command line: the instance's console and channels, then the layout's words as they are.

    bases: where the memory of each instance begins. What else a stock kernel needs mkstock puts before them. Raises DialectError.
    """
    mine = [] if spec["image"]["flat"] else _hidden(spec, bases)
    mine += [word for word in (_channel(one, bases) for one in spec["channels"]) if word]
    try:
        given = cmdline.split(spec["cmdline"])
        line = " ".join(_console(spec, facts, given) + mine + given)
    except cmdline.CommandLineError as error:
        raise DialectError("%s: %s" % (spec["name"], error)) from error
    foreign = [word for word in given if word.startswith(cmdline.PREFIX)]
    if foreign:
        raise DialectError("%s: the word %r belongs to the loader" % (spec["name"], foreign[0]))
    if len(line) > LIMIT:
        raise DialectError("the command line of %s has %d characters, the kernel takes %d" % (spec["name"], len(line), LIMIT))
    return line


def kernel(spec: Dict[str, Any], facts: Dict[str, Any], system: Any) -> Tuple[Any, str]:
    """What is handed to the kernel, and what is to be said where it refuses that.

    mkstock takes a file as it is; the kernel of the interface takes a vmlinux with its note, so a bzImage is unpacked.
    """
    path: str = spec["image"]["kernel"]
    if facts["dialect"]["provider"] == "mkstock" or spec["image"]["flat"]:
        return path, ""
    found = system.unpacked(path, spec["image"]["kernel_sha256"])
    said = ""
    if found.entry is None:
        said += "; the kernel in it was built without CONFIG_MULTIKERNEL, whose note is missing"
    if found.signature_lost:
        said += "; the bzImage is signed, and the vmlinux that was unpacked of it is not"
    return found.content, said


def _console(spec: Dict[str, Any], facts: Dict[str, Any], given: List[str]) -> List[str]:
    device = spec["console"]["device"] if spec["console"] else None
    if device is None or any(word.split(",")[0] == "console=" + device for word in given):
        return []
    if device == MKTTY:
        return ["console=" + MKTTY]
    ports = dict(PORTS)
    ports.update((one["device"], one["port"]) for one in facts.get("uarts") or [] if one["port"] is not None)
    if device not in ports:
        raise DialectError("the console of %s is %s, and this host has no such UART" % (spec["name"], device))
    early = any(word.split("=")[0] in ("earlycon", "earlyprintk") for word in given)
    return ["console=%s,115200" % device] + ([] if early else ["earlycon=uart8250,io,0x%x,115200" % ports[device]])


def _channel(one: Dict[str, Any], bases: Dict[str, Optional[int]]) -> str:
    address = address_of(one, bases)
    shared = one["size"] if one["kind"] == "shared_memory" else None
    return cmdline.own_words("", 0, [cmdline.Channel(one["name"], address, one["end"], shared, specs.writer_of(one))])[-1]


def _hidden(spec: Dict[str, Any], bases: Dict[str, Optional[int]]) -> List[str]:
    """Areas in an instance's own memory are kept from its kernel; $ needs no quoting here, no boot loader reads it."""
    mine = [one for one in spec["channels"] if one["owner"] == spec["name"]]
    return ["memmap=0x%x$0x%x" % (-(-one["size"] // 4096) * 4096, address_of(one, bases)) for one in mine]


def address_of(one: Dict[str, Any], bases: Dict[str, Optional[int]]) -> int:
    """Where the area of a channel lies. Raises DialectError when its owner has no memory."""
    base = bases.get(one["owner"])
    if base is None:
        raise DialectError("channel %s lies in the memory of %s, which has none" % (one["name"], one["owner"]))
    return int(base + one["offset"])
