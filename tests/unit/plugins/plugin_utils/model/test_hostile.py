# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that were not written in good faith are refused in short sentences, in bounded time and memory."""

from __future__ import annotations

import pathlib
import time
import tracemalloc
import typing as t

import pytest
import yaml
from ansible_collections.multikernel.core.plugins.plugin_utils._check import examine
from ansible_collections.multikernel.core.plugins.plugin_utils._model.errors import LayoutErrors
from ansible_collections.multikernel.core.plugins.plugin_utils._model.layout import load_layout
from ansible_collections.multikernel.core.plugins.plugin_utils._model.locate import DEPTH_LIMIT, MAX_BYTES, SourceFile
from ansible_collections.multikernel.core.plugins.plugin_utils._subject import Subject
from hypothesis import given, settings
from hypothesis import strategies as st

TOP = pathlib.Path(__file__).parents[5]
MINIMAL = (TOP / "examples/layouts/minimal.yml").read_text()


def told(content: bytes) -> str:
    """What is said of a file; whatever is in it, its judgement has an end and its sentences are short."""
    try:
        source = SourceFile.of_bytes("layout.yml", content)
        errors = examine(Subject(source.data, source)).errors
    except LayoutErrors as refused:
        errors = refused.errors
    for error in errors:
        assert len(error.sentence()) < 600
        assert len(str(error)) < 1200
    return "\n".join(map(str, errors))


def aliases(levels: int) -> bytes:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines).encode()


def merges(levels: int) -> bytes:
    lines = ["a0: &a0 {x: 1}"] + [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, levels)]
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b"{a: " * 5_000, "nested too deeply"),
        (b"- " * 5_000, "nested too deeply"),
        (aliases(9), "its aliases multiply without end"),
        (merges(9), "its merges multiply without end"),
        (b"a: &a [*a]", "an alias stands inside the part that it names"),
        (b"a: &a\n  <<: *a\n", "layout.yml:"),
        (b"version:\t1\n\tname: x\n", "this is no YAML"),
        (b"\x00\x01\x02\x7fELF" * 100, "control character"),
        (bytes(range(128, 256)), "is no text in UTF-8: byte 0"),
        (b"a: 1\n" * 3, "the key 'a' is there twice"),
        (b"x" * (MAX_BYTES + 1), "is too large for a layout: more than 4 MiB"),
        (b"--- a\n--- b\n", "this is no YAML"),
        (b"!!python/object/apply:os.system [id]", "has no meaning in a layout"),
        (b"version: !!int one", "'one' is no int"),
        (b"version: !!bool maybe", "'maybe' is no bool"),
        (b"version: !!float word", "'word' is no float"),
        (b"version: 0x_", "'0x_' is no int"),
        (b"version: " + b"9" * 5_000, "is no int"),
        (b"version: 0x" + b"f" * 5_000, "a number of 20000 bits"),
        (b"version: 1:" + b"59:" * 2_000 + b"59", "layout.yml:1:"),
        (b"version: .nan", "layout version nan is not known here"),
        (b"version: 1\nname: " + b"x" * 1_000_000, "is no name"),
        (b'{"version": 1, "name": "' + b"x" * 1_000_000 + b'", "moon": 1}', "unknown key 'moon'"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else value,
)
def test_hostile_text_is_refused_in_a_sentence(content: bytes, sentence: str) -> None:
    assert sentence in told(content)


@pytest.mark.parametrize(
    "value",
    [
        "1" * 5_000,
        "0x" + "f" * 5_000,
        "'0x" + "f" * 5_000 + "'",
        "'" + "1" * 5_000 + "GiB'",
        "0." + "1" * 5_000 + "GiB",
        ".inf",
        "-1",
        "1e400",
        "{size: [], base: {}}",
        "'" + "0-8191," * 100_000 + "1'",
        "[" + "1," * 3_000 + "[]]",
        "'0-8191:" + "1" * 5_000 + "'",
        "'" + "1" * 5_000 + "'",
    ],
    ids=lambda value: value[:14],
)
@pytest.mark.parametrize("key", ["memory", "cpus", "health"])
def test_hostile_value_at_a_known_key_is_refused_or_read(key: str, value: str) -> None:
    layout = yaml.safe_load(MINIMAL)
    name = next(iter(layout["instances"]))
    layout["instances"][name][key] = "PLACE"
    text = yaml.safe_dump(layout, width=10_000).replace("PLACE", "{within: " + value + "}" if key == "health" else value)
    said = told(text.encode())
    assert f"instances.{name}.{key}" in said or " is no int" in said


def test_number_that_python_refuses_to_write_is_refused_in_a_sentence() -> None:
    """Ansible's variables hold any number; the model meets it without a text around it."""
    for number in (1 << 20_000, -(1 << 20_000)):
        with pytest.raises(LayoutErrors, match="a number of 20001 bits"):
            load_layout({**yaml.safe_load(MINIMAL), "version": number, "name": number, "waivers": {"x": number}, number: 1})


def test_largest_file_costs_bounded_time_and_memory(tmp_path: pathlib.Path) -> None:
    """10 MB are not even read to their end."""
    file = tmp_path / "large.yml"
    file.write_bytes(b"- [a, b, c]\n" * 900_000)
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(LayoutErrors, match="too large"):
        SourceFile.open(str(file))
    assert time.process_time() - began < 1
    assert tracemalloc.get_traced_memory()[1] < 3 * MAX_BYTES
    tracemalloc.stop()


def test_endless_file_is_not_read_to_its_end() -> None:
    with pytest.raises(LayoutErrors, match="too large"):
        SourceFile.open("/dev/zero")


def test_name_of_a_file_may_be_anything() -> None:
    with pytest.raises(LayoutErrors, match="cannot be read"):
        SourceFile.open("a\0b")


def test_honest_depth_is_no_offence() -> None:
    text = "x: " + "[" * (DEPTH_LIMIT - 3) + "]" * (DEPTH_LIMIT - 3)
    assert SourceFile.of_bytes("vars.yml", text.encode()).data["x"] == yaml.safe_load(text)["x"]


@settings(max_examples=60)
@given(st.one_of(st.binary(max_size=80), st.text("&*a:{}[]<-!%|>'\"0x.e_\n\t #,?\x00\ufeff", max_size=60).map(str.encode)))
def test_any_bytes_are_refused_or_judged(content: bytes) -> None:
    told(content)


@settings(max_examples=60)
@given(st.data())
def test_good_layout_with_damaged_bytes_is_refused_or_judged(data: t.Any) -> None:
    content = bytearray(MINIMAL.encode())
    for _change in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=6))
    told(bytes(content))
