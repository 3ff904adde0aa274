# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""How rules on devices are written down: as functions of one device that is given away and what the machine knows of it."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, Iterator, NamedTuple, Optional, Sequence, Tuple

from .case import Case
from .registry import Outcome, rule, unknown


class Given(NamedTuple):
    """One device of an instance: where the layout says so, its address, what is asked for, and the machine's function there."""

    name: str
    path: Tuple[Any, ...]
    address: str
    wish: Dict[str, Any]
    function: Optional[Dict[str, Any]]


Judge = Callable[[Case, Given], Iterable[Outcome]]


def device_rule(
    id: str,
    severity: str,
    title: str,
    why: str,
    source: str = "",
    waivable: Optional[bool] = None,
    anchor: str = "none",
    unsure: Optional[str] = None,
    missing: bool = False,
) -> Callable[[Judge], Judge]:
    """Register a function as a rule that is asked for each device. See registry.rule.

    Where a layout gives none away there is nothing to judge; where the machine does not tell what is on its buses, nothing is
    known. missing: the function is also asked for a device that is not there (function None); others leave that to dev-present.
    """

    def register(judge: Judge) -> Judge:
        def of_case(case: Case) -> Iterator[Outcome]:
            if case.devices and case.fact("pci.functions") is None:
                name, number, wish = case.devices[0]
                message = "{0}: what is on the PCI buses is not known, and {1} is to own {2}.".format(title, name, wish["pci"])
                yield unknown(message, ("instances", name, "devices", number), "collect the facts of the machine anew, as root")
                return
            for name, number, wish in case.devices:
                function = case.fact("pci.functions").get(wish["pci"])
                if function is not None or missing:
                    yield from judge(case, Given(name, ("instances", name, "devices", number), wish["pci"], wish, function))

        of_case.__module__ = judge.__module__
        rule(id, severity, title, why, (), source, waivable, anchor, unsure)(of_case)
        return judge

    return register


def named(addresses: Sequence[str]) -> str:
    """Addresses as a sentence says them."""
    shown = list(addresses[:4])
    more = len(addresses) - len(shown)
    return ", ".join(shown) + (" and {0} more".format(more) if more else "")
