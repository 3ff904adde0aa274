# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""The command lines of all instances, each text split once and each word looked at once, however many instances share it."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Dict, Iterator, List, NamedTuple, Pattern, Set, Tuple


class Line(NamedTuple):
    """The words that image and instance write (the loader adds its own), and the instances that have exactly these."""

    text: str
    words: List[str]
    linux: bool
    image: str
    names: List[str]


class Lines:
    """An index of words. images are those of the layout, flat names those without Linux, texts the instances by (image, own words)."""

    def __init__(self, images: Dict[str, Any], texts: Dict[Tuple[str, str], List[str]], flat: Set[str]) -> None:
        self._images = images
        self._texts = texts
        self._flat = flat

    @cached_property
    def every(self) -> List[Line]:
        """Each pair of image and own words once, in the order of the first instance that has it."""
        first = {name: (image["cmdline"].strip(" "), name not in self._flat) for name, image in self._images.items()}
        found = []
        for (image, own), names in self._texts.items():
            before, linux = first.get(image, ("", image not in self._flat))
            own = own.strip(" ")
            text = before + " " + own if before and own else before or own
            found.append(Line(text, text.split(), linux, image, names))
        return found

    @cached_property
    def _by_key(self) -> Dict[str, List[Tuple[Line, str]]]:
        keys: Dict[str, str] = {}
        found: Dict[str, List[Tuple[Line, str]]] = {}
        for line in self.every:
            for word in line.words:
                key = keys.get(word)
                if key is None:
                    key = keys[word] = key_of(word)
                if key in found:
                    found[key].append((line, word))
                else:
                    found[key] = [(line, word)]
        return found

    def matching(self, pattern: Pattern[str]) -> List[str]:
        """Return the parameters of any command line in which the pattern is found."""
        return [key for key in self._by_key if pattern.search(key)]

    def having(self, *keys: str) -> Iterator[Tuple[str, str]]:
        """Yield (instance, word) for every word that has one of these keys, in the order of the instances."""
        found = [(name, line.words.index(word), word) for key in keys for line, word in self._by_key.get(key, ()) for name in line.names]
        for name, _place, word in sorted(set(found)):
            yield name, word

    def linux(self, *keys: str) -> Iterator[Tuple[str, str]]:
        """Yield what having() does, but only words that a Linux kernel itself reads: what follows -- is for its init."""
        found = []
        for key in keys:
            for line, word in self._by_key.get(key, ()):
                if line.linux:
                    place = line.words.index(word)
                    if "--" not in line.words[:place]:
                        found += [(name, place, word) for name in line.names]
        for name, _place, word in sorted(set(found)):
            yield name, word


def key_of(word: str) -> str:
    """Return the parameter that a word sets; the kernel takes - and _ in names for the same."""
    return word.strip('"').partition("=")[0].replace("-", "_")
