"""Whether a provider answers, and which models it offers: asked with its stored key, by whoever may not see that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from time import monotonic

import msgspec

from llm_manager.core.deltas import Model, UpstreamExchange
from llm_manager.core.errors import Conflict, NotFound, UpstreamCredentialsExhausted, UpstreamError
from llm_manager.core.facts import Facts
from llm_manager.core.ids import uuid7
from llm_manager.gateway.catalogue.discovery import ModelDirectory
from llm_manager.gateway.catalogue.rules import target_of
from llm_manager.gateway.catalogue.store import provider_record, sealed_keys
from llm_manager.gateway.inference.client import WorkerClient
from llm_manager.gateway.inference.rules import Call, Caller, ConnectionTest
from llm_manager.gateway.providers.rules import without_secrets
from llm_manager.gateway.tables import Provider

# Together below the ten seconds after which a person takes a dead host for one.
_TIMEOUTS_MS = {"connect": 4_000, "headers": 8_000, "total": 9_000}
_DEADLINE_SECONDS = 9.0
_REFUSED = frozenset({401, 403})


class Result(StrEnum):
    """How a test ended."""

    WORKS = "works"
    REFUSED = "refused"
    FAILED = "failed"
    UNREACHABLE = "unreachable"


class Tested(msgspec.Struct, frozen=True, kw_only=True):
    """What a test showed. `exchange` is None where no HTTP answer came; `total_ms` was measured here then."""

    result: Result
    message: str
    url: str
    total_ms: int
    exchange: UpstreamExchange | None = None
    models: int | None = None


class ProviderConnections:
    """Asks providers over the bus, as calls do."""

    def __init__(self, client: WorkerClient, models: ModelDirectory, *, facts: Callable[[str], Facts | None]) -> None:
        self._client = client
        self._models = models
        self._facts = facts

    async def models(self, row: Provider, *, refresh: bool) -> Sequence[Model]:
        """Return what a provider offers, by its own names; remembered for ten minutes.

        Raises:
            Conflict: its kind lists no models.
            LlmManagerError: it cannot be asked, or refuses.
        """
        self._checked(row)
        return await self._models.discover(provider_record(row), refresh=refresh)

    async def test(self, row: Provider, *, key: str = "") -> Tested:
        """Ask a provider for its models, which costs nothing, and tell what came back; at most ten seconds.

        Args:
            key: name of the one key to test; empty for the next one in turn.

        Raises:
            NotFound: it has no key of this name.
            Conflict: its kind lists no models.
            LlmManagerError: the platform could not ask.
        """
        facts, began = self._checked(row), monotonic()
        base_url = without_secrets((row.base_url or facts.base_url).rstrip("/"))
        exchange, count = None, 0
        try:
            async with self._client.attempt(_call(row, key), attempt_id=uuid7(), number=1) as answer:
                while pieces := await answer.pieces():
                    for piece in pieces:
                        exchange, count = piece.exchange or exchange, count + len(piece.models)
        except UpstreamError as error:
            return Tested(
                result=Result.REFUSED if isinstance(error, UpstreamCredentialsExhausted) else Result.UNREACHABLE,
                message=error.message,
                url=base_url + row.paths.get("models", facts.paths.models),
                total_ms=round((monotonic() - began) * 1000),
            )
        if exchange is None:
            raise Conflict("The worker of this kind cannot test connections; send a chat instead.")
        return _judged(facts, exchange, count)

    def _checked(self, row: Provider) -> Facts:
        facts = self._facts(row.kind)
        if facts is None or "models" not in facts.operations:
            raise Conflict(f"Providers of the kind {row.kind} list no models; a chat shows whether this one answers.")
        return facts


def _call(row: Provider, key: str) -> Call:
    target = target_of(provider_record(row), "")
    if key:
        envelopes = [one.envelope for one in sealed_keys(row) if one.name == key]
        if not envelopes:
            raise NotFound(f"The provider {row.name!r} has no key named {key[:100]!r}.", param="key")
        target = msgspec.structs.replace(target, credentials=envelopes)
    return Call(
        request_id=uuid7(),
        caller=Caller(app_id="", api_key_id=""),
        target=msgspec.structs.replace(target, timeouts={**target.timeouts, **_TIMEOUTS_MS}),
        operation="test",
        input=ConnectionTest(),
        requested_model="",
        deadline_seconds=_DEADLINE_SECONDS,
    )


def _judged(facts: Facts, exchange: UpstreamExchange, models: int) -> Tested:
    status = exchange.status
    if status < 300:
        result, message = Result.WORKS, f"{facts.title} answered and took the credentials."
    elif status in _REFUSED:
        result, message = Result.REFUSED, f"{facts.title} refused the credentials (unauthorised, {status}); check them."
    else:
        result, message = Result.FAILED, f"{facts.title} answered {status}: look at base URL, paths and the preview."
    return Tested(
        result=result,
        message=message,
        url=exchange.url,
        total_ms=exchange.total_ms,
        exchange=exchange,
        models=models if result is Result.WORKS else None,
    )
