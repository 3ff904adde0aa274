# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The published schema: it is what the models say, and accepts what they accept."""

from __future__ import annotations

import json
import pathlib
import typing as t

import jsonschema
import pytest
import yaml
from ansible_collections.multikernel.core.plugins.plugin_utils._model.errors import LayoutErrors
from ansible_collections.multikernel.core.plugins.plugin_utils._model.layout import load_layout
from ansible_collections.multikernel.core.plugins.plugin_utils._model.locate import SourceFile
from ansible_collections.multikernel.core.plugins.plugin_utils._model.schema import layout_schema, schema_text

TOP = next(folder for folder in pathlib.Path(__file__).resolve().parents if (folder / "galaxy.yml").exists())
EXAMPLES = sorted((TOP / "examples" / "layouts").glob("*.yml"))
MODELINE = "# yaml-language-server: $schema=../../schemas/layout.schema.json"


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(layout_schema())


def test_published_schema_is_what_the_models_say() -> None:
    assert (TOP / "schemas" / "layout.schema.json").read_text() == schema_text(), "run: mkl schema > schemas/layout.schema.json"


def test_schema_is_of_the_2020_12_dialect_and_valid() -> None:
    published = json.loads(schema_text())
    assert published["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert published["$id"] == "urn:multikernel-core:schema:layout:1"
    jsonschema.Draft202012Validator.check_schema(published)


def test_every_key_has_a_description() -> None:
    bare: list[str] = []

    def walk(node: t.Any, path: str) -> None:
        if isinstance(node, dict):
            for name, field in (node.get("properties") or {}).items():
                target = layout_schema()["$defs"][field["$ref"].rpartition("/")[2]] if "$ref" in field else {}
                if not (field.get("description") or target.get("description")):
                    bare.append(f"{path}/{name}")
            for key, child in node.items():
                walk(child, f"{path}/{key}")
        elif isinstance(node, list):
            for child in node:
                walk(child, path)

    walk(layout_schema(), "")
    assert bare == []


def test_there_are_examples() -> None:
    assert {example.stem for example in EXAMPLES} >= {"minimal", "lab", "smp"}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_is_valid_by_schema_and_by_model(example: pathlib.Path, schema: jsonschema.Draft202012Validator) -> None:
    source = SourceFile.open(str(example))
    assert [error.message for error in schema.iter_errors(source.data)] == []
    assert load_layout(source.data, source)["name"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_tells_editors_its_schema(example: pathlib.Path) -> None:
    assert example.read_text().splitlines()[0] == MODELINE
    assert (example.parent / MODELINE.partition("$schema=")[2]).resolve() == TOP / "schemas" / "layout.schema.json"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_canonical_form_is_valid_by_the_schema_too(example: pathlib.Path, schema: jsonschema.Draft202012Validator) -> None:
    canonical = load_layout(SourceFile.open(str(example)).data)
    assert [error.message for error in schema.iter_errors(canonical)] == []


# What can be said of one value alone is said by both: the schema and the models refuse the same spellings.
SPELLINGS: list[tuple[str, list[t.Any], list[t.Any]]] = [
    ("memory", ["1MiB", "1.5 GiB", "512MB", "4096", 4096, "0x1000", {"size": 1}], ["1 MB/s", "512M", -1, 0, True, [], "MiB", "1e3", {}]),
    ("cpus", ["2", 2, "0-3,8,10-14:2", "apic:4,6", [1, 2], {"count": 1}], ["", "a", "1-", -1, True, [], {"count": 0}, {"cuont": 1}]),
    ("restart", ["no", "always", "on-failure", False], ["yes", True, 0]),
    ("state", ["running", "loaded", "defined", "absent"], ["up", False, None]),
    ("console", ["ttyS0", {"device": "ttyS12"}, None], ["tty0", "ttyS", {"device": "hvc0"}, {}]),
    (
        "health",
        [
            {"within": "1m30s"},
            {"within": 0.5},
            {},
            {"tcp": "192.0.2.7:80"},
            {"tcp": {"host": "::1", "port": 65535}},
            {"command": ["/bin/true"]},
            {"command": ["/bin/true", "-x", ""], "console": "^ready"},
        ],
        [
            {"tcp": "192.0.2.7"},
            {"tcp": {"host": "a b", "port": 80}},
            {"tcp": {"host": "::1", "port": 0}},
            {"tcp": {"port": 1}},
            {"command": "/bin/true"},
            {"command": []},
            {"command": ["true"]},
            {"command": ["/bin/true", 3]},
            {"console": ""},
            {"console": 3},
            {"within": "30"},
            {"within": "30 parsec"},
            {"within": 0},
            {"wihtin": 1},
            "30s",
        ],
    ),
    ("cmdline", ["", "a b"], ["a\nb", False, None, 3]),
]


@pytest.mark.parametrize(
    ("key", "value", "right"),
    [(key, value, right) for key, good, bad in SPELLINGS for right, values in ((True, good), (False, bad)) for value in values],
)
def test_schema_and_model_agree_on_spellings(
    good: dict[str, t.Any], schema: jsonschema.Draft202012Validator, key: str, value: t.Any, right: bool
) -> None:
    good["channels"]["beat"]["between"] = ["host", "rt"]
    good["instances"]["web"].pop("health")
    good["instances"]["rt"][key] = value
    assert schema.is_valid(good) is right
    if right:
        load_layout(good)
    else:
        with pytest.raises(LayoutErrors):
            load_layout(good)


@pytest.mark.parametrize("name", ["a/b", "..", "a..b", "", "-a", "a b", "a" * 32, "host"])
def test_schema_and_model_refuse_the_same_names(good: dict[str, t.Any], schema: jsonschema.Draft202012Validator, name: str) -> None:
    good["instances"][name] = {"image": "tiny", "cpus": "2", "memory": "1MiB"}
    assert not schema.is_valid(good)
    with pytest.raises(LayoutErrors):
        load_layout(good)


def test_examples_of_the_schema_are_right(schema: jsonschema.Draft202012Validator) -> None:
    published = layout_schema()
    for name, definition in published["$defs"].items():
        for key, field in definition.get("properties", {}).items():
            for example in field.get("examples", []):
                part = jsonschema.Draft202012Validator({**field, "$defs": published["$defs"]})
                assert part.is_valid(example), f"{name}.{key}: {example!r}"


def test_fleet_example_is_plain_yaml() -> None:
    for file in (TOP / "examples" / "layouts" / "fleet").rglob("*.yml"):
        assert yaml.safe_load(file.read_text())
