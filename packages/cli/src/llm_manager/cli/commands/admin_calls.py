"""The admin API as commands ask it, and the rows that it answers as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_manager.cli import gateway
from llm_manager.cli.data_dir import locate
from llm_manager.cli.output import print_json, print_table

if TYPE_CHECKING:
    from llm_manager.client.admin import Admin

# Any: a row of the admin API, whichever it is
Row = Mapping[str, Any]


def admin_at(url: str | None, data_dir: Path | None) -> Admin:
    """Return the calls of the admin API that the options name.

    Raises:
        CommandError: none is named, and nothing runs.
    """
    data = locate(data_dir)
    return gateway.admin(data, gateway.find(data, explicit=url))


def transport_at(url: str | None, data_dir: Path | None) -> gateway.AdminTransport:
    """Return the way to the admin API, for bodies that others wrote and that only the gateway judges.

    Raises:
        CommandError: as for `admin_at`.
    """
    data = locate(data_dir)
    return gateway.AdminTransport(data, gateway.find(data, explicit=url))


def state_of(row: Row) -> str:
    """Return in a word whether it is used."""
    if row.get("archived_at"):
        return "archived"
    return "on" if row["is_enabled"] else "off"


def show(row: object, *, as_json: bool, text: str) -> None:
    """Print what became of a resource: the row for programs, a sentence for people."""
    if as_json:
        print_json(row)
    else:
        print(text)


def show_list(rows: Iterable[Row], columns: Sequence[str], cells: Iterable[Sequence[object]], *, as_json: bool) -> None:
    """Print a list."""
    if as_json:
        print_json({"data": list(rows)})
    else:
        print_table(columns, cells)


def show_fields(row: Row, fields: Mapping[str, object], *, as_json: bool) -> None:
    """Print one resource: all of it for programs, what is set for people."""
    if as_json:
        print_json(row)
    else:
        print_table(("field", "value"), [(name, value) for name, value in fields.items() if value not in (None, "")])


def named(values: Mapping[str, object]) -> str:
    """Return pairs in one line."""
    return ", ".join(f"{name}={value}" for name, value in values.items())
