"""`llm-manager import`: take over what another gateway was configured with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llm_manager.cli.options import DataDirOption, JsonOption, UrlOption

import_app = typer.Typer(help="Take over what another gateway was configured with.", no_args_is_help=True)


@import_app.callback()
def other_gateways() -> None:
    """Take over what another gateway was configured with."""


@import_app.command("litellm")
def litellm(
    file: Annotated[Path, typer.Argument(help="LiteLLM's config.yaml.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Send nothing; print the same report.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Change what has the same name and differs.")] = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Make the providers, configurations and aliases of LiteLLM's config.yaml, and report what differs.

    Keys that the file names as os.environ/NAME are taken from the environment of this command.
    """
    # YAML, secrets and the facts of providers: 0.04 s that no other command need wait for
    from llm_manager.cli.importing.taking_over import take_over_litellm, try_litellm

    if dry_run:
        try_litellm(file, as_json=as_json)
    else:
        take_over_litellm(file, replaces=replace, as_json=as_json, url=url, data_dir=data_dir)
