"""What is asked of Cohere: every neutral word has its place there, or is refused by name."""

from __future__ import annotations

import json
from typing import Any  # JSON documents

import pytest
from cohere.types.chat_message_v2 import UserChatMessageV2

from llm_manager.core.errors import UnsupportedParameter
from llm_manager.core.facts import load_facts
from llm_manager.core.messages import (
    ChatInput,
    EmbeddingsInput,
    Media,
    Message,
    OpaqueBlock,
    Reasoning,
    RerankInput,
    ResponseFormat,
    Sampling,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llm_manager.providers.dialects.cohere_v2.dialect import CohereV2
from llm_manager.providers.dialects.policy import Policy
from llm_manager.providers.dialects.port import UpstreamCall
from llm_manager.testing.recordings import Recording, load

DIALECT = CohereV2(load_facts()["cohere"], new_id=lambda: "id")
HELLO = (Message(role="user", parts=(Text(text="Hello"),)),)
SCHEMA = b'{"type":"object"}'
TOOLS = (Tool(name="look", description="Look.", parameters=SCHEMA), Tool(name="see"))
WRITTEN_TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": "look", "description": "Look.", "parameters": {"type": "object"}}},
    {"type": "function", "function": {"name": "see", "parameters": {"type": "object", "properties": {}}}},
]
THINKER = "command-a-reasoning-08-2025"


def call_of(chat: ChatInput, *, model: str = "m", policy: Policy | None = None) -> UpstreamCall:
    return DIALECT.chat(chat, model=model, is_stream=False, policy=policy or Policy())


def body_of(chat: ChatInput, *, model: str = "m", policy: Policy | None = None) -> dict[str, Any]:
    call = call_of(chat, model=model, policy=policy)
    assert (call.method, call.path) == ("POST", "/v2/chat")
    body: dict[str, Any] = json.loads(call.body)
    assert body.pop("model") == model
    assert body.pop("stream") is False
    return body


def turns(*messages: Message, model: str = "m", policy: Policy | None = None) -> list[dict[str, Any]]:
    return body_of(ChatInput(messages=messages), model=model, policy=policy)["messages"]


@pytest.mark.requirement("S26")
@pytest.mark.parametrize(
    ("message", "written"),
    [
        (Message(role="system", parts=(Text(text="Be brief."),)), [{"role": "system", "content": "Be brief."}]),
        (
            Message(role="user", parts=(Text(text="a"), Text(text="b"))),
            [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}],
        ),
        (Message(role="user", parts=(Text(text=""),)), [{"role": "user", "content": ""}]),
        (
            Message(role="user", parts=(Text(text="See"), Media(mime_type="image/png", data=b"\x01", detail="low"))),
            [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "See"},
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AQ==", "detail": "low"}},
                    ],
                }
            ],
        ),
        (
            Message(role="user", parts=(Media(url="https://x/y.png"),)),
            [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]}],
        ),
        (
            Message(
                role="assistant",
                parts=(
                    Reasoning(text="hm"),
                    Text(text="Wait."),
                    ToolCall(id="c1", name="look", arguments='{"a": 1}'),
                    ToolCall(id="c2", name="see", arguments=""),
                ),
            ),
            [
                {
                    "role": "assistant",
                    "content": "Wait.",
                    "tool_calls": [
                        {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}},
                        {"id": "c2", "type": "function", "function": {"name": "see", "arguments": "{}"}},
                    ],
                }
            ],
        ),
        (
            Message(
                role="tool",
                parts=(
                    ToolResult(tool_call_id="c1", parts=(Text(text="seen"),)),
                    ToolResult(tool_call_id="c2", parts=(Text(text="dark"),), is_error=True),
                ),
            ),
            [
                {"role": "tool", "tool_call_id": "c1", "content": "seen"},
                {"role": "tool", "tool_call_id": "c2", "content": '{"error":"dark"}'},
            ],
        ),
        (Message(role="assistant", parts=()), []),
    ],
)
def test_turns(message: Message, written: list[dict[str, Any]]) -> None:
    assert turns(message) == written


def test_only_models_that_think_get_thoughts_back() -> None:
    said = Message(role="assistant", parts=(Reasoning(text="hm"), Text(text="Yes")))
    assert turns(said) == [{"role": "assistant", "content": "Yes"}]
    blocks = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Yes"}]
    assert turns(said, model=THINKER) == [{"role": "assistant", "content": blocks}]


def test_what_is_written_is_what_the_sdk_takes() -> None:
    message = Message(role="user", parts=(Text(text="See"), Media(mime_type="image/png", data=b"\x01")))
    (written,) = turns(message)
    assert UserChatMessageV2(**written).dict(exclude_none=True) == written


