# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Files that survive a power cut: written beside, synced, renamed over; mode 0600. An OSError that leaves here names the file."""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any, Iterator, Optional


def replace(path: str, text: str) -> None:
    """Put text at path, so that a reader finds the old text or the new one, never a part."""
    folder = os.path.dirname(path)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    beside = path + ".new"
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with naming(path):
            write_all(handle, text.encode())
            os.fsync(handle)
    finally:
        os.close(handle)
    with naming(path):
        os.rename(beside, path)
    sync_folder(folder)


def replace_json(path: str, value: Any) -> None:
    """Put value at path as JSON; see replace."""
    replace(path, json.dumps(value, sort_keys=True, indent=1) + "\n")


def read_json(path: str) -> Optional[Any]:
    """The JSON value at path; None when there is no file that can be read, or it holds something else."""
    try:
        return recall_json(path)
    except OSError:
        return None


def recall_json(path: str) -> Optional[Any]:
    """As read_json, but a file that is there and cannot be read is an OSError: what is remembered is never taken for nothing."""
    try:
        with naming(path), open(path, encoding="utf-8") as file:
            return json.load(file)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def remove(path: str) -> None:
    """Remove path, whether it exists or not."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    sync_folder(os.path.dirname(path))


def write_all(handle: int, data: bytes) -> None:
    """Write every byte, however many calls the kernel needs for it."""
    while data:
        data = data[os.write(handle, data) :]


def sync_folder(folder: str) -> None:
    """Make a rename or an unlink in folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with naming(folder):
            os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def naming(path: str) -> Iterator[None]:
    """Let an OSError name this file: a call on an open file does not know what it is about, and one on two files names both."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, path) from error


def reason(error: OSError) -> str:
    """What is wrong with which file, for a sentence."""
    said = error.strerror or str(error)
    return "%s: %s" % (error.filename, said) if error.filename else said
