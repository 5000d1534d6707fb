"""Whole answers in OpenAI's dialect."""

from __future__ import annotations

import json

import pytest
from openai.types.chat import ChatCompletion

from llm_manager.core.deltas import (
    Annotation,
    AnswerInfo,
    Finish,
    Logprobs,
    OpaqueDelta,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallStart,
)
from llm_manager.core.errors import UpstreamProtocolError
from llm_manager.core.messages import OpaqueBlock
from llm_manager.gateway.inference.rules import Piece
from llm_manager.gateway.ingress.openai.completion import Completion, with_usage

INFO = AnswerInfo(id="a1", model="m", created=9, service_tier="flex")


def test_a_whole_answer_is_exactly_this() -> None:
    completion = Completion(INFO)
    completion.add(
        Piece(
            info=INFO,
            deltas=(
                ReasoningDelta(text="hm"),
                TextDelta(text="Hel"),
                TextDelta(text="lo"),
                Logprobs(json=b'{"content":[{"token":"Hel"}],"refusal":null}'),
                Logprobs(json=b'{"content":[{"token":"lo"}],"refusal":null}'),
                TextDelta(text="2", choice=1),
            ),
        )
    )
    completion.add(Piece(deltas=(Finish(reason="stop"), Finish(reason="length", choice=1))))
    assert json.loads(completion.body(b'{"prompt_tokens":1}')) == {
        "id": "a1", "object": "chat.completion", "created": 9, "model": "m", "service_tier": "flex",
        "choices": [
            {
                "index": 0, "finish_reason": "stop",
                "message": {"role": "assistant", "content": "Hello", "refusal": None, "reasoning_content": "hm"},
                "logprobs": {"content": [{"token": "Hel"}, {"token": "lo"}], "refusal": None},
            },
            {
                "index": 1, "finish_reason": "length", "logprobs": None,
                "message": {"role": "assistant", "content": "2", "refusal": None},
            },
        ],
        "usage": {"prompt_tokens": 1},
    }  # fmt: skip


def test_what_a_provider_does_not_say_about_its_answer_is_filled_in() -> None:
    completion = Completion(AnswerInfo(id="ours", model="asked", created=9))
    completion.add(Piece(info=AnswerInfo(id="", model="m", created=0), deltas=(Finish(reason="stop"),)))
    said = json.loads(completion.body(b"null"))
    assert (said["id"], said["model"], said["created"]) == ("ours", "m", 9)


def test_tool_calls_have_no_content_and_keep_their_arguments_as_written() -> None:
    completion = Completion(INFO)
    start, more = ToolCallStart(index=0, id="c", name="f"), ToolCallArguments(index=0, fragment='{"a": 1}')
    completion.add(Piece(deltas=(start, more, Finish(reason="tool_calls"))))
    message = json.loads(completion.body(b"null"))["choices"][0]["message"]
    assert message == {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}],
    }


def test_a_refusal_is_not_content() -> None:
    completion = Completion(INFO)
    completion.add(Piece(deltas=(RefusalDelta(text="no"), Finish(reason="stop"))))
    message = json.loads(completion.body(b"null"))["choices"][0]["message"]
    assert (message["content"], message["refusal"]) == (None, "no")


@pytest.mark.parametrize("deltas", [(), (TextDelta(text="a"),)])
def test_an_answer_without_a_finish_is_an_error(deltas: tuple[TextDelta, ...]) -> None:
    completion = Completion(INFO)
    completion.add(Piece(deltas=deltas))
    with pytest.raises(UpstreamProtocolError):
        completion.body(b"null")


def test_a_native_answer_keeps_every_byte_and_gets_its_usage() -> None:
    body = b'{ "id":"x", "odd" :1.0, "text":"a \\"usage\\": b" }\n'
    assert with_usage(body, b'{"cost":1}') == body.rstrip()[:-1] + b',"usage":{"cost":1}}'


def test_a_usage_that_a_worker_forgot_is_replaced() -> None:
    assert json.loads(with_usage(b'{"id":"x","usage":{"a":1}}', b'{"b":2}')) == {"id": "x", "usage": {"b": 2}}
    assert json.loads(with_usage(b"{}", b"null")) == {"usage": None}


@pytest.mark.parametrize("body", [b"", b"[]", b"oops", b'"}"'])
def test_a_native_answer_that_is_no_object_is_an_error(body: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        with_usage(body, b"null")


CALLS = (
    ToolCallStart(index=0, id="c0", name="look"),
    ToolCallArguments(index=0, fragment='{"a":1}'),
    ToolCallStart(index=1, id="c1", name="see"),
    ToolCallArguments(index=1, fragment="{}"),
    Finish(reason="tool_calls"),
)


def test_who_speaks_of_functions_gets_a_function_call() -> None:
    completion = Completion(INFO, calls_functions=True)
    completion.add(Piece(deltas=(*CALLS[:2], CALLS[-1])))
    body = completion.body(b"null")
    (choice,) = json.loads(body)["choices"]
    assert choice["finish_reason"] == "function_call"
    function = {"name": "look", "arguments": '{"a":1}'}
    assert choice["message"] == {"role": "assistant", "content": None, "refusal": None, "function_call": function}
    assert ChatCompletion.model_validate_json(body, strict=True).choices[0].message.function_call is not None


def test_more_calls_than_a_function_call_can_say_are_not_lost() -> None:
    completion = Completion(INFO, calls_functions=True)
    completion.add(Piece(deltas=CALLS))
    (choice,) = completion.choices()
    assert choice["message"] == {
        "role": "assistant", "content": None, "refusal": None,
        "function_call": {"name": "look", "arguments": '{"a":1}'},
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "see", "arguments": "{}"}}],
    }  # fmt: skip


@pytest.mark.requirement("B-17", "T-14")
def test_an_answer_carries_the_blocks_of_its_provider_and_what_it_cites() -> None:
    block = b'{"type":"redacted_thinking", "data":"x=="}'
    cited = {"end_index": 2, "start_index": 0, "title": "t", "url": "https://example.org"}
    annotation = json.dumps({"type": "url_citation", "url_citation": cited}).encode()
    completion = Completion(INFO)
    completion.add(Piece(deltas=(TextDelta(text="Hi"), Annotation(json=annotation))))
    opaque = OpaqueDelta(block=OpaqueBlock(dialect="anthropic_messages", json=block))
    completion.add(Piece(deltas=(opaque, Finish(reason="stop"))))
    body = completion.body(b"null")
    assert b'{"dialect":"anthropic_messages","block":' + block + b"}" in body
    parsed = ChatCompletion.model_validate_json(body, strict=True)
    annotations = parsed.choices[0].message.annotations
    assert annotations is not None
    assert annotations[0].url_citation.url == "https://example.org"
