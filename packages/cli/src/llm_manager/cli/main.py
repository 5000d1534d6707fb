"""The `llm-manager` command: what can be typed. The work is done in `commands` and `stack`."""

from __future__ import annotations

import json
import os
import sys
from importlib.metadata import version as package_version
from typing import Annotated

import typer

from . import gateway
from .commands import chat as chatting
from .commands import doctor as doctoring
from .commands import down as stopping
from .commands import embed as embedding
from .commands import installed, preflight, serve, up
from .commands import status as looking
from .commands.aliases import aliases_app
from .commands.apps import apps_app
from .commands.audit import audit_app
from .commands.import_ import import_app
from .commands.keys import keys_app
from .commands.models import models_app
from .commands.overrides import overrides_app
from .commands.packages import packages_app
from .commands.providers import providers_app
from .commands.secrets import secrets_app
from .commands.usage import usage_app
from .commands.users import users_app
from .credentials import MEANING_OF_VARIABLES
from .data_dir import locate
from .exit_codes import MEANING, CommandError, ExitCode
from .options import DataDirOption, JsonOption, UrlOption
from .output import note, print_json, print_table

app = typer.Typer(
    name="llm-manager",
    help="One API, one ledger, every language model.",
    epilog="Exit codes: "
    + "; ".join(f"{code.value} {meaning}" for code, meaning in MEANING.items())
    + ". "
    + MEANING_OF_VARIABLES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(apps_app, name="apps")
app.add_typer(keys_app, name="keys")
app.add_typer(providers_app, name="providers")
app.add_typer(models_app, name="models")
app.add_typer(aliases_app, name="aliases")
app.add_typer(overrides_app, name="overrides")
app.add_typer(users_app, name="users")
app.add_typer(packages_app, name="packages")
app.add_typer(secrets_app, name="secrets")
app.add_typer(audit_app, name="audit")
app.add_typer(usage_app, name="usage")
app.add_typer(import_app, name="import")

PortOption = Annotated[
    int | None,
    typer.Option("--port", min=0, max=65535, envvar="LLM_MANAGER_PORT", show_default="8080", help="API; 0: any free."),
]


_ApiKey = Annotated[
    str | None,
    typer.Option("--api-key", envvar="LLM_MANAGER_API_KEY", show_default="the first key of the data directory"),
]


@app.command("up")
def up_command(
    *,
    detach: Annotated[bool, typer.Option("--detach", help="Return when everything is ready.")] = False,
    as_json: JsonOption = False,
    port: PortOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Start everything on this machine; stay in the foreground and drain on Ctrl-C."""
    data = locate(data_dir)
    if looking.is_running(data):
        greeting = up.already_running(data)
    else:
        preflight.refuse(data, os.environ, port=port)
        if not detach:
            up.foreground(data, port=port, as_json=as_json)
        greeting = up.detached(data, port=port)
    if as_json:
        print_json(greeting.as_json())
    else:
        print(greeting.as_text(is_detached=True))


@app.command()
def down(
    *,
    kill: Annotated[bool, typer.Option("--kill", help="Do not wait for requests in flight.")] = False,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Drain and stop everything that `up` started."""
    stopped = stopping.down(locate(data_dir), kill=kill)
    if as_json:
        print_json({"stopped": stopped})
    else:
        print(f"Stopped {', '.join(stopped)}." if stopped else "Nothing was running.")


@app.command()
def status(*, as_json: JsonOption = False, data_dir: DataDirOption = None) -> None:
    """Show what runs and whether it is ready. Exit code 3 when nothing runs, 1 when something is not ready."""
    seen = looking.status(locate(data_dir))
    if as_json:
        print_json(seen)
    else:
        print(f"{seen['base_url']} ({seen['phase']}), data in {seen['data_dir']}")
        rows = [
            (
                name,
                "ready" if one["is_ready"] else f"not ready: {one['why_not_ready']}",
                one["pid"],
                one["restarts"],
                one["log"],
            )
            for name, one in seen["services"].items()
        ]
        print_table(("service", "state", "pid", "restarts", "log"), rows, right=frozenset({"pid", "restarts"}))
    if not seen["is_ready"]:
        raise typer.Exit(ExitCode.FAILED)


@app.command("serve")
def serve_command(
    service: Annotated[str, typer.Argument(help="gateway, providers, usage …")],
    *,
    kinds: Annotated[str | None, typer.Option("--kinds", help="providers only: all, or a comma list.")] = None,
) -> None:
    """Run one service in this process, as `up` and the containers do. Settings come from the environment."""
    if kinds is not None:
        os.environ["LLM_MANAGER_PROVIDERS_KINDS"] = kinds
    raise typer.Exit(serve.run(service))


@app.command()
def doctor(*, as_json: JsonOption = False, data_dir: DataDirOption = None) -> None:
    """Look for what could keep LLM Manager from running here. Exit code 1 when something would."""
    findings = doctoring.examine(locate(data_dir))
    if as_json:
        print_json([{"name": f.name, "state": f.state, "detail": f.detail, "remedy": f.remedy} for f in findings])
    else:
        print_table(
            ("check", "state", "found", "what to do"), [(f.name, f.state, f.detail, f.remedy) for f in findings]
        )
    if any(finding.state == "failed" for finding in findings):
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def chat(
    text: Annotated[str, typer.Argument(help="The question; - reads it from standard input.")],
    *,
    model: Annotated[str, typer.Option("--model", "-m", help="A configuration, an alias, or <provider>/<model>.")],
    system: Annotated[str | None, typer.Option("--system", help="System prompt.")] = None,
    api_key: _ApiKey = None,
    as_json: Annotated[bool, typer.Option("--json", help="Do not stream; print the whole answer as JSON.")] = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Ask a model and print its answer as it comes."""
    data = locate(data_dir)
    address = gateway.find(data, explicit=url)
    key = gateway.api_key(data, explicit=api_key)
    question = sys.stdin.read() if text == "-" else text
    body = chatting.request_body(model, question, system=system, is_streaming=not as_json)
    with gateway.models(address, key=key) as transport:
        if as_json:
            print_json(transport.request("POST", chatting.PATH, body=body).body)
        else:
            chatting.print_stream(transport, body)


@app.command()
def embed(
    texts: Annotated[
        list[str], typer.Argument(help="What to turn into vectors; - reads one text from standard input.")
    ],
    *,
    model: Annotated[str, typer.Option("--model", "-m", help="A configuration, an alias, or <provider>/<model>.")],
    dimensions: Annotated[
        int | None, typer.Option("--dimensions", min=1, help="Of each vector; the model's own.")
    ] = None,
    api_key: _ApiKey = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole answer, with all numbers.")] = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Turn texts into vectors; print how each begins, and what it took."""
    data = locate(data_dir)
    address = gateway.find(data, explicit=url)
    asked = [sys.stdin.read() if text == "-" else text for text in texts]
    body = {"model": model, "input": asked} | ({"dimensions": dimensions} if dimensions else {})
    with gateway.models(address, key=gateway.api_key(data, explicit=api_key)) as transport:
        answer = transport.request("POST", embedding.PATH, body=body).body
    if as_json:
        print_json(answer)
    else:
        embedding.print_vectors(asked, answer)


@app.command()
def migrate(*, as_json: JsonOption = False, data_dir: DataDirOption = None) -> None:
    """Bring every database to its newest schema. Services also do it when they start."""
    done = installed.migrate(locate(data_dir))
    if as_json:
        print_json({"migrated": done})
    else:
        print(f"Up to date: {', '.join(done)}." if done else "No installed service has migrations of its own.")


@app.command()
def openapi(*, as_json: JsonOption = False) -> None:
    """Print the OpenAPI document of the gateway. It is JSON with and without --json."""
    print(json.dumps(installed.openapi(), indent=None if as_json else 2, ensure_ascii=False))


@app.command()
def version(*, as_json: JsonOption = False) -> None:
    """Print the version."""
    number = package_version("llm-manager-cli")
    if as_json:
        print_json({"version": number})
    else:
        print(number)


def main() -> None:
    """Run the command line and end the process with one of `ExitCode`."""
    try:
        app()
    except CommandError as error:
        note(f"llm-manager: {error.message}")
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # the reader has seen enough (`llm-manager usage top | head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.FAILED)


if __name__ == "__main__":
    main()
