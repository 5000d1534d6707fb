"""Which models there are: configurations and aliases, then what the providers say they offer now."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import structlog

from llm_manager.core.deltas import Model
from llm_manager.core.errors import LlmManagerError
from llm_manager.core.facts import Facts
from llm_manager.core.ids import uuid7
from llm_manager.gateway.catalogue.records import ConfigurationRecord, ProviderRecord
from llm_manager.gateway.catalogue.rules import Snapshot, target_of
from llm_manager.gateway.catalogue.service import Catalogue
from llm_manager.gateway.inference.client import WorkerClient
from llm_manager.gateway.inference.rules import Call, Caller, ModelsQuery

log = structlog.stdlib.get_logger("gateway")

_FRESH_SECONDS = 600.0
# A provider that failed is asked again sooner, and never keeps the list waiting for long.
_RETRY_SECONDS, _DEADLINE_SECONDS = 30.0, 5.0
_AT_ONCE = 8
# Lists of models are in no ledger, so nobody has to be charged for one.
_NOBODY = Caller(app_id="", api_key_id="")


@dataclass(frozen=True, slots=True)
class _Discovered:
    record: ProviderRecord
    models: tuple[Model, ...] | None
    until: float


class ModelDirectory:
    """Lists models; what providers offer is asked over the bus and remembered for ten minutes."""

    def __init__(
        self,
        catalogue: Catalogue,
        client: WorkerClient,
        *,
        facts: Callable[[str], Facts | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._catalogue = catalogue
        self._client = client
        self._facts = facts
        self._clock = clock
        self._known: dict[str, _Discovered] = {}
        self._asking: dict[str, asyncio.Lock] = {}
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    async def list(self, caller: Caller, *, refresh: bool = False) -> list[Model]:
        """Return what the caller may use: configurations and aliases by name, then live models as `<provider>/<id>`.

        With `refresh` the providers are asked again, whatever is remembered.

        A provider that does not answer is left out and logged; the list is never broken by it.
        """
        snapshot = self._catalogue.snapshot
        providers = [item for item in snapshot.providers.values() if self._can_list(item)]
        found = await asyncio.gather(*(self._models_of(item, caller, refresh=refresh) for item in providers))
        listed = _named(snapshot, caller)
        for provider, models in zip(providers, found, strict=True):
            prefixed = (_prefixed(provider, model) for model in models or ())
            listed.extend(model for model in prefixed if snapshot.is_open(caller, model.id))
        return listed

    async def get(self, model_id: str, caller: Caller) -> Model:
        """Return one model.

        Raises:
            ModelNotFound: no configuration, alias or model of a provider has this name.
            PermissionRefused, ConfigurationInactive: see `Snapshot.resolve`.
        """
        snapshot = self._catalogue.snapshot
        for model in _named(snapshot, caller):
            if model.id == model_id:
                return model
        target = snapshot.resolve(model_id, caller)
        provider = snapshot.providers[target.provider]
        models = await self._models_of(provider, caller) if self._can_list(provider) else None
        if models is None:
            # nobody can tell now; the name is one that a chat would be tried with
            return Model(id=model_id, owned_by=provider.name)
        for model in models:
            if model.id == target.upstream_model:
                return _prefixed(provider, model)
        raise snapshot.not_found(model_id, caller)

    async def discover(self, provider: ProviderRecord, *, refresh: bool = False) -> Sequence[Model]:
        """Return what one provider lists, by its own names: what is remembered for ten minutes, or an answer of now.

        Raises:
            LlmManagerError: it cannot be asked, or refuses.
        """
        async with self._asking.setdefault(provider.name, asyncio.Lock()):
            known = self._known.get(provider.name)
            is_fresh = known is not None and known.record == provider and known.until > self._clock()
            if known is not None and known.models is not None and is_fresh and not refresh:
                return known.models
            models = await self._ask(provider, _NOBODY)
            self._known[provider.name] = _Discovered(provider, models, self._clock() + _FRESH_SECONDS)
            return models

    async def offered_by(self, provider: ProviderRecord, caller: Caller) -> Sequence[Model]:
        """Return what one provider lists, by its own names; nothing when it cannot be asked."""
        return (await self._models_of(provider, caller) if self._can_list(provider) else None) or ()

    def _can_list(self, provider: ProviderRecord) -> bool:
        facts = self._facts(provider.kind)
        return facts is not None and "models" in facts.operations

    async def _models_of(
        self, provider: ProviderRecord, caller: Caller, *, refresh: bool = False
    ) -> Sequence[Model] | None:
        lock = self._asking.setdefault(provider.name, asyncio.Lock())
        async with lock:
            known = self._known.get(provider.name)
            is_fresh = known is not None and known.record == provider and known.until > self._clock()
            if known is not None and is_fresh and not refresh:
                return known.models
            models = await self._answer_of(provider, caller)
            if models is None and known is not None and known.record == provider:
                # yesterday's list is worth more than none
                models = known.models
                until = self._clock() + _RETRY_SECONDS
            else:
                until = self._clock() + (_RETRY_SECONDS if models is None else _FRESH_SECONDS)
            self._known[provider.name] = _Discovered(provider, models, until)
            return models

    async def _answer_of(self, provider: ProviderRecord, caller: Caller) -> tuple[Model, ...] | None:
        try:
            return await self._ask(provider, caller)
        except LlmManagerError as error:
            log.warning("models_not_discovered", provider=provider.name, code=error.code, reason=error.message)
            return None

    async def _ask(self, provider: ProviderRecord, caller: Caller) -> tuple[Model, ...]:
        call = Call(
            request_id=uuid7(),
            caller=caller,
            target=target_of(provider, ""),
            operation="models",
            input=ModelsQuery(),
            requested_model="",
            deadline_seconds=_DEADLINE_SECONDS,
        )
        models: list[Model] = []
        async with self._at_once, self._client.attempt(call, attempt_id=uuid7(), number=1) as answer:
            while pieces := await answer.pieces():
                models.extend(model for piece in pieces for model in piece.models)
        return tuple(models)


def _named(snapshot: Snapshot, caller: Caller) -> list[Model]:
    configurations = [
        Model(id=item.name, created=item.created, owned_by=item.provider, native=_described(item))
        for item in snapshot.configurations.values()
        if _is_usable(snapshot, item, caller, item.name)
    ]
    aliases = [
        Model(id=item.name, created=item.created, owned_by=named.provider, native=_described(named))
        for item in snapshot.aliases.values()
        if item.name not in snapshot.configurations
        and (named := snapshot.configurations.get(item.configuration))
        and _is_usable(snapshot, named, caller, item.name, named.name)
    ]
    return sorted(configurations, key=lambda model: model.id) + sorted(aliases, key=lambda model: model.id)


def _is_usable(snapshot: Snapshot, configuration: ConfigurationRecord, caller: Caller, *names: str) -> bool:
    return (
        configuration.is_active
        and configuration.provider in snapshot.providers
        and snapshot.is_owned(configuration, caller)
        and snapshot.is_open(caller, *names)
    )


def _described(configuration: ConfigurationRecord) -> bytes:
    """Return what a configuration says about its model, in the form of a provider's own description."""
    said = {
        "context_window": configuration.context_window,
        "max_output_tokens": configuration.max_output_tokens,
        "capabilities": configuration.capabilities,
    }
    return msgspec.json.encode({"id": configuration.name, **{k: v for k, v in said.items() if v is not None}})


def _prefixed(provider: ProviderRecord, model: Model) -> Model:
    owner = model.owned_by or provider.name
    return Model(id=f"{provider.name}/{model.id}", created=model.created, owned_by=owner, native=model.native)
