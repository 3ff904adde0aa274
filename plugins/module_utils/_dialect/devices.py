# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Taking PCI functions from the host's drivers, silencing them, and giving them back. Doing any of it twice does no harm.

Source: Documentation/ABI/testing/sysfs-bus-pci of the kernel (driver_override, drivers_probe, unbind, reset) and
Documentation/ABI/testing/sysfs-devices-power (control).
"""

from __future__ import annotations

import contextlib
from typing import Any, Dict, Iterable, Optional

from .._host.pci import DEVICES, HOLD
from .base import DialectError

DRIVERS = "sys/bus/pci/drivers/"


def is_held(system: Any, address: str) -> bool:
    """Whether no driver of the host has a function, and none can get it."""
    return _override(system, address) == HOLD and not system.exists("%s/%s/driver" % (DEVICES, address))


def take(system: Any, address: str, power: Dict[str, str]) -> Dict[str, Any]:
    """Unbind a function and keep all drivers off it; it and the bridges before it (power) no longer sleep. Raises DialectError."""
    if is_held(system, address):
        return {"already": True}
    folder = "%s/%s/" % (DEVICES, address)
    if not system.exists(folder + "driver_override"):
        raise DialectError("this host has no PCI device %s any more" % address)
    for other in sorted(power):
        system.write("%s/%s/power/control" % (DEVICES, other), "on")
    # first the override: between the two, a driver that is just being loaded would take the function again
    system.write(folder + "driver_override", HOLD)
    if system.exists(folder + "driver"):
        system.write(folder + "driver/unbind", address)
    if not is_held(system, address):
        raise DialectError("PCI device %s still has a driver of the host, although the kernel accepted that it is unbound" % address)
    return {}


def give_back(system: Any, address: str, driver: Optional[str], override: Optional[str], power: Dict[str, str]) -> Dict[str, Any]:
    """Let the host have a function again, with the driver that it had. Raises DialectError; said again, it goes on from there."""
    folder = "%s/%s/" % (DEVICES, address)
    present = _override(system, address)
    unbound = driver is not None and not system.exists(folder + "driver")
    # An override that is back already, and no driver: an earlier attempt was cut between the two. Any other is somebody else's wish.
    if present is None or (present != HOLD and not (unbound and present == (override or ""))):
        return {"already": True}
    if unbound and not system.exists(DRIVERS + str(driver) + "/bind"):
        message = "PCI device %s cannot go back to the host's driver %s: it is no longer loaded; load it and say that again"
        raise DialectError(message % (address, driver))
    quiet(system, [address])
    for other, word in sorted(power.items()):
        system.write("%s/%s/power/control" % (DEVICES, other), word)
    if present == HOLD:
        system.write(folder + "driver_override", override or "\n")  # an empty line clears it
    if unbound:
        system.write(DRIVERS + str(driver) + "/bind", address)
    return {}


def _override(system: Any, address: str) -> Optional[str]:
    """The driver that alone may have a function, empty when any may; None when there is no such function."""
    said = system.read("%s/%s/driver_override" % (DEVICES, address))
    return None if said is None else said.strip().replace("(null)", "")


def quiet(system: Any, addresses: Iterable[str]) -> None:
    """End the DMA of functions whose instance does not run, and reset those that can be. One that the host drives is left alone."""
    held = [address for address in addresses if is_held(system, address)]
    for address in held:
        system.stop_dma(address)
    for address in held:
        if system.exists("%s/%s/reset" % (DEVICES, address)):
            # one that refuses is silent all the same, and its next driver starts it anew
            with contextlib.suppress(DialectError):
                system.write("%s/%s/reset" % (DEVICES, address), "1")
