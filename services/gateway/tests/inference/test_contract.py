"""Neutral words and the messages of the contract say the same."""

from __future__ import annotations

import pytest

from llm_manager.contracts.inference.v1 import chat_pb2, infer_pb2
from llm_manager.contracts.usage.v1 import event_pb2
from llm_manager.core import deltas
from llm_manager.core import messages as words
from llm_manager.core.prices import Cost, CostState
from llm_manager.core.usage import BUCKETS, Usage, UsageReport, UsageSource
from llm_manager.gateway.inference.contract import chat_input, embeddings_input, outcome_of, piece_of
from llm_manager.gateway.inference.rules import Outcome, Piece

CALL = words.ToolCall(id="c", name="f", arguments="{")


def test_a_chat_travels_whole() -> None:
    chat = words.ChatInput(
        messages=(
            words.Message(
                role="user", name="ann", parts=(words.Text(text="a"), words.Media(data=b"x", mime_type="i/p"))
            ),
            words.Message(role="user", parts=(words.Media(url="u", detail="low"), words.Media(file_id="f"))),
            words.Message(role="assistant", parts=(words.Reasoning(text="r"), words.Refusal(text="n"), CALL)),
            words.Message(role="tool", parts=(words.ToolResult(tool_call_id="c", content="d", is_error=True),)),
            words.Message(role="system", parts=(words.OpaqueBlock(dialect="x", json=b"{}"),)),
        ),
        tools=(words.Tool(name="f", description="d", parameters=b"{}", is_strict=False), words.Tool(name="g")),
        tool_choice=words.ToolChoice(mode="named", name="f", parallel=False),
        response_format=words.ResponseFormat(kind="json_schema", name="s", schema=b"{}", is_strict=True),
        sampling=words.Sampling(max_tokens=0, temperature=0.0, seed=-1, stop=("a", "b"), n=2, logprobs=False),
        extension=b'{"x":1}',
    )
    part = chat_pb2.Part
    expected = chat_pb2.ChatInput(
        messages=[
            chat_pb2.Message(
                role=chat_pb2.ROLE_USER,
                name="ann",
                parts=[part(text="a"), part(media=chat_pb2.Media(data=b"x", mime_type="i/p"))],
            ),
            chat_pb2.Message(
                role=chat_pb2.ROLE_USER,
                parts=[part(media=chat_pb2.Media(url="u", detail="low")), part(media=chat_pb2.Media(file_id="f"))],
            ),
            chat_pb2.Message(
                role=chat_pb2.ROLE_ASSISTANT,
                parts=[
                    part(reasoning="r"),
                    part(refusal="n"),
                    part(tool_call=chat_pb2.ToolCall(id="c", name="f", arguments="{")),
                ],
            ),
            chat_pb2.Message(
                role=chat_pb2.ROLE_TOOL,
                parts=[part(tool_result=chat_pb2.ToolResult(tool_call_id="c", content="d", is_error=True))],
            ),
            chat_pb2.Message(
                role=chat_pb2.ROLE_SYSTEM, parts=[part(opaque=chat_pb2.OpaqueBlock(dialect="x", json=b"{}"))]
            ),
        ],
        tools=[
            chat_pb2.Tool(name="f", description="d", parameters=b"{}", is_strict=False),
            chat_pb2.Tool(name="g"),
        ],
        tool_choice=chat_pb2.ToolChoice(mode=chat_pb2.ToolChoice.MODE_NAMED, name="f", parallel=False),
        response_format=chat_pb2.ResponseFormat(
            kind=chat_pb2.ResponseFormat.KIND_JSON_SCHEMA, name="s", schema=b"{}", is_strict=True
        ),
        sampling=chat_pb2.Sampling(max_tokens=0, temperature=0.0, seed=-1, stop=["a", "b"], n=2, logprobs=False),
        extension=b'{"x":1}',
    )
    assert chat_input(chat) == expected


def test_what_was_not_said_is_absent_and_not_zero() -> None:
    message = chat_input(words.ChatInput(messages=()))
    assert message == chat_pb2.ChatInput(sampling=chat_pb2.Sampling())
    assert not message.sampling.HasField("temperature")
    assert not message.HasField("tool_choice")


