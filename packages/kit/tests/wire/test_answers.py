"""What is answered comes out of the contract's messages as it went in."""

from __future__ import annotations

import pytest

from llm_manager.contracts.inference.v1 import chat_pb2
from llm_manager.core import deltas as words
from llm_manager.core.messages import OpaqueBlock
from llm_manager.kit.wire import answers


@pytest.mark.parametrize(
    "delta",
    [
        words.TextDelta(text="a", choice=1),
        words.ReasoningDelta(text="b"),
        words.RefusalDelta(text="c"),
        words.ToolCallStart(index=1, id="x", name="f", choice=2),
        words.ToolCallArguments(index=1, fragment="{"),
        words.Logprobs(json=b"{}"),
        words.Annotation(json=b'{"type":"url_citation"}', choice=3),
        words.Finish(reason="length", native_reason="MAX"),
        words.OpaqueDelta(block=OpaqueBlock(dialect="d", json=b"[]")),
    ],
)
def test_every_kind_of_step_comes_back(delta: words.Delta) -> None:
    travelled = chat_pb2.Delta.FromString(answers.delta_to_proto(delta).SerializeToString())
    assert answers.delta_from_proto(travelled) == delta


def test_a_step_of_a_newer_version_is_skipped_and_its_finish_still_ends() -> None:
    assert answers.delta_from_proto(chat_pb2.Delta(choice=3)) is None
    finish = chat_pb2.Delta(finish=chat_pb2.Finish(reason="tired"))
    assert answers.delta_from_proto(finish) == words.Finish(reason="length")


def test_lone_surrogates_travel_as_question_marks() -> None:
    assert answers.delta_to_proto(words.TextDelta(text="a\ud800")).text == "a?"


def test_what_describes_an_answer_comes_back() -> None:
    info = words.AnswerInfo(id="i", model="m", created=5, system_fingerprint="f", service_tier="t")
    assert answers.info_from_proto(answers.info_to_proto(info)) == info
    model = words.Model(id="m", created=1, owned_by="o", native=b"{}")
    assert answers.model_from_proto(answers.model_to_proto(model)) == model
    result = words.RerankResult(index=3, score=0.125)
    assert answers.rerank_result_from_proto(answers.rerank_result_to_proto(result)) == result
    count = words.TokenCount(input_tokens=2**40, cached_tokens=1)
    assert answers.token_count_from_proto(answers.token_count_to_proto(count)) == count
    exchange = words.UpstreamExchange(
        url="http://h/v1/models",
        method="GET",
        status=401,
        headers_ms=3,
        total_ms=4,
        size=5,
        content_type="application/json",
        preview="no",
    )
    assert answers.exchange_from_proto(answers.exchange_to_proto(exchange)) == exchange
