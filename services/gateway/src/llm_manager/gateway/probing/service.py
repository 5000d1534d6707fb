"""Finds out what servers of a kind without fixed abilities can do: once each, in the background."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import structlog
from msgspec.structs import replace

from llm_manager.core.errors import LlmManagerError, StoreUnavailable
from llm_manager.core.facts import Facts
from llm_manager.core.ids import uuid7
from llm_manager.gateway.catalogue.discovery import ModelDirectory
from llm_manager.gateway.catalogue.environment import DEFAULT_APP
from llm_manager.gateway.catalogue.records import ProviderProfile, ProviderRecord
from llm_manager.gateway.catalogue.rules import Snapshot, target_of
from llm_manager.gateway.catalogue.service import Catalogue
from llm_manager.gateway.inference.profile import ModelProfile
from llm_manager.gateway.inference.rules import Call, Caller
from llm_manager.gateway.inference.service import Inference
from llm_manager.gateway.probing.rules import PLAIN, Probe, abilities, asked_of, is_refusal, may_be_refusal
from llm_manager.gateway.probing.store import ProfileStore

log = structlog.stdlib.get_logger("gateway")

# A server on a laptop may have to load its model first.
_PROBE_SECONDS, _CLAIM_SECONDS = 60.0, 900.0
_LOOK_EVERY_SECONDS, _RETRY_SECONDS = 15.0, 600.0
_ATTEMPTS = 2
# So that the ledger's readers know what these calls were for.
_TAGS = {"purpose": "capability_probe"}


class Prober:
    """Probes every provider whose kind says `is_probed` and that has no profile for its address yet."""

    def __init__(
        self,
        catalogue: Catalogue,
        models: ModelDirectory,
        inference: Inference,
        store: ProfileStore,
        *,
        facts: Callable[[str], Facts | None],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._catalogue = catalogue
        self._models = models
        self._inference = inference
        self._store = store
        self._facts = facts
        self._clock = clock
        self._not_before: dict[tuple[str, str], datetime] = {}

    @asynccontextmanager
    async def probing(self, *, every_seconds: float = _LOOK_EVERY_SECONDS) -> AsyncGenerator[None]:
        """Look for providers to probe while the body runs."""
        task = asyncio.create_task(self._probe_regularly(every_seconds), name="prober")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _probe_regularly(self, every_seconds: float) -> None:
        while True:
            try:
                await self.probe_unknown()
            except LlmManagerError as error:
                log.warning("providers_not_probed", code=error.code, reason=error.message)
            await asyncio.sleep(every_seconds)

    async def probe_unknown(self) -> None:
        """Probe what has no profile yet, one after the other; a failure is logged and tried again in ten minutes.

        Raises:
            StoreUnavailable.
        """
        snapshot = self._catalogue.snapshot
        caller = _caller(snapshot)
        for provider in snapshot.providers.values():
            facts = self._facts(provider.kind)
            if facts is None or caller is None or not facts.is_probed or provider.known_profile is not None:
                continue
            key, now = (provider.name, provider.base_url), self._clock()
            if self._not_before.get(key, now) > now:
                continue
            self._not_before[key] = now + timedelta(seconds=_RETRY_SECONDS)
            if await self._store.claim(provider.id, now=now, until=now + timedelta(seconds=_CLAIM_SECONDS)):
                await self._probe(provider, facts, caller)

    async def _probe(self, provider: ProviderRecord, facts: Facts, caller: Caller) -> None:
        model = await self._model_of(provider, caller)
        if not model:
            log.warning("provider_not_probed", provider=provider.name, reason="it lists no models")
            return
        try:
            await self._asked(PLAIN, provider, model, caller)
            lacking = [probe for probe in asked_of(facts) if not await self._can(probe, provider, model, caller)]
        except StoreUnavailable:
            raise
        except LlmManagerError as error:
            log.warning("provider_not_probed", provider=provider.name, model=model, code=error.code)
            return
        capabilities, dialects = abilities(facts, lacking)
        profile = ProviderProfile(
            base_url=provider.base_url, dialects=dialects, capabilities={model: capabilities}, probed_at=self._clock()
        )
        record = await self._store.save(provider.id, profile)
        if record is not None:
            await self._catalogue.publish([record])
            log.info("provider_probed", provider=provider.name, model=model, lacks=[probe.name for probe in lacking])

    async def _model_of(self, provider: ProviderRecord, caller: Caller) -> str:
        configured = self._catalogue.snapshot.configurations.values()
        named = next((item.upstream_model for item in configured if item.provider == provider.name), "")
        if named:
            return named
        return next((model.id for model in await self._models.offered_by(provider, caller)), "")

    async def _can(self, probe: Probe, provider: ProviderRecord, model: str, caller: Caller) -> bool:
        """Ask; a failure that may be of the moment counts once it has come twice."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return await self._asked(probe, provider, model, caller)
            except LlmManagerError as error:
                if is_refusal(error):
                    return False
                if not may_be_refusal(error):
                    raise
                if attempt == _ATTEMPTS:
                    return False
        return False

    async def _asked(self, probe: Probe, provider: ProviderRecord, model: str, caller: Caller) -> bool:
        call = Call(
            request_id=uuid7(),
            caller=caller,
            target=replace(target_of(provider, model), tags=_TAGS, dialects=None, profile=ModelProfile()),
            operation="chat",
            input=probe.body(model),
            requested_model=f"{provider.name}/{model}",
            deadline_seconds=_PROBE_SECONDS,
            is_stream=probe.is_stream,
        )
        documents: list[bytes] = []
        async with self._inference.run(call, input_characters=lambda: 0) as run:
            async for piece in run.pieces():
                documents.extend(piece.native)
        return probe.proves is None or any(probe.proves(document) for document in documents)


def _caller(snapshot: Snapshot) -> Caller | None:
    """The app that these calls are booked on; they are made without a key of it."""
    app = next((app for app in snapshot.apps.values() if app.name == DEFAULT_APP), None)
    return None if app is None else Caller(app_id=app.id, api_key_id="")
