# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Commands and files through the console of an instance; runs on the machine, as one program without a file of its own.

The other end is a shell that takes a line as a command. It may echo and prompt, and the kernel may log between any two bytes, so:

* each request begins and ends with a marker that carries a fresh random number, and that no echo of the request can contain;
* everything that matters travels as base64 with a checksum, in pieces, and a piece that was garbled is asked for again;
* a command's output goes to files in the instance first, so it is not run again because its output was garbled.

Of the instance it needs a POSIX shell with base64, cat, cut, dd, md5sum, rm, sed, stty, wc, as busybox has them. The checksum finds
accidents, not enemies: whoever is at the other end can answer anything anyway.
"""

from __future__ import annotations

import base64
import errno
import fcntl
import hashlib
import json
import os
import re
import select
import sys
import time
from typing import Any, Dict, Optional

PIECE = 24 * 1024  # bytes in one request
LINE = 2000  # characters in one line: a terminal takes 4095
BURST = 2000  # bytes in one write
TRIES = 5  # for a piece
CTRL_C = b"\003"
PANIC = rb"Kernel panic - not syncing: ([^\r\n]*)"


class RelayError(Exception):
    """A sentence; kind tells a program which: missing, unknown, gone, silent, busy, broken, limit, file."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


def answer(request: Dict[str, Any], root: str = "/") -> Dict[str, Any]:
    """Do one request; plain JSON in and out, bytes as base64.

    request: {"instance": name or id, "timeout": seconds, "wait": seconds for the lock} and "do" with its own keys:
    "exec" {"command", "stdin" | null, "limit": bytes, "command_timeout": seconds | null} -> {"rc", "stdout", "stderr"};
    "put" {"path", "data"} -> {"size"}; "fetch" {"path", "limit"} -> {"data"}; "id" -> {"id"}.
    An error gives {"error": sentence, "kind"}.
    """
    try:
        number = resolve(str(request["instance"]), root)
        if request["do"] == "id":
            return {"id": number}
        with Lock(number, float(request["wait"]), root):
            session = Session(Device(number, root), str(request["instance"]), float(request["timeout"]))
            with session:
                return _do(session, request)
    except RelayError as error:
        return {"error": str(error), "kind": error.kind}


def _do(session: Session, request: Dict[str, Any]) -> Dict[str, Any]:
    if request["do"] == "exec":
        given = None if request.get("stdin") is None else base64.b64decode(request["stdin"])
        return session.execute(request["command"], given, int(request["limit"]), request.get("command_timeout"))
    if request["do"] == "put":
        data = base64.b64decode(request["data"])
        session.put(request["path"], data)
        return {"size": len(data)}
    if request["do"] == "fetch":
        return {"data": _text(session.fetch(request["path"], int(request["limit"])))}
    raise RelayError("broken", "the relay knows no request %r" % (request["do"],))


