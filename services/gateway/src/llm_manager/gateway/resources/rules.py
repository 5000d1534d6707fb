"""Pages by key, revisions as ETags; pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from llm_manager.core.errors import InvalidRequest

MOST_ROWS = 500
_LONGEST_CURSOR = 2_000


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows to show.

    Args:
        sort: name of a field, with `-` in front for the other direction.
        cursor: what the page before gave; empty for the first page.
        search: part of a name, whatever its case.
        is_enabled: only those that are, or are not; None for all.
        managed_by: only those that a person or the environment manages; None for all.
        filters: by the name of a filter of the resource, the value that is wanted; empty for any.
    """

    limit: int = 100
    sort: str = "name"
    cursor: str = ""
    search: str = ""
    is_enabled: bool | None = None
    managed_by: str | None = None
    filters: Mapping[str, str] = field(default_factory=dict[str, str])


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ended: by what it was sorted, the value there, and the id that tells equal values apart."""

    sort: str
    value: str
    row_id: str


def cursor_of(place: Place) -> str:
    """Return a place as text that clients hand back and do not read."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def place_of(cursor: str, *, sort: str) -> Place:
    """Read a cursor.

    Raises:
        InvalidRequest: it is none of ours, or of a list that was sorted in another way.
    """
    try:
        padded = cursor[:_LONGEST_CURSOR] + "=" * (-len(cursor) % 4)
        place = msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=Place)
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise InvalidRequest("The cursor is not one of ours; begin again without it.", param="cursor") from error
    if place.sort != sort:
        raise InvalidRequest(
            f"The cursor belongs to a list sorted by {place.sort[:50]!r}; begin again without it.", param="cursor"
        )
    return place


class RepeatedError(Exception):
    """The request was answered before: what it made is there, under `resource_id`."""

    def __init__(self, resource_id: str) -> None:
        super().__init__(resource_id)
        self.resource_id = resource_id


# Any: values of fields, which their models have checked
def values_of(said: Mapping[str, Any], cleared: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a change makes of the fields that were sent.

    Args:
        cleared: what null makes of each field that can be taken away.

    Raises:
        InvalidRequest: null for a field that cannot be.
    """
    values: dict[str, Any] = {}
    for name, value in said.items():
        if value is None and name not in cleared:
            raise InvalidRequest(f"{name} cannot be taken away; leave it out to keep it.", param=name)
        values[name] = cleared[name] if value is None else value
    return values


def etag_of(revision: int) -> str:
    """Return the ETag of a revision."""
    return f'"{revision}"'


def expected_revision(if_match: str | None) -> int | None:
    """Return the revision that a change is meant for, None where any will do.

    Raises:
        InvalidRequest: the header is no ETag of ours.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    text = if_match.strip().removeprefix("W/").strip('"')
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise InvalidRequest("If-Match is not an ETag of this address; read the thing first.", param="if-match")
    return int(text)
