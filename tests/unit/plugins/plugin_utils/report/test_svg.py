# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine as an SVG file: everything is there, inside, and beside each other."""

from __future__ import annotations

import itertools
import typing as t
import xml.etree.ElementTree as ET

import pytest
from ansible_collections.multikernel.core.plugins.plugin_utils._model.layout import load_layout
from ansible_collections.multikernel.core.plugins.plugin_utils._report import scene, svg

Plain = dict[str, t.Any]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def picture(placed: Plain, machine: Plain) -> ET.Element:
    return ET.fromstring(svg.draw(scene.scene(placed, machine)))


def words(picture: ET.Element) -> list[str]:
    return [element.text or "" for element in picture.iter(f"{SVG}text")]


def boxes(picture: ET.Element, kind: str = "box") -> list[tuple[float, float, float, float]]:
    """Left, top, right and bottom of the boxes of one kind."""
    found = []
    for one in picture.iter(f"{SVG}rect"):
        if kind in one.attrib.get("class", "").split():
            x, y, width, height = (float(one.attrib[key]) for key in ("x", "y", "width", "height"))
            found.append((x, y, x + width, y + height))
    return found


def test_every_kernel_cpu_range_and_channel_is_there(picture: ET.Element) -> None:
    told = words(picture)
    assert {"host: 0-1", "web: 2", "rt: 3", "socket 0, memory node 0", "0", "1", "2", "3"} <= set(told)
    assert {"rt (16MiB)", "channel beat (40KiB)", "0x40000000-0x40ffffff"} <= set(told)
    assert "channel beat: H ↔ A (interrupts and a ring)" in told
    assert "channel feed: A ↔ B (shared memory)" in told


def test_every_box_carries_the_mark_of_its_owner(picture: ET.Element) -> None:
    marks = [one.text for one in picture.iter(f"{SVG}text") if one.attrib.get("class") in ("b", "b c")]
    assert {"H", "A", "B"} <= set(marks)
    assert len([mark for mark in marks if mark in ("H", "A", "B", "–")]) == len(boxes(picture))


@pytest.mark.parametrize("size", ["small", "large", "beside"])
def test_nothing_is_outside_and_no_two_boxes_overlap(size: str, placed: Plain, machine: Plain, large: tuple[Plain, Plain]) -> None:
    layout, facts = large if size == "large" else (placed, machine)
    one = scene.scene(layout, facts)
    picture = ET.fromstring(svg.draw(one, one if size == "beside" else None))
    _x, _y, width, height = map(float, picture.attrib["viewBox"].split())
    found = boxes(picture)
    for left, top, right, bottom in found:
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
    found.sort(key=lambda box: (box[1], box[0]))
    for number, (left, top, right, bottom) in enumerate(found):
        for x, y, far, low in itertools.islice(found, number + 1, None):
            if y >= bottom:
                break
            assert far <= left or right <= x or low <= top, "two boxes overlap"


def test_words_stay_inside_their_boxes(large: tuple[Plain, Plain]) -> None:
    picture = ET.fromstring(svg.draw(scene.scene(*large)))
    bars = [box for box in boxes(picture) if box[2] - box[0] > 60]
    labels = [one for one in picture.iter(f"{SVG}text") if "tenant" in (one.text or "") and "class" not in one.attrib]
    checked = 0
    for label in labels:
        x, y = float(label.attrib["x"]), float(label.attrib["y"])
        for left, top, right, bottom in bars:
            if left <= x <= right and top <= y <= bottom:
                assert x + 7 * len(label.text or "") <= right
                checked += 1
    assert checked >= 40


def test_shared_memory_is_divided_between_both_ends(picture: ET.Element) -> None:
    y = next(float(one.attrib["y"]) for one in picture.iter(f"{SVG}text") if one.text == "channel feed (2MiB)")
    assert len([box for box in boxes(picture) if box[1] < y < box[3]]) == 2


def test_same_layout_gives_the_same_bytes_whatever_the_order_of_names(placed: Plain, machine: Plain) -> None:
    turned = {**placed, "instances": dict(reversed(placed["instances"].items()))}
    assert svg.draw(scene.scene(placed, machine)) == svg.draw(scene.scene(turned, machine))


def test_a_kernel_keeps_its_colour_and_mark_from_before_to_after(placed: Plain, machine: Plain) -> None:
    small = {**placed, "instances": {"rt": placed["instances"]["rt"]}, "channels": {}}
    numbers = scene.numbers(small, placed)
    before, after = scene.scene(small, machine, numbers), scene.scene(placed, machine, numbers)
    assert before.owners["rt"].mark == after.owners["rt"].mark == "A"
    told = words(ET.fromstring(svg.draw(after, before)))
    assert {"edge-box, before", "edge-box, after"} <= set(told)


@pytest.mark.parametrize("cpus", ["apic:4,6", {"count": 3}, "2-3"])
def test_layout_without_a_machine_is_drawn_too(good: Plain, cpus: t.Any) -> None:
    good["instances"]["rt"]["cpus"] = cpus
    assert "in the pool" in words(ET.fromstring(svg.draw(scene.scene(load_layout(good)))))


def test_text_of_the_layout_cannot_become_markup(good: Plain) -> None:
    layout = load_layout(good)
    layout["name"] = '"><script>alert(1)</script>'
    picture = ET.fromstring(svg.draw(scene.scene(layout)))
    assert picture.find(f".//{SVG}script") is None
    assert picture.attrib["aria-label"] == layout["name"]


def test_nothing_is_loaded_from_elsewhere(picture: ET.Element) -> None:
    text = ET.tostring(picture, encoding="unicode")
    assert "url(" not in text
    assert "href" not in text
