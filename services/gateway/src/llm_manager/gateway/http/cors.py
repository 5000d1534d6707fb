"""Which web pages may call the API from a browser."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from urllib.parse import SplitResult, urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llm_manager.gateway.errors import Headers

_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
# Chromium keeps no answer for longer (Fetch standard, 3.3.4; read on 2026-11-28).
_MAX_AGE_SECONDS = b"7200"
_DEFAULT_PORTS: Mapping[str, int] = {"http": 80, "https": 443}


class Cors:
    """Wraps the application: pages of the allowed origins may read its answers, errors included.

    Their preflights are answered without a key. Credentials of the browser (cookies) are never allowed; API keys are
    headers, which need none. Pages of other origins are answered as if they were no browsers, so browsers keep the
    answers from them.

    Args:
        origins: exact, as browsers send them.
    """

    def __init__(self, app: ASGIApp, *, origins: Collection[str]) -> None:
        self._app = app
        self._origins = frozenset(origin.encode() for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin = _header(scope, b"origin") if scope["type"] == "http" else None
        if origin is None or origin not in self._origins:
            await self._app(scope, receive, send)
            return
        if scope["method"] == "OPTIONS" and _header(scope, b"access-control-request-method") is not None:
            await send({"type": "http.response.start", "status": 204, "headers": _preflight(scope, origin)})
            await send({"type": "http.response.body", "body": b""})
            return

        async def send_readable(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers: Headers = list(message.get("headers", ()))
                # all that this answer has, so that x-request-id, retry-after and later ones are never forgotten
                names = b", ".join(dict.fromkeys(name for name, _ in headers))
                message = {
                    **message,
                    "headers": [*headers, *_allowed(origin), (b"access-control-expose-headers", names)],
                }
            await send(message)

        await self._app(scope, receive, send_readable)


class WrongOrigin(ValueError):
    """A text is not an origin; the message says why."""


def parse_origins(text: str) -> tuple[str, ...]:
    """Read origins with commas between them.

    Raises:
        WrongOrigin: one is a wildcard, or more or less than scheme, host and port in the form that browsers send.
    """
    origins = tuple(part.strip() for part in text.split(",") if part.strip())
    for origin in origins:
        parts = urlsplit(origin)
        if not parts.scheme or not parts.netloc or f"{parts.scheme}://{parts.netloc}" != origin or "*" in origin:
            raise WrongOrigin(f"{origin!r} is not an origin; write it as https://app.example.com, without a path or *.")
        if origin != origin.lower() or "@" in origin or _has_default_port(parts):
            raise WrongOrigin(f"{origin!r} is not what browsers send: lower case, no user, no default port.")
    return origins


def _has_default_port(parts: SplitResult) -> bool:
    try:
        return parts.port is not None and parts.port == _DEFAULT_PORTS.get(parts.scheme)
    except ValueError as error:
        raise WrongOrigin(f"The port of {parts.netloc!r} is not a port.") from error


def _allowed(origin: bytes) -> Headers:
    return [(b"access-control-allow-origin", origin), (b"vary", b"origin")]


def _preflight(scope: Scope, origin: bytes) -> Headers:
    headers = [
        *_allowed(origin),
        (b"access-control-allow-methods", _METHODS),
        (b"access-control-max-age", _MAX_AGE_SECONDS),
    ]
    if wanted := _header(scope, b"access-control-request-headers"):
        # SDKs send a dozen x-stainless-* that change with their version; no header of ours is dangerous
        headers.append((b"access-control-allow-headers", wanted))
    if _header(scope, b"access-control-request-private-network") is not None:
        headers.append((b"access-control-allow-private-network", b"true"))
    return headers


def _header(scope: Scope, wanted: bytes) -> bytes | None:
    return next((value for name, value in scope["headers"] if name == wanted), None)
