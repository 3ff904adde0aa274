# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line keeps an instance on its own part of the machine, and the user's words still count."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._boot import cmdline
from ansible_collections.multikernel.core.plugins.module_utils._boot.cmdline import Channel, CommandLineError, Uart
from hypothesis import given
from hypothesis import strategies as st

COM1, COM2, COM3, COM4 = Uart("ttyS0", 0x3F8), Uart("ttyS1", 0x2F8), Uart("ttyS2", 0x3E8), Uart("ttyS3", 0x2E8)


def linux(user: str = "", **changes: Any) -> List[str]:
    arguments: Dict[str, Any] = {
        "own": ["multikernel.name=web"],
        "tsc_khz": 2400000,
        "cpus": 2,
        "console": COM2,
        "other_uarts": [COM1, COM3, COM4],
        "initrd": True,
        "limit": 2047,
    }
    arguments.update(changes)
    return cmdline.split(cmdline.linux(user=user, **arguments))


def test_it_has_what_a_stock_kernel_needs() -> None:
    assert set(linux()) >= {
        "console=ttyS1,115200",
        "earlycon=uart8250,io,0x2f8,115200",
        "no_ipi_broadcast=1",
        "tsc=reliable",
        "tsc_early_khz=2400000",
        "nr_cpus=2",
        "pci=off",
        "panic=0",
        "nmi_watchdog=0",
        "rdinit=/init",
        "reserve=0x3f8,8,0x3e8,8,0x2e8,8",
        "multikernel.name=web",
    }


def test_the_loaders_words_say_who_the_instance_is() -> None:
    channels = [Channel("beat", 0x5E000000, 1), Channel("feed", 0x5F000000, 0, 0x200000, "1")]
    assert cmdline.own_words("web", 0x40000000, channels) == [
        "multikernel.name=web",
        "multikernel.mailbox=0x40000000",
        "multikernel.channel=beat@0x5e000000:1",
        "multikernel.memory=feed@0x5f000000+0x200000:0:1",
    ]


def test_the_users_words_come_last_and_in_order() -> None:
    assert linux("quiet role=web -- --verbose")[-4:] == ["quiet", "role=web", "--", "--verbose"]


@pytest.mark.parametrize(
    ("word", "ours"),
    [
        ("panic=10", "panic=0"),
        ("nr_cpus=1", "nr_cpus=2"),
        ("pci=noaer", "pci=off"),
        ("rdinit=/sbin/init", "rdinit=/init"),
        ("tsc-early-khz=5", "tsc_early_khz=2400000"),
    ],
)
def test_a_users_word_replaces_ours(word: str, ours: str) -> None:
    words = linux(word)
    assert word in words
    assert ours not in words


def test_kaslr_takes_back_our_nokaslr() -> None:
    assert "nokaslr" in linux()
    assert {"kaslr", "nokaslr"}.isdisjoint(linux("kaslr"))


def test_consoles_may_repeat_and_the_users_is_last() -> None:
    words = [word for word in linux("console=tty0") if word.startswith("console=")]
    assert words == ["console=ttyS1,115200", "console=tty0"]


def test_a_users_speed_for_the_console_is_kept() -> None:
    words = [word for word in linux("console=ttyS1,9600") if word.startswith("console=")]
    assert words == ["console=ttyS1,9600"]


def test_without_a_console_no_uart_is_touched() -> None:
    words = linux(console=None, other_uarts=[COM1, COM2, COM3, COM4])
    assert not [word for word in words if word.startswith(("console", "earlycon"))]
    assert "reserve=0x3f8,8,0x2f8,8,0x3e8,8,0x2e8,8" in words


def test_a_machine_without_other_uarts_reserves_none() -> None:
    assert not [word for word in linux(other_uarts=[]) if word.startswith("reserve=")]


def test_reserve_is_shared_with_the_user_and_counted() -> None:
    words = linux("reserve=0xcf8,8")
    assert [word for word in words if word.startswith("reserve=")] == ["reserve=0x3f8,8,0x3e8,8,0x2e8,8", "reserve=0xcf8,8"]
    with pytest.raises(CommandLineError, match=r"would need 5 ranges \(3 UARTs of others and 2"):
        linux("reserve=0xcf8,8,0x60,4")


def test_an_instance_with_devices_looks_for_them_but_never_by_the_hosts_ports() -> None:
    words = linux(pci=True)
    assert not [word for word in words if word.startswith("pci=")]
    assert "reserve=0x3f8,8,0x3e8,8,0x2e8,8,0xcf8,8" in words
    with pytest.raises(CommandLineError, match=r"5 ranges \(4 UARTs of others, 1 for PCI"):
        linux(pci=True, console=None, other_uarts=[COM1, COM2, COM3, COM4])


def test_devices_are_named_with_their_aliases() -> None:
    words = cmdline.own_words("web", 0x40000000, [], [("0000:01:00.0", "wire"), ("0000:01:00.1", None)])
    assert words[2:] == ["multikernel.device=wire@0000:01:00.0", "multikernel.device=0000:01:00.1"]


def test_without_an_initrd_there_is_no_rdinit() -> None:
    assert "rdinit=/init" not in linux(initrd=False)


@pytest.mark.parametrize("word", ["multikernel.name=other", '"multikernel.mailbox=0x0"', "multikernel.memory"])
def test_the_loaders_words_cannot_be_forged(word: str) -> None:
    with pytest.raises(CommandLineError, match="belongs to the loader"):
        linux(word)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a\nb", "the character '.n'"),
        ("a\0b", "x00"),
        ("caf\u00e9", "which the kernel would not read as written"),
        ('a "b', "quote that is not closed"),
    ],
)
def test_words_that_no_kernel_would_read_are_refused(text: str, sentence: str) -> None:
    with pytest.raises(CommandLineError, match=sentence):
        linux(text)


def test_a_quoted_word_stays_one() -> None:
    assert linux('dyndbg="file a.c +p" x')[-2:] == ['dyndbg="file a.c +p"', "x"]


def test_the_length_is_checked_against_the_kernels_limit() -> None:
    used = len(" ".join(linux())) + 1
    assert len(linux("x" * (2047 - used))) == len(linux()) + 1
    with pytest.raises(CommandLineError, match="has 2048 characters, the kernel takes 2047"):
        linux("x" * (2048 - used))


def test_an_unknown_tsc_frequency_is_refused() -> None:
    with pytest.raises(CommandLineError, match="TSC frequency is not known"):
        linux(tsc_khz=0)


def test_a_flat_payload_gets_no_words_for_linux() -> None:
    text = cmdline.flat(["multikernel.name=rt"], "mode=fast", 1000000, COM4, 4095)
    assert text == "console=ttyS3,115200 earlycon=uart8250,io,0x2e8,115200 tsc_early_khz=1000000 multikernel.name=rt mode=fast"
    assert cmdline.flat([], "", None, None, 4095) == ""


@given(words=st.lists(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, blacklist_characters='"'), min_size=1), max_size=8))
def test_splitting_is_the_inverse_of_joining(words: "list[str]") -> None:
    assert cmdline.split(" \t ".join(words)) == words
