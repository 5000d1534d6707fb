"""`llm-manager usage`: what was used and what it cost, from the ledger."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer

from llm_manager.cli.options import DataDirOption, JsonOption, UrlOption
from llm_manager.cli.output import print_json, print_table

from .admin_calls import Row, admin_at

usage_app = typer.Typer(help="What was used and what it cost, from the ledger.", no_args_is_help=True)
_FORM = "2026-11-28 or 2026-11-28T14:30, in the zone of this machine unless it names another"


def _instant(text: str) -> datetime:
    """Read a day (its beginning) or an instant.

    Raises:
        typer.BadParameter: it is neither.
    """
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(f"{text!r} is no time; write {_FORM}.") from error


FromOption = Annotated[
    datetime | None, typer.Option("--from", parser=_instant, metavar="TIME", help=f"From then on: {_FORM}.")
]
ToOption = Annotated[
    datetime | None,
    typer.Option("--to", parser=_instant, metavar="TIME", help="Before then, exclusive: a day means its beginning."),
]

_TOP_COLUMNS = ("attempts", "failed", "input tokens", "output tokens", "cost USD", "unpriced")
_ERROR_COLUMNS = ("time", "request", "app", "model", "provider", "error", "HTTP status")


class Dimension(StrEnum):
    """What `usage top` groups by."""

    MODEL = "model"
    REQUESTED_MODEL = "requested_model"
    PROVIDER = "provider"
    APP = "app"
    KEY = "key"
    STATE = "state"


class Order(StrEnum):
    """What `usage top` sorts by, largest first."""

    COST = "cost"
    TOKENS = "tokens"
    ATTEMPTS = "attempts"


@usage_app.command("top")
def top(
    *,
    by: Annotated[Dimension, typer.Option("--by", help="What to group by.")] = Dimension.MODEL,
    order: Annotated[Order, typer.Option("--order", help="What to sort by, largest first.")] = Order.COST,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="Number of groups.")] = 10,
    since: FromOption = None,
    until: ToOption = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Show the largest groups by cost, tokens or attempts."""
    calls = admin_at(url, data_dir).usage
    answer = calls.top(by=by.value, order=order.value, limit=limit, from_=_text(since), to=_text(until))
    if as_json:
        print_json(answer)
    else:
        print_top(answer, by=by)


@usage_app.command("total")
def total(
    *,
    since: FromOption = None,
    until: ToOption = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Show the sum of everything."""
    answer = admin_at(url, data_dir).usage.total(from_=_text(since), to=_text(until))
    if as_json:
        print_json(answer)
    else:
        print_total(answer)


@usage_app.command("errors")
def errors(
    *,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="Number of attempts.")] = 20,
    since: FromOption = None,
    until: ToOption = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """List the attempts that failed or were cancelled, newest first."""
    answer = admin_at(url, data_dir).usage.errors(limit=limit, from_=_text(since), to=_text(until))
    if as_json:
        print_json(answer)
    else:
        print_errors(answer)


def print_top(answer: Row, *, by: Dimension) -> None:
    """Print the groups of `usage top`."""
    rows = [[row["name"] or row["key"] or "-", *_cells(row["totals"])] for row in answer["data"]]
    if not rows:
        print("Nothing was recorded in this time.")
        return
    print_table([by.value, *_TOP_COLUMNS], rows, right=frozenset(_TOP_COLUMNS))


def print_errors(answer: Row) -> None:
    """Print the attempts of `usage errors`, in the zone of this machine."""
    rows = [
        [
            f"{datetime.fromisoformat(event['started_at']).astimezone():%F %T}",
            event["request_id"],
            event["app_name"] or event["app_id"] or "-",
            event["upstream_model"] or event["requested_model"] or "-",
            event["provider"] or "-",
            event["error_code"] or event["state"],
            event["upstream_status"] or "-",
        ]
        for event in answer["data"]
    ]
    if not rows:
        print("Nothing failed in this time.")
        return
    print_table(_ERROR_COLUMNS, rows)
    if answer["next_page_token"]:
        print("There are older ones; --limit shows more, --from and --to choose the time.")


def print_total(answer: Row) -> None:
    """Print the one sum of `usage total`, and what it does not know."""
    totals: Row = answer["data"]
    print_table(_TOP_COLUMNS, [_cells(totals)], right=frozenset(_TOP_COLUMNS))
    if int(totals["unpriced_attempts"]):
        print(f"{totals['unpriced_attempts']} attempts have no known price, so the cost is a lower bound.")
    if int(totals["estimated_attempts"]):
        print(f"{totals['estimated_attempts']} attempts were counted here, because the provider gave no report.")


def _cells(totals: Row) -> list[str]:
    usage: Row = totals["usage"]
    return [
        f"{int(totals['attempts']):,}",
        f"{int(totals['failed_attempts']):,}",
        f"{int(usage['input_total']):,}",
        f"{int(usage['output_total']):,}",
        str(totals["cost_usd"]),
        f"{int(totals['unpriced_attempts']):,}",
    ]


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()
