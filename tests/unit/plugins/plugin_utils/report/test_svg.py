# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine as an SVG file."""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._plan.place import place
from ansible_collections.multikernel.core.plugins.plugin_utils._model.layout import load_layout
from ansible_collections.multikernel.core.plugins.plugin_utils._report import svg

Plain = dict[str, t.Any]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def picture(good: Plain, machine: Plain) -> ET.Element:
    return ET.fromstring(svg.draw(place(load_layout(good), machine, None), machine))


def words(picture: ET.Element) -> list[str]:
    return [element.text or "" for element in picture.iter(f"{SVG}text")]


def test_every_kernel_and_every_range_is_there(picture: ET.Element) -> None:
    told = words(picture)
    assert {"host", "web", "rt", "0-1", "2", "3", "4 CPUs"} <= set(told)
    assert "rt (16MiB)" in told
    assert "channel beat (40KiB)" in told
    assert "0x40000000-0x40ffffff" in told


def test_nothing_is_drawn_outside_of_the_picture(picture: ET.Element) -> None:
    _x, _y, width, height = map(float, picture.attrib["viewBox"].split())
    for box in list(picture.iter(f"{SVG}rect"))[1:]:
        assert 0 <= float(box.attrib["x"]) <= float(box.attrib["x"]) + float(box.attrib["width"]) <= width
        assert 0 <= float(box.attrib["y"]) <= float(box.attrib["y"]) + float(box.attrib["height"]) <= height


def test_width_of_a_kernel_is_its_share_of_the_cpus(picture: ET.Element) -> None:
    host, web, rt = [float(box.attrib["width"]) + 3 for box in list(picture.iter(f"{SVG}rect"))[1:4]]
    assert host == pytest.approx(web + rt)


def test_shared_memory_has_the_colours_of_both_ends(picture: ET.Element) -> None:
    boxes = list(picture.iter(f"{SVG}rect"))
    colours = {box.attrib["fill"] for box in boxes[1:4]}
    y = next(float(element.attrib["y"]) for element in picture.iter(f"{SVG}text") if element.text == "channel feed (2MiB)")
    row = [box.attrib["fill"] for box in boxes[4:] if float(box.attrib["y"]) < y < float(box.attrib["y"]) + float(box.attrib["height"])]
    assert len(row) == 2
    assert set(row) < colours


@pytest.mark.parametrize("cpus", ["apic:4,6", {"count": 3}, "2-3"])
def test_layout_without_a_machine_is_drawn_too(good: Plain, cpus: t.Any) -> None:
    good["instances"]["rt"]["cpus"] = cpus
    assert "in the pool" in words(ET.fromstring(svg.draw(load_layout(good))))


def test_text_of_the_layout_cannot_become_markup(good: Plain) -> None:
    layout = load_layout(good)
    layout["name"] = '"><script>alert(1)</script>'
    picture = ET.fromstring(svg.draw(layout))
    assert picture.find(f".//{SVG}script") is None
    assert picture.attrib["aria-label"] == layout["name"]
