"""How commands speak: tables and sentences for people, one JSON document for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any


def print_json(value: Any) -> None:
    """Print one JSON document."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


_NONE: frozenset[str] = frozenset()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: frozenset[str] = _NONE) -> None:
    """Print a table; the columns named in `right` hold numbers."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        # as text, not as markup: a model or an app may be named "[red]"
        table.add_row(*(Text(str(cell)) for cell in row))
    console = Console(highlight=False)
    if not console.is_terminal:
        # a file or a pipe has no width to wrap at
        console.width = 10_000
    console.print(table)


def note(text: str) -> None:
    """Print a line that is not part of the result."""
    print(text, file=sys.stderr)
