# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause

"""The complete kernel command line of an instance.

The words that a stock kernel needs to stay on its own part of the machine come first, then those of the image and of the instance.
A user's word replaces ours where the kernel takes only one value; `kaslr` takes back our `nokaslr`. Source:
Documentation/admin-guide/kernel-parameters.rst; next_arg() in lib/cmdline.c for the splitting; kernel/resource.c for `reserve=`.
"""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Sequence, Tuple

MAX_RESERVE = 4
"""Pairs that `reserve=` can hold, over all its words (MAXRESERVE)."""

PREFIX = "multikernel."
UART_PORTS = 8
PCI_PORTS = "0xcf8,8"
"""Type 1 access to configuration space: reserved, an instance reaches no bus but those of its MCFG table, by memory."""


class Uart(NamedTuple):
    """A 16550 UART: its device name in Linux ("ttyS1") and its I/O port (0x2f8)."""

    device: str
    port: int


class Channel(NamedTuple):
    """A channel as an instance sees it: name, physical address, own end (0 or 1).

    For plain shared memory its size in bytes, and which end writes it: "0", "1" or "both".
    """

    name: str
    address: int
    end: int
    shared: Optional[int] = None
    writer: str = "both"


class CommandLineError(ValueError):
    """The words given do not make a kernel command line; the text says which and why."""


def own_words(name: str, mailbox: int, channels: Sequence[Channel], devices: Sequence[Tuple[str, Optional[str]]] = ()) -> List[str]:
    """The words that tell an instance who it is; only the loader may write words that begin with `multikernel.`.

    *devices*: PCI address and alias (or None) of each function that it owns.
    """
    words = ["%sname=%s" % (PREFIX, name), "%smailbox=0x%x" % (PREFIX, mailbox)]
    for channel in channels:
        if channel.shared is None:
            words.append("%schannel=%s@0x%x:%d" % (PREFIX, channel.name, channel.address, channel.end))
        else:
            told = (PREFIX, channel.name, channel.address, channel.shared, channel.end, channel.writer)
            words.append("%smemory=%s@0x%x+0x%x:%d:%s" % told)
    words += ["%sdevice=%s%s" % (PREFIX, alias + "@" if alias else "", address) for address, alias in devices]
    return words


def linux(
    own: Sequence[str],
    user: str,
    tsc_khz: int,
    cpus: int,
    console: Optional[Uart],
    other_uarts: Sequence[Uart],
    initrd: bool,
    limit: int,
    pci: bool = False,
) -> str:
    """The command line of a Linux instance.

    *own*: see own_words(). *user*: the words of image and instance. *tsc_khz*: the host's TSC frequency, which the instance has no
    timer to measure. *cpus*: how many it has. *console*: its UART or None; *other_uarts*: those it must leave alone. *initrd*: it has
    one. *limit*: most characters the kernel takes (cmdline_size). *pci*: it owns PCI buses. Raises CommandLineError with a sentence.
    """
    words = split(user)
    _check_user(words)
    if tsc_khz <= 0:
        raise CommandLineError("the host's TSC frequency is not known, and an instance has no other timer to measure it by")
    ours = [
        "no_ipi_broadcast=1",  # an IPI "to all but self" would reach the host and the other instances
        "nokaslr",
        "tsc=reliable",
        "tsc_early_khz=%d" % tsc_khz,
        "nr_cpus=%d" % cpus,
        "panic=0",
        "nmi_watchdog=0",
    ]
    if not pci:
        ours.insert(5, "pci=off")
    if initrd:
        ours.append("rdinit=/init")
    given = {_key(word) for word in words}
    kept = [word for word in ours if _key(word) not in given and not (word == "nokaslr" and "kaslr" in given)]
    consoles = _consoles(console, words)
    reserve = _reserve(other_uarts, words, pci)
    text = " ".join(consoles + kept + reserve + list(own) + [word for word in words if word != "kaslr"])
    return _measured(text, limit)


def flat(own: Sequence[str], user: str, tsc_khz: Optional[int], console: Optional[Uart], limit: int) -> str:
    """The command line of a payload that is no Linux: who it is, its UART, the TSC frequency when known, and the user's words."""
    words = split(user)
    _check_user(words)
    ours = ["tsc_early_khz=%d" % tsc_khz] if tsc_khz else []
    given = {_key(word) for word in words}
    kept = [word for word in ours if _key(word) not in given]
    return _measured(" ".join(_consoles(console, words) + kept + list(own) + words), limit)


def split(text: str) -> List[str]:
    """The words of a command line as the kernel sees them: blanks separate, except between double quotes.

    Raises CommandLineError for characters that no command line can carry and for quotes that are not closed.
    """
    for char in text:
        if not " " <= char <= "~" and char != "\t":
            raise CommandLineError("the command line has the character %r, which the kernel would not read as written" % char)
    words: List[str] = []
    word, quoted = "", False
    for char in text:
        if char == '"':
            quoted = not quoted
        if char in " \t" and not quoted:
            if word:
                words.append(word)
            word = ""
        else:
            word += char
    if quoted:
        raise CommandLineError("the command line has a double quote that is not closed: ...%s" % word[-40:])
    return words + ([word] if word else [])


def _key(word: str) -> str:
    # the kernel takes - and _ in names for the same
    return word.strip('"').split("=", 1)[0].replace("-", "_")


def _check_user(words: Sequence[str]) -> None:
    for word in words:
        if _key(word).startswith(PREFIX):
            raise CommandLineError("the word '%s' belongs to the loader, which writes all words that begin with '%s'" % (word, PREFIX))


def _consoles(console: Optional[Uart], words: Sequence[str]) -> List[str]:
    if console is None:
        return []
    ours = []
    # the user's own console= for this UART may carry another speed
    if not any(word.split(",")[0] == "console=" + console.device for word in words):
        ours.append("console=%s,115200" % console.device)
    if not any(_key(word) in ("earlycon", "earlyprintk") for word in words):
        # not earlyprintk=serial,ttyS2: it writes to COM1
        ours.append("earlycon=uart8250,io,0x%x,115200" % console.port)
    return ours


def _reserve(others: Sequence[Uart], words: Sequence[str], pci: bool) -> List[str]:
    pairs = sum(len(word.split("=", 1)[1].split(",")) // 2 for word in words if word.startswith("reserve="))
    ours = ["0x%x,%d" % (uart.port, UART_PORTS) for uart in others] + ([PCI_PORTS] if pci else [])
    if pairs + len(ours) > MAX_RESERVE:
        raise CommandLineError(
            "reserve= would need %d ranges (%d UARTs of others%s and %d of the command line), the kernel takes %d"
            % (pairs + len(ours), len(others), ", 1 for PCI" if pci else "", pairs, MAX_RESERVE)
        )
    return ["reserve=" + ",".join(ours)] if ours else []


def _measured(text: str, limit: int) -> str:
    if len(text) > limit:
        raise CommandLineError("the command line has %d characters, the kernel takes %d: ...%s" % (len(text), limit, text[limit - 20 :]))
    return text
