# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON Schema of the layout language, made from the models: for editors and for programs in other languages."""

from __future__ import annotations

import json
import typing as t

from .._pydantic import require
from .layout import VERSION, Layout

#: Draft of the schema language that the schema is written in.
DIALECT = "https://json-schema.org/draft/2020-12/schema"
#: A name, not an address: it says which language this is, and in which version, wherever the file is kept.
ID = f"urn:multikernel-core:schema:layout:{VERSION}"


def layout_schema() -> dict[str, t.Any]:
    """The JSON Schema (2020-12) of a layout as people write it. Raises MissingLibraryError without pydantic.

    It covers everything that can be said about one value alone. What holds between values (a name that must be declared,
    keys that exclude each other, rules about a machine) is for `mkl validate` and the module layout_validate.
    """
    require()
    schema = Layout.model_json_schema(by_alias=True)
    tidy(schema)
    return {"$schema": DIALECT, "$id": ID, **schema, "title": "multikernel layout"}


def schema_text(schema: dict[str, t.Any] | None = None) -> str:
    """The published file: the schema (default: that of layouts) as indented JSON with a line break at its end."""
    return json.dumps(layout_schema() if schema is None else schema, indent=2, ensure_ascii=False) + "\n"


def tidy(node: t.Any) -> None:
    """Drop titles that only repeat the key, and defaults that only say "not given"."""
    if isinstance(node, dict):
        for name, field in node.get("properties", {}).items():
            if isinstance(field, dict) and str(field.get("title", "")).replace(" ", "_").lower() == name.lower():
                del field["title"]
        if node.get("default", 0) is None:
            del node["default"]
        if "patternProperties" in node:
            node["additionalProperties"] = False  # a name that does not match is an error, not a free key
        for child in node.values():
            tidy(child)
    elif isinstance(node, list):
        for child in node:
            tidy(child)
