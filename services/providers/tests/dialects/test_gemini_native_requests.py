"""Requests of Gemini's own clients: they pass byte for byte."""

from __future__ import annotations

import json
from typing import Any  # JSON bodies

import pytest

from llm_manager.core.errors import InvalidRequest
from llm_manager.core.facts import load_facts
from llm_manager.providers.dialects.gemini_generate.dialect import GeminiGenerate
from llm_manager.providers.dialects.policy import Policy
from llm_manager.providers.dialects.port import UpstreamCall
from llm_manager.testing.recordings import Recording, load, why_absent

DIALECT = GeminiGenerate(load_facts()["gemini"], new_id=str)
Json = dict[str, Any]
on_recordings = pytest.mark.skipif(why_absent() is not None, reason=why_absent() or "")


def native_call(recording: Recording, body: bytes, model: str) -> UpstreamCall:
    match recording.operation:
        case "chat":
            return DIALECT.native_chat(body, model=model, is_stream=recording.is_stream, policy=Policy())
        case "embeddings":
            return DIALECT.native_embeddings(body, model=model, policy=Policy())
        case _:
            return DIALECT.native_count_tokens(body, model=model, policy=Policy())


@on_recordings
@pytest.mark.requirement("S23")
def test_recorded_bodies_pass_byte_for_byte_in_native_form() -> None:
    passed = 0
    for recording in load(providers=("gemini",), operations=("chat", "embeddings", "count_tokens")):
        request: Json = recording.request
        if not request:
            continue
        model = recording.url.partition("/models/")[2].partition(":")[0]
        body = json.dumps(request, indent=1).encode()
        call = native_call(recording, body, model)
        if request.get("model", f"models/{model}") == f"models/{model}":
            assert call.body == body
            passed += 1
        operation = recording.url.partition("?")[0].rpartition(":")[2]
        asked = f"/v1beta/models/{model}:{operation}"
        assert call.path == (f"{asked}?alt=sse" if recording.is_stream else asked)
    assert passed > 120


def test_model_inside_a_native_body_is_the_upstream_s() -> None:
    wanted = {"model": "models/up"}
    chat = DIALECT.native_chat(b'{"model":"alias","x":1.50}', model="up", is_stream=True, policy=Policy())
    batch = DIALECT.native_embeddings(
        b'{"requests":[{"model":"models/alias","x":1.50},{"content":{}}]}', model="up", policy=Policy()
    )
    count = DIALECT.native_count_tokens(
        b'{"generateContentRequest":{"model":"models/alias","x":1.50}}', model="models/up", policy=Policy()
    )

    assert chat.path == "/v1beta/models/up:streamGenerateContent?alt=sse"
    assert chat.body == b'{"model":"models/up","x":1.50}'
    assert batch.body == b'{"requests":[{"model":"models/up","x":1.50},{"content":{}}]}'
    assert json.loads(count.body) == {"generateContentRequest": {**wanted, "x": 1.5}}
    assert DIALECT.native_embeddings(b'{"content":{}}', model="up", policy=Policy()).path.endswith(":embedContent")


@pytest.mark.parametrize("body", [b"[]", b"nonsense", b'{"requests":7}', b'{"requests":[7]}'])
def test_native_body_of_the_wrong_form_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        DIALECT.native_embeddings(body, model="m", policy=Policy())