def resolve(name: str, root: str = "/") -> int:
    """The console's number of an instance: its own, or what the kernel or the last apply knows of its name. Raises RelayError."""
    if re.match(r"^[0-9]{1,9}$", name):
        return int(name)
    if not re.match(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", name):
        raise RelayError("unknown", "%r is neither the name nor the number of an instance" % name)
    text = _read(root, "sys/fs/multikernel/instances/%s/id" % name)
    if text is not None and text.strip().isdigit():
        return int(text)
    try:
        kept = json.loads(_read(root, "var/lib/multikernel/state.json") or "{}")
        entry = int(kept["instances"][name]["spec"]["entry"])
    except (ValueError, KeyError, TypeError):
        raise RelayError("unknown", "this machine knows of no instance %s; give its number, or apply a layout that has it" % name) from None
    for line in (_read(root, "sys/kernel/mkstock/instances") or "").splitlines():
        found = re.match(r"entry=0x%x .* console=([0-9]+)$" % entry, line)
        if found:
            return int(found.group(1))
    raise RelayError("gone", "the instance %s does not run on this machine, or has no console" % name)


def _read(root: str, path: str) -> Optional[str]:
    try:
        with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


class Lock:
    """One user of a console at a time: what the instance says reaches one reader only."""

    def __init__(self, number: int, wait: float, root: str = "/") -> None:
        self.wait = wait
        self.number = number
        self.folder = os.path.join(root, "run/multikernel")
        self.fd = -1

    def __enter__(self) -> Lock:
        try:
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self.fd = os.open(os.path.join(self.folder, "mktty-%d.lock" % self.number), flags, 0o600)
        except OSError as error:
            raise RelayError("missing", "the lock of the console cannot be opened below %s: %s" % (self.folder, error.strerror)) from None
        deadline = time.monotonic() + self.wait
        while not self._taken():
            if time.monotonic() >= deadline:
                os.close(self.fd)
                raise RelayError("busy", "the console of instance %d was in use by another for %.0f s" % (self.number, self.wait))
            time.sleep(0.05)
        return self

    def _taken(self) -> bool:
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def __exit__(self, *_unused: Any) -> None:
        os.close(self.fd)


class Device:
    """/dev/mktty with one instance chosen; bytes in and out."""

    def __init__(self, number: int, root: str = "/") -> None:
        self.number = number
        self.root = root
        self.path = os.path.join(root, "dev/mktty")
        try:
            self.fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            hint = "; is the module mkstock loaded, or a multikernel kernel booted?"
            if error.errno == errno.EACCES:
                hint = "; only root may open it"
            raise RelayError("missing", "this machine's %s cannot be opened: %s%s" % (self.path, error.strerror, hint)) from None
        try:
            os.write(self.fd, b"%d\n" % number)
        except OSError as error:
            os.close(self.fd)
            if error.errno == errno.ENODEV:
                raise RelayError("gone", "there is no running instance with the number %d on this machine" % number) from None
            raise RelayError("missing", "%s does not take the number %d: %s" % (self.path, number, error.strerror)) from None

    def read(self, wait: float) -> bytes:
        """What came, nothing after `wait` seconds. Raises RelayError when the instance is gone."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        poll.poll(max(0, int(wait * 1000)))
        try:
            return os.read(self.fd, 1 << 16)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EINTR):
                return b""
            raise self._gone(error) from None

    def write(self, data: bytes) -> int:
        """Give some of data; 0 when there is no room now."""
        try:
            return os.write(self.fd, data)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EINTR, errno.ENOSPC):
                return 0
            raise self._gone(error) from None

    def ended(self) -> Optional[str]:
        """How the instance ended, as the machine knows it; None as long as it seems to run."""
        for line in (_read(self.root, "sys/kernel/mkstock/instances") or "").splitlines():
            found = re.search(r' state=ended text="([^"]*)" console=%d$' % self.number, line)
            if found:
                return found.group(1)
        return None

    def close(self) -> None:
        """Leave the console to others."""
        os.close(self.fd)

    def _gone(self, error: OSError) -> RelayError:
        return RelayError("gone", "the instance %d went away: %s" % (self.number, error.strerror))


class Session:
    """A shell at the other end of a device, from the first answer to its `exit`."""

    def __init__(self, device: Any, name: str, timeout: float) -> None:
        self.device = device
        self.name = name
        self.timeout = timeout
        self.nonce = os.urandom(8).hex()
        self.count = 0
        self.heard = b""
        self.folder = "/tmp/.mktty-" + self.nonce  # noqa: S108  # in the instance, where mkdir refuses what is there

    def __enter__(self) -> Session:
        try:
            self._meet()
            self._ask("umask 077; mkdir -p /tmp; mkdir %s && cd %s && pwd" % (self.folder, self.folder))
        except BaseException:
            self.device.close()
            raise
        return self

    def __exit__(self, kind: Any, *_unused: Any) -> None:
        try:
            if kind is not None and issubclass(kind, RelayError):
                self._type(CTRL_C)
                self._until(b"no such mark", 0.3)
            words = " cd /; rm -rf %s; printf '@%%s\\n' %s:bye; exit 0\n" % (self.folder, self.nonce)
            self._type(words.encode())
            self._until(("@%s:bye" % self.nonce).encode(), 2)
        except RelayError:
            pass  # it is gone or silent, and that has been said
        finally:
            self.device.close()

    def execute(self, command: str, given: Optional[bytes], limit: int, patience: Optional[float]) -> Dict[str, Any]:
        """Run a command, its input `given` or empty; its status and whole output. Raises RelayError above limit bytes of output."""
        self._put("script", command.encode("utf-8", "surrogateescape") + b"\n")
        source = "/dev/null"
        if given:
            self._put("in", given)
            source = "in"
        where = "%s/" % self.folder
        self._ask(
            "(cd /; umask 022; exec sh %sscript <%s >%sout 2>%serr); echo $? >%src"
            % (where, where + source if source == "in" else source, where, where, where),
            patience if patience else None,
            endless=not patience,
        )
        status = self._fetch("rc", 16)
        out, err = self._fetch("out", limit), self._fetch("err", limit)
        if not re.match(rb"^[0-9]+\n$", status):
            raise RelayError("broken", "the instance %s did not say how the command ended" % self.name)
        return {"rc": int(status), "stdout": _text(out), "stderr": _text(err)}

    def put(self, path: str, data: bytes) -> None:
        """Write a file of the instance."""
        self._put("file", data)
        quoted = _quote(path)
        said = self._ask('(cd / && cat %s/file >%s) 2>%s/err; echo "%%rc $?"' % (self.folder, quoted, self.folder))
        if _value(said, "rc") != 0:
            why = self._fetch("err", 4096).decode("utf-8", "replace").strip()
            raise RelayError("file", "the instance %s cannot write %s: %s" % (self.name, path, why or "no reason was given"))

    def fetch(self, path: str, limit: int) -> bytes:
        """Read a file of the instance, as it was at one moment."""
        said = self._ask('(cd / && cat %s >%s/file) 2>%s/err; echo "%%rc $?"' % (_quote(path), self.folder, self.folder))
        if _value(said, "rc") != 0:
            why = self._fetch("err", 4096).decode("utf-8", "replace").strip()
            raise RelayError("file", "the instance %s cannot read %s: %s" % (self.name, path, why or "no reason was given"))
        return self._fetch("file", limit)

    def _put(self, name: str, data: bytes) -> None:
        self._ask(": >%s" % name)
        for at in range(0, len(data), PIECE):
            piece = data[at : at + PIECE]
            text = _text(piece)
            lines = [text[start : start + LINE] for start in range(0, len(text), LINE)]
            wanted = hashlib.md5(piece).hexdigest()  # noqa: S324  # against a noisy line, not against people; busybox has it
            # cat appends only what has arrived whole, and once: the piece is taken away with it
            commands = ["base64 -d >piece <<'END'", *lines, "END"]
            commands += ["case $(md5sum <piece) in %s*) cat piece >>%s; : >piece; echo %%rc 0;; *) echo %%rc 1;; esac" % (wanted, name)]
            for _try in range(TRIES):
                said = self._ask("\n".join(commands))
                if _value(said, "rc") == 0:
                    break
                size = self._size(name)
                if size == at + len(piece):
                    break  # its answer was garbled, not the piece
            else:
                raise self._garbled()

    def _size(self, name: str) -> int:
        for _try in range(TRIES):
            size = _value(self._ask('echo "%%size $(wc -c <%s) ok"' % name), "size")
            if size is not None:
                return size
        raise self._garbled()

    def _fetch(self, name: str, limit: int) -> bytes:
        size = self._size(name)
        if size > limit:
            raise RelayError("limit", "%d bytes came from the instance %s, and the limit is %d" % (size, self.name, limit))
        data = b""
        while len(data) < size:
            data += self._piece(name, len(data) // PIECE, min(PIECE, size - len(data)))
        return data

    def _piece(self, name: str, number: int, size: int) -> bytes:
        commands = "dd if=%s bs=%d skip=%d count=1 2>/dev/null >piece; base64 <piece | sed 's/^/=/'; md5sum <piece | sed 's/^/%%md5 /'"
        for _try in range(TRIES):
            said = self._ask(commands % (name, PIECE, number))
            text = b"".join(re.findall(rb"(?m)^=([A-Za-z0-9+/=]+)\r?$", said))
            checksum = re.search(rb"(?m)^%md5 ([0-9a-f]{32})", said)
            try:
                data = base64.b64decode(text, validate=True)
            except ValueError:
                continue
            if checksum and len(data) == size and hashlib.md5(data).hexdigest().encode() == checksum.group(1):  # noqa: S324
                return data
        raise self._garbled()

    def _garbled(self) -> RelayError:
        text = "the console of the instance %s garbled the same piece %d times; has its shell base64, dd, md5sum, sed and wc?"
        return RelayError("broken", text % (self.name, TRIES))

    def _meet(self) -> None:
        """Get a plain shell to answer; from the second time on, what runs in its foreground is interrupted."""
        mark = ("@%s:hello" % self.nonce).encode()
        deadline = time.monotonic() + self.timeout
        words = b" stty -echo -onlcr 2>/dev/null; exec sh /proc/self/fd/0\n printf '@%%s\\n' '%s:hello'\n" % self.nonce.encode()
        wait, first = min(2.0, self.timeout / 3), True
        while time.monotonic() < deadline:
            if not first:
                self._type(CTRL_C)
                self._until(mark, 0.3)
            self._type(words)
            if self._until(mark, min(wait, deadline - time.monotonic())) is not None:
                return
            wait, first = min(wait * 1.5, 10.0), False
        text = "no shell answered on the console of the instance %s within %.0f s; does it run one on /dev/mktty0?"
        raise RelayError("silent", text % (self.name, self.timeout))

    def _ask(self, commands: str, patience: Optional[float] = None, endless: bool = False) -> bytes:
        """Run commands; returns what they printed. Raises RelayError when no end came in time."""
        self.count += 1
        tag = "%s:%d" % (self.nonce, self.count)
        text = " printf '\\n@%%s\\n' '%s:begin'\n%s\n printf '\\n@%%s\\n' '%s:end'\n" % (tag, commands, tag)
        end = ("@%s:end" % tag).encode()
        self._type(text.encode())
        said = self._until(end, None if endless else patience or self.timeout)
        if said is None:
            raise RelayError("silent", "the instance %s did not end a request within %.0f s" % (self.name, patience or self.timeout))
        return said.rpartition(("@%s:begin" % tag).encode())[2]

    def _until(self, mark: bytes, patience: Optional[float]) -> Optional[bytes]:
        """What was heard before the mark; None when it did not come within `patience` seconds (None: for ever)."""
        deadline = None if patience is None else time.monotonic() + patience
        look = time.monotonic() + 1
        while mark not in self.heard:
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                return None
            self.heard += self.device.read(min(0.5, 0.5 if deadline is None else deadline - now))
            self._alive(now >= look)
            look = now + 1 if now >= look else look
        said, _mark, self.heard = self.heard.partition(mark)
        return said

    def _alive(self, ask: bool) -> None:
        found = re.search(PANIC, self.heard)
        if found:
            raise RelayError("gone", "the instance %s panicked: %s" % (self.name, found.group(1).decode("utf-8", "replace")))
        how = self.device.ended() if ask else None
        if how is not None:
            raise RelayError("gone", "the instance %s ended: %s" % (self.name, how))

    def _type(self, data: bytes) -> None:
        """Give all of data; what comes meanwhile is kept, so that neither side waits for the other."""
        since = time.monotonic()
        while data:
            taken = self.device.write(data[:BURST])
            data = data[taken:]
            self.heard += self.device.read(0 if taken else 0.02)
            if taken:
                since = time.monotonic()
            elif time.monotonic() - since > self.timeout:
                raise RelayError("silent", "the instance %s has not read its console for %.0f s" % (self.name, self.timeout))


def _value(said: bytes, name: str) -> Optional[int]:
    """The number in the answer `%name number`."""
    found = re.search(rb"(?m)^%" + name.encode() + rb" +([0-9]+)", said)
    return int(found.group(1)) if found else None


def _quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def main(text: str) -> None:
    """One request in, one answer out, as JSON in one line."""
    sys.stdout.write(json.dumps(answer(json.loads(text))) + "\n")
