# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the model makes of what people write: one canonical form."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._layout import canonical
from ansible_collections.multikernel.core.plugins.plugin_utils._model.layout import load_layout

Layout = dict[str, t.Any]


def test_canonical_form_is_what_the_target_accepts(good: Layout) -> None:
    loaded = load_layout(good)
    canonical.check_shape(loaded)
    assert canonical.fill_defaults(loaded) == loaded


def test_canonical_layout_is_a_layout_and_its_own_canonical_form(good: Layout) -> None:
    loaded = load_layout(good)
    assert load_layout(loaded) == loaded


def test_defaults_are_filled_in(good: Layout) -> None:
    loaded = load_layout(good)
    assert loaded["instances"]["rt"]["state"] == "running"
    assert loaded["instances"]["rt"]["restart"] == "no"
    assert loaded["channels"]["beat"] == {
        "between": ["host", "web"],
        "kind": "ipi",
        "slots": 64,
        "message_size": 256,
        "size": None,
        "writer": None,
    }
    assert loaded["channels"]["feed"]["slots"] is None
    assert loaded["policy"] == {"isolation": {"minimum_grade": None}, "disruption": "refuse"}


def test_signers_are_there_where_they_are_given_only(good: Layout) -> None:
    """Every layout had a digest before there were signers, and hosts remember it."""
    before = load_layout(good)
    assert all("signed_by" not in one for one in before["images"].values())
    name = next(iter(good["images"]))
    good["images"][name]["signed_by"] = "/etc/multikernel/allowed_signers"
    signed = load_layout(good)
    assert signed["images"][name]["signed_by"] == "/etc/multikernel/allowed_signers"
    canonical.check_shape(signed)
    assert canonical.digest(signed) != canonical.digest(before)
    assert load_layout(signed) == signed


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("256MiB", 256 << 20),
        ("256MiB", {"size": "0.25GiB"}),
        ("256MiB", "0x10000000"),
        ("512MB", 512_000_000),
    ],
)
def test_spellings_of_memory_that_mean_the_same_are_the_same(good: Layout, one: t.Any, other: t.Any) -> None:
    good["instances"]["web"]["memory"] = one
    first = load_layout(good)
    good["instances"]["web"]["memory"] = other
    assert canonical.digest(load_layout(good)) == canonical.digest(first)


@pytest.mark.parametrize(
    ("written", "space", "ids"),
    [
        (3, "logical", [3]),
        ("3", "logical", [3]),
        ("0-3,8,10-14:2", "logical", [0, 1, 2, 3, 8, 10, 12, 14]),
        ("apic:4,6", "apic", [4, 6]),
        ([5, 4], "logical", [5, 4]),
        ({"ids": "apic:2"}, "apic", [2]),
    ],
)
def test_cpus_in_every_spelling(good: Layout, written: t.Any, space: str, ids: list[int]) -> None:
    good["instances"]["rt"]["cpus"] = written
    cpus = load_layout(good)["instances"]["rt"]["cpus"]
    assert (cpus["space"], cpus["ids"]) == (space, ids)


def test_order_of_instance_cpus_is_kept_because_the_first_one_boots_and_that_of_the_host_is_not(good: Layout) -> None:
    good["instances"]["rt"]["cpus"] = "3,2"
    good["host"]["cpus"] = "1,0"
    loaded = load_layout(good)
    assert loaded["instances"]["rt"]["cpus"]["ids"] == [3, 2]
    assert loaded["host"]["cpus"] == [0, 1]


@pytest.mark.parametrize(("written", "seconds"), [("30s", 30.0), ("500ms", 0.5), ("1m30s", 90.0), (5, 5.0), (0.25, 0.25)])
def test_durations_become_seconds(good: Layout, written: t.Any, seconds: float) -> None:
    good["instances"]["web"]["health"]["within"] = written
    assert load_layout(good)["instances"]["web"]["health"]["within"] == seconds


def test_gates_have_one_form_and_are_left_out_where_there_is_none(good: Layout) -> None:
    assert set(load_layout(good)["instances"]["web"]["health"]) == {"channel", "within"}
    good["instances"]["web"]["health"].update(tcp="[2001:DB8::7]:443", command=["/bin/ask", "-q"], console="ready$")
    told = load_layout(good)["instances"]["web"]["health"]
    assert told["tcp"] == {"host": "2001:db8::7", "port": 443}
    assert (told["command"], told["console"]) == (["/bin/ask", "-q"], "ready$")


def test_bare_no_of_yaml_means_the_word(good: Layout) -> None:
    good["instances"]["web"]["restart"] = False
    assert load_layout(good)["instances"]["web"]["restart"] == "no"


def test_hexadecimal_addresses_as_text_and_as_number_are_the_same(good: Layout) -> None:
    good["pool"]["memory"][0]["base"] = "0x4000_0000"
    assert load_layout(good)["pool"]["memory"][0]["base"] == 0x40000000


def test_checksums_are_compared_without_regard_to_case(good: Layout) -> None:
    good["images"]["debian"]["kernel"]["sha256"] = "AB" * 32
    assert load_layout(good)["images"]["debian"]["kernel"]["sha256"] == "ab" * 32


def test_raw_layout_is_left_alone(good: Layout) -> None:
    import copy

    before = copy.deepcopy(good)
    load_layout(good)
    assert good == before


def test_plain_builtins_come_out_whatever_goes_in(good: Layout) -> None:
    class Tagged(str):
        """What Ansible makes of a string."""

    good["instances"]["web"]["memory"] = Tagged("256MiB")
    good["instances"]["web"]["trust"] = Tagged("public")
    good["name"] = Tagged("edge-box")
    good["instances"][Tagged("more")] = {Tagged("image"): Tagged("tiny"), "cpus": Tagged("2"), "memory": Tagged("16MiB")}

    def kinds(value: t.Any) -> t.Iterator[type]:
        yield type(value)
        if isinstance(value, dict):
            for key, item in value.items():
                yield type(key)
                yield from kinds(item)
        elif isinstance(value, list):
            for item in value:
                yield from kinds(item)

    assert set(kinds(load_layout(good))) <= {dict, list, str, int, float, bool, type(None)}
