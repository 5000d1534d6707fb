"""The admin API as commands ask it, and the rows that it answers as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from llm_manager.cli import gateway
from llm_manager.cli.data_dir import DataDir, locate
from llm_manager.cli.output import print_json, print_table

# Any: a row of the admin API
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Admin:
    """The admin API of one gateway."""

    data: DataDir
    address: gateway.Address

    def __call__(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask it; as for `gateway.admin`."""
        options = {} if body is None else {"json": dict(body)}
        return gateway.admin(self.data, method, path, address=self.address, **options)

    def rows(self, path: str, *, search: str = "") -> list[Row]:
        """Return every row of a list, whatever the number of its pages."""
        query = {"search": search} if search else {}
        return list(gateway.pages(self.data, path, address=self.address, **query))


def admin_at(url: str | None, data_dir: Path | None) -> Admin:
    """Return the admin API that the options name.

    Raises:
        CommandError: none is named, and nothing runs.
    """
    data = locate(data_dir)
    return Admin(data, gateway.find(data, explicit=url))


def path_of(collection: str, *names: str) -> str:
    """Return the path of one resource; names may hold anything, slashes too."""
    return "/".join([f"/{collection}", *(quote(name, safe="") for name in names)])


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
