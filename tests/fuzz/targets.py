# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is fuzzed: each function takes any bytes, and an exception that leaves it is a finding.

Only the refusal that a reader documents is caught. Beyond "no traceback", each target holds what must be true of an answer.
``tests/fuzz/run`` starts this file with the name of a target and the options of libFuzzer.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import pathlib
import sys
import typing as t

import atheris

with atheris.instrument_imports(include=["ansible_collections.multikernel.core.plugins"]):
    from ansible_collections.multikernel.core.plugins.module_utils._boot import elf, fdt, initramfs, inspect, payload, setup_header
    from ansible_collections.multikernel.core.plugins.module_utils._dialect import kernfs_tree as trees
    from ansible_collections.multikernel.core.plugins.module_utils._dialect import table as tables
    from ansible_collections.multikernel.core.plugins.module_utils._host import iomem as maps
    from ansible_collections.multikernel.core.plugins.module_utils._layout import canonical, cpuset
    from ansible_collections.multikernel.core.plugins.module_utils._plan.place import PlacementError
    from ansible_collections.multikernel.core.plugins.plugin_utils._check import examine
    from ansible_collections.multikernel.core.plugins.plugin_utils._facts import checked
    from ansible_collections.multikernel.core.plugins.plugin_utils._model.errors import LayoutErrors
    from ansible_collections.multikernel.core.plugins.plugin_utils._model.locate import SourceFile
    from ansible_collections.multikernel.core.plugins.plugin_utils._offline import fresh_state, steps
    from ansible_collections.multikernel.core.plugins.plugin_utils._subject import Subject

TOP = pathlib.Path(__file__).resolve().parents[2]
#: A refusal is read by people: its length does not grow with the input.
LONGEST_SENTENCE = 2000


def layout(data: bytes) -> None:
    """Layout text: refused with places and sentences, or judged; what is accepted has a canonical form that is its own."""
    try:
        source = SourceFile.of_bytes("layout.yml", data)
    except LayoutErrors as refused:
        told = refused.errors
        verdict = None
    else:
        verdict = examine(Subject(source.data, source))
        told = verdict.errors
    for error in told:
        assert error.message and len(error.sentence()) < LONGEST_SENTENCE + len(error.where), error
        assert str(error)
    if verdict is not None and verdict.canonical is not None:
        canonical.check_shape(verdict.canonical)
        assert canonical.fill_defaults(verdict.canonical) == verdict.canonical


def iomem(data: bytes) -> None:
    """/proc/iomem below a first line that is the command line: no range is both told to be in use and proven free."""
    cmdline, _newline, text = data.decode("utf-8", "replace").partition("\n")
    facts: dict[str, t.Any] = {
        "kernel": {"cmdline": cmdline},
        "memory": {"iomem": maps.parse(text), "block_size": 1 << 27, "blocks": [{"number": 9, "state": "offline"}], "low": []},
        "dialect": {"pool": None},
    }
    maps.low_chunks(cmdline)
    for base in (0, 0x10000, 1 << 20, 0x48000000, 0xFEE00000, 1 << 40):
        conflicts = maps.host_use([(base, 1 << 21)], facts)
        assert bool(conflicts or conflicts is None) == bool(maps.free_of_host([(base, 1 << 21)], facts))
        for conflict in conflicts or ():
            assert base <= conflict.start <= conflict.end < base + (1 << 21), conflict


def cpus(data: bytes) -> None:
    """CPU lists: what is read, written and read again is the same set."""
    text = data.decode("utf-8", "replace")
    try:
        numbers = cpuset.parse(text)
    except cpuset.CpuListError as refused:
        assert len(str(refused)) < LONGEST_SENTENCE
    else:
        # A list of distinct single numbers has no shorter form, and a range is bounded; both hold for what was read.
        assert cpuset.parse(cpuset.format(numbers[:1000])) == sorted(set(numbers[:1000]))
    with contextlib.suppress(cpuset.CpuListError):
        cpuset.parse(text, last=7)


def image(data: bytes) -> None:
    """The bytes of a file that a layout names as kernel or initrd: never an exception, and unpacked within what it promises."""
    number = os.memfd_create("image")
    try:
        os.write(number, data)
        facts = inspect.inspect(f"/proc/self/fd/{number}")
    finally:
        os.close(number)
    assert facts["exists"] and facts["size"] == len(data)
    assert facts["error"] or facts["kind"] != "unknown"
    json.dumps(facts, allow_nan=False)
    for read in (lambda: elf.parse(data, len(data)), lambda: setup_header.parse(data), lambda: initramfs.parse(data)):
        try:
            read()
        except ValueError as refused:
            assert str(refused)
    if facts["kind"] == "bzimage" and (facts["header"] or {}).get("payload") in ("gzip", "bzip2", "lzma", "xz"):
        try:
            payload.extract(data)
        except payload.PayloadError as refused:
            assert str(refused)


