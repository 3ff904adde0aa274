# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules explained: what breaks, who else checks it, how to mend it, and an example of both."""

from __future__ import annotations

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._rules import engine
from ansible_collections.multikernel.core.plugins.plugin_utils._report.explain import explain

RULES = {rule["id"]: rule for rule in engine.rules()}


def test_a_rule_is_explained_with_what_fails_and_what_passes() -> None:
    text = explain(RULES["cpu-overlap"])
    assert text.startswith("cpu-overlap (error)\nEvery CPU belongs to one kernel\n")
    assert "What breaks: Two kernels on one CPU overwrite each other's state at once." in text
    assert "Who else checks it: kerf 0.4.0" in text
    assert "Can be waived: no" in text
    failing, passing = text.split("Fails:")[1].split("Passes")
    assert "ids: [2, 3]" in failing
    assert "says: rt and web both claim CPU 3; give each CPU to one kernel only." in failing
    assert "[2, 3]" not in passing


@pytest.mark.parametrize("name", sorted(RULES))
def test_every_rule_has_an_example_and_lines_that_a_terminal_shows(name: str) -> None:
    text = explain(RULES[name])
    assert "Fails:" in text or "When it fails it says" in text
    assert max(len(line) for line in text.splitlines()) <= 140


def test_what_may_be_waived_is_shown_as_it_is_written() -> None:
    assert "waivers: {cpu-smt-split: the reason}" in explain(RULES["cpu-smt-split"])
