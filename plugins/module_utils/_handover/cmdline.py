# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The command line of the host's next kernel, made of the running one's: the same memory kept off, and no CPU of an instance started.

Words that decide of memory and CPUs come from here alone. Source: Documentation/admin-guide/kernel-parameters.rst.
"""

from __future__ import annotations

from typing import List, Sequence, Tuple

LONGEST = 2047
"""Bytes that an x86 kernel takes (COMMAND_LINE_SIZE less its NUL)."""
OURS = ("maxcpus", "nr_cpus", "possible_cpus", "nosmp", "memmap", "mem", "no_ipi_broadcast", "nomkstock")
DROPPED = ("BOOT_IMAGE", "initrd", "kexec_jump_back_entry", "maxcpus")
NO_BROADCAST = "no_ipi_broadcast=1"


class CommandLineError(ValueError):
    """No command line keeps the next kernel away from what instances have; the text is a sentence."""


def following(running: str, instance_cpus: Sequence[int], append: Sequence[str] = ()) -> str:
    """The command line for a kernel that is to leave alone the logical CPUs instance_cpus; append are more words.

    Its CPUs are those below the first of an instance: `maxcpus=` counts from 0. The others can be taken online later.
    Raises CommandLineError.
    """
    words = [word for word in running.split() if key_of(word) not in DROPPED]
    taken = [word for word in append if key_of(word) in OURS]
    if taken:
        raise CommandLineError(
            "append has %s, which decides of memory or CPUs; the running kernel's words for these are carried over" % ", ".join(taken)
        )
    odd = [word for word in append if not word or word.split() != [word] or not word.isprintable()]
    if odd:
        raise CommandLineError("append has %r, which is no single word of a command line" % odd[0])
    if any(key_of(word) == "nomkstock" for word in words):
        raise CommandLineError("the running command line has nomkstock, with which the next kernel would adopt nothing")
    words = [word for word in words if key_of(word) != "no_ipi_broadcast"]
    ours = [NO_BROADCAST]
    if instance_cpus:
        first = min(instance_cpus)
        if first < 1:
            raise CommandLineError("an instance has CPU 0, which every kernel starts on")
        ours.append("maxcpus=%d" % first)
    # what follows "--" is for init
    rest = words[words.index("--") :] if "--" in words else []
    line = " ".join([*words[: len(words) - len(rest)], *append, *ours, *rest])
    if len(line.encode()) > LONGEST:
        raise CommandLineError("the command line would have %d bytes, a kernel takes %d" % (len(line.encode()), LONGEST))
    return line


def key_of(word: str) -> str:
    """The name of a parameter; the kernel takes - for _."""
    return word.partition("=")[0].strip('"').replace("-", "_")


def uncovered(memory: Sequence[Tuple[int, int]], reserved: Sequence[Tuple[int, int]]) -> List[Tuple[int, int]]:
    """Those of the ranges (base, size) that no reserved range, or run of adjoining ones, holds as a whole."""
    runs: List[List[int]] = []
    for base, size in sorted(reserved):
        if runs and base <= runs[-1][1]:
            runs[-1][1] = max(runs[-1][1], base + size)
        else:
            runs.append([base, base + size])
    return [(base, size) for base, size in memory if not any(start <= base and base + size <= end for start, end in runs)]