def table(data: bytes) -> None:
    """/proc/multikernel and mkstock's files: odd lines are skipped, numbers are numbers."""
    text = data.decode("utf-8", "replace")
    for row in tables.images(text):
        assert row["type"] in tables.TYPES and row["entry"] >= 0 and row["segments"] >= 0
    for one in tables.instances(text) or ():
        assert all(number >= 0 for number in [one["entry"], *one["cpus"], *one["apic_ids"]])
        assert all(len(pair) == 2 for pair in one["memory"])
    for channel in (tables.channels(text) or {}).values():
        assert channel["address"] >= 0 and channel["beats"] >= 0
    assert all(len(pair) == 2 for pair in tables.pool(text) or ())


def tree(data: bytes) -> None:
    """A device tree of the kernel, also with the bytes' own header mended: refused, or read, and written again as it was read."""
    for blob in (data, fdt.MAGIC.to_bytes(4, "big") + len(data).to_bytes(4, "big") + data[8:]):
        with contextlib.suppress(fdt.FdtError):
            root = fdt.parse(blob)
            try:
                written = fdt.build(root)
            except fdt.FdtError as refused:
                assert "two children named" in str(refused)  # read as libfdt does, but never written
            else:
                assert fdt.complete(written) and again(written) == root
        for read in (trees.generation, trees.host, trees.instance):
            try:
                json.dumps(read(blob), allow_nan=False)
            except trees.TreeError as refused:
                assert len(str(refused)) < LONGEST_SENTENCE


def again(blob: bytes) -> fdt.Node | None:
    """What is read from what was written: there, no refusal is right."""
    try:
        return fdt.parse(blob)
    except fdt.FdtError:
        return None


NUMBERS: list[t.Any] = [-1, 0, 1, 255, 1 << 31, (1 << 32) - 1, (1 << 64) - 1, 1 << 70, 0.5, float("nan")]
ODD: list[t.Any] = [*NUMBERS, None, True, "", "0-3", "ü", [], [0], [[0, 0]], {}]
BUNDLE: dict[str, t.Any] = {}
LAYOUT: list[Subject] = []


def facts(data: bytes) -> None:
    """A facts bundle: JSON as it is, or else a good bundle in which some parts are replaced, moved or left out."""
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError):
        raw = _damaged(data)
    try:
        bundle = checked(raw, "host.json")
    except LayoutErrors as refused:
        assert len(str(refused)) < LONGEST_SENTENCE
        return
    verdict = examine(LAYOUT[0], bundle)
    assert verdict.digest
    if verdict.placed is not None:
        try:
            steps(verdict.placed, bundle, fresh_state(bundle), verdict.digest)
        except PlacementError as refused:
            assert refused.findings


def _damaged(data: bytes) -> dict[str, t.Any]:
    given = atheris.FuzzedDataProvider(data)
    raw = copy.deepcopy(BUNDLE)
    for _change in range(given.ConsumeIntInRange(1, 8)):
        at: t.Any = raw
        while True:
            keys = list(at) if isinstance(at, dict) else list(range(len(at)))
            key = keys[given.ConsumeIntInRange(0, len(keys) - 1)]
            if isinstance(at[key], (dict, list)) and at[key] and given.ConsumeIntInRange(0, 3):
                at = at[key]
                continue
            break
        action = given.ConsumeIntInRange(0, 4)
        if action == 0:
            del at[key]
        elif action == 1 and isinstance(at[key], int) and not isinstance(at[key], bool):
            at[key] = given.ConsumeInt(8) if given.ConsumeBool() else at[key] ^ (1 << given.ConsumeIntInRange(0, 40))
        elif action == 2 and isinstance(at[key], str):
            at[key] = given.ConsumeUnicodeNoSurrogates(60)
        elif action == 3 and isinstance(at, list):
            at.append(copy.deepcopy(at[given.ConsumeIntInRange(0, len(at) - 1)]))
        else:
            at[key] = copy.deepcopy(given.PickValueInList(ODD))
        if not raw:
            break
    return raw


TARGETS: dict[str, t.Callable[[bytes], None]] = {
    "cpus": cpus, "facts": facts, "image": image, "iomem": iomem, "layout": layout, "table": table, "tree": tree
}  # fmt: skip


def main() -> None:
    """Fuzz the target that the first argument names."""
    name = sys.argv.pop(1)
    if name == "facts":
        BUNDLE.update(json.loads((TOP / "examples/hosts/lab-4.json").read_text()))
        LAYOUT.append(Subject.of_file(str(TOP / "examples/layouts/lab.yml")))
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
