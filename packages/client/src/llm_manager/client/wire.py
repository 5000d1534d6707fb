"""What the sync and the async transport share: how a request is written, an answer read, and when to try again."""

from __future__ import annotations

import json
import random
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, cast
from urllib.parse import urlsplit

import httpx2

from .errors import (
    DeadlineExceeded,
    LlmManagerError,
    ProtocolError,
    Unavailable,
    Unreachable,
    error_of_answer,
    retry_after_of,
)

# The platform itself gives up after 600 s unless set otherwise, and says so; this is for when it cannot.
DEADLINE_SECONDS = 620.0
_CONNECT_SECONDS = 5.0
# A stream has heartbeats every few seconds: silence for so long means that nobody is there.
_STREAM_SILENCE_SECONDS = 60.0
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.5, 8.0
_SAFE_METHODS = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_RETRIED_STATUSES = frozenset({429, 503})
# Nothing of the request was sent.
_BEFORE_SENDING = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request, whole. `seconds` is its deadline; None takes the transport's."""

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict[str, Any])
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, whole; names of headers are lower-case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


def origin_of(base_url: str) -> str:
    """Return the address without a closing slash and `/v1`, which clients of OpenAI write.

    Raises:
        ValueError: it is no HTTP address, or a password is in it.
    """
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("The base URL must be an address such as http://localhost:8080.")
    if "@" in parts.netloc:
        # it would be shown wherever the address is
        raise ValueError("The base URL holds a password; give user and password by name instead.")
    return base_url.rstrip("/").removesuffix("/v1").rstrip("/")


def authorization_of(*, api_key: str | None, user: str | None, password: str | None) -> str:
    """Return the value of the header that says who asks; empty when nobody is named.

    Raises:
        ValueError: both are given, half of one, or a key that cannot be in a header; the text does not show it.
    """
    if api_key is not None and (user is not None or password is not None):
        raise ValueError("Give either api_key, or user and password.")
    if api_key is not None:
        # checked here, because the HTTP library would show the wrong value in its error
        if not api_key or not api_key.isascii() or not api_key.isprintable() or " " in api_key:
            raise ValueError("The API key is empty, or holds spaces or line ends; was it read with its newline?")
        return f"Bearer {api_key}"
    if user is None and password is None:
        return ""
    if not user or password is None or ":" in user:
        raise ValueError("Give both user and password; a user has no colon.")
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def no_cookies() -> CookieJar:
    """Return a jar that keeps nothing: a session's cookie would be shared by all who use the client."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


def json_bytes(value: Any) -> bytes:
    """Write JSON; numbers that JSON does not have are refused.

    Raises:
        TypeError, ValueError: something in it is no JSON.
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def outgoing_of(
    method: str, path: str, *, query: Mapping[str, Any] | None, body: Any, headers: Mapping[str, str] | None
) -> Outgoing:
    """Write a request; fields of the query that are None are left out."""
    return Outgoing(
        method.upper(),
        path,
        {name: _query_value(value) for name, value in (query or {}).items() if value is not None},
        None if body is None else json_bytes(body),
        dict(headers or {}),
    )


def _query_value(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_query_value(one) for one in cast("Sequence[Any]", value)]
    if isinstance(value, Enum):
        return _query_value(value.value)
    return value.isoformat() if isinstance(value, date) else value


def request_of(outgoing: Outgoing, origin: str, authorization: str) -> dict[str, Any]:
    """Return what the HTTP library builds a request from."""
    headers = {"accept": "application/json", **{name.lower(): value for name, value in outgoing.headers.items()}}
    if outgoing.content is not None:
        headers["content-type"] = "application/json"
    if authorization:
        headers["authorization"] = authorization
    return {
        "method": outgoing.method,
        "url": origin + outgoing.path,
        "params": outgoing.query or None,
        "content": outgoing.content,
        "headers": headers,
    }


def timeouts(seconds_left: float, *, is_stream: bool = False) -> httpx2.Timeout:
    """Return how long each step may take, given what is left of the deadline.

    Raises:
        DeadlineExceeded: nothing is left.
    """
    if seconds_left <= 0:
        raise too_late()
    read = min(seconds_left, _STREAM_SILENCE_SECONDS) if is_stream else seconds_left
    return httpx2.Timeout(seconds_left, connect=min(seconds_left, _CONNECT_SECONDS), read=read)


def too_late() -> DeadlineExceeded:
    """Return the error of a deadline of this client."""
    return DeadlineExceeded("No whole answer came within the deadline of this client; the request may have been spent.")


def read_body(reply: Reply) -> Any:
    """Decode an answer: JSON, None when it is empty, text for application/x-ndjson.

    Raises:
        ProtocolError: it is neither.
    """
    if not reply.content:
        return None
    request_id = reply.headers.get("x-request-id")
    try:
        if reply.headers.get("content-type", "").startswith("application/x-ndjson"):
            return reply.content.decode()
        return json.loads(reply.content)
    except (ValueError, RecursionError):
        raise ProtocolError(
            "The body of the answer is no JSON; is this the address of LLM Manager?",
            status=reply.status,
            request_id=request_id,
        ) from None


def refused(reply: Reply) -> LlmManagerError | None:
    """Return the error that an answer is; None when it is none."""
    return None if 200 <= reply.status < 300 else error_of_answer(reply.status, reply.headers, reply.content)


def failed(error: Exception, origin: str) -> LlmManagerError:
    """Translate what the HTTP library raises; its own words may hold a header, so that few of them are passed on."""
    if isinstance(error, _BEFORE_SENDING):
        return Unreachable(f"Nobody answers at {origin} ({type(error).__name__}: {error}).")
    if isinstance(error, httpx2.TimeoutException):
        return DeadlineExceeded(f"{origin} was silent for too long ({type(error).__name__}).")
    if isinstance(error, httpx2.RemoteProtocolError | httpx2.DecodingError):
        return ProtocolError(f"{origin} broke off its answer, or does not speak HTTP ({type(error).__name__}).")
    if isinstance(error, httpx2.TransportError) and not isinstance(error, httpx2.LocalProtocolError):
        return Unavailable(f"The connection to {origin} broke ({type(error).__name__}).")
    return ProtocolError(f"The request to {origin} could not be sent ({type(error).__name__}).")


def wait_before_retry(
    outgoing: Outgoing, outcome: Reply | Exception, *, tries: int, max_retries: int, seconds_left: float
) -> float | None:
    """Return the seconds to wait before the same request is sent again; None when it is not.

    Args:
        outcome: the answer, or what the HTTP library raised.
        tries: how often the request was sent already.
    """
    if tries > max_retries or not _may_be_repeated(outgoing):
        return None
    wait = min(_FIRST_WAIT_SECONDS * 2 ** (tries - 1), _LONGEST_WAIT_SECONDS) * random.uniform(0.5, 1.0)  # noqa: S311
    if isinstance(outcome, Reply):
        # a budget that is spent is a 429 too, and the platform says that a retry is pointless
        if outcome.status not in _RETRIED_STATUSES or outcome.headers.get("x-should-retry") == "false":
            return None
        said = retry_after_of(outcome.headers)
        wait = wait if said is None else said
    elif not isinstance(outcome, _BEFORE_SENDING):
        return None
    # who would wait longer than the deadline is told at once
    return wait if wait < seconds_left else None


def _may_be_repeated(outgoing: Outgoing) -> bool:
    if outgoing.method in _SAFE_METHODS:
        return True
    return outgoing.method == "POST" and any(name.lower() == "idempotency-key" for name in outgoing.headers)
