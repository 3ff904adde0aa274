# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The target takes nothing but the canonical form, and the canonical form has one digest."""

from __future__ import annotations

import copy
import json

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._layout import canonical


@pytest.fixture
def layout():
    return canonical.fill_defaults(
        {
            "name": "edge-box",
            "pool": {"memory": [{"base": 0x40000000, "size": 1 << 29}]},
            "images": {"debian": {"kernel": {"path": "/boot/vmlinuz"}, "initrd": {"path": "/srv/web.cpio"}, "cmdline": "quiet "}},
            "instances": {
                "web": {
                    "image": "debian",
                    "cpus": {"count": 1},
                    "memory": {"size": 1 << 28},
                    "cmdline": " role=web",
                    "health": {"channel": "beat"},
                },
                "old": {"image": "debian", "cpus": {"ids": [3]}, "memory": {"size": 1 << 28}, "state": "absent"},
            },
            "channels": {
                "beat": {"between": ["host", "web"]},
                "feed": {"between": ["host", "web"], "kind": "shared_memory", "size": 4096},
            },
        }
    )


def test_defaults_make_a_layout_that_has_the_canonical_shape(layout):
    canonical.check_shape(layout)
    web = layout["instances"]["web"]
    assert (web["state"], web["restart"], web["console"], web["trust"]) == ("running", "no", None, None)
    assert web["cpus"] == {
        "space": "logical",
        "ids": None,
        "count": 1,
        "near": None,
        "whole_cores": False,
        "llc": None,
        "pick": "packed",
    }
    assert web["health"] == {"channel": "beat", "within": 30.0}
    assert layout["channels"]["beat"]["slots"] == 64
    assert layout["channels"]["beat"]["message_size"] == 256
    assert layout["channels"]["feed"]["slots"] is None
    assert layout["policy"] == {"isolation": {"minimum_grade": None}, "disruption": "refuse"}
    assert layout["images"]["debian"]["format"] == "auto"
    assert layout["host"] == {"cpus": None, "memory_min": None}


def test_an_empty_layout_is_one(layout):
    canonical.check_shape(canonical.fill_defaults({"name": "empty"}))


def test_filling_defaults_twice_changes_nothing_and_leaves_the_argument_alone(layout):
    before = copy.deepcopy(layout)
    again = canonical.fill_defaults(layout)
    assert again == layout == before
    again["instances"]["web"]["cpus"]["count"] = 2
    assert layout == before


def test_the_digest_depends_on_the_content_and_not_on_the_order_of_keys(layout):
    other = json.loads(json.dumps(layout, sort_keys=True))
    reordered = dict(reversed(list(other.items())))
    assert canonical.digest(reordered) == canonical.digest(layout)
    assert len(canonical.digest(layout)) == 64
    other["instances"]["web"]["memory"]["size"] += 1
    assert canonical.digest(other) != canonical.digest(layout)


def test_the_digest_never_changes_between_releases():
    # Journals on targets hold digests: a change here makes every host look drifted.
    assert canonical.digest({"b": [1, 2], "a": None}) == "ee743f2fa2570a1b5e3270cc405d0456b983ba03ab9cb27552fc6c1a720183c7"


def test_a_command_line_is_the_image_s_followed_by_the_instance_s(layout):
    assert canonical.command_line(layout, "web") == "quiet role=web"
    layout["images"]["debian"]["cmdline"] = ""
    assert canonical.command_line(layout, "web") == "role=web"
    layout["instances"]["web"]["image"] = "none"
    assert canonical.command_line(layout, "web") == "role=web"


def test_instances_are_those_that_are_to_exist(layout):
    assert list(canonical.instances(layout)) == ["web"]


def test_a_placed_layout_has_the_shape_too(layout):
    layout["instances"]["web"]["placed"] = {
        "cpus": [2],
        "apic_ids": [2],
        "base": 1 << 30,
        "size": 1 << 28,
        "low": None,
        "entry": (1 << 30) + 0x3000,
    }
    layout["channels"]["beat"]["placed"] = {"address": 1 << 29, "size": 4096, "ends": [0, 2]}
    canonical.check_shape(layout)
    layout["channels"]["beat"]["placed"]["ends"] = [0]
    with pytest.raises(canonical.LayoutShapeError, match=r"^channels\.beat\.placed\.ends has 1 item; it must have 2$"):
        canonical.check_shape(layout)


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ((), None, "the layout is null; it must be a mapping"),
        ((), [], "the layout is the list []; it must be a mapping"),
        (("version",), 2, "version is the number 2; it must be one of 1"),
        (("version",), True, "version is the truth value True; it must be one of 1"),
        (("name",), None, "name is null; it must be a text"),
        (("pool", "memory", 0, "size"), "512MiB", "pool.memory[0].size is the text '512MiB'; it must be a whole number"),
        (("pool", "memory", 0, "size"), -1, "pool.memory[0].size is -1; it must be at least 0"),
        (("pool", "memory", 0, "size"), True, "pool.memory[0].size is the truth value True; it must be a whole number"),
        (("pool", "memory", 0, "base"), 1.5, "pool.memory[0].base is the number 1.5; it must be a whole number"),
        (("pool", "memory"), {}, "pool.memory is the mapping {}; it must be a list"),
        (("instances", "web", "cpus", "ids"), "0-3", "instances.web.cpus.ids is the text '0-3'; it must be a list"),
        (("instances", "web", "cpus", "whole_cores"), 1, "instances.web.cpus.whole_cores is the number 1; it must be true or false"),
        (
            ("instances", "web", "state"),
            "started",
            "instances.web.state is the text 'started'; it must be one of running, loaded, defined, absent",
        ),
        (
            ("instances", "web", "colour"),
            "red",
            "instances.web has the unknown key 'colour'; the keys are cmdline, console, cpus, health, image, memory, restart, state, trust",
        ),
        (
            ("instances", "web", "health", "within"),
            float("nan"),
            "instances.web.health.within is the number nan; it must be a number of seconds, zero or more",
        ),
        (("instances", 7), {}, "instances.7 is the number 7; it must be a text"),
        (("channels", "beat", "between"), ["host"], "channels.beat.between has 1 item; it must have 2"),
        (("waivers", "cpu-some"), 3, "waivers.cpu-some is the number 3; it must be a text"),
        (
            ("instances", "web", "cpus", "ids"),
            [1],
            "instances.web.cpus names both CPU numbers and a count; exactly one of ids and count may be given",
        ),
    ],
)
def test_anything_else_is_refused_with_the_path_and_a_sentence(layout, path, value, sentence):
    if path:
        target = layout
        for step in path[:-1]:
            target = target[step]
        target[path[-1]] = value
    else:
        layout = value
    with pytest.raises(canonical.LayoutShapeError) as error:
        canonical.check_shape(layout)
    assert str(error.value) == sentence


@pytest.mark.parametrize("path", [("name",), ("host", "cpus"), ("instances", "web", "memory", "node"), ("channels", "feed", "writer")])
def test_a_missing_key_is_refused(layout, path):
    target = layout
    for step in path[:-1]:
        target = target[step]
    del target[path[-1]]
    with pytest.raises(canonical.LayoutShapeError, match="lacks the key '{0}'".format(path[-1])):
        canonical.check_shape(layout)


def test_a_long_value_is_cut_in_the_sentence(layout):
    layout["instances"]["web"]["memory"]["size"] = "x" * 500
    with pytest.raises(canonical.LayoutShapeError) as error:
        canonical.check_shape(layout)
    assert len(str(error.value)) < 150
