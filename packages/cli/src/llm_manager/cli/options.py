"""Options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def one_resource(text: str) -> str:
    """Return the id or name of one resource.

    Raises:
        typer.BadParameter: it is empty, which is the address of nothing.
    """
    if not text:
        raise typer.BadParameter("an empty id or name is none.")
    return text


DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        envvar="LLM_MANAGER_DATA_DIR",
        show_default="~/.local/share/llm-manager",
        help="Where this installation keeps everything.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="LLM_MANAGER_URL",
        show_default="what runs in the data directory",
        help="Address of a gateway, for one that another machine runs.",
    ),
]
SearchOption = Annotated[str, typer.Option("--search", help="Part of a name.")]
DescriptionOption = Annotated[str | None, typer.Option("--description", help="What it is for.")]
OnOption = Annotated[bool | None, typer.Option("--on/--off", show_default="as it is", help="Whether it is used.")]
