"""What a provider must receive for a client's request, written by hand: one file a dialect in `request_fidelity/`.

`requests.json` holds chats as a client of OpenAI writes them, by name and without a model. A dialect's file holds:

    {"kind": "anthropic", "model": "…", "path": "/v1/messages", "answer": {…}, "stream_answer": "…",
     "base": {…},                     what every body holds beside what its case names
     "cases": {"plain": {"body": {…}}, "seed": {"refused": "seed"}, …},   one for every request
     "own": {"thinking": {"request": {…}, "body": {…}}, …}}               what only this dialect knows

A body may also be told by its difference to the request, `{"as_asked": {"seed": 42, "user": null}}`, where null takes a
field out. A case may name a `model`, a `path`, and in `warned` the parts of the warnings that its client must get. Of
what is `refused` the parameter is named: nothing may have reached the provider.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

Json = dict[str, Any]
FOLDER = Path(__file__).parent / "request_fidelity"


@dataclass(frozen=True)
class Golden:
    """One request to one dialect, and what must come of it: `body` at `path`, or a refusal of `refused`."""

    dialect: str
    name: str
    kind: str
    model: str
    path: str
    request: Json
    body: Json | None
    refused: str | None
    warned: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answers:
    """What the provider of a dialect says to everything."""

    whole: Json
    stream: str


def dialects() -> list[str]:
    """Return the dialects that have goldens."""
    return sorted(path.stem for path in FOLDER.glob("*.json") if path.stem != "requests")


def requests() -> dict[str, Json]:
    """Return the chats of an OpenAI client, by name."""
    return _read("requests")


def answers_of(dialect: str) -> Answers:
    """Return what the provider says."""
    said = _read(dialect)
    return Answers(said["answer"], said["stream_answer"])


def goldens_of(dialect: str) -> list[Golden]:
    """Return every case of a dialect.

    Raises:
        KeyError: a request has no case, or a case no request.
    """
    said, asked = _read(dialect), requests()
    strangers = asked.keys() ^ said["cases"].keys()
    if strangers:
        raise KeyError(f"{dialect}.json and requests.json differ in {sorted(strangers)}")
    cases = {name: {"request": asked[name], **case} for name, case in said["cases"].items()}
    return [_golden(dialect, said, name, case) for name, case in {**cases, **said.get("own", {})}.items()]


def _golden(dialect: str, said: Json, name: str, case: Json) -> Golden:
    if "as_asked" in case:
        out = {field for field, value in case["as_asked"].items() if value is None}
        changed = {**case["request"], **case["as_asked"]}
        case = {**case, "body": {field: value for field, value in changed.items() if field not in out}}
    is_sent = "body" in case
    if is_sent is ("refused" in case):
        raise KeyError(f"{dialect}.json: {name} needs either a body or a refusal")
    model = case.get("model", said["model"])
    base = {field: model if value == "{model}" else value for field, value in said["base"].items()}
    path = case.get("path", said["path"]).replace("{model}", model)
    body = {**base, **case["body"]} if is_sent else None
    warned = tuple(case.get("warned", ()))
    return Golden(dialect, name, said["kind"], model, path, case["request"], body, case.get("refused"), warned)


def _read(name: str) -> Json:
    return cast("Json", json.loads((FOLDER / f"{name}.json").read_text("utf-8")))


def differences(expected: object, received: object, at: str = "") -> list[str]:
    """Return where two JSON values differ; what a schema calls `properties` must keep its order, models follow it."""
    match expected, received:
        case dict(), dict():
            wanted, got = cast("Json", expected), cast("Json", received)
            found = [f"{at}/{name}: missing" for name in wanted.keys() - got.keys()]
            found += [f"{at}/{name}: unexpected {got[name]!r}" for name in got.keys() - wanted.keys()]
            for name in wanted.keys() & got.keys():
                found += differences(wanted[name], got[name], f"{at}/{name}")
            if not found and at.endswith("/properties") and list(wanted) != list(got):
                found.append(f"{at}: order {list(got)} instead of {list(wanted)}")
            return found
        case list(), list():
            ours, theirs = cast("list[object]", expected), cast("list[object]", received)
            if len(ours) != len(theirs):
                return [f"{at}: {theirs!r} instead of {ours!r}"]
            pairs = enumerate(zip(ours, theirs, strict=True))
            return [line for number, (one, other) in pairs for line in differences(one, other, f"{at}/{number}")]
        case _:
            # True is 1 in Python, and not in JSON
            is_same = expected == received and isinstance(expected, bool) is isinstance(received, bool)
            return [] if is_same else [f"{at}: {received!r} instead of {expected!r}"]
