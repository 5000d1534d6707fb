"""Headers that say what a call cost and who answered (wire.md section 3)."""

from __future__ import annotations

import re

from llm_manager.gateway.errors import Headers, forwarded_headers
from llm_manager.gateway.http.exchange import Exchange
from llm_manager.gateway.inference.rules import Call, Opening
from llm_manager.gateway.inference.run import Run
from llm_manager.gateway.ingress.money import usd

_PREFIX = b"x-llm-manager-"
_SAFE_VALUE = re.compile(r"[\x20-\x7e]{1,1000}")
_STREAM: Headers = [
    (b"cache-control", b"no-cache"),
    # nginx would hold events back until its buffer is full
    (b"x-accel-buffering", b"no"),
]


def stream_headers(call: Call, exchange: Exchange, media_type: str, opening: Opening | None) -> Headers:
    """Return the headers of a stream: what is known before its first byte, so no cost.

    Args:
        opening: what the provider's headers said; None when a heartbeat goes out before they came.
    """
    overhead = exchange.handed_over_seconds or 0.0
    headers = [
        (b"content-type", media_type.encode()),
        *_STREAM,
        *_about(call, attempts=1, overhead_seconds=overhead),
    ]
    return headers if opening is None else [*headers, *_from_upstream(opening)]


def answer_headers(run: Run, exchange: Exchange) -> Headers:
    """Return the headers of a whole answer."""
    outcome = run.outcome
    overhead = exchange.seconds() - exchange.waited_seconds
    headers = _about(run.call, attempts=run.attempts, overhead_seconds=overhead)
    total = outcome.cost.total_usd
    if total is not None:
        headers.append((_PREFIX + b"cost", usd(total).encode()))
    opening = Opening(
        outcome.upstream_request_id, outcome.upstream_headers, warnings=outcome.warnings, dropped=outcome.dropped
    )
    return [*headers, *_from_upstream(opening)]


def _from_upstream(opening: Opening) -> Headers:
    headers: Headers = []
    if _SAFE_VALUE.fullmatch(opening.upstream_request_id):
        headers.append((_PREFIX + b"upstream-request-id", opening.upstream_request_id.encode()))
    headers += forwarded_headers(opening.upstream_headers)
    if opening.warnings:
        headers.append((_PREFIX + b"warning", _listed("; ", opening.warnings)))
    if opening.dropped:
        headers.append((_PREFIX + b"dropped", _listed(", ", opening.dropped)))
    return headers


def _listed(separator: str, words: tuple[str, ...]) -> bytes:
    return re.sub(r"[^\x20-\x7e]", "?", separator.join(words))[:1000].encode()


def _about(call: Call, *, attempts: int, overhead_seconds: float) -> Headers:
    return [
        (_PREFIX + b"provider", _header(call.target.provider)),
        (_PREFIX + b"model", _header(call.target.upstream_model)),
        (_PREFIX + b"attempts", str(attempts).encode()),
        (_PREFIX + b"overhead-ms", f"{max(overhead_seconds, 0.0) * 1000:.2f}".encode()),
    ]


def _header(text: str) -> bytes:
    # a model's name is the client's own text: nothing of it may end a header
    if text.isascii() and text.isprintable() and " " not in text:
        return text[:512].encode()
    return re.sub(r"[^\x21-\x7e]", "?", text)[:512].encode()
