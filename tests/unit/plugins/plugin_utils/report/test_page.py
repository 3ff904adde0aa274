# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages: sound HTML, nothing loaded, everything reachable by keyboard, nothing told by colour alone."""

from __future__ import annotations

import html
import html.parser
import re
import shutil
import subprocess
import typing as t

import pytest
from ansible_collections.multikernel.core.plugins.plugin_utils import _fleet
from ansible_collections.multikernel.core.plugins.plugin_utils._model.layout import load_layout
from ansible_collections.multikernel.core.plugins.plugin_utils._report import colour, fleet, isolation, page, scene

Plain = dict[str, t.Any]
VOID = {"meta", "input", "br", "hr", "img", "link"}
FOCUSABLE = {"a", "input", "summary", "button"}


class Page(html.parser.HTMLParser):
    """A page, read strictly: every element is closed in order, every id is there once."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == [], "every element is closed"
        ids = self.all("id")
        assert len(ids) == len(set(ids)), "ids are unique"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute of {tag} is given twice"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    def all(self, attribute: str) -> list[str]:
        return [value for _tag, given in self.elements for key, value in given.items() if key == attribute and value is not None]

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture
def written(placed: Plain, machine: Plain) -> str:
    small = {**placed, "instances": {"rt": placed["instances"]["rt"]}, "channels": {}}
    numbers = scene.numbers(small, placed)
    before, after = scene.scene(small, machine, numbers), scene.scene(placed, machine, numbers)
    return page.page(after, isolation.report(placed, machine), before, ["take CPU 2 offline in the host", "start web"], "box")


@pytest.fixture
def overview(good: Plain) -> str:
    reason = {
        "rule": "cpu-present",
        "severity": "error",
        "verdict": "fail",
        "message": "CPU 3 is <gone>.",
        "path": ["instances"],
        "hint": None,
    }
    machines = [
        _fleet.Machine("edge-1", "a.json", _fleet.OK),
        _fleet.Machine("edge-2", "b.json", _fleet.REFUSED, [reason], warnings=2),
        _fleet.Machine("edge-3", "c.json", _fleet.UNREADABLE, sentence="the facts c.json are no JSON"),
        _fleet.Machine("edge-4", "d.json", _fleet.UNKNOWN, [{**reason, "verdict": "unknown"}]),
    ]
    return fleet.page("edge-box", machines)


@pytest.fixture(params=["written", "overview"])
def either(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


def test_page_is_sound_html_and_loads_nothing(either: str) -> None:
    found = Page(either)
    assert either.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert not [tag for tag, _given in found.elements if tag in ("script", "link", "img", "iframe", "object")]
    assert not found.all("src")
    assert all(target.startswith("#") for target in found.all("href"))
    assert "url(" not in either
    assert "@import" not in either
    assert any(given.get("content", "").startswith("default-src 'none'") for tag, given in found.elements if tag == "meta" and given)


def test_page_has_landmarks_one_first_heading_and_headings_in_order(either: str) -> None:
    found = Page(either)
    tags = [tag for tag, _given in found.elements]
    assert [tags.count(tag) for tag in ("header", "nav", "main", "footer", "h1", "title")] == [1] * 6
    levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h[1-6]", tag)]
    assert all(later - earlier <= 1 for earlier, later in zip(levels, levels[1:], strict=False))
    ids = set(found.all("id"))
    assert all(given["aria-labelledby"] in ids for tag, given in found.elements if tag == "section")
    assert {target[1:] for target in found.all("href")} <= ids


def test_focus_goes_from_the_skip_link_over_the_parts_to_the_details(written: str) -> None:
    order = []
    for tag, given in Page(written).elements:
        if (tag in FOCUSABLE or given.get("tabindex") == "0") and given.get("tabindex") != "-1":
            order.append(given.get("href") or given.get("id") or given.get("aria-label") or tag)
    assert order[:7] == ["#main", "#plan", "#kernels", "#cpus", "#memory", "#channels", "#isolation"]
    assert order[7:11] == ["input", "pick-0", "pick-1", "pick-2"]
    assert order[11] == "Each kernel and what it is given"
    assert "summary" in order
    assert not [given for _tag, given in Page(written).elements if int(given.get("tabindex") or 0) > 0]


def test_whatever_scrolls_or_is_drawn_says_what_it_is(either: str) -> None:
    for tag, given in Page(either).elements:
        if given.get("role") in ("img", "region"):
            assert given["aria-label"]
        if given.get("class") == "scroll":
            assert given["tabindex"] == "0"
        if tag == "th":
            assert given["scope"] in ("row", "col")


def test_drawing_tells_in_words_who_owns_what(written: str) -> None:
    labels = Page(written).all("aria-label")
    assert "Socket 0, memory node 0. host: CPU 0-1; web: CPU 2; rt: CPU 3" in labels
    assert any(label.startswith("Memory from low to high: host 60KiB; web, real mode 64KiB") for label in labels)


def test_page_tells_kernels_channels_steps_and_verdicts(written: str) -> None:
    text = Page(written).text
    for words in (
        "edge-box on box",
        "take CPU 2 offline in the host",
        "Before",
        "After",
        "interrupts and a ring",
        "0x40000000-0x40ffffff",
        "is the isolation grade that the facts prove",
        "Below Jailhouse",
        "open (2 of 6 pairs)",
        "rt → all others",
        "Shared fate",
    ):
        assert words in text, words
    assert "isolated" not in text


def test_every_coloured_box_carries_a_mark(written: str) -> None:
    for kind in ("cpu", "bar"):
        drawn = re.findall(rf'<(?:span|div) class="{kind} o[^"]*"[^>]*>.*?<b>([^<]*)</b>', written)
        assert drawn
        assert all(drawn)


def test_large_machine_gives_a_page_of_bounded_size(large: tuple[Plain, Plain]) -> None:
    text = page.page(scene.scene(*large), isolation.report(*large))
    found = Page(text)
    assert text.count('class="cpu o') == 512
    assert len([one for one in found.all("id") if one.startswith("pick-")]) == 41
    assert len(text) < 400_000


def test_page_without_a_machine_says_so(good: Plain) -> None:
    layout = load_layout(good)
    assert "No machine is known" in Page(page.page(scene.scene(layout), isolation.report(layout))).text


def test_page_without_pairs_says_where_they_are_told(placed: Plain, machine: Plain) -> None:
    assert "mkl report --kernel NAME" in Page(page.page(scene.scene(placed, machine), None)).text


def test_same_machine_gives_the_same_page(placed: Plain, machine: Plain) -> None:
    turned = {**placed, "instances": dict(reversed(placed["instances"].items()))}
    one, other = (page.page(scene.scene(each, machine), isolation.report(each, machine)) for each in (placed, turned))
    assert one == other


def test_names_cannot_become_markup(placed: Plain, machine: Plain) -> None:
    bad = '"><script>alert(1)</script>'
    placed["name"] = bad
    placed["instances"][bad] = placed["instances"].pop("rt")
    placed["channels"] = {bad: {**placed["channels"]["feed"], "between": ["web", bad]}}
    found = Page(page.page(scene.scene(placed, machine), isolation.report(placed, machine)))
    assert "script" not in [tag for tag, _given in found.elements]
    assert bad in found.text


def test_overview_tells_each_verdict_in_words_and_leads_to_its_reason(overview: str) -> None:
    text = Page(overview).text
    assert "edge-box on 4 machines" in text
    assert "1 would break, 1 unreadable, 1 not known, 1 fits." in text
    assert "CPU 3 is <gone>." in text
    assert overview.index("edge-2") < overview.index("edge-3") < overview.index("edge-4") < overview.index("edge-1")
    assert 'href="#reason-1"' in overview


@pytest.mark.parametrize("number", range(60))
def test_colours_have_contrast_for_text_and_edges_in_light_and_dark(number: int) -> None:
    one = colour.colour(number)
    assert colour.contrast(one.fill, colour.INK_LIGHT) >= 7
    assert colour.contrast(one.dark_fill, colour.INK_DARK) >= 7
    assert colour.contrast(one.edge, colour.GROUND_LIGHT) >= 3
    assert colour.contrast(one.dark_edge, colour.GROUND_DARK) >= 3


@pytest.mark.parametrize("scheme", [0, 1])
def test_words_of_the_style_sheet_have_contrast(written: str, scheme: int) -> None:
    blocks = re.findall(r":root\{([^}]*)\}", written)
    values = dict(re.findall(r"--(\w+):(#[0-9a-f]{6})", blocks[0]))
    if scheme:
        values.update(re.findall(r"--(\w+):(#[0-9a-f]{6})", blocks[1]))
    for name in ("ink", "soft", "link", "good", "bad", "odd"):
        for ground in ("ground", "panel"):
            assert colour.contrast(values[name], values[ground]) >= 4.5, (name, ground)
    assert colour.contrast(values["line"], values["ground"]) >= 3


def test_overview_says_when_the_numbers_of_a_reason_are_those_of_one_machine() -> None:
    def machine(name: str, cpu: int) -> _fleet.Machine:
        message = f"CPU {cpu} of web and CPU 1 of db are threads of one core."
        reason = {"rule": "cpu-smt-split", "severity": "error", "verdict": "fail", "message": message, "path": ["instances"], "hint": None}
        return _fleet.Machine(name, name + ".json", _fleet.REFUSED, [reason])

    said = "The numbers are those of small; the others differ in them."
    assert said in fleet.page("edge-box", [machine("small", 5), machine("large", 129)])
    assert said not in fleet.page("edge-box", [machine("small", 5), machine("alike", 5)])


def test_contrast_is_that_of_the_guideline() -> None:
    assert colour.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert colour.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_browser_shows_the_pages_and_nothing_sticks_out_on_narrow_and_wide_screens(
    tmp_path: t.Any, written: str, overview: str, large: tuple[Plain, Plain]
) -> None:
    """Chromium lays the pages out in frames; a probe around them tells whether any is wider than its frame."""
    rack = page.page(scene.scene(*large), isolation.report(*large, ["host"]))
    frames = [
        f'<iframe width="{width}" height="900" srcdoc="{html.escape(text)}"></iframe>'
        for text in (written, overview, rack)
        for width in (390, 1280)
    ]
    probe = """<script>onload=()=>{document.title=[...document.querySelectorAll("iframe")].map(
        f=>f.contentDocument.documentElement.scrollWidth+"/"+f.contentWindow.innerWidth+"/"+f.contentDocument.querySelectorAll("h2").length)}</script>"""
    file = tmp_path / "frames.html"
    file.write_text(f"<!DOCTYPE html><title>none</title>{probe}{''.join(frames)}")
    words = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    words += ["--disable-background-networking", "--disable-component-update", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run([*words, "--dump-dom", f"file://{file}"], capture_output=True, text=True, timeout=180, check=False)
    found = re.findall(r"(\d+)/(\d+)/(\d+)", re.search(r"<title>(.*?)</title>", done.stdout).group(1))  # type: ignore[union-attr]
    assert len(found) == 6, done.stderr[-2000:]
    for wide, room, headings in found:
        assert int(headings) >= 3
        assert int(wide) <= int(room)
