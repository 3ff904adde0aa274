# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stages that boot real kernels in QEMU: the module's own harness, then every molecule scenario."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from .base import TOP, WORK, Counts, Stage, check, command, counted, long, show
from .host import STOCK


def kernel() -> Counts:
    """tests/kernel builds mkstock, boots hosts and instances, and counts its own checks."""
    return counted("kernel", [TOP / "tests/kernel/run", *(["--long"] if long() else [])], limit=14400 if long() else 2700, follow=True)


def sparse() -> Counts:
    """The C of mkstock, by the compiler with -Wall -Wextra -Werror and by sparse; one count for each file that sparse looked at."""
    work = WORK / "sparse"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(TOP / "roles/stock_kernel/files/mkstock", work)
    status, headers = command("headers", [TOP / "scripts/kernel-tree", "--print", "headers", STOCK], limit=900)
    make: list[str | Path] = ["make", "-C", work, f"KDIR={headers.splitlines()[-1]}", "C=2", "CHECK=sparse", "KCFLAGS=-Werror", "modules"]
    status, output = (status, headers) if status else command("sparse", make, limit=600)
    looked = sum(" CHECK " in line and str(work) in line for line in output.splitlines())
    found = [line for line in output.splitlines() if str(work) in line and (": warning: " in line or ": error: " in line)]
    if status or found or not looked:
        show(output if status or not looked else "\n".join(found))
    return Counts(passed=looked - len(found), failed=len(found) or int(status != 0 or not looked))


def dkms() -> Counts:
    """No QEMU: Debian's dkms works in folders of its own, against the headers in the cache."""
    return check("dkms", [TOP / "tests/kernel/dkms"], limit=600)


def scenario(folder: Path) -> Counts:
    """One molecule scenario from create to destroy."""
    name = folder.name
    status, output = command(f"molecule-{name}", ["molecule", "test", "--scenario-name", name], limit=10800 if long() else 2700)
    if status:
        show(output)
        # A failed run keeps its machine only as long as somebody looks at it; here nobody does.
        command(f"molecule-{name}-destroy", ["molecule", "destroy", "--scenario-name", name], limit=300)
    return Counts(passed=int(status == 0), failed=int(status != 0))


# The longest first, so that two at a time end together. Each has a machine of its own, and much of its time is waiting; but `rollout` has
# three, and is not put beside `update`, where it counts how long a pause is.
LONGEST = ("update", "faults", "faults-kernfs", "strict", "agent", "kernfs", "hostkexec", "rollout", "default")

# Ten minutes each: what the faults hold is held on a simulated host as well, and of the others' parts the shorter scenarios use most.
LONG = ("faults", "faults-kernfs", "strict", "agent", "backports", "pci")


def scenarios() -> list[Path]:
    """The folders of all scenarios."""
    found = [path.parent for path in (TOP / "molecule").glob("*/molecule.yml")]
    return sorted(found, key=lambda path: (LONGEST.index(path.name) if path.name in LONGEST else len(LONGEST), path.name))


# one process each, and no QEMU
SINGLE = [
    Stage("sparse", "no warning of the compiler or of sparse in the C of mkstock", sparse, beside=True),
    Stage("dkms", "Debian's dkms builds and installs mkstock by its dkms.conf", dkms, beside=True),
]

STAGES = [
    Stage("kernel", "mkstock runs real second kernels on a stock kernel, in QEMU", kernel),
    *(
        Stage(f"molecule-{name}", f"the molecule scenario {name} passes", partial(scenario, path), beside=True, long=name in LONG)
        for path in scenarios()
        for name in [path.name]
    ),
]
