"""What is known about one HTTP request, for its headers, log line and span."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from starlette.types import Scope

from llm_manager.core.ids import uuid7

if TYPE_CHECKING:
    from llm_manager.gateway.inference.rules import Call

_KEY = "llm_manager.exchange"
_LONGEST_ID = 128


class Exchange:
    """One request and its answer. Endpoints fill in what they learn.

    Args:
        headers: of the request, as ASGI has them.
    """

    __slots__ = (
        "_headers",
        "call",
        "error_code",
        "handed_over_seconds",
        "parameters",
        "request_id",
        "started",
        "status",
        "waited_seconds",
    )

    def __init__(self, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        # looked up ten times in each request; of a repeated one the first counts, as in Starlette
        self._headers = dict(reversed(headers))
        self.request_id = _own_id(self.header(b"x-request-id")) or uuid7()
        self.started = time.perf_counter()
        self.status = 0
        self.error_code = ""
        self.call: Call | None = None
        # what configuration and overrides made of the call's parameters; empty where they say nothing
        self.parameters: Mapping[str, object] = {}
        self.handed_over_seconds: float | None = None
        self.waited_seconds = 0.0

    def header(self, name: bytes) -> str | None:
        """Return a header of the request, None when it has none of this lower-case name."""
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")

    def hand_over(self) -> None:
        """Note that the request goes to a worker now; from here on the gateway waits."""
        self.handed_over_seconds = time.perf_counter() - self.started

    def take_back(self) -> None:
        """Note that the worker's answer is complete."""
        if self.handed_over_seconds is not None:
            self.waited_seconds = self.seconds() - self.handed_over_seconds

    def seconds(self) -> float:
        """Seconds since the request began."""
        return time.perf_counter() - self.started


def attach(scope: Scope, exchange: Exchange) -> None:
    """Bind an exchange to the scope of its request."""
    scope[_KEY] = exchange


def exchange_of(scope: Scope) -> Exchange:
    """Return the exchange of a request."""
    return cast("Exchange", scope[_KEY])


def exchange_in(scope: Mapping[str, object]) -> Exchange | None:
    """Return the exchange of a request, None where none was attached yet."""
    return cast("Exchange | None", scope.get(_KEY))


def _own_id(said: str | None) -> str | None:
    """Return the client's own request id when it is short and printable."""
    text = (said or "").strip()
    return text if 0 < len(text) <= _LONGEST_ID and text.isascii() and text.isprintable() else None
