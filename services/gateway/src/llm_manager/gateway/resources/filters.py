"""How a list is narrowed by what its rows say, declared as data beside everything else of a resource."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, select

from llm_manager.gateway.tables import Table

Condition = Callable[[str], ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Filter:
    """One parameter of a list.

    Args:
        description: what the reference says of it.
        condition: what a row that is wanted fulfils, made of the value; of what nobody knows there are no rows.
    """

    description: str
    condition: Condition


# Any: a column of any type
def equal(column: Any) -> Condition:
    """Those whose column is the very value."""
    return lambda value: column == value


# Any: a column of any type
def naming(column: Any, table: type[Table]) -> Condition:
    """Those whose foreign key leads to the row of another table that has the value as its id or its name."""
    # Any: that a table has a name, its type cannot say
    named: Any = table
    return lambda value: column.in_(select(named.id).where((named.id == value) | (named.name == value)))
