"""GET /v1/models: OpenAI's members, and what a provider or a configuration says besides."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

from told_gateway import CREATED, FakeGateway, Told

from llm_manager.core.deltas import Model
from llm_manager.gateway.catalogue.discovery import ModelDirectory
from llm_manager.gateway.catalogue.records import AliasRecord, ConfigurationRecord, ProviderRecord
from llm_manager.gateway.catalogue.rules import Snapshot
from llm_manager.gateway.inference.rules import Caller, Piece
from llm_manager.gateway.ingress.openai.endpoints import router

# Any: JSON of any shape
Json = dict[str, Any]


async def _listed(model: Model) -> Json:
    gateway = FakeGateway(router)
    gateway.workers.told = Told((Piece(models=(model,)),))
    answer = await gateway.ask("/v1/models")
    return next(item for item in answer.json["data"] if item["id"] == f"openai/{model.id}")


async def test_a_model_keeps_what_its_provider_says_of_it() -> None:
    native = {
        "id": "m",
        "object": "x",
        "context_window": 448,
        "pricing": {"prompt": "0.1"},
        "capabilities": {"a": True},
    }
    assert await _listed(Model(id="m", created=3, owned_by="o", native=json.dumps(native).encode())) == {
        **native,
        "id": "openai/m",
        "object": "model",
        "created": 3,
        "owned_by": "o",
    }


async def test_a_description_in_another_shape_is_left_out() -> None:
    plain = {"id": "openai/m", "object": "model", "created": 0, "owned_by": "openai"}
    assert await _listed(Model(id="m", native=b'{"name":"models/m","inputTokenLimit":3}')) == plain
    assert await _listed(Model(id="m")) == plain


async def test_a_configuration_and_its_alias_say_what_is_known_of_their_model() -> None:
    records = (
        ProviderRecord(id="p", revision=1, name="openai", kind="openai"),
        ConfigurationRecord(
            id="c", revision=1, name="fast", provider="openai", upstream_model="m",
            context_window=8, capabilities=("tools",),
        ),
        AliasRecord(id="a", revision=1, name="quick", configuration="fast"),
    )  # fmt: skip
    catalogue = SimpleNamespace(snapshot=Snapshot.of(records, is_complete=True))
    directory = ModelDirectory(cast("Any", catalogue), cast("Any", None), facts=lambda _: None)
    models = await directory.list(Caller("app", "key"))
    said = [{**json.loads(model.native), "id": model.id} for model in models]
    told = {"context_window": 8, "capabilities": ["tools"]}
    assert said == [{"id": "fast", **told}, {"id": "quick", **told}]
    plain = await FakeGateway(router).ask("/v1/models/fast")
    assert plain.json == {"id": "fast", "object": "model", "created": CREATED, "owned_by": "openai"}
