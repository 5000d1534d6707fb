from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest
from scripted_server import CHAT, answer, event, serving, stream, until_left

from llm_manager.client import AsyncClient, ChatAnswer, Client, ProtocolError, ToolCall, Unavailable, Usage
from llm_manager.client.events import Number

KEY = "lm_live_canary_0123456789"
HEADERS = {"x_llm_manager_provider": "p", "x_llm_manager_cost": "0.000123456789012345678"}
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "look", "parameters": {}}}


def chunk(delta: dict[str, Any] | None = None, *, finish: str | None = None, choice: int = 0, **more: Any) -> bytes:
    """Write one chunk of a stream."""
    choices = [] if delta is None else [{"index": choice, "delta": delta, "finish_reason": finish}]
    return event({"model": "m-2026", "choices": choices, "usage": None, **more})


CHUNKS = (
    chunk({"role": "assistant", "content": ""}),
    chunk({"reasoning_content": "hm"}),
    chunk({"content": "Hel"}),
    chunk({"content": "lo"}),
    chunk({"content": "Hi"}, choice=1),
    chunk({"tool_calls": [{"index": 0, "id": "c0", "function": {"name": "look", "arguments": ""}}]}),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}),
    chunk({}, finish="stop"),
    b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5,'
    b'"prompt_tokens_details": {"cached_tokens": 1}, "cost": 1234.567890123456789}}\n\n',
    event(b"[DONE]"),
)
USED = Usage(3, 2, 5, cached_tokens=1)


