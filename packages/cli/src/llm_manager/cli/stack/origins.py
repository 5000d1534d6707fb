"""The providers of a gateway and where each comes from, asked without an HTTP library (see the package's docstring)."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

_DEADLINE_SECONDS = 5.0
_MAX_ANSWER_BYTES = 1_000_000
_MEANING = {
    "built-in": "built in, needs no account",
    "detected": "found on this machine",
    "admin": "made by a person",
}


@dataclass(frozen=True, slots=True)
class ProviderOrigin:
    """One provider, and the variables that give it now or gave it at an earlier start."""

    name: str
    origin: str
    variables: tuple[str, ...]
    kept_variables: tuple[str, ...]
    models: int

    def as_text(self) -> str:
        """Say in a few words why the provider is there."""
        now = f"from the environment now: {', '.join(self.variables)}" if self.variables else ""
        kept = f"kept from before: {', '.join(self.kept_variables)}" if self.kept_variables else ""
        return "; ".join(filter(None, (now, kept))) or _MEANING.get(self.origin, self.origin)


def origin_of(raw: Mapping[str, Any]) -> ProviderOrigin:
    """Read one provider of the gateway's answer."""
    return ProviderOrigin(
        raw["name"], raw["origin"], tuple(raw["variables"]), tuple(raw["kept_variables"]), raw["models"]
    )


async def providers_at(base_url: str, *, user: str, password: str) -> list[ProviderOrigin] | None:
    """Return the providers of the gateway at an address, None when it does not say."""
    parts = urlsplit(base_url)
    login = base64.b64encode(f"{user}:{password}".encode()).decode()
    request = (
        f"GET /api/v1/providers?is_enabled=true&limit=500 HTTP/1.0\r\nHost: {parts.netloc}\r\n"
        f"Authorization: Basic {login}\r\nConnection: close\r\n\r\n"
    )
    try:
        async with asyncio.timeout(_DEADLINE_SECONDS):
            head, _, body = (await _ask(parts.hostname or "", parts.port or 80, request.encode())).partition(
                b"\r\n\r\n"
            )
        if head.split(b" ", 2)[1:2] != [b"200"]:
            return None
        return [origin_of(item) for item in json.loads(body)["data"] if not item["archived_at"]]
    except (OSError, TimeoutError, ValueError, KeyError, TypeError):
        return None


async def _ask(host: str, port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    answer = b""
    try:
        writer.write(request)
        await writer.drain()
        while len(answer) < _MAX_ANSWER_BYTES and (part := await reader.read(65_536)):
            answer += part
    finally:
        writer.close()
    return answer
