# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters that print reports, and their words for anything that is no layout."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.multikernel.core.plugins.filter.machine_picture import FilterModule
from ansible_collections.multikernel.core.plugins.plugin_utils._model.layout import load_layout

FILTERS = FilterModule().filters()
LAYOUT = load_layout(
    {
        "version": 1,
        "name": "box",
        "pool": {"memory": [{"base": 0x40000000, "size": "64MiB"}]},
        "images": {"tiny": {"kernel": "/srv/tiny.bin", "format": "flat"}},
        "instances": {"rt": {"image": "tiny", "cpus": "3", "memory": "16MiB"}},
    }
)


def test_every_documented_filter_is_there() -> None:
    assert set(FILTERS) == {"machine_picture", "instance_table", "isolation_summary"}


@pytest.mark.parametrize("value", [LAYOUT, {"placed": LAYOUT, "changed": False}])
def test_layout_and_result_are_both_welcome(value: t.Any) -> None:
    assert "0x40000000-0x43ffffff" in FILTERS["machine_picture"](value, ascii=True)
    assert "No hypervisor stands between host and rt." in FILTERS["isolation_summary"](value)


def test_instances_become_a_table() -> None:
    assert FILTERS["instance_table"]([{"name": "rt", "state": "running"}]).splitlines()[1].startswith("rt    running")


@pytest.mark.parametrize(("name", "value"), [("machine_picture", {}), ("isolation_summary", "text"), ("instance_table", {"a": 1})])
def test_anything_else_is_a_sentence(name: str, value: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match=f"{name} wants"):
        FILTERS[name](value)