def test_every_word_reaches_the_server_and_the_answer_is_whole() -> None:
    call = {"id": "c0", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": "hm"}
    body = {**CHAT, "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
    script = answer(200, body, **HEADERS, x_llm_manager_warning="w")
    with serving(script) as server, Client(f"{server.url}/v1", api_key=KEY) as client:
        got = (
            client.chat("Say hello", {"role": "assistant", "content": "Hello"})
            .with_messages("Again")
            .with_model("fast")
            .with_system("Be short")
            .with_parameters(temperature=0.2, tools=[TOOL], seed=7)
            .with_parameters(seed=None)
            .with_context("review")
            .with_user("u1")
            .with_idempotency_key("k1")
            .run()
        )
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("POST", "/v1/chat/completions")
    assert seen.body == {
        "model": "fast",
        "messages": [
            {"role": "system", "content": "Be short"},
            {"role": "user", "content": "Say hello"},
            {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": "Again"},
        ],
        "temperature": 0.2,
        "tools": [TOOL],
        "user": "u1",
    }
    said = {name: seen.headers[name] for name in ("authorization", "x-llm-manager-context", "idempotency-key")}
    assert list(said.values()) == [f"Bearer {KEY}", "review", "k1"]
    assert got == ChatAnswer(
        text="",
        texts=("",),
        finish_reason="tool_calls",
        model="m-2026",
        provider="p",
        usage=Usage(3, 2, 5),
        cost=Decimal("0.000123456789012345678"),
        request_id="r-1",
        reasoning="hm",
        tool_calls=(ToolCall("c0", "look", "{}"),),
        warnings="w",
        message=message,
    )


def test_a_cost_that_nobody_knows_is_none_and_nothing_is_zero() -> None:
    scripts = (answer(200, {**CHAT, "usage": None}), answer(200, CHAT, x_llm_manager_cost="0"))
    with serving(*scripts) as server, Client(server.url, api_key=KEY) as client:
        unknown, free = client.generate("Hi"), client.generate("Hi", model="fast")
    assert (unknown.text, unknown.usage, unknown.cost) == ("Hello", None, None)
    assert free.cost == Decimal(0)
    assert [seen.body["model"] for seen in server.seen] == ["default", "fast"]


def test_a_stream_is_read_piece_by_piece_and_put_together() -> None:
    script = stream(b": ping\n\n", *CHUNKS, headers=HEADERS)
    with serving(script) as server, Client(server.url, api_key=KEY) as client:
        pieces = client.chat("Hi").with_parameters(n=2).stream()
        got = [(piece.text, piece.reasoning, piece.choice) for piece in pieces]
    assert got == [("", "hm", 0), ("Hel", "", 0), ("lo", "", 0), ("Hi", "", 1)]
    assert server.seen[0].body["stream_options"] == {"include_usage": True}
    whole = pieces.answer
    assert (whole.text, whole.texts, whole.reasoning, whole.finish_reason) == ("Hello", ("Hello", "Hi"), "hm", "stop")
    assert (whole.usage, whole.cost, whole.request_id) == (USED, Decimal("1234.567890123456789"), "r-1")
    assert (whole.tool_calls, whole.model, whole.provider) == ((ToolCall("c0", "look", "{}"),), "m-2026", "p")


async def test_the_same_words_in_a_loop() -> None:
    vectors = {"model": "e", "data": [{"index": 1, "embedding": [3, 4.5]}, {"index": 0, "embedding": [1, 2]}]}
    scripts = (answer(200, CHAT, **HEADERS), stream(*CHUNKS), answer(200, vectors, **HEADERS))
    with serving(*scripts) as server:
        async with AsyncClient(server.url, api_key=KEY) as client:
            assert (await client.generate("Hi")).cost == Decimal("0.000123456789012345678")
            async with client.chat("Hi").with_model("fast").stream() as pieces:
                assert "".join([piece.text async for piece in pieces if piece.choice == 0]) == "Hello"
            assert (pieces.answer.usage, pieces.answer.cost) == (USED, Decimal("1234.567890123456789"))
            got = await client.embed(["a", "b"]).with_model("e").with_parameters(dimensions=2).run()
    assert (got.vectors, got.usage, got.provider) == (((1.0, 2.0), (3.0, 4.5)), None, "p")
    assert server.seen[-1].path == "/v1/embeddings"
    assert server.seen[-1].body == {"model": "e", "input": ["a", "b"], "dimensions": 2}


def test_a_provider_s_own_table_of_costs_is_read() -> None:
    usage = b'{"prompt_tokens": 1, "cost": {"input": 0.1, "total_cost": 0.100000000000000001}}'
    last = b'data: {"choices": [], "usage": ' + usage + b"}\n\n"
    with serving(stream(last, event(b"[DONE]"))) as server, Client(server.url, api_key=KEY) as client:
        pieces = client.chat("Hi").stream()
        assert list(pieces) == []
    assert pieces.answer.cost == Decimal("0.100000000000000001")


NO_CHATS: list[Any] = [
    {},
    [],
    "text",
    {"choices": []},
    {"choices": [{}]},
    {"choices": 5},
    {"choices": [{"message": 5}]},
]


@pytest.mark.parametrize("body", NO_CHATS)
def test_what_is_no_answer_is_told(body: Any) -> None:
    with serving(answer(200, body)) as server, Client(server.url, api_key=KEY) as client:
        with pytest.raises(ProtocolError):
            client.generate("Hi")
        with pytest.raises(ProtocolError):
            client.embed("Hi").run()
    for wrong in ([1], {"choices": [5]}, {"choices": [{"delta": {"tool_calls": 5}}]}):
        with serving(stream(event(wrong))) as server, Client(server.url) as client, pytest.raises(ProtocolError):
            list(client.chat("Hi").stream())


def test_an_error_in_a_stream_is_raised_and_what_came_is_kept() -> None:
    failed = event({"error": {"message": "Gone.", "type": "server_error", "code": "worker_lost"}})
    with serving(stream(*CHUNKS[:3], failed)) as server, Client(server.url, api_key=KEY) as client:
        pieces = client.chat("Hi").stream()
        with pytest.raises(Unavailable, match="Gone"):
            list(pieces)
    assert (pieces.answer.text, pieces.answer.cost, pieces.answer.usage) == ("Hel", None, None)


def test_leaving_early_closes_the_connection() -> None:
    with serving(stream(*CHUNKS[:3], then=until_left)) as server, Client(server.url, api_key=KEY) as client:
        for _ in client.chat("Hi").stream():
            break
        assert server.client_left.wait(5)
        server.client_left.clear()
        with client.chat("Hi").stream() as kept:
            next(kept)
        assert server.client_left.wait(5)


async def test_leaving_early_closes_the_connection_in_a_loop() -> None:
    with serving(stream(*CHUNKS[:3], then=until_left)) as server:
        async with AsyncClient(server.url, api_key=KEY) as client, client.chat("Hi").stream() as kept:
            await anext(kept)
            await kept.close()
            assert await asyncio.to_thread(server.client_left.wait, 5)


def test_words_change_nothing_that_is_there() -> None:
    with Client("http://127.0.0.1:9", api_key=KEY) as client:
        tools, message = [deepcopy(TOOL)], {"role": "user", "content": "Hi"}
        first = client.chat(message).with_parameters(tools=tools, temperature=0.5)
        before, copy = first.request(is_stream=False), repr(first)
        words: list[Callable[[], Any]] = [
            lambda: first.with_model("m"),
            lambda: first.with_system("s"),
            lambda: first.with_messages("more"),
            lambda: first.with_parameters(temperature=1, top_p=1),
            lambda: first.with_context("c"),
            lambda: first.with_user("u"),
            lambda: first.with_timeout(1),
            lambda: first.with_idempotency_key("k"),
        ]
        for word in words:
            assert word() != first
            assert word() == word()
        # neither does what the caller does with their own objects later
        tools[0]["function"]["name"] = "changed"
        tools.append({})
        message["content"] = "changed"
        assert (first.request(is_stream=False), repr(first)) == (before, copy)
        assert len({first, first.with_model("m"), first.with_model("m")}) == 2
        with pytest.raises(AttributeError):
            first.model = "m"  # pyright: ignore[reportAttributeAccessIssue]


def test_words_that_cannot_be_said_are_refused_where_they_are_said() -> None:
    with Client("http://127.0.0.1:9", api_key=KEY) as client:
        call = client.chat("Hi")
        for name in ("model", "messages", "stream", "user"):
            with pytest.raises(ValueError, match="use "):
                call.with_parameters(**{name: "x"})
        for context in ("a\r\nb: c", "ä"):
            with pytest.raises(ValueError, match="context"):
                call.with_context(context)
        with pytest.raises(ValueError, match="key"):
            call.with_idempotency_key("a\nb")
        with pytest.raises(TypeError):
            call.with_parameters(seed=object())
        with pytest.raises(ValueError, match="JSON"):
            call.with_parameters(temperature=float("nan"))
        assert KEY not in repr(client) + repr(call) + repr(client.embed("a"))


def test_a_number_remembers_how_it_was_written() -> None:
    number = Number("0.10")
    for one in (number, deepcopy(number), pickle.loads(pickle.dumps(number))):
        assert (one, one.text) == (0.1, "0.10")