@pytest.mark.requirement("B-14", "B-15", "B-22", "P-18")
@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"sampling": Sampling(n=2)}, "n"),
        ({"sampling": Sampling(logprobs=True, top_logprobs=2)}, "top_logprobs"),
        ({"sampling": Sampling(reasoning_effort="medium")}, "reasoning_effort"),
        ({"tools": TOOLS, "tool_choice": ToolChoice(parallel=False)}, "parallel_tool_calls"),
        ({"native_tools": (OpaqueBlock(dialect="anthropic_messages", json=b"{}"),)}, "tools"),
        ({"extension": b'{"logit_bias":{"1":2}}'}, "logit_bias"),
        ({"extension": b'{"nobody_knows":1}'}, "nobody_knows"),
        ({"messages": (Message(role="user", parts=(Media(mime_type="audio/wav", data=b"x"),)),)}, "messages"),
        ({"messages": (Message(role="user", parts=(Media(mime_type="image/png", file_id="f"),)),)}, "messages"),
        (
            {
                "messages": (
                    Message(
                        role="tool",
                        parts=(ToolResult(tool_call_id="c", parts=(Media(url="https://x"),)),),
                    ),
                )
            },
            "messages",
        ),
    ],
)
def test_what_it_does_not_take_is_refused_or_left_out_with_a_warning(changed: dict[str, Any], name: str) -> None:
    fields: dict[str, Any] = {"messages": HELLO, **changed}
    chat = ChatInput(**fields)
    with pytest.raises(UnsupportedParameter) as refused:
        call_of(chat)
    assert refused.value.param == name
    policy = Policy(adapts=True)
    call_of(chat, policy=policy)
    assert [warning for warning in policy.warnings if name in warning]


@pytest.mark.requirement("P-18")
def test_thoughts_that_should_be_hidden_are_refused_where_there_are_some() -> None:
    hidden = ChatInput(messages=HELLO, sampling=Sampling(shows_reasoning=False))
    assert set(body_of(hidden)) == {"messages"}
    with pytest.raises(UnsupportedParameter, match=r"reasoning\.exclude"):
        call_of(hidden, model=THINKER)


@pytest.mark.parametrize(
    ("sampling", "written"),
    [
        (
            Sampling(
                max_tokens=5,
                temperature=0.5,
                top_p=0.9,
                top_k=3,
                presence_penalty=0.1,
                frequency_penalty=0.2,
                seed=7,
                stop=("a", "b"),
                logprobs=True,
                n=1,
            ),
            {
                "max_tokens": 5,
                "temperature": 0.5,
                "p": 0.9,
                "k": 3,
                "presence_penalty": 0.1,
                "frequency_penalty": 0.2,
                "seed": 7,
                "stop_sequences": ["a", "b"],
                "logprobs": True,
            },
        ),
        (Sampling(reasoning_effort="none"), {"thinking": {"type": "disabled"}}),
        (Sampling(reasoning_effort="high"), {"thinking": {"type": "enabled"}}),
        (Sampling(reasoning_budget=0), {"thinking": {"type": "disabled"}}),
        (
            Sampling(reasoning_effort="high", reasoning_budget=500),
            {"thinking": {"type": "enabled", "token_budget": 500}},
        ),
    ],
)
def test_sampling(sampling: Sampling, written: dict[str, Any]) -> None:
    body = body_of(ChatInput(messages=HELLO, sampling=sampling))
    del body["messages"]
    assert body == written


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        (None, {"tools": WRITTEN_TOOLS}),
        (ToolChoice(mode="auto", parallel=True), {"tools": WRITTEN_TOOLS}),
        (ToolChoice(mode="none"), {"tools": WRITTEN_TOOLS, "tool_choice": "NONE"}),
        (ToolChoice(mode="required"), {"tools": WRITTEN_TOOLS, "tool_choice": "REQUIRED"}),
        (ToolChoice(mode="named", name="see"), {"tools": WRITTEN_TOOLS[1:], "tool_choice": "REQUIRED"}),
        (ToolChoice(mode="auto", allowed=("look",)), {"tools": WRITTEN_TOOLS[:1]}),
        (ToolChoice(mode="required", allowed=("look",)), {"tools": WRITTEN_TOOLS[:1], "tool_choice": "REQUIRED"}),
    ],
)
def test_tools_and_which_may_be_called(choice: ToolChoice | None, written: dict[str, Any]) -> None:
    body = body_of(ChatInput(messages=HELLO, tools=TOOLS, tool_choice=choice))
    del body["messages"]
    assert body == written


def test_a_strict_tool_makes_all_of_them_strict() -> None:
    body = body_of(ChatInput(messages=HELLO, tools=(Tool(name="look", is_strict=True),)))
    assert body["strict_tools"] is True


@pytest.mark.parametrize(
    ("form", "written"),
    [
        (ResponseFormat(kind="text"), None),
        (ResponseFormat(kind="json_object"), {"type": "json_object"}),
        (
            ResponseFormat(kind="json_schema", name="x", schema=SCHEMA),
            {"type": "json_object", "json_schema": {"type": "object"}},
        ),
    ],
)
def test_forms_of_answers(form: ResponseFormat, written: object) -> None:
    assert body_of(ChatInput(messages=HELLO, response_format=form)).get("response_format") == written


