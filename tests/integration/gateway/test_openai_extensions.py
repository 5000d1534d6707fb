"""What OpenAI's chat carries beyond OpenAI, through the official SDK: other providers' blocks, citations, hints."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import openai
import pytest

from llm_manager.contracts.inference.v1 import chat_pb2
from llm_manager.testing.answering_worker import AnsweringWorker, answering, chunk, done, finish, text

INFO = chat_pb2.AnswerInfo(id="i1", model="m-2026", created=5)
SIGNED: dict[str, Any] = {"type": "thinking", "thinking": "", "signature": "Eé+/=="}
SAID: dict[str, Any] = {"type": "text", "text": "Hello", "citations": None}
CITED: dict[str, Any] = {
    "type": "url_citation",
    "url_citation": {"url": "https://example.org", "title": "t", "start_index": 0, "end_index": 5},
}
TURN = (
    chat_pb2.Delta(reasoning="hm"),
    text("Hel"),
    text("lo"),
    chat_pb2.Delta(annotation=json.dumps(CITED).encode()),
    *(
        chat_pb2.Delta(opaque=chat_pb2.OpaqueBlock(dialect="anthropic_messages", json=json.dumps(block).encode()))
        for block in (SIGNED, SAID)
    ),
    finish(),
)
BLOCKS = [{"dialect": "anthropic_messages", "block": block} for block in (SIGNED, SAID)]
HELLO: Any = {"role": "user", "content": "Hi"}


@pytest.fixture
async def client(served: Any) -> AsyncGenerator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key=served.api_key, max_retries=0) as sdk:
        yield sdk


async def _said(client: openai.AsyncOpenAI, *, is_stream: bool) -> Any:
    if not is_stream:
        answer = await client.chat.completions.create(model="echo", messages=[HELLO])
        return answer.choices[0].message
    async with client.chat.completions.stream(model="echo", messages=[HELLO]) as stream:
        return (await stream.get_final_completion()).choices[0].message


@pytest.mark.requirement("B-17", "T-14")
@pytest.mark.parametrize("is_stream", [False, True])
async def test_the_blocks_of_a_provider_survive_two_turns(
    is_stream: bool, client: openai.AsyncOpenAI, worker: AnsweringWorker
) -> None:
    worker.script = answering(chunk(*TURN[:3], info=INFO), *(chunk(delta) for delta in TURN[3:]), end=done())
    message = await _said(client, is_stream=is_stream)
    assert (message.content, message.reasoning_content, message.provider_blocks) == ("Hello", "hm", BLOCKS)
    await client.chat.completions.create(model="echo", messages=[HELLO, message, HELLO])
    parts = worker.requests[-1].chat.messages[1].parts
    assert [part.WhichOneof("kind") for part in parts] == ["reasoning", "text", "opaque", "opaque"]
    assert [part.opaque.dialect for part in parts[2:]] == ["anthropic_messages"] * 2
    assert [json.loads(part.opaque.json) for part in parts[2:]] == [SIGNED, SAID]


@pytest.mark.parametrize("is_stream", [False, True])
async def test_what_an_answer_cites_is_read_by_the_sdk(
    is_stream: bool, client: openai.AsyncOpenAI, worker: AnsweringWorker
) -> None:
    worker.script = answering(chunk(*TURN, info=INFO))
    message = await _said(client, is_stream=is_stream)
    assert [json.loads(json.dumps(item, default=lambda one: one.to_dict())) for item in message.annotations] == [CITED]


async def test_hints_limits_and_choices_of_other_clients_reach_the_worker(
    client: openai.AsyncOpenAI, worker: AnsweringWorker
) -> None:
    tools: Any = [{"type": "function", "function": {"name": name}} for name in ("look", "see")]
    kept = {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}
    messages: Any = [{"role": "user", "content": [kept]}]
    body = {"reasoning": {"max_tokens": 2048, "exclude": True}}
    worker.script = answering(chunk(text("Hi"), finish(), info=INFO))
    await client.chat.completions.create(model="ollama/m", messages=messages, extra_body=body)
    asked = worker.requests[-1].chat
    assert asked.messages[0].parts[0] == chat_pb2.Part(text="Hi", cache_ttl="5m")
    assert asked.sampling == chat_pb2.Sampling(reasoning_budget=2048, shows_reasoning=False)
    allowed: Any = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": tools[:1]}}
    await client.chat.completions.create(model="ollama/m", messages=[HELLO], tools=tools, tool_choice=allowed)
    choice = chat_pb2.ToolChoice(mode=chat_pb2.ToolChoice.MODE_AUTO, allowed=["look"])
    assert worker.requests[-1].chat.tool_choice == choice


@pytest.mark.requirement("B-14", "P-18")
async def test_a_tool_that_is_no_function_is_refused_before_anybody_is_asked(
    client: openai.AsyncOpenAI, worker: AnsweringWorker
) -> None:
    tools: Any = [{"type": "custom", "custom": {"name": "anything"}}]
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(model="ollama/m", messages=[HELLO], tools=tools)
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "tools[0].type")
    assert worker.requests == []


@pytest.mark.requirement("B-17")
async def test_the_blocks_of_another_provider_do_not_go_to_one_that_speaks_openai(
    client: openai.AsyncOpenAI, worker: AnsweringWorker
) -> None:
    worker.script = answering(chunk(text("Hi"), finish(), info=INFO))
    said: Any = {"role": "assistant", "content": "Hello", "provider_blocks": BLOCKS}
    await client.chat.completions.create(model="gpt-4.1-mini", messages=[HELLO, said, HELLO])
    (asked,) = worker.requests
    # in neutral words, so that the worker's dialect chooses between the blocks and the parts beside them
    assert [part.WhichOneof("kind") for part in asked.chat.messages[1].parts] == ["text", "opaque", "opaque"]


FUNCTIONS: Any = [{"name": "look", "parameters": {}}]
CALLED = chunk(
    chat_pb2.Delta(tool_call_start=chat_pb2.ToolCallStart(index=0, id="c0", name="look")),
    chat_pb2.Delta(tool_call_arguments=chat_pb2.ToolCallArguments(index=0, fragment="{}")),
    finish("tool_calls"),
    info=INFO,
)


async def test_functions_of_the_time_before_tools_are_called_in_their_own_form(
    client: openai.AsyncOpenAI, worker: AnsweringWorker
) -> None:
    worker.script = answering(CALLED)
    answer = await client.chat.completions.create(model="ollama/m", messages=[HELLO], functions=FUNCTIONS)
    (choice,) = answer.choices
    assert (choice.finish_reason, choice.message.tool_calls) == ("function_call", None)
    function = choice.message.function_call
    assert function is not None
    assert (function.name, function.arguments) == ("look", "{}")
    assert [tool.name for tool in worker.requests[-1].chat.tools] == ["look"]


async def test_functions_are_called_in_their_own_form_in_streams_too(
    client: openai.AsyncOpenAI, worker: AnsweringWorker
) -> None:
    worker.script = answering(CALLED)
    stream = await client.chat.completions.create(model="ollama/m", messages=[HELLO], functions=FUNCTIONS, stream=True)
    choices = [item.choices[0] async for item in stream]
    calls = [choice.delta.function_call for choice in choices if choice.delta.function_call]
    assert [(call.name, call.arguments) for call in calls] == [("look", ""), (None, "{}")]
    assert choices[-1].finish_reason == "function_call"
