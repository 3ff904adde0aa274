# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What every dialect offers, and the form of what it observes.

The observed state is plain JSON; null means that this host cannot tell::

    {"version": 1, "boot_id": str, "digest": sha256 of the layout that was applied last | null,
     "table": text of the kernel's list of images, "images": [{"type", "entry", "segments"}],
     "cpus": {"online": [int], "present": [int]},
     "pool": [[base, size]] | null,                     # what the multikernel module may hand out
     "select": bool, "kill": bool,                      # may an image be chosen by entry; may an instance be killed
     "instances": {name: {"state": "running" | "silent" | "ended" | "loaded" | "unknown",
                          "spec": what it was started with,
                          "memory": {"base", "size"}, "health", "nonce", "uname", "beats", "text",
                          "evidence": {property: kind of evidence}}},
     "channels": {name: {"address", "end", "attached": bool, "peer", "beats"}} | null,      # the host's ends
     "made": {"cpus": [int], "blocks": [int], "pool": [[base, size]], "channels": {name: {"address", "size"}},
              "devices": {PCI address: {"driver", "override", "power"}}},      # what each had, see steps.device_bind
     "foreign": {"images": [entry], "instances": [{"entry", "cpus", "memory": [[base, size]]}]}}

running: there, and seen to be; silent: was started and cannot be seen to live; ended: no longer there, or says so itself.
"made" is what was taken from the host by us, as the journal remembers it, and what an absent layout gives back.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Protocol, Sequence, Tuple

from .._plan.steps import Step
from .._rules.finding import Finding

OBSERVED = "observed"  # read back from the kernel or from the instance in this run
REMEMBERED = "remembered"  # known from the journal; nothing contradicts it
UNVERIFIABLE = "unverifiable"  # nothing on this host can confirm it

State = Dict[str, Any]


class DialectError(Exception):
    """A step could not be done; the text is a sentence: what, why, what would help. errno is the kernel's, where it told one."""

    def __init__(self, sentence: str, errno: Optional[int] = None) -> None:
        self.errno = errno
        super().__init__(sentence)


class Drift(DialectError):
    """The host is not as it was when the plan was made: somebody else changed it. Nothing was done; a new plan may succeed."""


class InstanceError(DialectError):
    """An instance did not do what was expected of it; console holds its last words, newest last."""

    def __init__(self, instance: str, sentence: str, console: Sequence[str] = ()) -> None:
        self.instance = instance
        self.console = list(console)
        super().__init__(sentence)


class Dialect(Protocol):
    """How one kind of multikernel host is spoken to. Adding a dialect touches its own files and one line of choice.py.

    nonces: the mark of the last boot of each instance, by name.
    """

    name: str
    system: Any
    nonces: Dict[str, int]

    def open(self, facts: Dict[str, Any], check: bool, remembered: Dict[str, Any]) -> Dict[str, Any]:
        """Make the host readable, where that is needed and check does not forbid it, and return the facts with what that tells.

        remembered is what is known of CPUs that the host no longer tells of.
        """

    def close(self) -> None:
        """Take back what open did, since nothing is to be changed."""

    def probe(self, facts: Dict[str, Any]) -> List[Finding]:
        """Why nothing can be started on this host; empty when everything is there."""

    def observe(self, remembered: Optional[Dict[str, Any]], facts: Dict[str, Any]) -> State:
        """The state of the host. remembered is what the store kept of the last apply; reads only."""

    def place(self, layout: Dict[str, Any], facts: Dict[str, Any], state: State) -> Dict[str, Any]:
        """The layout with CPUs and memory for each instance. Raises PlacementError."""

    def located(self, placed: Dict[str, Any], state: State) -> Dict[str, Any]:
        """A placed layout with the addresses that are known only once it was made."""

    def plan(
        self,
        placed: Dict[str, Any],
        state: State,
        facts: Dict[str, Any],
        digest: str,
        consent: Sequence[str] = (),
        restart: Sequence[str] = (),
        only: Optional[Sequence[str]] = None,
    ) -> List[Step]:
        """The steps to a placed layout. Raises PlanRefused."""

    def plan_absent(self, state: State, facts: Dict[str, Any]) -> List[Step]:
        """The steps that take back everything that was made here."""

    def wanted(
        self, placed: Dict[str, Any], state: State, facts: Dict[str, Any], only: Optional[Sequence[str]] = None
    ) -> Dict[str, Dict[str, Any]]:
        """The specs of the instances that are to be there when the plan was carried out, by name."""

    def verify(self, placed: Dict[str, Any], specs: Dict[str, Dict[str, Any]], state: State) -> Tuple[List[str], List[str]]:
        """(differences, what cannot be verified) between what was wanted and what was observed after the last step, sentences."""

    def made(self, old: Dict[str, Any], steps: Sequence[Step], placed: Optional[Dict[str, Any]]) -> Dict[str, Any]:
        """What was taken from the host when steps were done on top of old."""

    def still_made(self, old: Dict[str, Any], steps: Sequence[Step]) -> Dict[str, Any]:
        """What of old, and of what steps took, the host does not have back after they were undone."""

    def left(self, steps: Sequence[Step]) -> Dict[str, Dict[str, Any]]:
        """The specs of instances that steps brought and that are still there after the undoing, by name."""

    def renewed(self, name: str, spec: Dict[str, Any]) -> Dict[str, Any]:
        """The spec of an instance that was made again while steps were undone, as it is now."""

    def alive(self, spec: Dict[str, Any]) -> bool:
        """Whether the instance of this spec runs, and is the one that was booted last under its name."""

    def perform(self, step: Step) -> Dict[str, Any]:
        """Do one step and return what is worth remembering of it. Raises DialectError; doing a step twice does no harm."""
