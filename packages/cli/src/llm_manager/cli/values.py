"""What is said as `name=value`, as JSON, or as the name of a field to take away."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from .exit_codes import CommandError, ExitCode


def wrong(message: str) -> CommandError:
    """Return the error of a command line that is wrong."""
    return CommandError(message, exit_code=ExitCode.USAGE)


def pairs(option: str, said: Sequence[str] | None) -> dict[str, str]:
    """Return what a repeatable option says as `name=value`; the value may hold further `=`.

    Raises:
        CommandError: one has no name or no `=`, or a name is said twice (exit code 2). It shows no value: they may
            be secrets.
    """
    found: dict[str, str] = {}
    for text in said or ():
        name, sign, value = text.partition("=")
        if not name or not sign:
            raise wrong(f"{option} is written as name=value, such as {option} a=b.")
        if name in found:
            raise wrong(f"{option} says {name} twice; say it once.")
        found[name] = value
    return found


# Any: JSON of any shape
def json_pairs(option: str, said: Sequence[str] | None) -> dict[str, Any]:
    """Return what a repeatable option says as `name=JSON`.

    Raises:
        CommandError: as for `pairs`; also when a value is no JSON.
    """
    return {name: _json(f"{option} {name}", text) for name, text in pairs(option, said).items()}


def number_pairs(option: str, said: Sequence[str] | None) -> dict[str, float]:
    """Return what a repeatable option says as `name=number`.

    Raises:
        CommandError: as for `pairs`; also when a value is no finite number.
    """
    return {name: _number(f"{option} {name}", text) for name, text in pairs(option, said).items()}


def cleared(said: Sequence[str] | None, fields: Mapping[str, str]) -> dict[str, None]:
    """Return the fields that `--clear` names, each as null.

    Args:
        fields: what each is called on the command line, and in the admin API.
    Raises:
        CommandError: one is not among them; the message lists them (exit code 2).
    """
    unknown = [name for name in said or () if name not in fields]
    if unknown:
        raise wrong(f"--clear does not know {unknown[0]!r}; it takes {', '.join(sorted(fields))}.")
    return {fields[name]: None for name in said or ()}


# Any: fields of any type
def change(said: Mapping[str, Any], nulls: Mapping[str, None], *, flags: Collection[str]) -> dict[str, Any]:
    """Return the body of a change: what was said, and what is to be taken away.

    Args:
        said: None is what was not said.
        flags: some of the options, for the message when nothing was said.
    Raises:
        CommandError: nothing was said, or a field both said and taken away (exit code 2).
    """
    body = present(said)
    both = sorted(body.keys() & nulls.keys())
    if both:
        raise wrong(f"{both[0]} is both said and cleared; do one of the two.")
    if not body and not nulls:
        raise wrong(f"Say what to change: {', '.join(flags)} …; --help lists everything.")
    return {**body, **nulls}


def present(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that were said, without those that are None."""
    return {field: value for field, value in said.items() if value is not None}


def _json(what: str, text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise wrong(f"{what} is no JSON. Numbers are bare; texts have quotes, as in name='\"text\"'.") from error


def _refuse_constant(name: str) -> Any:
    # Python reads NaN and Infinity, which no JSON has
    raise ValueError(name)


def _number(what: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise wrong(f"{what} is no number.")
    return int(number) if number.is_integer() else number
