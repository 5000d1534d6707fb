"""Headers that say what a call cost and who answered (wire.md section 3)."""

from __future__ import annotations

import re

from llm_manager.gateway.errors import Headers
from llm_manager.gateway.http.exchange import Exchange
from llm_manager.gateway.inference.rules import Call
from llm_manager.gateway.inference.service import Run
from llm_manager.gateway.ingress.openai.usage import usd

_PREFIX = b"x-llm-manager-"
_FORWARDED = re.compile(r"x-ratelimit-[a-z0-9-]{1,60}")
_SAFE_VALUE = re.compile(r"[\x20-\x7e]{1,1000}")
_STREAM: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    # nginx would hold events back until its buffer is full
    (b"x-accel-buffering", b"no"),
]


def stream_headers(call: Call, exchange: Exchange) -> Headers:
    """Return the headers of a stream: what is known before its first byte, so neither cost nor upstream id."""
    overhead = exchange.handed_over_seconds or 0.0
    return [*_STREAM, *_about(call, attempts=1, overhead_seconds=overhead)]


def answer_headers(run: Run, exchange: Exchange) -> Headers:
    """Return the headers of a whole answer."""
    outcome = run.outcome
    overhead = exchange.seconds() - exchange.waited_seconds
    headers = _about(run.call, attempts=run.attempts, overhead_seconds=overhead)
    total = outcome.cost.total_usd
    if total is not None:
        headers.append((_PREFIX + b"cost", usd(total).encode()))
    if _SAFE_VALUE.fullmatch(outcome.upstream_request_id):
        headers.append((_PREFIX + b"upstream-request-id", outcome.upstream_request_id.encode()))
    for name, value in outcome.upstream_headers.items():
        if _FORWARDED.fullmatch(name) and _SAFE_VALUE.fullmatch(value):
            headers.append((name.encode(), value.encode()))
    return headers


def _about(call: Call, *, attempts: int, overhead_seconds: float) -> Headers:
    return [
        (_PREFIX + b"provider", _header(call.target.provider)),
        (_PREFIX + b"model", _header(call.target.upstream_model)),
        (_PREFIX + b"attempts", str(attempts).encode()),
        (_PREFIX + b"overhead-ms", f"{max(overhead_seconds, 0.0) * 1000:.2f}".encode()),
    ]


def _header(text: str) -> bytes:
    # a model's name is the client's own text: nothing of it may end a header
    return re.sub(r"[^\x21-\x7e]", "?", text)[:512].encode()
