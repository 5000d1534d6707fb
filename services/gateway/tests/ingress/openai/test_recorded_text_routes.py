"""What providers really sent for completions and rerank, as it leaves us."""

from __future__ import annotations

import json

import pytest
from cohere.v2.types import V2RerankResponse
from openai.types import Completion

from llm_manager.core.deltas import AnswerInfo
from llm_manager.gateway.inference.rules import Piece
from llm_manager.gateway.ingress.openai.completion import with_usage
from llm_manager.gateway.ingress.openai.completions import NativeTextChunks
from llm_manager.gateway.ingress.openai.rerank import with_model
from llm_manager.kit.sse import SseDecoder
from llm_manager.testing.recordings import Recording, load, why_absent

pytestmark = pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))

FALLBACK = AnswerInfo(id="cmpl-x", model="m", created=7)
USAGE = b'{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}'


PROVIDERS = ("cohere", "openai", "openai_compatible", "together")


def _good(operation: str) -> list[Recording]:
    return [item for item in load(providers=PROVIDERS, operations=(operation,)) if item.status == 200]


COMPLETIONS = [item for item in _good("completions") if item.wire == "openai.completions"]


@pytest.mark.requirement("L-5")
@pytest.mark.parametrize("recording", [item for item in COMPLETIONS if item.is_stream], ids=lambda item: item.id)
def test_a_recorded_stream_leaves_as_it_came_with_one_usage_at_its_end(recording: Recording) -> None:
    decoder = SseDecoder()
    events = [event.data for event in (*decoder.feed(recording.body), *decoder.finish())]
    writer = NativeTextChunks(FALLBACK, include_usage=True)
    chunks = writer.write(Piece(native=tuple(event.encode() for event in events if event != "[DONE]")))
    chunks += writer.finish(USAGE)
    parsed = [json.loads(chunk) for chunk in chunks]
    said = "".join(choice.get("text") or "" for item in parsed for choice in item["choices"])
    assert said == recording.expected["text"]
    assert [item["usage"] is None for item in parsed] == [True] * (len(parsed) - 1) + [False]
    assert len({item["id"] for item in parsed}) == 1
    assert Completion.model_validate_json(chunks[-1]).usage is not None


@pytest.mark.parametrize("recording", [item for item in COMPLETIONS if not item.is_stream], ids=lambda item: item.id)
def test_a_recorded_completion_leaves_as_it_came(recording: Recording) -> None:
    body = with_usage(recording.body, USAGE)
    assert json.loads(body) == {**json.loads(recording.body), "usage": json.loads(USAGE)}
    assert Completion.model_construct(**json.loads(body)).choices


@pytest.mark.parametrize("recording", _good("rerank"), ids=lambda item: item.id)
def test_a_recorded_rerank_is_read_by_the_types_of_cohere(recording: Recording) -> None:
    was = json.loads(recording.body)
    body = json.loads(with_model(recording.body, "m", usage=USAGE))
    assert body == {"model": "m", **was, "usage": json.loads(USAGE)}
    ranked = V2RerankResponse.model_validate(body)
    assert [item.index for item in ranked.results] == [item["index"] for item in was["results"]]
