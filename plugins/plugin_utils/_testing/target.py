# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a test can ask of a multikernel host: nouns for things, properties for questions.

Everything is read from the target at the time of the question, through testinfra's `host`: what was applied from
/var/lib/multikernel/state.json, what the kernel says from /proc and /sys, and what an instance says from its own memory.
"""

from __future__ import annotations

import json
import re
import typing as t

from ...module_utils._boot import channel as channel_area
from ...module_utils._boot import mailbox
from ...module_utils._dialect import table
from ...module_utils._layout import cpuset

STATE = "/var/lib/multikernel/state.json"
MKSTOCK = "/sys/kernel/mkstock"
KERNFS = "/sys/fs/multikernel"

# Runs on the target: reads physical memory; with a third argument it waits until the 8 bytes at offset 8 change.
# /dev/mkstock also reaches offlined memory blocks, which /dev/mem refuses.
_READER = """
import mmap, os, sys, time
address, size, within = int(sys.argv[1], 16), int(sys.argv[2]), float(sys.argv[3])
reason = "neither /dev/mkstock nor /dev/mem is there"
for device in ("/dev/mkstock", "/dev/mem"):
    try:
        handle = os.open(device, os.O_RDONLY | os.O_SYNC)
        window = mmap.mmap(handle, (size + 4095) // 4096 * 4096, mmap.MAP_SHARED, mmap.PROT_READ, offset=address)
    except (OSError, ValueError) as error:
        if os.path.exists(device):
            reason = "%s: %s" % (device, error)
        continue
    first, end = window[8:16], time.monotonic() + within
    while window[8:16] == first and time.monotonic() < end:
        time.sleep(0.02)
    print(int(window[8:16] != first), window[:size].hex())
    sys.exit(0)
sys.exit(reason)
"""


class Range(t.NamedTuple):
    """A range of physical memory in bytes."""

    base: int
    size: int

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.base + self.size


class Multikernel:
    """Multikernel on one host.

    >>> multikernel.dialect
    'rfc'
    >>> [instance.name for instance in multikernel.instances]
    ['db', 'web']
    >>> multikernel.cpus_offline
    [2, 3]
    """

    def __init__(self, host: t.Any) -> None:
        self._host = host

    def __repr__(self) -> str:
        return "<multikernel>"

    def instance(self, name: str) -> Instance:
        """One instance by its name in the layout; ask its `exists` whether there is such a one."""
        return Instance(self, name)

    def channel(self, name: str) -> Channel:
        """One channel by its name in the layout."""
        return Channel(self, name)

    @property
    def instances(self) -> list[Instance]:
        """The instances of the layout that was applied last, by name."""
        return [Instance(self, name) for name in sorted(self.state.get("instances") or {})]

    @property
    def dialect(self) -> str | None:
        """How the kernel is spoken to: rfc, kernfs, or None for a kernel without multikernel support."""
        if self._host.file(KERNFS).exists:
            return "kernfs"
        return "rfc" if self._host.file("/proc/multikernel").exists else None

    @property
    def table(self) -> list[dict[str, t.Any]]:
        """The rows of /proc/multikernel: type, entry (address), segments."""
        return table.images(self._text("/proc/multikernel"))

    @property
    def digest(self) -> str | None:
        """SHA-256 of the canonical layout that was applied last, None when there is none."""
        return self.state.get("digest")

    @property
    def state(self) -> dict[str, t.Any]:
        """What the collection remembers of the last apply; empty when nothing was ever applied."""
        text = self._text(STATE)
        state: dict[str, t.Any] = json.loads(text) if text is not None else {}
        return state

    @property
    def cpus_present(self) -> list[int]:
        """The logical CPUs of the machine."""
        return self._cpus("present")

    @property
    def cpus_online(self) -> list[int]:
        """The logical CPUs that the host kernel runs on."""
        return self._cpus("online")

    @property
    def cpus_offline(self) -> list[int]:
        """The logical CPUs that the host kernel has given up."""
        return sorted(set(self.cpus_present) - set(self.cpus_online))

    @property
    def pool(self) -> list[Range] | None:
        """The memory that instances may be made of, None when the kernel does not tell."""
        if self.dialect == "kernfs":
            return self._named("Multikernel Memory Pool")
        ranges = table.pool(self._text(f"{MKSTOCK}/pool"))
        return None if ranges is None else [Range(*one) for one in ranges]

    def _named(self, pattern: str) -> list[Range]:
        """The ranges of /proc/iomem with such a name, a regular expression."""
        lines = re.findall(rf"([0-9a-f]+)-([0-9a-f]+) : {pattern}$", self._text("/proc/iomem") or "", re.MULTILINE)
        return [Range(int(first, 16), int(last, 16) + 1 - int(first, 16)) for first, last in lines]

    def memory(self, address: int, size: int) -> bytes:
        """Bytes of physical memory of the target. Raises AssertionError with the target's reason when it cannot be read."""
        return self._watch(address, size, 0)[1]

    def _watch(self, address: int, size: int, within: float) -> tuple[bool, bytes]:
        """Whether the word at offset 8 changed within so many seconds, and the bytes afterwards."""
        found = self._host.run("python3 -c %s %s %s %s", _READER, hex(address), str(size), str(within))
        if found.rc != 0:
            reason = (found.stderr.strip().splitlines() or [f"python3 ended with code {found.rc}"])[-1]
            raise AssertionError(f"the memory at {address:#x} cannot be read: {reason}")
        changed, words = found.stdout.split()
        return changed == "1", bytes.fromhex(words)

    def _cpus(self, which: str) -> list[int]:
        return cpuset.parse(self._text(f"/sys/devices/system/cpu/{which}") or "")

    def _text(self, path: str) -> str | None:
        # One command instead of testinfra's two (exists, content): a round trip to a slow machine takes a second.
        read = self._host.run("cat -- %s", path)
        return str(read.stdout) if read.rc == 0 else None


class Instance:
    """One instance.

    >>> web = multikernel.instance("web")
    >>> web.is_running, web.cpus, web.uname
    (True, [3], '6.1.0-56-amd64')
    >>> web.is_beating(within=5)
    True
    """

    def __init__(self, multikernel: Multikernel, name: str) -> None:
        self._multikernel = multikernel
        self.name = name

    def __repr__(self) -> str:
        return f"<instance {self.name}>"

    @property
    def exists(self) -> bool:
        """Whether the layout that was applied last has it."""
        return self.name in (self._multikernel.state.get("instances") or {})

    @property
    def is_running(self) -> bool:
        """It says so itself, in the mailbox of this very start; the host has given up its CPUs, and knows it as running."""
        kept = (self._multikernel.state.get("instances") or {}).get(self.name)
        if kept is None:
            return False
        # First, because the host may have the memory again, too (it was rebooted), and then nobody may read it.
        if set(kept["spec"]["cpus"]) & set(self._multikernel.cpus_online):
            return False
        words = self._words(kept)
        # The loader wrote a new random word for this start; older words in the same memory prove nothing.
        if not words["valid"] or words["nonce"] != kept["nonce"] or words["state"] != "running":
            return False
        if self._multikernel.dialect == "kernfs":
            return self.status == "active"
        lines = table.instances(self._multikernel._text(f"{MKSTOCK}/instances"))
        return lines is None or any(line["entry"] == kept["spec"]["entry"] and line["state"] == "running" for line in lines)

    @property
    def status(self) -> str | None:
        """What a kernel with /sys/fs/multikernel says of it: ready, loaded, active; None where it has no such file."""
        text = self._multikernel._text(f"{KERNFS}/instances/{self.name}/status")
        return None if text is None else text.strip()

    @property
    def regions(self) -> list[Range]:
        """Its memory as the host's /proc/iomem names it (kernfs: mk-instance-ID-NAME-region-N); empty where the kernel names none."""
        return self._multikernel._named(rf"mk-instance-\d+-{re.escape(self.name)}-region-\d+")

    def is_beating(self, within: float = 5.0) -> bool:
        """Whether its heartbeat counter advances within so many seconds."""
        kept = self._kept
        changed, page = self._multikernel._watch(kept["spec"]["base"], mailbox.SIZE, within)
        return changed and mailbox.parse(page)["nonce"] == kept["nonce"]

    @property
    def cpus(self) -> list[int]:
        """The host's logical numbers of its CPUs; the first one is its boot CPU."""
        return [int(number) for number in self._spec["cpus"]]

    @property
    def apic_ids(self) -> list[int]:
        """The local APIC ids of its CPUs, in the same order."""
        return [int(number) for number in self._spec["apic_ids"]]

    @property
    def memory(self) -> Range:
        """Its private memory."""
        return Range(self._spec["base"], self._spec["size"])

    @property
    def entry(self) -> int:
        """The address at which it was entered; it tells its row in /proc/multikernel."""
        return int(self._spec["entry"])

    @property
    def image(self) -> str:
        """The image that it was started from, by its name in the layout."""
        return str(self._spec["image"]["name"])

    @property
    def cmdline(self) -> str:
        """Image's and instance's command line, as the layout has it."""
        return str(self._spec["cmdline"])

    @property
    def state(self) -> str:
        """What it says of itself: blank, starting, running, panicked, halted, restart-requested or powered-off."""
        return str(self.mailbox["state"])

    @property
    def beats(self) -> int:
        """Its heartbeat counter."""
        return int(self.mailbox["beats"])

    @property
    def uname(self) -> str:
        """The release of its kernel (uname -r), as it says itself."""
        return str(self.mailbox["release"])

    @property
    def nproc(self) -> int:
        """How many CPUs it runs on, as it says itself."""
        return int(self.mailbox["nproc"])

    @property
    def last_words(self) -> str:
        """What it left behind when it ended, for instance the text of a panic."""
        return str(self.mailbox["text"])

    @property
    def mailbox(self) -> dict[str, t.Any]:
        """Everything that it says of itself in the page at the start of its memory."""
        return self._words(self._kept)

    def _words(self, kept: dict[str, t.Any]) -> dict[str, t.Any]:
        return mailbox.parse(self._multikernel.memory(kept["spec"]["base"], mailbox.SIZE))

    @property
    def _kept(self) -> dict[str, t.Any]:
        known = self._multikernel.state.get("instances") or {}
        if self.name not in known:
            raise AssertionError(f"there is no instance {self.name!r} here; there are: {', '.join(sorted(known)) or 'none'}")
        kept: dict[str, t.Any] = known[self.name]
        return kept

    @property
    def _spec(self) -> dict[str, t.Any]:
        spec: dict[str, t.Any] = self._kept["spec"]
        return spec


class Channel:
    """One channel.

    >>> beat = multikernel.channel("beat")
    >>> beat.is_attached, beat.peer, beat.rejected
    (True, 'up', 0)
    """

    def __init__(self, multikernel: Multikernel, name: str) -> None:
        self._multikernel = multikernel
        self.name = name

    def __repr__(self) -> str:
        return f"<channel {self.name}>"

    @property
    def exists(self) -> bool:
        """Whether the layout that was applied last has it."""
        return self.name in self._areas

    @property
    def memory(self) -> Range:
        """The memory that both ends share."""
        areas = self._areas
        if self.name not in areas:
            raise AssertionError(f"there is no channel {self.name!r} here; there are: {', '.join(sorted(areas)) or 'none'}")
        return Range(areas[self.name]["address"], areas[self.name]["size"])

    @property
    def is_attached(self) -> bool:
        """Whether the host's end is attached."""
        return self._line is not None

    @property
    def peer(self) -> str | None:
        """Whether the other end is up or gone, as the host sees it; None when the host is not attached."""
        line = self._line
        return line["peer"] if line else None

    @property
    def beats(self) -> int:
        """Heartbeats that arrived at the host."""
        return self._count("beats")

    @property
    def sent(self) -> int:
        """Messages that the host sent."""
        return self._count("sent")

    @property
    def received(self) -> int:
        """Messages that arrived at the host."""
        return self._count("received")

    @property
    def rejected(self) -> int:
        """Messages that the host could not send because the queue was full."""
        return self._count("rejected")

    @property
    def slots(self) -> int:
        """Messages that fit into the queue of one direction (channels of kind ipi)."""
        return int(self._header["slots"])

    @property
    def message_size(self) -> int:
        """The largest message in bytes (channels of kind ipi)."""
        return int(self._header["message_size"])

    @property
    def _header(self) -> dict[str, t.Any]:
        base = self.memory.base
        header = channel_area.parse(self._multikernel.memory(base, channel_area.PAGE))
        if not header["valid"]:
            raise AssertionError(f"the memory of {self.name} at {base:#x} holds no channel")
        return header

    def _count(self, what: str) -> int:
        line = self._line
        if line is None:
            raise AssertionError(f"the host is not attached to {self.name}, so it counts nothing")
        return int(line[what])

    @property
    def _areas(self) -> dict[str, t.Any]:
        state = self._multikernel.state
        areas: dict[str, t.Any] = dict((state.get("made") or {}).get("channels") or {})
        # kernfs: the area lies in the memory of one of the ends
        for one in (state.get("instances") or {}).values():
            areas.update((end["name"], end) for end in one["spec"].get("channels") or [] if end.get("owner") == one["spec"]["name"])
        return areas

    @property
    def _line(self) -> dict[str, t.Any] | None:
        return (table.channels(self._multikernel._text(f"{MKSTOCK}/channels")) or {}).get(self.name)
