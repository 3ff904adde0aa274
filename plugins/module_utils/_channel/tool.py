# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Look at the channels of a machine, and send and receive through them; runs on the machine, as one program without a file of its own.

What the devices answer, and what the words of the control file mean, is in docs/channels.md. Everything here ends by itself: each wait
has a deadline, and nothing is read that was not asked for.
"""

from __future__ import annotations

import base64
import errno
import json
import os
import select
import sys
import time
from typing import Any, Dict, List, Optional

CONTROL = "sys/kernel/mkstock/channels"
DEVICES = "dev/mkchan"
NEWS = {errno.EPIPE: "the other end went away", errno.ECONNRESET: "the other end is a new one"}
WORDS = {
    errno.EMSGSIZE: "the message is too long for this channel",
    errno.ENODEV: "the channel was removed meanwhile",
    errno.ESHUTDOWN: "this kernel is about to hand over to another one",
    errno.EACCES: "only root may do that",
    errno.EBUSY: "it is in use",
}


class ChannelError(Exception):
    """A sentence; kind tells a program which: missing, unknown, silent, full, long, gone, kind."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


def answer(request: Dict[str, Any], root: str = "/") -> Dict[str, Any]:
    """Do one request; plain JSON in and out, bytes as base64.

    "do" with its own keys: "stat" {"name" | null} -> {"channels": {name: {word: value}}};
    "ping" {"name", "count", "interval": seconds} -> {"rtt_ns": [int | null, one for each]};
    "send" {"name", "data", "timeout": seconds} -> {"size"};
    "recv" {"name", "count", "timeout"} -> {"messages": [data], "news": [sentence]}.
    An error gives {"error": sentence, "kind"}.
    """
    try:
        if request["do"] == "stat":
            there = channels(root)
            name = request.get("name")
            return {"channels": there if name is None else {name: one(there, name)}}
        mine = one(channels(root), str(request["name"]))
        if request["do"] == "ping":
            return ping(request["name"], mine, int(request["count"]), float(request["interval"]), root)
        if request["do"] == "send":
            return send(request["name"], mine, base64.b64decode(request["data"]), float(request["timeout"]), root)
        if request["do"] == "recv":
            return receive(request["name"], mine, int(request["count"]), float(request["timeout"]), root)
        raise ChannelError("kind", "this program knows no request %r" % (request["do"],))
    except ChannelError as error:
        return {"error": str(error), "kind": error.kind}


