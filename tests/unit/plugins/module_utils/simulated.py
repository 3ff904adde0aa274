# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host in memory that behaves as the RFC's kernel does: it checks next to nothing, and does what it is told.

What a careful client must never do is written down in `harm` instead of being refused, so that a test can ask for it:
memory of the host overwritten, a running instance overwritten or restarted, an odd CPU number, an image booted twice.
With mkstock=True the files of /sys/kernel/mkstock are there, too. Its clock only moves when somebody sleeps.
"""

from __future__ import annotations

import json
import os
import pathlib
import types

from ansible_collections.multikernel.core.plugins.module_utils._boot import channel, mailbox
from ansible_collections.multikernel.core.plugins.module_utils._dialect.base import DialectError

MIB = 1 << 20
POOL = (0x40000000, 512 * MIB)
BLOCK = 128 * MIB
BOOT_TIME = 0.4  # seconds from boot to the first heartbeat
# of a Debian kernel, but for the sizes
HEADER = {
    "setup_sects": 39,
    "syssize": (MIB - 20480) // 16,
    "boot_flag": 0xAA55,
    "header": 0x53726448,
    "version": 0x020F,
    "loadflags": 1,
    "initrd_addr_max": 0x7FFFFFFF,
    "kernel_alignment": 0x200000,
    "relocatable_kernel": 1,
    "min_alignment": 21,
    "xloadflags": 0x7F,
    "cmdline_size": 2047,
    "payload_offset": 0x3A7,
    "payload_length": MIB // 2,
    "pref_address": 0x1000000,
    "init_size": 4 * MIB,
    "kernel_info_offset": 0,
    "setup_size": 20480,
    "kernel_version": "6.1.0-sim",
    "payload": "xz",
}
HEAD = "Type        Start Address   Segments\n----------  --------------  --------\n"


class Crash(BaseException):
    """The machine room loses power for the process, not for the host."""


class Probe:
    """A question to an instance, answered after some seconds of the simulated clock."""

    hopeless = None
    open = 0

    def __init__(self, machine, kind, seconds, well):
        self.machine, self.kind, self.end, self.well = machine, kind, machine.now + seconds, well
        Probe.open += 1

    def poll(self):
        if self.machine.now < self.end:
            return None
        self.close()
        return self.well, "%s: %s" % (self.kind, "well" if self.well else "not well")

    def close(self):
        Probe.open -= 1


class Machine:
    """What a dialect's System offers, over a simulated host with four CPUs of one thread each and 3 GiB."""

    def __init__(self, root, mkstock=True, strict=False, reserved=True):
        self.root = str(root)
        self.mkstock, self.strict, self.reserved = mkstock, strict, reserved
        self.boot_id = "boot-1"
        self.online = {0, 1, 2, 3}
        self.present = [0, 1, 2, 3]
        self.blocks = {} if reserved else dict.fromkeys(range(24), "online")
        self.pool = [list(POOL)] if reserved else []
        self.signed = {}  # {path of an image: who signed it}
        self.images = []  # {"type", "entry", "spec", "fresh"}
        self.instances = {}  # entry -> {"cpus", "memory", "name", "since", "ended"}
        self.mailboxes = {}  # base -> {"nonce", "since", "state", "text"}
        self.channels = {}  # name -> {"address", "end"}
        self.areas = set()  # addresses that hold a channel header
        self.selected = None
        self.mute = set()  # names of instances that never report
        self.dies = {}  # name -> (state, text) instead of running
        self.fails = {}  # (path or call, text or None) -> sentence: what the kernel refuses
        self.harm = []
        self.now = 1000.0
        self.stopped = self.asked = None
        self.nonces = 0
        self.load_disabled, self.privileged, self.lockdown = False, True, "none"
        self.multikernel = True
        self.consoles = {}  # number -> what was said last
        self.answers = {}  # (kind, name) -> [(seconds that the answer takes, well), ...], the last one for good
        self.questions = []  # (kind, what, name)
        self.word, self.adopted = "", "state none\nreason nothing ran\n"
        self.digests = {}  # path -> sha256
        self.kinds = {}

    # what System offers

    def facts(self, images=(), remembered=None, signers=None):
        each = {}
        for cpu in self.present:
            known = cpu in self.online
            old = (remembered or {}).get(str(cpu), {})
            each[str(cpu)] = {
                "apic_id": cpu if known else old.get("apic_id"),
                "package": 0,
                "core": cpu,
                "siblings": [cpu],
                "llc": [cpu],
                "node": 0,
                "offlinable": cpu != 0,
                "flags": "abc" if known else old.get("flags"),
                "microcode": "0x1" if known else old.get("microcode"),
            }
        name = "rfc" if self.multikernel else "none"
        return {
            "version": 1,
            "hostname": "sim",
            "boot_id": self.boot_id,
            "kernel": {"release": "6.1.0-sim", "version": "#1", "cmdline": self._cmdline()},
            "cpus": {"present": list(self.present), "online": sorted(self.online), "possible": list(self.present), "boot": 0, "each": each},
            "memory": {
                "total": 3 << 30,
                "block_size": BLOCK,
                "blocks": [{"number": number, "state": state, "node": 0} for number, state in sorted(self.blocks.items())],
                "iomem": self._iomem(),
                "low": [[0x20000, 0x30000]],
            },
            "kexec": {"load_disabled": self.load_disabled, "limit_reboot": -1, "crash_loaded": False},
            "lockdown": self.lockdown,
            "privileged": self.privileged,
            "dialect": {
                "name": name,
                "provider": "mkstock" if self.mkstock else "kernel",
                "strict": self.strict or not self.mkstock,
                "pool": [list(one) for one in self.pool] if self.mkstock else None,
                "channels": self.mkstock,
            },
            "tsc": {"khz": 2000000, "constant": True, "nonstop": True, "clocksource": "tsc"},
            "uarts": [{"device": "ttyS%d" % number, "port": port, "irq": 4} for number, port in enumerate((0x3F8, 0x2F8, 0x3E8, 0x2E8))],
            "la57": False,
            "virtualization": "qemu",
            "images": {path: self._image(path, (signers or {}).get(path, ())) for path in images},
        }

    def forget(self):
        """Nothing is kept of image files."""

    def memory_now(self, facts):
        fresh = self.facts()
        return dict(facts, memory=fresh["memory"], dialect=fresh["dialect"])

    def read(self, path):
        if path == "proc/multikernel":
            rows = ["%-10s  0x%012x  %8d\n" % (one["type"], one["entry"], 3) for one in self.images]
            return HEAD + ("".join(rows) or "No kimages loaded\n") if self.multikernel else None
        if path == "proc/sys/kernel/random/boot_id":
            return self.boot_id + "\n"
        if path.startswith("sys/devices/system/cpu/"):
            return ",".join(str(cpu) for cpu in sorted(self.online if path.endswith("online") else self.present)) + "\n"
        if path.startswith("sys/devices/system/memory/memory"):
            return self.blocks.get(int(path.split("/memory")[-1].split("/")[0]), None)
        if path.startswith("sys/kernel/mkstock/tty/"):
            return self.consoles.get(int(path.rsplit("/", 1)[1]))
        if path.startswith("sys/kernel/mkstock/") and self.mkstock:
            return self._mkstock(path.rsplit("/", 1)[1])
        return None

    def exists(self, path):
        return self.read(path) is not None or (self.mkstock and path.rsplit("/", 1)[1] in ("select", "kill"))

    def write(self, path, text):
        self._maybe_fail(path, text)
        words = text.split()
        if path.startswith("sys/devices/system/cpu/cpu"):
            self._switch(int(path.split("/cpu")[-1].split("/")[0]), text == "1")
        elif path.startswith("sys/devices/system/memory/memory"):
            self.blocks[int(path.split("/memory")[-1].split("/")[0])] = text
        elif path.endswith("mkstock/pool"):
            start, size = int(words[1], 16), int(words[2], 16)
            if words[0] == "add":
                self.pool.append([start, size])
            else:
                if any(_overlap((start, size), part) for one in self.instances.values() for part in one["memory"]):
                    raise DialectError("the kernel refused to shrink the pool: an instance runs in it")
                self.pool.remove([start, size])
        elif path.endswith("mkstock/select"):
            if self.strict:
                raise DialectError("not supported")
            self.selected = dict(word.split("=") for word in words)
        elif path.endswith("mkstock/kill"):
            self._kill(int(text))
        elif path.endswith("mkstock/channels"):
            self._channel(words)
        elif path.endswith("mkstock/layout"):
            self.word = text
        else:
            raise AssertionError("write to %s" % path)

    def physical(self, address, size):
        box = self.mailboxes.get(address)
        if box is None:
            return b"\0" * size
        page = bytearray(mailbox.blank(box["nonce"]))
        running = next((one for one in self.instances.values() if one["memory"][0][0] == address), None)
        if running is not None:
            box["last"] = self.now
        since = box.get("since")
        if since is not None and box["state"] and box["last"] - since >= BOOT_TIME:
            page[0x08:0x10] = (1 + int((box["last"] - since - BOOT_TIME) * 20)).to_bytes(8, "little")
            page[0x10:0x18], page[0x18:0x20] = (int(when * 2e9).to_bytes(8, "little") for when in (since + BOOT_TIME, box["last"]))
            page[0x20:0x24] = box["state"].to_bytes(4, "little")
            page[0x24:0x28] = box["nproc"].to_bytes(4, "little")
            page[0x40 : 0x40 + 9] = b"6.1.0-sim"
            page[0x100 : 0x100 + len(box["text"])] = box["text"].encode()
        return bytes(page[:size])

    def assemble(self, spec):
        segment = types.SimpleNamespace
        segments = [segment(address=spec.base, memsz=0x12000, data=b""), segment(address=spec.base + 0x1000000, memsz=4 * MIB, data=b"")]
        segments += [
            segment(address=end.address, memsz=channel.area_size(end.area.slots, end.area.message_size), data=b"")
            for end in spec.channels
            if end.area is not None
        ]
        self.assembled = spec
        return segment(entry=spec.base + 0x3000, segments=segments, spec=spec)

    def load(self, entry, segments):
        self._maybe_fail("load", None)
        spec = self.assembled
        for one in segments:
            mine = (one.address, one.memsz)
            if not self._is_free(mine):
                self.harm.append("host memory 0x%x overwritten" % one.address)
            for other in self.instances.values():
                if any(_overlap(mine, part) for part in other["memory"]):
                    self.harm.append("memory of %s overwritten while it runs" % other["name"])
        self.images.append({"type": "multikernel", "entry": entry, "spec": spec, "fresh": True})
        self.mailboxes[spec.base] = {"nonce": spec.nonce, "since": None, "state": 0, "text": "", "nproc": 0, "last": self.now}
        self.areas |= {end.address for end in spec.channels if end.area is not None}

    def unload(self):
        mine = [one for one in self.images if one["type"] == "multikernel"][:10]
        self.images = [one for one in self.images if one not in mine]

    def boot(self, cpu):
        self._maybe_fail("boot", None)
        rows = [one for one in self.images if one["type"] == "multikernel"]
        if cpu not in self.present:
            self.harm.append("the host crashed on CPU number %r" % cpu)
        if cpu in self.online or not rows:
            raise DialectError("the kernel refused to boot CPU %d" % cpu)
        image = rows[0]
        if self.selected:
            image = next(one for one in rows if one["entry"] == int(self.selected["entry"], 16))
            self.selected = None
        spec = image["spec"]
        if any(cpu in one["cpus"] for one in self.instances.values()):
            self.harm.append("CPU %d restarted while an instance runs on it" % cpu)
        if not image["fresh"]:
            self.harm.append("%s booted twice without being loaded again: the machine resets" % spec.name)
        if any(one in self.online for one in spec.apic_ids):
            self.harm.append("%s was started on CPUs that the host runs on" % spec.name)
        image["fresh"] = False
        memory = [(spec.base, spec.size)] + ([(spec.low, 0x10000)] if spec.low is not None else [])
        for other in self.instances.values():
            if any(_overlap(mine, theirs) for mine in memory for theirs in other["memory"]):
                self.harm.append("%s and %s share memory" % (spec.name, other["name"]))
        self.instances[spec.base + 0x3000] = {"cpus": list(spec.apic_ids), "memory": memory, "name": spec.name, "since": self.now}
        state, text = self.dies.get(spec.name, (2, ""))
        self.mailboxes[spec.base].update(since=self.now, state=0 if spec.name in self.mute else state, text=text, nproc=len(spec.apic_ids))

    def open_console(self, instance):
        return None

    def probe(self, kind, what, name, limit):
        self.questions.append((kind, what, name))
        left = self.answers.get((kind, name), [(0.0, True)])
        seconds, well = left.pop(0) if len(left) > 1 else left[0]
        return Probe(self, kind, min(seconds, limit), well and seconds <= limit)

    def nonce(self):
        self.nonces += 1
        return self.nonces

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds

    # what tests do to the host

    def reboot(self):
        """The host boots anew: every instance is gone, every CPU is back."""
        fresh = Machine(self.root, self.mkstock, self.strict, self.reserved)
        fresh.boot_id = self.boot_id + "+"
        return fresh

    def kexec(self, adopts=True):
        """The host goes into another kernel that was told of its CPUs and memory; its module adopts what runs, or finds no record."""
        fresh = self.reboot()
        fresh.now, fresh.nonces, fresh.digests, fresh.kinds = self.now, self.nonces, self.digests, self.kinds
        fresh.online, fresh.pool, fresh.mailboxes, fresh.areas = set(self.online), list(self.pool), self.mailboxes, self.areas
        if adopts:
            fresh.images, fresh.instances, fresh.channels, fresh.word = self.images, self.instances, self.channels, self.word
            fresh.adopted = "state adopted\nadopted %d\nrefused 0\n" % len(self.instances)
        return fresh

    def end(self, name, state, text):
        """An instance panics or halts."""
        entry = next(entry for entry, one in self.instances.items() if one["name"] == name)
        self.physical(entry - 0x3000, 4096)
        self.mailboxes[entry - 0x3000].update(state=state, text=text)

    def state_path(self):
        """Where the state of the last apply is kept."""
        return pathlib.Path(self.root) / "var/lib/multikernel/state.json"

    def running(self):
        """Names of the instances that hold a CPU, with their CPUs."""
        return {one["name"]: one["cpus"] for one in self.instances.values()}

    def misowned(self):
        """What is owned twice, or by nobody, or not as the state of the last apply says; and all harm. Sentences."""
        made = json.loads(self.state_path().read_text())["made"] if self.state_path().exists() else {}
        owners = [cpu for one in self.instances.values() for cpu in one["cpus"]]
        lost = set(self.present) - self.online - set(made.get("cpus") or [])
        found = list(self.harm)
        found += ["CPUs with two owners: %s" % owners] if len(owners) != len(set(owners)) else []
        found += ["CPUs that nobody has: %s" % sorted(lost)] if lost else []
        return found + self._misbooked(made)

    # how it does it

    def _misbooked(self, made):
        offline = {number for number, state in self.blocks.items() if state == "offline"}
        return [] if offline == set(made.get("blocks") or []) else ["blocks offline: %s, in the books: %s" % (offline, made.get("blocks"))]

    def _switch(self, cpu, online):
        owners = [entry for entry, one in self.instances.items() if cpu in one["cpus"]]
        if online and owners and self.mkstock and not self.strict:
            raise DialectError("the kernel refused CPU %d: an instance owns it" % cpu)
        for entry in owners:
            del self.instances[entry]
        (self.online.add if online else self.online.discard)(cpu)

    def _kill(self, cpu):
        for entry in [entry for entry, one in self.instances.items() if one["cpus"][0] == cpu or (not self.strict and cpu in one["cpus"])]:
            rest = self.instances[entry]["cpus"][1:] if self.strict else []
            if rest:  # a strict boot names one CPU; of those that the instance started by itself nobody knows
                self.instances[entry].update(cpus=rest, listed=False)
            else:
                del self.instances[entry]

    def _channel(self, words):
        if words[0] == "add":
            if int(words[2], 16) not in self.areas:
                raise DialectError("the kernel refused the channel: there is none at %s" % words[2])
            self.channels[words[1]] = {"address": int(words[2], 16), "end": _end(words[3])}
        elif words[0] == "share":
            self.channels[words[1]] = {"address": int(words[2], 16), "end": _end(words[4]), "shared": int(words[3], 16), "writer": words[5]}
        elif words[0] == "rename":
            if words[1] not in self.channels or words[2] in self.channels:
                raise DialectError("the kernel refused to rename %s to %s" % (words[1], words[2]))
            self.channels[words[2]] = self.channels.pop(words[1])
        else:
            del self.channels[words[1]]

    def _mkstock(self, name):
        if name == "pool":
            return "".join("0x%x 0x%x\n" % tuple(one) for one in self.pool)
        if name == "info":
            return "tsc_khz 2000000\nbsp_apic_id 0\nstrict_rfc %d\n" % self.strict
        if name == "instances":
            lines = []
            for entry, one in sorted(self.instances.items()):
                memory = ",".join("0x%x+0x%x" % part for part in one["memory"])
                told = (entry, self._known_cpus(one), self._known_cpus(one), memory, one["cpus"][0])
                if one.get("listed", True):
                    lines.append('entry=0x%x cpus=%s apic=%s memory=%s state=running text="" console=%d\n' % told)
            return "".join(lines)
        if name in ("layout", "adopted"):
            return self.word + "\n" if name == "layout" else self.adopted
        if name == "channels":
            return "".join(
                "%s 0x%x end=%s slots=64 size=256 sent=0 received=%d rejected=0 beats=%d last_beat_ms=5 peer=up\n"
                % (channel_, one["address"], one["end"], self._beats(), self._beats())
                for channel_, one in sorted(self.channels.items())
            )
        return None

    def _known_cpus(self, one):
        return ",".join(str(cpu) for cpu in (one["cpus"][:1] if self.strict else one["cpus"]))

    def _beats(self):
        """All instances beat on all channels, for as long as they live."""
        alive = [
            one
            for entry, one in self.instances.items()
            if one["name"] not in self.mute and (self.mailboxes.get(entry - 0x3000) or {}).get("state", 2) == 2
        ]
        return sum(int((self.now - one["since"]) * 20) for one in alive if self.now - one["since"] > BOOT_TIME)

    def _cmdline(self):
        return "ro memmap=256K$0x10000 %sno_ipi_broadcast=1" % ("memmap=512M$0x40000000 " if self.reserved else "")

    def _iomem(self):
        def row(start, end, name):
            return {"start": start, "end": end - 1, "name": name, "depth": 0}

        if not self.reserved:
            return [row(0x100000, 0xC0000000, "System RAM")]
        return [row(0x100000, POOL[0], "System RAM"), row(POOL[0], sum(POOL), "Reserved"), row(sum(POOL), 0xC0000000, "System RAM")]

    def _is_free(self, mine):
        if mine[0] < MIB:
            return mine[0] >= 0x20000 and sum(mine) <= 0x50000
        if self.reserved:
            return POOL[0] <= mine[0] and sum(mine) <= sum(POOL)
        return all(self.blocks[number] == "offline" for number in range(mine[0] // BLOCK, (sum(mine) - 1) // BLOCK + 1))

    def _image(self, path, signers):
        kind = self.kinds.get(path, "initrd" if "initrd" in path else "bzimage")
        return {
            "exists": True,
            "regular": True,
            "size": MIB,
            "sha256": self.digests.get(path, "0" * 64),
            "kind": kind,
            "error": None,
            "header": dict(HEADER) if kind == "bzimage" else None,
            "elf": None,
            "signatures": {one: self._signature(path) for one in signers},
        }

    def _signature(self, path):
        by = self.signed.get(path)
        return {"by": by, "error": None if by else path + " has no signature"}

    def _maybe_fail(self, path, text):
        for (where, what), sentence in self.fails.items():
            if where in path and what in (None, text):
                raise DialectError(sentence)


def layout(**changes):
    """A canonical layout: web (one CPU, 64 MiB) with the channel beat to the host. Keyword arguments replace instances or top keys."""
    made = {
        "version": 1,
        "name": "edge-box",
        "host": {"cpus": [0], "memory_min": None},
        "pool": {"memory": [{"base": POOL[0], "size": POOL[1], "node": None}]},
        "images": {"debian": image("/boot/vmlinuz")},
        "instances": {"web": instance()},
        "channels": {"beat": {"between": ["host", "web"], "kind": "ipi", "slots": 64, "message_size": 256, "size": None, "writer": None}},
        "policy": {"isolation": {"minimum_grade": None}, "disruption": "refuse"},
        "waivers": {},
    }
    made.update(changes)
    return made


def instance(**changes):
    """A canonical instance: one CPU by count, 64 MiB."""
    made = {
        "image": "debian",
        "cpus": {"space": "logical", "ids": None, "count": 1, "near": None, "whole_cores": False, "llc": None, "pick": "packed"},
        "memory": {"size": 64 * MIB, "base": None, "node": None},
        "cmdline": "",
        "console": None,
        "state": "running",
        "restart": "no",
        "health": None,
        "trust": None,
    }
    for key, value in changes.items():
        made[key] = dict(made[key], **value) if isinstance(made[key], dict) and isinstance(value, dict) else value
    return made


def image(kernel, **changes):
    """A canonical image."""
    made = {
        "kernel": {"path": kernel, "sha256": None},
        "initrd": {"path": "/srv/initrd", "sha256": None},
        "cmdline": "quiet",
        "format": "auto",
    }
    made.update(changes)
    return made


def state_files(root):
    """Names of the files that an apply has left below root."""
    return sorted(os.path.join(folder, one)[len(str(root)) + 1 :] for folder, _folders, names in os.walk(str(root)) for one in names)


def _end(text):
    return "-" if text == "-" else int(text)


def _overlap(first, second):
    return max(first[0], second[0]) < min(sum(first), sum(second))
