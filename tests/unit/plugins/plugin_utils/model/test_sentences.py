# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every refusal is a sentence for the person who wrote the layout."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.multikernel.core.plugins.plugin_utils._model.errors import LayoutError, LayoutErrors
from ansible_collections.multikernel.core.plugins.plugin_utils._model.layout import load_layout

Layout = dict[str, t.Any]
NAME = "use letters, digits, '-', '_' and single dots, starting with a letter or digit, at most 31 characters"
INSTANCE_KEYS = "image, cpus, memory, cmdline, console, devices, state, restart, health, id, trust"

# Where, what is written there (... removes the key), and the sentence.
CASES: list[tuple[str, t.Any, str]] = [
    ("version", 2, "version: layout version 2 is not known here (this release reads version 1; write version: 1)"),
    ("version", True, "version: layout version true is not known here (this release reads version 1; write version: 1)"),
    ("name", ..., "the key 'name' is missing (name of the layout)"),
    ("name", "a/b", f"name: 'a/b' is no name: it has a '/' in it ({NAME})"),
    ("name", "a..b", f"name: 'a..b' is no name: it has '..' in it ({NAME})"),
    ("name", "-a", f"name: '-a' is no name ({NAME})"),
    ("name", "a" * 32, f"name: '{'a' * 32}' is no name ({NAME})"),
    ("name", True, "name: true is not text (YAML reads yes, no, on and off as truth values; put the word in quotes)"),
    ("nmae", "x", "nmae: unknown key 'nmae' (did you mean 'name'?)"),
    ("host.cpus", "0-", "host.cpus: '0-' is no CPU list: '0-' is neither a number nor a range; write it like 0-3,8 or 0-31:2/4"),
    ("host.cpus", [], 'host.cpus: the CPU list is empty (write the kernel\'s list format in quotes, for example "2" or "0-3,8,10-14:2")'),
    ("host.memory_min", "1 GB/s", "host.memory_min: '1 GB/s' is no size; write a number of bytes or a number with a unit, such as 256MiB"),
    ("pool.memory", [], "pool.memory: the list is empty (it needs at least one item)"),
    ("pool.memory", {}, "pool.memory: expected a list, found a mapping (write one item per line, each after a dash)"),
    ("pool.memory.0.base", "40M", "pool.memory[0].base: '40M' is no address; write it in hexadecimal, such as 0x40000000"),
    ("pool.memory.0.sise", 1, "pool.memory[0].sise: unknown key 'sise' (did you mean 'size'?)"),
    ("pool.memory.0.node", -1, "pool.memory[0].node: -1 is no NUMA node number; write a whole number from 0"),
    ("images.tiny.kernel", ..., "images.tiny: the key 'kernel' is missing (the kernel file: a bzImage, an ELF vmlinux, or a flat binary)"),
    (
        "images.tiny.kernel",
        "tiny.bin",
        "images.tiny.kernel: 'tiny.bin' is not an absolute path (images are files on the target; write the path from the root, for example /boot/vmlinuz)",  # noqa: E501
    ),
    ("images.tiny.kernel", "/srv/../etc", "images.tiny.kernel: '/srv/../etc' has a '..' in it (write the path without '..')"),
    ("images.debian.cmdline", "a\nb", "images.debian.cmdline: 'a\\nb' has a line break or a NUL in it (write it on one line)"),
    (
        "images.debian.kernel.sha256",
        "abc",
        "images.debian.kernel.sha256: 'abc' is no SHA-256 checksum: that is 64 hexadecimal digits (sha256sum FILE prints it)",
    ),
    ("images.debian.kernel.sha256", 10**63, "images.debian.kernel.sha256: this checksum was read as a number (put it in quotes)"),
    ("images.tiny.format", "flta", "images.tiny.format: 'flta' is not one of auto, bzimage, vmlinux, flat (did you mean 'flat'?)"),
    ("instances", [], "instances: expected a mapping, found a list (it maps names to declarations)"),
    ("instances.web", None, f"instances.web: expected a mapping, found nothing (its keys are {INSTANCE_KEYS})"),
    ("instances.rt.memroy", "1MiB", "instances.rt.memroy: unknown key 'memroy' (did you mean 'memory'?)"),
    (
        "instances.rt.slots",
        64,
        f"instances.rt.slots: unknown key 'slots' (it belongs under channels.NAME; the keys here are {INSTANCE_KEYS})",
    ),
    ("instances.rt.zzz", 64, f"instances.rt.zzz: unknown key 'zzz' (the keys here are {INSTANCE_KEYS})"),
    (
        "instances.rt.memory",
        "256MB/s",
        "instances.rt.memory: '256MB/s' is no size; write a number of bytes or a number with a unit, such as 256MiB",
    ),
    (
        "instances.rt.memory",
        "16M",
        "instances.rt.memory: the unit of '16M' is ambiguous; write 16MiB (powers of 1024) or 16MB (powers of 1000)",
    ),
    ("instances.rt.memory", 0, "instances.rt.memory: 0 is no size; it must be more than 0"),
    ("instances.rt.memory", True, "instances.rt.memory: expected a mapping, found true (its keys are size, base, node)"),
    (
        "instances.rt.image",
        "tinny",
        "instances.rt.image: image 'tinny' is not declared (did you mean 'tiny'? declared images: debian, tiny)",
    ),
    (
        "instances.rt.cpus",
        {},
        'instances.rt.cpus: neither ids nor count is given (name the CPUs, for example "2-3", or say how many: {count: 2})',
    ),
    ("instances.rt.cpus", {"ids": "3", "count": 1}, "instances.rt.cpus: both ids and count are given (give one of the two)"),
    ("instances.rt.cpus", {"count": 0}, "instances.rt.cpus.count: 0 is no number of CPUs; write a whole number of at least 1"),
    (
        "instances.rt.cpus",
        "apic:",
        'instances.rt.cpus: the CPU list is empty (write the kernel\'s list format in quotes, for example "2" or "0-3,8,10-14:2")',
    ),
    (
        "instances.rt.devices",
        ["01:00.0"],
        "instances.rt.devices[0]: '01:00.0' lacks the PCI domain (write \"0000:01:00.0\" if it is in the first domain)",
    ),
    (
        "instances.rt.devices",
        ["0000:01:00.8"],
        "instances.rt.devices[0]: '0000:01:00.8' is no PCI address (write domain:bus:device.function in quotes, for example \"0000:01:00.0\"; lspci -D prints it)",  # noqa: E501
    ),
    (
        "instances.rt.devices",
        "0000:01:00.0",
        "instances.rt.devices: expected a list, found '0000:01:00.0' (write one item per line, each after a dash)",
    ),
    (
        "instances.rt.devices",
        [{"vendor": 1}],
        "instances.rt.devices[0]: the key 'pci' is missing (its address: domain, bus, device and function)",
    ),
    (
        "instances.rt.devices",
        [{"pci": "0000:01:00.0", "vendor": "8086"}],
        "instances.rt.devices[0].vendor: '8086' is no PCI id (write four hexadecimal digits, for example 0x8086; lspci -n prints them)",
    ),
    (
        "instances.rt.devices",
        [{"pci": "0000:01:00.0", "alias": "Eth 0"}],
        "instances.rt.devices[0].alias: 'Eth 0' is no alias (use small letters and digits, a letter first, at most 15, for example eth0)",
    ),
    (
        "instances.rt.devices",
        [{"pci": "0000:01:00.0", "aliass": "x"}],
        "instances.rt.devices[0].aliass: unknown key 'aliass' (did you mean 'alias'?)",
    ),
    (
        "instances.rt.console",
        "tty1",
        "instances.rt.console: 'tty1' is neither a serial device of a PC nor the multikernel console (write ttyS0, ttyS1, ... or mktty0)",
    ),
    ("instances.rt.id", 512, "instances.rt: the id 512 is none that a kernel gives (choose 1 to 511, or leave it out)"),
    ("instances.rt.state", "up", "instances.rt.state: 'up' is not one of running, loaded, defined, absent"),
    ("instances.web.restart", True, "instances.web.restart: true is not one of no, on-failure, always"),
    (
        "instances.web.health.within",
        "30 parsec",
        "instances.web.health.within: '30 parsec' is no duration; write a number with one of the units us, ms, s, m, min, h, d",
    ),
    (
        "instances.web.health.console",
        "(",
        (
            "instances.web.health.console: '(' is no regular expression: missing ), unterminated subpattern at position 0 "
            "(write what Python's re.search takes, such as 'ready$')"
        ),
    ),
    (
        "instances.web.health.tcp",
        "localhost:80",
        (
            "instances.web.health.tcp: 'localhost' is no IP address "
            "(write an address: looking a name up may take minutes, and may fail by itself)"
        ),
    ),
    (
        "instances.web.health.tcp",
        "10.0.0.1",
        "instances.web.health.tcp: '10.0.0.1' does not say where to connect to (write ADDRESS:PORT, for example '192.0.2.7:443')",
    ),
    (
        "instances.web.health.tcp",
        "10.0.0.1:0",
        "instances.web.health.tcp: 0 is no TCP port; write a whole number from 1 to 65535",
    ),
    (
        "instances.web.health.command",
        "/bin/ask --quick",
        (
            "instances.web.health.command: '/bin/ask --quick' is no command: no shell is between "
            "(write a list of words, the first one an absolute path, for example [/usr/local/bin/ask-web, --quick])"
        ),
    ),
    (
        "instances.web.health.command",
        ["ask"],
        (
            "instances.web.health.command: 'ask' is not an absolute path without '..' "
            "(write a list of words, the first one an absolute path, for example [/usr/local/bin/ask-web, --quick])"
        ),
    ),
    (
        "instances.web.health.channel",
        "bet",
        "instances.web.health.channel: channel 'bet' is not declared (did you mean 'beat'? declared channels: beat, feed)",
    ),
    (
        "instances.rt.health",
        {"channel": "beat"},
        "instances.rt.health.channel: channel 'beat' joins host and web, not rt (name a channel that this instance is an end of)",
    ),
    (
        "instances.host",
        {"image": "tiny", "cpus": "2", "memory": "16MiB"},
        "instances.host: 'host' cannot name an instance: in channels it means the host kernel (give the instance another name)",
    ),
    (
        "channels.beat.between",
        ["host"],
        "channels.beat.between: a channel has two ends, found 1 (write two names, for example [host, web])",
    ),
    (
        "channels.beat.between",
        "host",
        "channels.beat.between: 'host' does not say who talks to whom (write two names, for example [host, web])",
    ),
    (
        "channels.beat.between",
        ["host", 3],
        "channels.beat.between: the ends of a channel are names (write two names, for example [host, web])",
    ),
    ("instances.web.health.within", 0, "instances.web.health.within: 0 is no duration; it must be more than 0, such as 30s"),
    ("channels.beat.between", ["web", "web"], "channels.beat.between: both ends are 'web' (a channel joins two different kernels)"),
    (
        "channels.feed.between",
        ["web", "wob"],
        "channels.feed.between[1]: the channel leads to 'wob', which is no kernel here (did you mean 'web'? kernels: host, web, rt)",
    ),
    ("channels.feed.writer", "host", "channels.feed.writer: the writer 'host' is not an end of this channel (ends: web, rt)"),
    ("channels.feed.size", ..., "channels.feed: a shared_memory channel needs a size (write for example size: 2MiB)"),
    (
        "channels.feed.slots",
        64,
        "channels.feed: slots belongs to channels of kind ipi; this one is shared_memory (use size, or change the kind)",
    ),
    (
        "channels.beat.size",
        "1MiB",
        "channels.beat: size belongs to channels of kind shared_memory; this one is ipi (use slots and message_size, or change the kind)",
    ),
    ("channels.beat.slots", 63, "channels.beat.slots: 63 is no number of slots; write a power of two from 2 to 32768"),
    ("channels.beat.message_size", 257, "channels.beat.message_size: 257 is no message size; write a number of bytes from 1 to 256"),
    ("policy", {"disruption": "yes"}, "policy.disruption: 'yes' is not one of refuse, allow"),
    ("policy", {"isolation": {"minimum_grade": "E"}}, "policy.isolation.minimum_grade: 'E' is not one of A, B, C, D, F"),
    ("waivers", {"some-rule": None}, "waivers.some-rule: nothing is not text (put it in quotes)"),
]


