# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place that imports pydantic.

pydantic is needed on the controller only, and only when a layout is read. Where it is missing, Ansible must still be
able to import every plugin (to show its documentation, to run its own checks), so this module then offers inert
stand-ins of the same names, and keeps the reason in `IMPORT_ERROR`. `require()` turns that into a sentence.
"""

from __future__ import annotations

import typing as t

from ._missing import MissingLibraryError

IMPORT_ERROR: ImportError | None = None

try:
    from pydantic import (
        BaseModel,
        BeforeValidator,
        ConfigDict,
        Field,
        GetJsonSchemaHandler,
        ValidationError,
        WithJsonSchema,
        model_validator,
    )
    from pydantic_core import PydanticCustomError
except ImportError as error:
    IMPORT_ERROR = error

    class BaseModel:  # type: ignore[no-redef]
        """Stand-in: lets the model classes be defined; they are never instantiated without pydantic."""

    class ValidationError(ValueError):  # type: ignore[no-redef]
        """Stand-in for the exception, so that an `except` clause can name it."""

    class PydanticCustomError(ValueError):  # type: ignore[no-redef]
        """Stand-in for the exception that carries a sentence out of a validator."""

    GetJsonSchemaHandler = t.Any  # type: ignore[assignment,misc]

    def _inert(*args: t.Any, **kwargs: t.Any) -> t.Any:
        return None

    def model_validator(*args: t.Any, **kwargs: t.Any) -> t.Any:  # type: ignore[no-redef]
        """Stand-in decorator: returns the function as it is."""
        return lambda function: function

    BeforeValidator = ConfigDict = Field = WithJsonSchema = _inert  # type: ignore[assignment,misc]


__all__ = [
    "IMPORT_ERROR",
    "BaseModel",
    "BeforeValidator",
    "ConfigDict",
    "Field",
    "GetJsonSchemaHandler",
    "MissingLibraryError",
    "PydanticCustomError",
    "ValidationError",
    "WithJsonSchema",
    "model_validator",
    "require",
]


def require() -> None:
    """Raise MissingLibraryError, with the command that helps, when pydantic could not be imported."""
    if IMPORT_ERROR is not None:
        raise MissingLibraryError(
            "reading a layout needs the Python library pydantic (2.x) on the controller, next to ansible-core: "
            "python -m pip install 'pydantic>=2'  (" + str(IMPORT_ERROR) + ")"
        )
