"""What the routes of all resources have in common: how a page is asked for, and how a revision travels."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, TypeVar

from fastapi import Depends, Header, Query, Response

from llm_manager.gateway.http.fields import Absent
from llm_manager.gateway.resources.rules import MOST_ROWS, Page, etag_of, expected_revision
from llm_manager.gateway.resources.schemas import ListOf, View
from llm_manager.gateway.resources.store import Declaration
from llm_manager.gateway.tables import Table

V = TypeVar("V", bound=View)

_LONGEST_CURSOR = 2_000
_LONGEST_FILTER = 512
# Only described; `expected_revision` says what is wrong.
_ETAG = r'^(\*|(W/)?"?[0-9]{1,18}"?)$'


def _page(
    *,
    limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = 100,
    sort: Annotated[str, Query(max_length=50, description="A field; `-` in front for the other direction.")] = "name",
    cursor: Annotated[str, Query(max_length=_LONGEST_CURSOR, description="`next_cursor` of the page before.")] = "",
    search: Annotated[str, Query(max_length=200, description="Part of a name, whatever its case.")] = "",
    is_enabled: Annotated[bool | Absent, Query(description="Only those that are, or that are not.")] = None,
    managed_by: Annotated[
        Literal["admin", "environment"] | Absent, Query(description="Only those of persons, or of the environment.")
    ] = None,
) -> Page:
    return Page(limit=limit, sort=sort, cursor=cursor, search=search, is_enabled=is_enabled, managed_by=managed_by)


def paged(declaration: Declaration[Any]) -> Callable[..., Page]:
    """Return the dependency that reads a page of a resource: what every list takes, and the resource's own filters."""

    # Any: the parameters of `_page`, which FastAPI has checked
    def read(**said: Any) -> Page:
        filters = {name: said.pop(name) for name in declaration.filters}
        return replace(_page(**said), filters=filters)

    common = inspect.signature(_page, eval_str=True)
    own = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default="",
            annotation=Annotated[str, Query(max_length=_LONGEST_FILTER, description=one.description)],
        )
        for name, one in declaration.filters.items()
    ]
    # FastAPI reads parameters from here, so that a filter is declared once
    read.__dict__["__signature__"] = common.replace(parameters=[*common.parameters.values(), *own])
    return read


def _revision(
    if_match: Annotated[
        str | Absent,
        Header(
            max_length=100,
            description="The ETag that was read; a change of a later one answers 412.",
            json_schema_extra={"pattern": _ETAG},
        ),
    ] = None,
) -> int | None:
    return expected_revision(if_match)


Paged = Annotated[Page, Depends(_page)]
Revision = Annotated[int | None, Depends(_revision)]


def listed(found: tuple[Sequence[Table], str], view: type[V]) -> ListOf[V]:
    """Show a page: its rows, and the cursor of the next one."""
    rows, cursor = found
    return ListOf(data=[view.model_validate(row) for row in rows], next_cursor=cursor or None)


def shown(response: Response, row: Table, view: type[V]) -> V:
    """Show one row, its revision as ETag."""
    tag(response, row.revision)
    return view.model_validate(row)


def tag(response: Response, revision: int) -> None:
    """Say which revision an answer shows."""
    response.headers["etag"] = etag_of(revision)