@pytest.mark.parametrize(("where", "written", "sentence"), CASES, ids=[f"{where}={written!r}"[:60] for where, written, _sentence in CASES])
def test_one_slip_gives_exactly_its_sentence(good: Layout, where: str, written: t.Any, sentence: str) -> None:
    put(good, where, written)
    assert [error.sentence() for error in errors_of(good)] == [sentence]


def test_misspelt_key_is_one_slip_not_two(good: Layout) -> None:
    good["instances"]["rt"]["memroy"] = good["instances"]["rt"].pop("memory")
    assert [error.sentence() for error in errors_of(good)] == ["instances.rt.memroy: unknown key 'memroy' (did you mean 'memory'?)"]


def test_missing_key_is_told_beside_an_unknown_one_of_another_name(good: Layout) -> None:
    del good["instances"]["rt"]["memory"]
    good["instances"]["rt"]["imagee"] = "tiny"
    assert [error.where for error in errors_of(good)] == ["instances.rt", "instances.rt.imagee"]


def test_two_slips_give_two_sentences(good: Layout) -> None:
    good["instances"]["rt"]["memory"] = "16 apples"
    good["channels"]["beat"]["between"] = ["host", "nobody"]
    assert [error.where for error in errors_of(good)] == ["instances.rt.memory", "channels.beat.between[1]"]


