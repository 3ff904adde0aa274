# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every layout, tried on many."""

from __future__ import annotations

import copy
import typing as t

import jsonschema
from ansible_collections.multikernel.core.plugins.module_utils._layout import canonical, units
from ansible_collections.multikernel.core.plugins.plugin_utils._model.errors import LayoutError, LayoutErrors
from ansible_collections.multikernel.core.plugins.plugin_utils._model.layout import load_layout
from ansible_collections.multikernel.core.plugins.plugin_utils._model.schema import layout_schema
from hypothesis import given
from hypothesis import strategies as st

SCHEMA = jsonschema.Draft202012Validator(layout_schema())
NAMES = st.from_regex(r"\A[a-z][a-z0-9]{0,5}\Z").filter(lambda name: name != "host")
BYTES = st.integers(1, 1 << 40)
SIZES = st.one_of(BYTES, BYTES.map(str), BYTES.map(units.format_size), BYTES.map(hex))
CPUS = st.one_of(
    st.integers(0, 200),
    st.integers(0, 200).map(str),
    st.lists(st.integers(0, 200), min_size=1, max_size=4),
    st.lists(st.integers(0, 200), min_size=1, max_size=4).map(lambda ids: "apic:" + ",".join(map(str, ids))),
    st.fixed_dictionaries(
        {"count": st.integers(1, 64)},
        optional={
            "whole_cores": st.booleans(),
            "llc": st.just("own"),
            "near": st.just("memory"),
            "pick": st.sampled_from(["packed", "spread"]),
        },
    ),
)
MEMORY = st.one_of(SIZES, st.fixed_dictionaries({"size": SIZES}, optional={"base": st.integers(0, 1 << 40), "node": st.integers(0, 7)}))


@st.composite
def layouts(draw: t.Any) -> dict[str, t.Any]:
    """Layouts without a structural fault, in all spellings."""
    images = draw(st.lists(NAMES, min_size=1, max_size=2, unique=True))
    instance = st.fixed_dictionaries(
        {"image": st.sampled_from(images), "cpus": CPUS, "memory": MEMORY},
        optional={
            "state": st.sampled_from(canonical.STATES),
            "restart": st.sampled_from([*canonical.RESTARTS, False]),
            "console": st.one_of(st.none(), st.just("ttyS1"), st.just({"device": "ttyS2"})),
            "health": st.fixed_dictionaries(
                {},
                optional={
                    "within": st.sampled_from(["30s", "1m30s", 5, 0.5]),
                    "tcp": st.sampled_from(["192.0.2.7:80", {"host": "::1", "port": 1}]),
                    "command": st.sampled_from([["/bin/true"], ["/bin/ask", "a b", ""]]),
                    "console": st.sampled_from(["ready$", "^web[0-9]+: up"]),
                },
            ),
            "cmdline": st.text("abc =,", max_size=8),
        },
    )
    instances = draw(st.dictionaries(NAMES, instance, max_size=3))
    layout: dict[str, t.Any] = {
        "version": 1,
        "name": draw(NAMES),
        "pool": {"memory": draw(st.lists(st.fixed_dictionaries({"size": SIZES}), min_size=1, max_size=2))},
        "images": {name: {"kernel": f"/boot/{name}"} for name in images},
        "instances": instances,
    }
    if instances:
        layout["channels"] = {"c": {"between": ["host", draw(st.sampled_from(sorted(instances)))]}}
    return layout


@given(layouts())
def test_canonical_form_is_accepted_by_the_target_and_is_its_own_canonical_form(layout: dict[str, t.Any]) -> None:
    loaded = load_layout(layout)
    canonical.check_shape(loaded)
    assert canonical.fill_defaults(loaded) == loaded
    assert load_layout(loaded) == loaded


@given(layouts())
def test_what_the_model_accepts_the_schema_accepts_in_both_forms(layout: dict[str, t.Any]) -> None:
    assert [error.message for error in SCHEMA.iter_errors(layout)] == []
    assert [error.message for error in SCHEMA.iter_errors(load_layout(layout))] == []


ODD = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(st.text(max_size=6), st.integers(), st.none()), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(layouts(), st.data())
def test_any_value_at_any_place_is_accepted_or_refused_with_sentences(layout: dict[str, t.Any], data: t.Any) -> None:
    broken = copy.deepcopy(layout)
    at: t.Any = broken
    while True:
        key = data.draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
        if isinstance(at[key], (dict, list)) and at[key] and data.draw(st.booleans()):
            at = at[key]
            continue
        at[key] = data.draw(ODD)
        break
    for error in refusals(broken):
        assert error.message
        assert "\n" not in error.sentence()


@given(ODD)
def test_any_value_at_all_is_refused_with_sentences(value: t.Any) -> None:
    assert refusals(value)


def refusals(raw: t.Any) -> list[LayoutError]:
    """What is wrong with it; any other exception than LayoutErrors fails the test."""
    try:
        load_layout(raw)
    except LayoutErrors as errors:
        return errors.errors
    return []