def test_every_field_of_sampling_has_the_same_name_in_the_contract() -> None:
    assert set(words.Sampling.__struct_fields__) == set(chat_pb2.Sampling.DESCRIPTOR.fields_by_name)


def test_embeddings_travel_whole() -> None:
    asked = words.EmbeddingsInput(texts=("a", "b"), dimensions=3, extension=b"{}")
    assert embeddings_input(asked) == chat_pb2.EmbeddingsInput(texts=["a", "b"], dimensions=3, extension=b"{}")
    assert not embeddings_input(words.EmbeddingsInput(texts=("a",))).HasField("dimensions")


def test_a_piece_is_read_whole() -> None:
    delta = chat_pb2.Delta
    chunk = infer_pb2.Chunk(
        info=chat_pb2.AnswerInfo(id="i", model="m", created=5, system_fingerprint="f", service_tier="t"),
        deltas=[
            delta(text="a", choice=1),
            delta(reasoning="b"),
            delta(refusal="c"),
            delta(tool_call_start=chat_pb2.ToolCallStart(index=1, id="x", name="f")),
            delta(tool_call_arguments=chat_pb2.ToolCallArguments(index=1, fragment="{")),
            delta(logprobs=b"{}"),
            delta(finish=chat_pb2.Finish(reason="length", native_reason="MAX")),
            delta(opaque=chat_pb2.OpaqueBlock(dialect="d", json=b"[]")),
            delta(choice=3),
        ],
        embeddings=[chat_pb2.Embedding(values=[0.5, 1.0])],
        models=[chat_pb2.Model(id="m", created=1, owned_by="o", native=b"{}")],
    )
    assert piece_of(chunk.SerializeToString()) == Piece(
        info=deltas.AnswerInfo(id="i", model="m", created=5, system_fingerprint="f", service_tier="t"),
        deltas=(
            deltas.TextDelta(text="a", choice=1),
            deltas.ReasoningDelta(text="b"),
            deltas.RefusalDelta(text="c"),
            deltas.ToolCallStart(index=1, id="x", name="f"),
            deltas.ToolCallArguments(index=1, fragment="{"),
            deltas.Logprobs(json=b"{}"),
            deltas.Finish(reason="length", native_reason="MAX"),
            deltas.OpaqueDelta(block=words.OpaqueBlock(dialect="d", json=b"[]")),
        ),
        embeddings=((0.5, 1.0),),
        models=(deltas.Model(id="m", created=1, owned_by="o", native=b"{}"),),
    )


@pytest.mark.parametrize("bucket", BUCKETS)
def test_every_bucket_is_read(bucket: str) -> None:
    event = event_pb2.UsageRecorded(
        usage=event_pb2.Usage(**{bucket: 7}),
        usage_source=event_pb2.USAGE_SOURCE_PROVIDER,
        raw_usage=b"{}",
        cost=event_pb2.Cost(state=event_pb2.COST_STATE_REPORTED, total_picousd=5, price_version="v"),
        upstream_request_id="up",
        response_model="m",
    )
    done = infer_pb2.Done(event=event, upstream_headers={"x-ratelimit-limit-requests": "9"})
    assert outcome_of(done.SerializeToString()) == Outcome(
        report=UsageReport(Usage(**{bucket: 7}), UsageSource.PROVIDER, b"{}"),
        cost=Cost(CostState.REPORTED, 5, price_version="v"),
        upstream_request_id="up",
        upstream_headers={"x-ratelimit-limit-requests": "9"},
        response_model="m",
    )


def test_an_account_of_a_newer_worker_promises_nothing() -> None:
    outcome = outcome_of(infer_pb2.Done().SerializeToString())
    assert (outcome.report.source, outcome.cost.state) == (UsageSource.UNKNOWN, CostState.UNPRICED)
    assert outcome.cost.total_picousd is None


def test_a_native_piece_is_read() -> None:
    assert piece_of(infer_pb2.Chunk(native=[b"a", b"b"]).SerializeToString()) == Piece(native=(b"a", b"b"))
