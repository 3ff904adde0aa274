# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The next kernel's command line keeps it away from what instances have, and nothing that is added may change that."""

from __future__ import annotations

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._handover.cmdline import CommandLineError, following, uncovered

RUNNING = "BOOT_IMAGE=/vmlinuz root=/dev/vda memmap=512M$0x40000000 maxcpus=4 quiet"


def test_memory_stays_and_cpus_end_before_the_first_of_an_instance():
    assert following(RUNNING, [3, 2]) == "root=/dev/vda memmap=512M$0x40000000 quiet no_ipi_broadcast=1 maxcpus=2"


def test_without_instances_all_cpus_start():
    assert "maxcpus" not in following(RUNNING, [])


def test_doing_it_again_gives_the_same():
    once = following(RUNNING, [2])
    assert following(once, [2]) == once
    assert following(once.replace("no_ipi_broadcast=1", "no-ipi-broadcast=0"), [2]) == once


def test_words_for_init_stay_last():
    assert following("a -- b", [1], ["c=1"]) == "a c=1 no_ipi_broadcast=1 maxcpus=1 -- b"


@pytest.mark.parametrize("word", ["memmap=1G$0", "maxcpus=8", "nr-cpus=1", '"possible_cpus=1"', "no_ipi_broadcast=0", "nomkstock"])
def test_words_that_decide_of_memory_or_cpus_are_refused(word):
    with pytest.raises(CommandLineError, match="decides of memory or CPUs"):
        following(RUNNING, [2], [word])


@pytest.mark.parametrize("word", ["", "a b", "a\nb", "a\0"])
def test_what_is_no_single_word_is_refused(word):
    with pytest.raises(CommandLineError, match="no single word"):
        following(RUNNING, [2], [word])


def test_cpu_0_cannot_be_kept_off():
    with pytest.raises(CommandLineError, match="CPU 0"):
        following(RUNNING, [0, 3])


def test_nobody_would_adopt_without_the_module():
    with pytest.raises(CommandLineError, match="nomkstock"):
        following("root=/dev/vda nomkstock", [2])


def test_one_that_is_too_long():
    with pytest.raises(CommandLineError, match="2047"):
        following("x" * 2047, [2])


def test_memory_is_covered_as_a_whole_or_not():
    reserved = [(0x1000, 0x1000), (0x2000, 0x1000), (0x9000, 0x1000)]
    assert uncovered([(0x1000, 0x2000), (0x9000, 0x1000)], reserved) == []
    assert uncovered([(0x1000, 0x3000), (0x8000, 0x1800)], reserved) == [(0x1000, 0x3000), (0x8000, 0x1800)]
