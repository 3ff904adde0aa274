# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Device trees: what is written, dtc and libfdt read alike; what they write is read; anything else is refused in a sentence."""

from __future__ import annotations

import functools
import json
import os
import shutil
import struct
import subprocess
import time
import tracemalloc
from pathlib import Path

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._boot import fdt
from hypothesis import given, settings
from hypothesis import strategies as st

FILES = Path(__file__).resolve().parents[4] / "unit/fixtures/trees"
needs_dtc = pytest.mark.skipif(shutil.which("dtc") is None, reason="no dtc (Debian: device-tree-compiler)")

# what the specification allows in names, and dtc takes without a word
plain = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789,._+-", min_size=1, max_size=31)
values = st.binary(max_size=40)


def trees(names, most=3):
    """Trees of any shape with these names; no node has two children of the same name."""
    properties = st.dictionaries(names, values, max_size=4)

    def node(children):
        return st.builds(fdt.Node, names, properties, st.lists(children, max_size=most, unique_by=lambda one: one.name))

    below = st.recursive(st.builds(fdt.Node, names, properties), node, max_leaves=12)
    return st.builds(fdt.Node, st.just(""), properties, st.lists(below, max_size=most, unique_by=lambda one: one.name))


@functools.lru_cache(maxsize=1)
def libfdt():
    """A function from a blob to what libfdt reads in it; None is its refusal."""
    python = "/usr/bin/python3"
    if not os.path.exists(python) or subprocess.run([python, "-c", "import libfdt"], stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("no libfdt for the system's Python (Debian: python3-libfdt)")
    reader = subprocess.Popen(
        [python, str(FILES / "read_by_libfdt.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, universal_newlines=True
    )

    def read(blob):
        reader.stdin.write(blob.hex() + "\n")
        reader.stdin.flush()
        answer = json.loads(reader.stdout.readline())
        return None if answer is None else plain_node(answer)

    return read


def plain_node(answer):
    name, properties, children = answer
    return fdt.Node(name, {key: bytes.fromhex(value) for key, value in properties}, [plain_node(one) for one in children])


def dtc(blob, source, target):
    return subprocess.run(["dtc", "-qqf", "-I", source, "-O", target], input=blob, stdout=subprocess.PIPE, check=True).stdout


def as_source(node, depth=0):
    """The tree in dtc's language, with every value as bytes."""
    lines = ["%s {" % (node.name or "/")]
    lines += ["%s = [%s];" % (name, value.hex()) if value else "%s;" % name for name, value in node.properties.items()]
    lines += [as_source(child, depth + 1) for child in node.children]
    return "\n".join(["/dts-v1/;\n"] * (not depth) + lines + ["};"])


# agreement with others


def test_a_baseline_by_another_tool_is_read():
    root = fdt.parse((FILES / "baseline.dtb").read_bytes())
    resources = root.find("/resources")
    assert root.string("compatible") == "linux,multikernel-host"
    assert resources.u64s("cpus") == [2, 3, 256]
    memory = [(one.name, one.u64("size"), one.u32("numa-node-id")) for one in resources.children if one.name.startswith("memory")]
    assert memory == [("memory@0", 1 << 30, 0), ("memory@1", 512 << 20, 1)]
    device = root.find("/resources/devices/pci_0000_09_00_0")
    assert (device.string("pci-id"), device.u32("vendor-id"), device.u32("device-id")) == ("0000:09:00.0", 0x8086, 0x10D3)
    assert root.find("/aliases").string("enp9s0") == "/resources/devices/pci_0000_09_00_0"


@pytest.mark.parametrize("name", ["baseline", "create_two"])
def test_blobs_by_another_tool_are_written_with_the_same_meaning(name):
    blob = (FILES / (name + ".dtb")).read_bytes()
    written = fdt.build(fdt.parse(blob))
    assert fdt.parse(written) == fdt.parse(blob)
    assert libfdt()(written) == libfdt()(blob)
    assert len(written) <= len(blob)  # ends of names are shared


@given(trees(plain))
def test_what_is_written_reads_back(tree):
    assert fdt.parse(fdt.build(tree)) == tree


@given(trees(st.text(st.characters(blacklist_characters="/\0", blacklist_categories=("Cs",)), max_size=20)))
def test_names_of_any_letters_read_back(tree):
    assert fdt.parse(fdt.build(tree)) == tree


@given(trees(plain))
@settings(max_examples=60)
def test_libfdt_reads_what_is_written(tree):
    assert libfdt()(fdt.build(tree)) == tree


@needs_dtc
@given(trees(plain))
@settings(max_examples=40)
def test_dtc_reads_what_is_written(tree):
    assert fdt.parse(dtc(fdt.build(tree), "dtb", "dtb")) == tree


@needs_dtc
@given(trees(st.text("abcdefgh,-", min_size=1, max_size=12).map(lambda word: "n" + word)))
@settings(max_examples=40)
def test_what_dtc_writes_is_read(tree):
    assert fdt.parse(dtc(as_source(tree).encode(), "dts", "dtb")) == tree


@needs_dtc
def test_a_tree_with_reservations_and_padding_is_read():
    source = b"/dts-v1/; /memreserve/ 0x1000 0x2000; / { a { b = <1 2>; }; };"
    blob = subprocess.run(["dtc", "-qq", "-p", "64", "-I", "dts", "-O", "dtb"], input=source, stdout=subprocess.PIPE, check=True).stdout
    assert fdt.parse(blob).find("/a").u32s("b") == [1, 2]


@needs_dtc
def test_fdtdump_shows_what_is_written(tmp_path):
    (tmp_path / "tree.dtb").write_bytes(fdt.build(fdt.Node("", {}, [fdt.Node("cpu@2", {"reg": fdt.u64(256)})])))
    told = subprocess.run(
        ["fdtdump", str(tmp_path / "tree.dtb")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
    ).stdout.decode()
    assert "cpu@2 {" in told and "reg = <0x00000000 0x00000100>;" in told


# sizes


def test_no_size_of_a_blob_is_special():
    """Other writers fail where a blob ends in the last bytes of a KiB: every size near those steps is written and read by libfdt."""
    seen = set()
    for length in [*range(790, 900), *range(1814, 1924), *range(3862, 3972)]:
        tree = fdt.Node("", {"compatible": fdt.string("x"), "fill": b"\1" * length}, [fdt.Node("end")])
        blob = fdt.build(tree)
        seen.add(len(blob) % 1024 // 4)
        assert len(blob) == fdt.blob_size(fdt.node_size(tree), fdt.property_names(tree))
        assert fdt.parse(blob) == tree == libfdt()(blob)
    assert set(range(240, 256)) <= seen


@given(trees(plain))
def test_the_size_is_known_before_the_blob_is_made(tree):
    assert fdt.blob_size(fdt.node_size(tree), fdt.property_names(tree)) == len(fdt.build(tree))


def test_a_name_that_ends_another_shares_its_bytes():
    blob = fdt.build(fdt.Node("", {"id": b"", "pci-id": b"", "vendor-id": b"", "d": b"", "numa-node-id": b""}))
    size = struct.unpack_from(">I", blob, 32)[0]
    assert size == len(b"pci-id\0vendor-id\0numa-node-id\0")
    assert list(fdt.parse(blob).properties) == ["id", "pci-id", "vendor-id", "d", "numa-node-id"]


# values


def test_values_have_the_width_that_is_asked_for():
    node = fdt.Node("n", {"a": fdt.u32(7), "b": fdt.u64(1 << 40), "c": fdt.u64(1, 2), "d": fdt.string("grüße"), "e": b"", "f": b"x"})
    assert (node.u32("a"), node.u64("b"), node.u64s("c"), node.u32s("c"), node.string("d")) == (7, 1 << 40, [1, 2], [0, 1, 0, 2], "grüße")
    assert (
        node.u64s("e") == []
        and node.u32("none") is node.u64("none") is node.u64s("none") is node.u32s("none") is node.string("none") is None
    )
    for read, name in (
        (node.u32, "b"),
        (node.u64, "a"),
        (node.u32, "e"),
        (node.u64s, "a"),
        (node.u32s, "f"),
        (node.string, "f"),
        (node.string, "e"),
    ):
        with pytest.raises(fdt.FdtError, match="property '%s' of node 'n'" % name):
            read(name)


@pytest.mark.parametrize("value", [b"a\0b\0", b"\xff\0"])
def test_a_text_has_one_end_and_is_utf8(value):
    with pytest.raises(fdt.FdtError, match="is no text"):
        fdt.Node("n", {"s": value}).string("s")


@pytest.mark.parametrize(
    "make", [lambda: fdt.u32(1 << 32), lambda: fdt.u64(-1), lambda: fdt.u64(True), lambda: fdt.u32("1"), lambda: fdt.string("a\0")]
)
def test_a_value_that_does_not_fit_is_refused(make):
    with pytest.raises(fdt.FdtError):
        make()


def test_nodes_are_found_by_path():
    leaf = fdt.Node("b@1")
    root = fdt.Node("", {}, [fdt.Node("a", {}, [leaf, fdt.Node("b@1", {"x": b""})])])
    assert root.find("/") is root and root.find("/a/b@1") is leaf and root.find("/a/b") is None and root.find("/c/d") is None
    assert [path for path, _node in root.walk()] == ["/", "/a", "/a/b@1", "/a/b@1"]


# what is refused


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        (fdt.Node("", {}, [fdt.Node("a"), fdt.Node("a")]), "two children named 'a'"),
        (fdt.Node("", {}, [fdt.Node("a/b")]), "a / in it"),
        (fdt.Node("", {"a\0b": b""}), "has a NUL"),
        (fdt.Node("", {"x" * 256: b""}), "more than 255 bytes"),
        (fdt.Node("", {"big": bytes(1 << 20)}), "more than 1048576 bytes"),
        (fdt.Node("", {}, [fdt.Node("\udcff")]), "UTF-8"),
        (functools.reduce(lambda below, _n: fdt.Node("n", {}, [below]), range(64), fdt.Node("n")), "deeper than 64"),
    ],
)
def test_a_tree_that_no_reader_would_find_again_is_not_written(tree, words):
    with pytest.raises(fdt.FdtError, match=words):
        fdt.build(tree)


def good():
    return fdt.build(fdt.Node("", {"compatible": fdt.string("x")}, [fdt.Node("a", {"b": fdt.u32(1)})]))


def raw(*words, strings=b"b\0"):
    """A blob with these words as its structure; bytes are padded."""
    body = b"".join(word + bytes(-len(word) % 4) if isinstance(word, bytes) else struct.pack(">I", word) for word in words)
    total = 56 + len(body) + len(strings)
    return struct.pack(">10I", fdt.MAGIC, total, 56, 56 + len(body), 40, 17, 16, 0, len(strings), len(body)) + bytes(16) + body + strings


OPEN, CLOSE = (1, b"\0"), (2,)


@pytest.mark.parametrize(
    ("blob", "words"),
    [
        (b"", "no device tree: it has 0 bytes"),
        (b"\0" * 100, "begins with 0x00000000"),
        (good()[:-1], "incomplete: its header tells"),
        (good() + b"\0", "incomplete: its header tells"),
        (good()[:20] + struct.pack(">2I", 3, 3) + good()[28:], "has version 3"),
        (good()[:8] + struct.pack(">I", 1 << 30) + good()[12:], "structure .* leave"),
        (good()[:12] + struct.pack(">I", 1 << 30) + good()[16:], "names .* leave"),
        (good()[:8] + struct.pack(">I", 57) + good()[12:36] + struct.pack(">I", 8) + good()[40:], "no multiple of 4"),
        (raw(*OPEN, *CLOSE), "without an end mark"),
        (raw(9), "ends without a node"),
        (raw(*OPEN, 9), "ends inside node ''"),
        (raw(*OPEN, *CLOSE, *OPEN, *CLOSE, 9), "something follows its root"),
        (raw(2, 9), "no root node"),
        (raw(*OPEN, 7, *CLOSE, 9), "unknown mark 7"),
        (raw(*OPEN, 3, 4, 0, 1, 3, 4, 0, 2, *CLOSE, 9), "property 'b' is twice"),
        (raw(*OPEN, *OPEN, *CLOSE, 3, 4, 0, 1, *CLOSE, 9), "comes after its children"),
        (raw(*OPEN, 3, 400, 0, 1, *CLOSE, 9), "has 400 bytes and so leaves the tree"),
        (raw(*OPEN, 3, 4, 9, 1, *CLOSE, 9), "name of a property has no end"),
        (raw(*OPEN, 3, 4, 0, 1, *CLOSE, 9, strings=b"bb"), "name of a property has no end"),
        (raw(*OPEN, 3, 4, 0, 1, *CLOSE, 9, strings=b"\xff\0"), "no UTF-8"),
        (raw(1, b"a/b\0", *CLOSE, 9), "has a / in it"),
        (raw(1, b"a" * 300 + b"\0", *CLOSE, 9), "no end within 255 bytes"),
        (raw(*(OPEN * 65), 9), "deeper than 64"),
        (raw(*OPEN, 3), "inside a property"),
    ],
)
def test_a_damaged_tree_is_refused_in_a_sentence(blob, words):
    with pytest.raises(fdt.FdtError, match=words):
        fdt.parse(blob)


def test_marks_without_meaning_are_passed_over():
    assert fdt.parse(raw(4, *OPEN, 4, 3, 4, 0, 1, 4, *CLOSE, 4, 9)) == fdt.Node("", {"b": fdt.u32(1)})


def test_a_tree_of_version_16_is_read():
    blob = good()
    old = blob[:20] + struct.pack(">2I", 16, 16) + blob[28:36] + struct.pack(">I", 0xDEAD) + blob[40:]
    assert fdt.parse(old) == fdt.parse(blob)


def test_a_torn_read_is_told_by_its_length():
    blob = good()
    assert fdt.complete(blob)
    assert not any(fdt.complete(one) for one in (b"", blob[:7], blob[:-4], blob + bytes(4), b"x" + blob[1:]))


@given(st.data())
@settings(max_examples=400)
def test_damage_is_refused_or_read_as_libfdt_reads_it(data):
    blob = bytearray(fdt.build(data.draw(trees(plain))))
    for _change in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(8, len(blob) - 1))
        blob[at] = data.draw(st.one_of(st.integers(0, 9), st.integers(0, 255)))
    try:
        read = fdt.parse(bytes(blob))
    except fdt.FdtError as refused:
        assert 10 < len(str(refused)) < 300
        return
    theirs = libfdt()(bytes(blob))
    assert theirs is None or theirs == read


@given(st.binary(max_size=300))
def test_no_bytes_end_in_another_error(data):
    for blob in (data, raw(data), struct.pack(">2I", fdt.MAGIC, len(data) + 8) + data):
        assert read_or_refused(blob)


def read_or_refused(blob):
    try:
        return fdt.parse(blob) is not None
    except fdt.FdtError as refused:
        return 10 < len(str(refused)) < 300


@pytest.mark.parametrize(
    "blob",
    [
        raw(*OPEN, *([1, b"\0", 2] * 87000), 2, 9),  # as many nodes as fit
        raw(*OPEN, *([1, b"a" * 251 + b"\0"] * 62), *([1, b"\0", 2] * 80000), *([2] * 63), 9),  # and all below a long path
        raw(*OPEN, *[word for number in range(50000) for word in (3, 0, number)], 2, 9, strings=b"a" * 254 + b"\0" + b"a" * 200000 + b"\0"),
    ],
    ids=["nodes", "paths", "names"],
)
def test_the_worst_tree_takes_bounded_time_and_memory(blob):
    assert len(blob) <= fdt.LARGEST
    tracemalloc.start()
    began = time.process_time()
    try:
        fdt.property_names(fdt.parse(blob))
    except fdt.FdtError:
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 << 20
    assert time.process_time() - began < 20
