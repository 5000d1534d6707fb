"""Log probabilities, from OpenAI's shape into Gemini's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

# Any: JSON documents are built here
Json = dict[str, Any]


class _Token(msgspec.Struct, frozen=True):
    token: str = ""
    logprob: float | None = None


class _Step(_Token, frozen=True):
    top_logprobs: list[_Token] | None = None


class _Logprobs(msgspec.Struct, frozen=True):
    content: list[_Step] | None = None
    refusal: list[_Step] | None = None


_LOGPROBS = msgspec.json.Decoder(_Logprobs)


def logprobs_result(pieces: Sequence[bytes]) -> Json | None:
    """Return `logprobsResult` of what came so far; None when that is nothing."""
    said = [_LOGPROBS.decode(raw) for raw in pieces]
    steps = [step for one in said for step in (*(one.content or ()), *(one.refusal or ()))]
    if not steps:
        return None
    top = [{"candidates": [_token(token) for token in step.top_logprobs or ()]} for step in steps]
    result: Json = {"chosenCandidates": [_token(step) for step in steps]}
    return {**result, "topCandidates": top} if any(step.top_logprobs for step in steps) else result


def _token(token: _Token) -> Json:
    said: Json = {"token": token.token}
    return said if token.logprob is None else {**said, "logProbability": token.logprob}