def channels(root: str = "/") -> Dict[str, Dict[str, Any]]:
    """Every channel that this kernel has to do with: {name: {"address", "kind", "end": 0, 1 or "-", and the words of its line}}."""
    try:
        with open(os.path.join(root, CONTROL), encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError as error:
        hint = "only root may read it" if error.errno == errno.EACCES else "is the module mkstock loaded?"
        raise ChannelError("missing", "this machine shows no channels: /%s: %s; %s" % (CONTROL, error.strerror, hint)) from None
    return {words[0]: _line(words) for words in (line.split() for line in lines) if len(words) > 1 and words[1].startswith("0x")}


def _line(words: List[str]) -> Dict[str, Any]:
    found: Dict[str, Any] = {"address": _value(words[1]), "kind": "ipi"}
    for word in words[2:]:
        key, equal, value = word.partition("=")
        if equal:
            found[key] = _value(value)
    return found


def _value(text: str) -> Any:
    try:
        return int(text, 0)
    except ValueError:
        return text


def one(there: Dict[str, Dict[str, Any]], name: str) -> Dict[str, Any]:
    """The channel of this name; else a ChannelError that names those that are there."""
    if name not in there:
        raise ChannelError("unknown", "there is no channel %s on this machine; there are: %s" % (name, ", ".join(sorted(there)) or "none"))
    return there[name]


def ping(name: str, mine: Dict[str, Any], count: int, interval: float, root: str = "/") -> Dict[str, Any]:
    """From kernel to kernel: no program at the other end has a part in it. One time for each ping, None for one without answer."""
    _carries_messages(name, mine)
    times: List[Optional[int]] = []
    for number in range(count):
        if number:
            time.sleep(interval)
        times.append(_ping(name, root))
    return {"rtt_ns": times}


def _ping(name: str, root: str) -> Optional[int]:
    try:
        with open(os.path.join(root, CONTROL), "w", encoding="ascii") as file:
            file.write("ping %s\n" % name)
    except OSError as error:
        if error.errno == errno.ETIMEDOUT:
            return None
        if error.errno == errno.EAGAIN:
            raise ChannelError("full", "%s has no room for a ping: the other end has not read what was sent" % name) from None
        raise _refused(name, "cannot be pinged", error) from None
    return int(one(channels(root), name).get("rtt_ns", 0))


def send(name: str, mine: Dict[str, Any], data: bytes, timeout: float, root: str = "/") -> Dict[str, Any]:
    """Put one message into the ring; waits `timeout` seconds for room."""
    _carries_messages(name, mine)
    if len(data) > mine.get("size", 0):
        raise ChannelError("long", "the message has %d bytes, and %s carries %d at most" % (len(data), name, mine.get("size", 0)))
    fd = _open(name, os.O_WRONLY, root)
    try:
        deadline = time.monotonic() + timeout
        while not _write(fd, name, data):
            if not _wait(fd, select.POLLOUT, deadline):
                text = "%s was full for %g s: the other end does not read, or is gone (%s)" % (name, timeout, mine.get("peer"))
                raise ChannelError("full", text)
    finally:
        os.close(fd)
    return {"size": len(data)}


def _write(fd: int, name: str, data: bytes) -> bool:
    try:
        os.write(fd, data)
    except OSError as error:
        if error.errno == errno.EAGAIN or error.errno in NEWS:
            return False
        raise _refused(name, "did not take the message", error) from None
    return True


def receive(name: str, mine: Dict[str, Any], count: int, timeout: float, root: str = "/") -> Dict[str, Any]:
    """Take up to `count` messages out of the ring; ends after `timeout` seconds with those that came, which must be one at least."""
    _carries_messages(name, mine)
    messages: List[str] = []
    news: List[str] = []
    fd = _open(name, os.O_RDONLY, root)
    try:
        deadline = time.monotonic() + timeout
        while len(messages) < count and _wait(fd, select.POLLIN, deadline):
            _take(fd, name, messages, news)
    finally:
        os.close(fd)
    if count and not messages:
        why = "; ".join(news) or "the other end is %s" % mine.get("peer")
        raise ChannelError("silent", "nothing came through %s within %g s; %s" % (name, timeout, why))
    return {"messages": messages, "news": news}


def _take(fd: int, name: str, messages: List[str], news: List[str]) -> None:
    try:
        messages.append(base64.b64encode(os.read(fd, 4096)).decode("ascii"))
    except OSError as error:
        if error.errno in NEWS:
            news.append(NEWS[error.errno])
        elif error.errno != errno.EAGAIN:  # another reader was faster
            raise _refused(name, "cannot be read", error) from None


def _carries_messages(name: str, mine: Dict[str, Any]) -> None:
    if mine["kind"] != "ipi":
        raise ChannelError("kind", "%s is memory that two kernels map; it carries no messages" % name)
    if mine.get("end") == "-":
        raise ChannelError("kind", "%s joins two instances; this machine's host has no end of it" % name)


def _open(name: str, how: int, root: str) -> int:
    path = os.path.join(root, DEVICES, name)
    try:
        return os.open(path, how | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _refused(name, "cannot be opened", error) from None


def _wait(fd: int, events: int, deadline: float) -> bool:
    poll = select.poll()
    poll.register(fd, events)
    return bool(poll.poll(max(0, int((deadline - time.monotonic()) * 1000))))


def _refused(name: str, what: str, error: OSError) -> ChannelError:
    return ChannelError("gone" if error.errno == errno.ENODEV else "missing", "%s %s: %s" % (name, what, _reason(error)))


def _reason(error: OSError) -> str:
    return WORDS.get(error.errno or 0) or str(error.strerror)


def main(text: str) -> None:
    """One request in, one answer out, as JSON in one line."""
    sys.stdout.write(json.dumps(answer(json.loads(text))) + "\n")
