"""What becomes of the arguments of the generated methods on their way into a request."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final
from urllib.parse import quote


class Unset(Enum):
    """The type of `UNSET`."""

    UNSET = "UNSET"


UNSET: Final = Unset.UNSET
"""A field that is not sent. In a change it stays as it is, while None is null and takes its value away."""


def quoted(part: str) -> str:
    """Return a path parameter as one segment of a path."""
    if not part:
        # the path would be that of the collection
        msg = "An empty id or name is the address of nothing; give the id or the name of one resource."
        raise ValueError(msg)
    if not part.strip("."):
        # `.` and `..` are steps in a path, for clients and servers alike
        return part.replace(".", "%2E")
    return quote(part, safe="")


def query_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the query without what was not given; booleans are `true` and `false`."""
    return {name: _text(value) for name, value in values.items() if value is not None and value is not UNSET}


def headers_of(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers without what was not given."""
    return {name: str(_text(value)) for name, value in values.items() if value is not None and value is not UNSET}


def body_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body without what was not given; None stays, as null."""
    return {name: value for name, value in values.items() if value is not UNSET}


def _text(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value