def test_own_parameters_go_through() -> None:
    extension = b'{"safety_mode":"STRICT","documents":["a"],"citation_options":{"mode":"FAST"}}'
    body = body_of(ChatInput(messages=HELLO, extension=extension))
    assert {name: body[name] for name in json.loads(extension)} == json.loads(extension)


@pytest.mark.requirement("S34")
@pytest.mark.parametrize(
    ("asked", "written"),
    [
        (EmbeddingsInput(texts=("a", "b")), {"input_type": "search_document"}),
        (
            EmbeddingsInput(texts=("a", "b"), dimensions=256, purpose="search_query"),
            {"input_type": "search_query", "output_dimension": 256},
        ),
        (
            EmbeddingsInput(
                texts=("a", "b"),
                extension=b'{"input_type":"classification","truncate":"END","encoding_format":"base64"}',
            ),
            {"input_type": "classification", "truncate": "END"},
        ),
    ],
)
def test_vectors(asked: EmbeddingsInput, written: dict[str, Any]) -> None:
    call = DIALECT.embeddings(asked, model="m", policy=Policy())
    assert (call.method, call.path, call.prompt()) == ("POST", "/v2/embed", 2)
    assert json.loads(call.body) == {"model": "m", "texts": ["a", "b"], "embedding_types": ["float"], **written}


def test_a_purpose_that_it_does_not_know_is_refused() -> None:
    asked = EmbeddingsInput(texts=("a",), purpose="similarity")
    with pytest.raises(UnsupportedParameter) as refused:
        DIALECT.embeddings(asked, model="m", policy=Policy())
    assert refused.value.param == "input_type"
    policy = Policy(adapts=True)
    call = DIALECT.embeddings(asked, model="m", policy=policy)
    assert (json.loads(call.body)["input_type"], policy.warnings) == ("clustering", ["input_type set to clustering"])


def test_orders() -> None:
    asked = RerankInput(query="q", documents=("a", "b"), top_n=1, extension=b'{"max_tokens_per_doc":100}')
    call = DIALECT.rerank(asked, model="m", policy=Policy())
    assert (call.method, call.path, call.prompt()) == ("POST", "/v2/rerank", 3)
    assert json.loads(call.body) == {
        "model": "m",
        "query": "q",
        "documents": ["a", "b"],
        "top_n": 1,
        "max_tokens_per_doc": 100,
    }


@pytest.mark.requirement("B-16")
def test_an_order_is_read_with_what_it_is_charged_by() -> None:
    answer = {
        "id": "x",
        "results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}],
        "meta": {"billed_units": {"search_units": 1}},
    }
    body = json.dumps(answer).encode()
    reader = DIALECT.rerank_reader()
    reader.feed(body)
    assert [(result.index, result.score) for result in reader.finish().rerank] == [(1, 0.9), (0, 0.1)]
    report = reader.usage()
    assert report is not None
    assert report.usage.search_units == 1
    native = DIALECT.native_rerank_reader()
    native.feed(body)
    assert native.finish().native == [body]


@pytest.mark.requirement("S12")
def test_models_are_listed() -> None:
    assert (DIALECT.models().method, DIALECT.models().path) == ("GET", "/v1/models?page_size=1000")
    reader = DIALECT.models_reader()
    reader.feed(b'{"models":[{"name":"command-a-03-2025","endpoints":["chat"]},{"name":null}]}')
    (model,) = reader.finish().models
    assert (model.id, model.owned_by) == ("command-a-03-2025", "cohere")


@pytest.mark.parametrize(
    "reader",
    [DIALECT.models_reader(), DIALECT.rerank_reader(), DIALECT.embeddings_reader()],
    ids=lambda r: type(r).__name__,
)
def test_an_answer_without_what_was_asked_is_an_error(reader: Any) -> None:
    reader.feed(b'{"message":"no such thing"}')
    reader.finish()
    assert reader.error is not None
    assert "no such thing" in reader.error.message


OWN = [r for r in load(providers=("cohere",)) if r.wire != "cohere.chat.v1" and isinstance(r.request, dict)]


@pytest.mark.requirement("B8")
@pytest.mark.parametrize("recording", OWN, ids=lambda r: r.id)
def test_a_clients_own_body_changes_only_in_the_model(recording: Recording) -> None:
    asked: dict[str, Any] = dict(recording.request)
    body = json.dumps(asked).encode()
    if recording.operation == "embeddings":
        call = DIALECT.native_embeddings(body, model="up", policy=Policy())
        assert json.loads(call.body) == {**asked, "model": "up"}
        return
    call = DIALECT.native_chat(body, model="up", is_stream=recording.is_stream, policy=Policy())
    sent = json.loads(call.body)
    assert bool(sent.pop("stream", False)) is recording.is_stream
    asked.pop("stream", None)
    assert sent == {**asked, "model": "up"}
    same = DIALECT.native_chat(call.body, model="up", is_stream=recording.is_stream, policy=Policy())
    assert same.body == call.body
