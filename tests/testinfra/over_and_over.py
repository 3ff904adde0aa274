# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a lab machine: the same change over and over in one process, and what it leaves behind in that process and in the kernel.

    python3 over_and_over.py RING (layout|restart) COUNT

RING is the folder from which the target ring is imported. `layout` takes the layout of this host back and applies it again, `restart`
starts its instance `one` anew, as the module `instance` does. Prints one line of JSON: {"seconds": all of it, "samples": [Sample]}, twenty
samples at even distances, each behind a round that is complete.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from pathlib import Path

SAMPLES = 20


def sample(number: int) -> dict[str, int]:
    """What is taken just now: of this process KiB, open files and threads; of the kernel KiB; bytes below /var/lib/multikernel."""
    gc.collect()
    own = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    kernel = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    books = sum(path.stat().st_size for path in Path("/var/lib/multikernel").rglob("*") if path.is_file())
    return {
        "round": number,
        "process_kib": int(own["VmRSS"].split()[0]),
        "threads": int(own["Threads"]),
        "files": len(os.listdir("/proc/self/fd")),
        "slab_kib": int(kernel["SUnreclaim"].split()[0]),
        "available_kib": int(kernel["MemAvailable"].split()[0]),
        "vmalloc_kib": int(kernel["VmallocUsed"].split()[0]),
        "books": books,
    }


def main() -> None:
    """Do it, and say what it left."""
    ring, what, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    sys.path.insert(0, ring)
    from ansible_collections.multikernel.core.plugins.module_utils._converge import desired, run, store

    layout = store.Store("/").desired()
    began, samples = time.monotonic(), []
    for number in range(1, count + 1):
        if what == "layout":
            assert run.apply(None, state="absent")["changed"]
            assert run.apply(layout)["changed"]
        else:
            assert desired.instance("one", "restarted")["changed"]
        if number * SAMPLES // count != (number - 1) * SAMPLES // count:
            samples.append(sample(number))
    print(json.dumps({"seconds": round(time.monotonic() - began, 1), "samples": samples}))


if __name__ == "__main__":
    main()