def test_a_wrong_name_and_a_wrong_value_below_it_are_both_told(good: Layout) -> None:
    good["images"]["../x"] = {"kernel": "relative"}
    assert [error.path for error in errors_of(good)] == [("images", "../x"), ("images", "../x", "kernel")]


@pytest.mark.parametrize("raw", [None, [], 3])
def test_what_is_no_mapping_at_all_is_told_so(raw: t.Any) -> None:
    (error,) = errors_of(raw)
    assert error.message.startswith("a layout is a mapping")
    assert error.hint == "its keys are version, name, host, pool, images, instances, channels, policy, waivers"


def test_text_instead_of_a_mapping_is_told_what_helps() -> None:
    (error,) = errors_of("version: 1\nname: box")
    assert error.sentence().endswith("(give a file with file:, or turn text into a mapping with the filter from_yaml)")


@pytest.mark.parametrize(("key", "shown"), [(1, "1"), (True, "true"), (None, "nothing")])
def test_keys_that_are_not_text_are_refused(good: Layout, key: t.Any, shown: str) -> None:
    good["instances"][key] = {"image": "tiny", "cpus": "2", "memory": "16MiB"}
    (error,) = errors_of(good)
    assert error.message == f"the key {shown} is not text"
    assert error.at_key


def test_braces_in_a_value_do_not_disturb_the_sentence(good: Layout) -> None:
    good["instances"]["rt"]["memory"] = "{size}"
    assert "'{size}' is no size" in errors_of(good)[0].message


def test_errors_are_plain_data_on_demand(good: Layout) -> None:
    good["name"] = "a/b"
    told = errors_of(good)[0].to_dict()
    assert told["path"] == ["name"]
    assert told["key"] == "name"
    assert told["file"] is None


def errors_of(raw: t.Any) -> list[LayoutError]:
    with pytest.raises(LayoutErrors) as caught:
        load_layout(raw)
    return caught.value.errors


def put(layout: Layout, where: str, value: t.Any) -> None:
    *around, last = where.split(".")
    at: t.Any = layout
    for part in around:
        at = at[int(part)] if isinstance(at, list) else at.setdefault(part, {})
    if value is ...:
        del at[last]
    else:
        at[last] = value
