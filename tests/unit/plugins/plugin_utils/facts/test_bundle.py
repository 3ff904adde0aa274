# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts bundles: what is written is read, what is damaged is refused in a sentence, what is redacted is gone and judged alike."""

from __future__ import annotations

import copy
import json
import pathlib
import tracemalloc
import typing as t

import jsonschema
import pytest
from ansible_collections.multikernel.core.plugins.module_utils._host import bundle
from ansible_collections.multikernel.core.plugins.module_utils._host.facts import collect
from ansible_collections.multikernel.core.plugins.plugin_utils._check import examine
from ansible_collections.multikernel.core.plugins.plugin_utils._facts import MAX_BYTES, checked, read_facts
from ansible_collections.multikernel.core.plugins.plugin_utils._model.errors import LayoutErrors
from ansible_collections.multikernel.core.plugins.plugin_utils._model.facts import complete, facts_schema
from ansible_collections.multikernel.core.plugins.plugin_utils._model.schema import schema_text
from ansible_collections.multikernel.core.plugins.plugin_utils._subject import Subject
from hypothesis import given
from hypothesis import strategies as st

Plain = dict[str, t.Any]
TOP = pathlib.Path(__file__).parents[5]
HOSTS = sorted(path.name for path in (TOP / "tests/unit/fixtures/hosts").iterdir() if path.is_dir() and path.name != "__pycache__")


