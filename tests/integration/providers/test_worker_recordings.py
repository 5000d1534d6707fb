"""Recordings through the whole worker: NATS in, HTTP to the replay server out, and one ledger event for each."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any  # recorded bodies

import pytest

from llm_manager.contracts.inference.v1.infer_pb2 import InferRequest, ModelsInput, NativeInput
from llm_manager.contracts.usage.v1 import event_pb2 as event_types
from llm_manager.testing.answers import answer_of_reading, differences
from llm_manager.testing.asker import Answered, Asker
from llm_manager.testing.recordings import Recording, ReplayServer, load, oracle, replay_server, why_absent

pytestmark = pytest.mark.skipif(why_absent() is not None, reason=why_absent() or "")

PROVIDERS = ("openai", "groq", "mistral", "together", "openai_compatible")
ALL = load(providers=PROVIDERS)


@pytest.fixture(scope="module", params=["real", "bytes:7"])
def replay(request: pytest.FixtureRequest) -> Generator[ReplayServer]:
    with replay_server(chunks=request.param) as server:
        yield server


def request_for(asker: Asker, recording: Recording, replay: ReplayServer) -> InferRequest:
    kind = "custom" if recording.provider == "openai_compatible" else recording.provider
    asked: dict[str, Any] = recording.request or {}
    model: str = asked.get("model") or "m"
    request = asker.request(kind, model=model, credential=f"replay:id={recording.id}")
    request.target.base_url = replay.base_url(recording.provider)
    body = NativeInput(dialect="openai_chat", body=json.dumps(recording.request).encode())
    match recording.operation:
        case "chat":
            request.native_chat.CopyFrom(body)
            request.is_stream = recording.is_stream
        case "embeddings":
            request.native_embeddings.CopyFrom(body)
        case _:
            request.models.CopyFrom(ModelsInput())
    return request


def differences_of(recording: Recording, answered: Answered) -> list[str]:
    expected = recording.expected
    if (answered.error is not None) != bool(expected["error"]):
        return [f"error: {answered.error!r} instead of {expected['error']}"]
    match recording.operation:
        case "models":
            return [] if answered.error or len(answered.chunks[0].models) == expected["count"] else ["models"]
        case "embeddings":
            return (
                [] if answered.error or len(json.loads(answered.native[0])["data"]) == expected["count"] else ["data"]
            )
        case _ if answered.error is not None and recording.status != 200:
            return []
        case _:
            events = b"".join(b"data: %b\n\n" % event for event in answered.native)
            body = events + b"data: [DONE]\n\n" if recording.is_stream else answered.native[0]
            _, reading = oracle().read(recording.provider, recording.wire, 200, body)
            return [*differences(answer_of_reading(reading), expected), *_miscounted(recording, answered)]


def _miscounted(recording: Recording, answered: Answered) -> list[str]:
    """Compare the characters of the messages, from which a lost attempt is estimated, with what the model wrote."""
    said = len(recording.expected["text"] or "") + len(recording.expected["reasoning_text"] or "")
    counted = sum(message.characters for message in answered.chunks)
    return [] if counted >= said else [f"characters: {counted} of {said}"]


def usage_of(recording: Recording) -> tuple[int, int] | None:
    expected = recording.expected
    total = expected.get("input_tokens_total", expected.get("input_tokens"))
    return None if total is None else (total, expected.get("output_tokens_total") or 0)


async def test_every_recording_passes_the_worker_and_is_recorded_once(asker: Asker, replay: ReplayServer) -> None:
    found: dict[str, list[str]] = {}
    recorded: dict[str, Recording] = {}
    for recording in ALL:
        request = request_for(asker, recording, replay)
        recorded[request.attribution.attempt_id] = recording
        answered = await asker.ask(request)
        if different := differences_of(recording, answered):
            found[recording.id] = different

    assert found == {}
    for event in asker.events:
        recording = recorded.pop(event.event_id)
        state = event_types.ATTEMPT_STATE_ERROR if recording.expected["error"] else event_types.ATTEMPT_STATE_OK
        assert event.state == state
        used = event.usage
        said = usage_of(recording)
        if said is not None:
            assert event.usage_source == event_types.USAGE_SOURCE_PROVIDER
            inputs = used.input_uncached + used.cache_read + used.cache_write_5m + used.input_audio + used.input_image
            assert (inputs, used.output_text + used.output_reasoning + used.output_audio + used.output_image) == said
    # what was not recorded are the lists of models: nobody's spending
    assert {recording.operation for recording in recorded.values()} == {"models"}
