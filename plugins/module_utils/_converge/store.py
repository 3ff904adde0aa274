# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a host remembers between two applies.

    /etc/multikernel/layout.json                 the layout that this host is to have, canonical
    /var/lib/multikernel/state.json              what was made for it; replacing this file is what commits an apply
    /var/lib/multikernel/layouts/DIGEST.json     earlier layouts, for a rollback

state.json: {"version": 1, "apply": id, "boot_id", "digest": of the layout | null, "history": [digest, ...],
"instances": {name: {"state", "spec", "health", "nonce", "uname"}}, "made": see the state that a dialect observes,
"topology": {cpu: its entry of the facts}}.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Optional

from . import files
from .base import ApplyError

LAYOUT = "etc/multikernel/layout.json"
STATE = "var/lib/multikernel/state.json"
LAYOUTS = "var/lib/multikernel/layouts"
KEEP = 20  # layouts that a rollback can go back to


class Store:
    """The files below root."""

    def __init__(self, root: str) -> None:
        self.root = root

    def state(self) -> Optional[Dict[str, Any]]:
        """What was remembered by the last apply that was committed, None when there was none. Raises ApplyError where it cannot be read."""
        kept = self._recall(STATE)
        return kept if isinstance(kept, dict) and kept.get("version") == 1 else None

    def desired(self) -> Optional[Dict[str, Any]]:
        """The layout that this host is to have, None when there is none."""
        layout = self._recall(LAYOUT)
        return layout if isinstance(layout, dict) else None

    def layout(self, digest: str) -> Optional[Dict[str, Any]]:
        """An earlier layout by its digest; the beginning of the digest will do. None when there is no such one."""
        matches = [one for one in self.history() if one.startswith(digest)]
        return files.read_json(self._layout_path(matches[-1])) if matches and len(set(matches)) == 1 else None

    def history(self) -> List[str]:
        """Digests of the layouts that were applied, the oldest first."""
        return list((self.state() or {}).get("history") or [])

    def previous(self) -> Optional[str]:
        """The digest of the layout before the present one, None when there is none."""
        kept = self.state() or {}
        earlier = [one for one in kept.get("history") or [] if one != kept.get("digest")]
        return earlier[-1] if earlier else None

    def commit(self, state: Dict[str, Any], layout: Optional[Dict[str, Any]] = None) -> None:
        """Remember state, and layout where it is a new one. Whoever reads after a crash finds all of it or nothing."""
        history = self.history()
        if layout is not None:
            files.replace_json(self._layout_path(state["digest"]), layout)
            if history[-1:] != [state["digest"]]:
                history.append(state["digest"])
        kept = history[-KEEP:]
        files.replace_json(self._path(STATE), dict(state, version=1, history=kept))
        self.repair()
        for digest in set(history) - set(kept):
            files.remove(self._layout_path(digest))

    def repair(self) -> None:
        """Let layout.json be the layout that state.json names."""
        digest = (self.state() or {}).get("digest")
        layout = files.read_json(self._layout_path(digest)) if digest else None
        if layout is None:
            files.remove(self._path(LAYOUT))
        elif layout != self.desired():
            files.replace_json(self._path(LAYOUT), layout)

    def _recall(self, path: str) -> Optional[Any]:
        try:
            return files.recall_json(self._path(path))
        except OSError as error:
            raise ApplyError("what is remembered of this host cannot be read, so nothing was begun: %s" % files.reason(error)) from error

    def _layout_path(self, digest: str) -> str:
        return self._path("%s/%s.json" % (LAYOUTS, digest))

    def _path(self, path: str) -> str:
        return os.path.join(self.root, path)
