# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every error says where it was written: in a file, and in the variables of Ansible."""

from __future__ import annotations

import pathlib
import textwrap
import typing as t

import pytest
from ansible_collections.multikernel.core.plugins.plugin_utils._model.errors import LayoutErrors
from ansible_collections.multikernel.core.plugins.plugin_utils._model.layout import load_layout
from ansible_collections.multikernel.core.plugins.plugin_utils._model.locate import SourceFile
from ansible_collections.multikernel.core.plugins.plugin_utils._model.tagged import TaggedData

BROKEN = """\
version: 1
name: box
pool: {memory: [{base: 0x40000000, size: 64 MB/s}]}
images:
  tiny: {kernel: /srv/tiny.bin, format: flat}
instances:
  rt:
    image: tinny
    cpus: "1"
    memroy: 16MiB
"""
PLACES = ["layout.yml:3:42", "layout.yml:8:12", "layout.yml:10:5"]


def test_errors_of_a_file_come_with_line_and_column_in_the_order_of_the_text() -> None:
    source = SourceFile("layout.yml", BROKEN)
    with pytest.raises(LayoutErrors) as caught:
        load_layout(source.data, source)
    assert [str(error.position) for error in caught.value] == PLACES


def test_error_shows_the_line_and_points_at_the_column() -> None:
    source = SourceFile("layout.yml", BROKEN)
    with pytest.raises(LayoutErrors) as caught:
        load_layout(source.data, source)
    assert str(caught.value.errors[-1]) == (
        "layout.yml:10:5: instances.rt.memroy: unknown key 'memroy' (did you mean 'memory'?)\n        memroy: 16MiB\n        ^"
    )


def test_errors_of_variables_come_with_the_place_in_group_vars(tmp_path: pathlib.Path) -> None:
    dataloader = pytest.importorskip("ansible.parsing.dataloader")
    file = tmp_path / "layout.yml"
    file.write_text(BROKEN)
    data = TaggedData(dataloader.DataLoader().load_from_file(str(file)))
    with pytest.raises(LayoutErrors) as caught:
        load_layout(data.raw, data)
    assert [str(error.position).removeprefix(f"{tmp_path}/") for error in caught.value] == PLACES


def test_variables_without_origin_still_give_errors() -> None:
    data = TaggedData({"version": 1})
    with pytest.raises(LayoutErrors) as caught:
        load_layout(data.raw, data)
    assert {error.position for error in caught.value} == {None}


def test_layout_below_a_key_of_a_file_is_located_in_that_file() -> None:
    text = "other: 1\nmultikernel:\n  layout:\n" + textwrap.indent(BROKEN, "    ")
    source = SourceFile("all.yml", text, ("multikernel", "layout"))
    with pytest.raises(LayoutErrors) as caught:
        load_layout(source.data, source)
    assert str(caught.value.errors[0].position) == "all.yml:6:46"


def test_missing_key_of_a_file_is_told() -> None:
    with pytest.raises(LayoutErrors, match=r"all\.yml has no key multikernel\.layout"):
        SourceFile("all.yml", "multikernel: {}", ("multikernel", "layout"))


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "f:3:1", "the key 'a' is there twice; the first is in line 1"),
        ("a: {b: 1, c: 2, b: 3}\n", "f:1:17", "the key 'b' is there twice; the first is in line 1"),
        ("a: [1\nb: 2\n", "f:2:2", "this is no YAML: while parsing a flow sequence expected ',' or ']', but got ':'"),
        (
            "a: !!python/object:os.system x\n",
            "f:1:4",
            "this is no YAML: the tag tag:yaml.org,2002:python/object:os.system has no meaning in a layout",
        ),
        ("a: !vault x\n", "f:1:4", "this is no YAML: the tag !vault has no meaning in a layout"),
        ("a: &x\n  b: *x\n", "f:1:4", "this is no YAML: an alias stands inside the part that it names"),
        ("? [a]\n: 1\n", "f:1:3", "this is no YAML: a key must be one word"),
        ("a: 1\n---\nb: 1\n", "f:2:1", "this is no YAML: expected a single document in the stream but found another document"),
        ("a: 1\nb: \x07\n", "f:2:4", "this is no YAML: it has the control character U+0007 in it"),
    ],
)
def test_text_that_is_no_plain_yaml_is_refused_with_its_place(text: str, place: str, message: str) -> None:
    with pytest.raises(LayoutErrors) as caught:
        SourceFile("f", text)
    (error,) = caught.value
    assert (str(error.position), error.message) == (place, message)


def test_aliases_that_multiply_are_refused_and_quickly() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 10)]
    with pytest.raises(LayoutErrors, match="its aliases multiply without end"):
        SourceFile("f", "\n".join(lines))


def test_deep_nesting_is_refused_without_a_traceback() -> None:
    with pytest.raises(LayoutErrors, match="nested too deeply"):
        SourceFile("f", "[" * 5000)


def test_merge_keys_work_and_own_keys_win() -> None:
    source = SourceFile("f", "base: &base {a: 1, b: 2}\nhere:\n  <<: *base\n  b: 3\n")
    assert source.data["here"] == {"a": 1, "b": 3}
    assert str(source.position(("here", "b"))) == "f:4:6"
    assert str(source.position(("here", "a"))) == "f:1:17"


def test_dates_are_words_and_addresses_are_numbers() -> None:
    assert SourceFile("f", "a: 2026-11-22\nb: 0x10\nc: 010\n").data == {"a": "2026-11-22", "b": 16, "c": 8}


@pytest.mark.parametrize("make", [lambda path: path / "missing.yml", lambda path: path])
def test_file_that_cannot_be_read_is_a_sentence(tmp_path: pathlib.Path, make: t.Callable[[pathlib.Path], pathlib.Path]) -> None:
    with pytest.raises(LayoutErrors, match="cannot be read: "):
        SourceFile.open(str(make(tmp_path)))


def test_file_in_another_encoding_is_a_sentence(tmp_path: pathlib.Path) -> None:
    (tmp_path / "f").write_bytes(b"name: \xff\xfe")
    with pytest.raises(LayoutErrors, match="is no text in UTF-8: byte 6"):
        SourceFile.open(str(tmp_path / "f"))


def test_json_is_read_as_well(tmp_path: pathlib.Path) -> None:
    assert SourceFile("f.json", '{"a": [1, null, true, "x"]}').data == {"a": [1, None, True, "x"]}