@pytest.fixture
def file(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "host.json"


def of(host: str) -> Plain:
    return collect(str(TOP / "tests/unit/fixtures/hosts" / host), ["/proc/cmdline", "/nowhere"])


def holds(whole: t.Any, part: t.Any) -> bool:
    """Whether everything of a part is in the whole, which may have more keys."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and holds(whole[key], item) for key, item in part.items())
    if isinstance(part, list):
        return isinstance(whole, list) and len(whole) == len(part) and all(map(holds, whole, part))
    return bool(whole == part)


def refusal(file: pathlib.Path) -> str:
    with pytest.raises(LayoutErrors) as refused:
        read_facts(str(file))
    return str(refused.value)


@pytest.mark.parametrize("host", HOSTS)
def test_what_is_collected_is_read_back_whole(host: str, file: pathlib.Path) -> None:
    file.write_text(bundle.text(of(host)))
    assert holds(read_facts(str(file)), of(host))


@pytest.mark.parametrize("host", HOSTS)
def test_what_is_collected_follows_the_published_schema(host: str) -> None:
    schema = json.loads((TOP / "schemas/facts.schema.json").read_text())
    for facts in (of(host), bundle.redact(of(host))):
        assert [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(facts)] == []


def test_published_schema_is_what_the_models_say() -> None:
    text = schema_text(facts_schema())
    assert (TOP / "schemas/facts.schema.json").read_text() == text
    jsonschema.Draft202012Validator.check_schema(json.loads(text))


@pytest.mark.parametrize("host", HOSTS)
def test_every_fact_that_is_collected_is_known_to_the_schema(host: str) -> None:
    """A new fact needs its type here: otherwise nothing stands between a damaged bundle and the rules."""
    known = facts_schema()

    def unknown(value: t.Any, node: Plain, path: str) -> list[str]:
        forms = [known["$defs"][form["$ref"].rpartition("/")[2]] if "$ref" in form else form for form in [node, *node.get("anyOf", [])]]
        found: list[str] = []
        if isinstance(value, dict):
            properties = {key: one for form in forms for key, one in form.get("properties", {}).items()}
            free = [one for form in forms for one in (form.get("additionalProperties"), *form.get("patternProperties", {}).values())]
            inner = next((one for one in free if isinstance(one, dict)), None)
            for key, item in value.items():
                if key in properties:
                    found += unknown(item, properties[key], f"{path}.{key}")
                elif inner is not None:
                    found += unknown(item, inner, f"{path}.*")
                else:
                    found.append(f"{path}.{key}")
        elif isinstance(value, list):
            inner = next((form["items"] for form in forms if "items" in form), None)
            for item in value if inner is not None else []:
                found += unknown(item, t.cast(Plain, inner), f"{path}[]")
        return found

    assert unknown(of(host), known, "facts") == []


def test_result_of_layout_info_is_a_bundle_too(file: pathlib.Path) -> None:
    file.write_text(json.dumps({"changed": False, "facts": of("smt")}))
    assert holds(read_facts(str(file)), of("smt"))


def test_part_that_may_be_left_out_is_not_known(machine: Plain, file: pathlib.Path) -> None:
    for part in ("uarts", "tsc", "kexec", "images", "kernel", "la57"):
        del machine[part]
    file.write_text(json.dumps(machine))
    read = read_facts(str(file))
    assert (read["uarts"], read["tsc"]["khz"], read["kernel"]["cmdline"], read["images"]) == (None, None, None, {})


def test_key_of_a_later_release_is_kept(machine: Plain, file: pathlib.Path) -> None:
    machine["moon"] = {"phase": 3}
    machine["cpus"]["each"]["0"]["colour"] = "red"
    file.write_text(json.dumps(machine))
    assert read_facts(str(file))["moon"] == {"phase": 3}
    assert read_facts(str(file))["cpus"]["each"]["0"]["colour"] == "red"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "are no JSON"),
        (b"\xff\xfe\x00junk", "are no JSON"),
        (b"[" * 100000, "nested too deeply"),
        (b'{"version": ' + b"9" * 5000 + b"}", "are no JSON"),
        (b"[1, 2]", "is no facts bundle of version 1"),
        (b'{"version": true}', "is no facts bundle of version 1"),
        (b'{"version": 2}', "is a facts bundle of version 2, this release reads version 1 (judge it with the release that wrote it)"),
        (b'{"version": 0}', "(mkl facts collects them anew)"),
        (b'{"version": 1}', "have no cpus (mkl facts collects them anew)"),
    ],
)
def test_file_that_is_no_bundle_is_refused_in_a_sentence(file: pathlib.Path, content: bytes, sentence: str) -> None:
    file.write_bytes(content)
    told = refusal(file)
    assert str(file) in told
    assert sentence in told


def test_file_that_is_too_large_is_not_read(file: pathlib.Path) -> None:
    with file.open("wb") as sparse:
        sparse.truncate(MAX_BYTES + 1)
    assert "too large" in refusal(file)


def test_folder_is_no_bundle(tmp_path: pathlib.Path) -> None:
    assert "cannot be read: Is a directory" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("cpus", "present"), "0-3"),
        (("cpus", "present"), [0, 1.5]),
        (("cpus", "present"), [-1]),
        (("cpus", "online"), [1 << 20]),
        (("cpus", "boot"), True),
        (("cpus", "each"), {"one": {}}),
        (("cpus", "each", "1", "apic_id"), "1"),
        (("cpus", "each", "1", "siblings"), [None]),
        (("memory", "total"), 1 << 70),
        (("memory", "block_size"), 1),
        (("memory", "block_size"), 0),
        (("memory", "blocks"), [{"number": -1, "state": "online"}]),
        (("memory", "iomem"), [{"start": 0, "end": 1, "name": None, "depth": 0}]),
        (("memory", "low"), [[1]]),
        (("memory", "low"), {"0": 1}),
        (("dialect", "name"), "xen"),
        (("dialect", "pool"), [[0, "1"]]),
        (("images",), {"/boot/vmlinuz": {"exists": True, "header": {"setup_sects": "many"}}}),
        (("uarts",), [{"device": 1}]),
        (("tsc", "khz"), float("nan")),
        (("kexec",), []),
    ],
)
def test_part_of_a_wrong_form_is_named(machine: Plain, file: pathlib.Path, path: tuple[str, ...], value: t.Any) -> None:
    at = machine
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    file.write_text(json.dumps(machine))
    assert ".".join(path) in refusal(file)


def leaves(value: t.Any, path: tuple[t.Any, ...] = ()) -> list[tuple[t.Any, ...]]:
    """The paths to everything in a bundle, parts included."""
    items: t.Iterable[t.Any] = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(inner for key, item in items for inner in leaves(item, (*path, key)))]


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-(1 << 70), 1 << 70), st.floats(), st.text(max_size=5), st.lists(st.integers()), st.just({})
)


@given(st.data())
def test_bundle_with_odd_values_is_refused_or_judged(data: st.DataObject) -> None:
    """Whatever stands in a bundle: a sentence or a judgement, nothing else."""
    facts = copy.deepcopy(of("two-sockets"))
    paths = leaves(facts)[1:]
    for _change in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(paths))
        at: t.Any = facts
        try:
            for key in path[:-1]:
                at = at[key]
            at[path[-1]] = data.draw(ODD)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took that part away
    try:
        good = checked(facts, "host.json")
    except LayoutErrors as refused:
        assert "host.json" in str(refused)
        return
    assert examine(Subject.of_file(str(TOP / "examples/layouts/lab.yml")), good).digest


def test_image_of_unknown_size_is_not_known(machine: Plain) -> None:
    layout = Subject.of_file(str(TOP / "examples/layouts/lab.yml"))
    files = [image[key] for image in layout.raw["images"].values() for key in ("kernel", "initrd") if image.get(key)]
    paths = [file if isinstance(file, str) else file["path"] for file in files]
    machine["images"] = {path: {"exists": True, "regular": True, "size": None, "kind": "initrd"} for path in paths}
    verdict = examine(layout, checked(machine, "host.json"))
    assert "unknown" in {one["verdict"] for one in verdict.findings if one["rule"].startswith(("img-", "image-"))}


@pytest.mark.parametrize("present", [None, [0, 0, 1, 1, 2, 3]])
def test_list_of_cpus_that_is_missing_or_repeats_itself_is_placed_by_what_is_told_of_each(machine: Plain, present: t.Any) -> None:
    layout = Subject.of_file(str(TOP / "examples/layouts/lab.yml"))
    honest = examine(layout, checked(copy.deepcopy(machine), "host.json"))
    machine["cpus"]["present"] = present and [cpu for cpu in machine["cpus"]["present"] for _twice in "ab"]
    assert honest.placed is not None
    assert examine(layout, checked(machine, "host.json")).placed == honest.placed


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("memory", "iomem", [{}] * 300_000),
        ("memory", "blocks", [None] * 300_000),
        ("cpus", "present", ["x"] * 300_000),
        ("cpus", "each", {f"x{number}": {} for number in range(100_000)}),
        ("kernel", "config", {f"x{number}": 0 for number in range(100_000)}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_masses_of_wrong_items_cost_no_more_than_one(machine: Plain, part: str, key: str, value: t.Any) -> None:
    machine[part][key] = value
    tracemalloc.start()
    with pytest.raises(LayoutErrors) as refused:
        checked(machine, "host.json")
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()
    assert len(str(refused.value)) < 400


def test_redacted_bundle_tells_neither_names_nor_secrets(machine: Plain) -> None:
    machine["hostname"] = "db.customer.example"
    machine["kernel"]["cmdline"] = (
        "BOOT_IMAGE=/boot/vmlinuz root=UUID=7d3f2c1a-0b9e-4f6d-8a51-3c2b1a0f9e8d ro quiet memmap=512M$0x40000000 "
        "cifs.password=hunter2 topsecret no_ipi_broadcast=1"
    )
    machine["memory"]["iomem"][0]["name"] = "pmem 7d3f2c1a-0b9e-4f6d-8a51-3c2b1a0f9e8d"
    before = copy.deepcopy(machine)
    redacted = bundle.redact(machine)
    text = bundle.text(redacted)
    for secret in ("customer", "hunter2", "7d3f2c1a", "topsecret", '"boot_id": "'):
        assert secret not in text
    kept = "BOOT_IMAGE=*** root=*** ro quiet memmap=512M$0x40000000 cifs.password=*** *** no_ipi_broadcast=1"
    assert redacted["kernel"]["cmdline"] == kept
    assert redacted["redacted"] == list(bundle.PARTS)
    assert machine == before
    assert complete(redacted)["redacted"] == list(bundle.PARTS)


@pytest.mark.parametrize("host", HOSTS)
def test_redaction_changes_no_judgement(host: str) -> None:
    subject = Subject.of_file(str(TOP / "examples/layouts/lab.yml"))
    whole, redacted = (examine(subject, facts) for facts in (of(host), bundle.redact(of(host))))
    assert redacted.findings == whole.findings
    assert redacted.placed == whole.placed


def test_text_of_a_bundle_has_a_line_for_each_cpu() -> None:
    lines = bundle.text(of("two-sockets")).splitlines()
    assert len([line for line in lines if '"apic_id"' in line]) == 6
