"""What an assistant said and tools answered comes back: in neutral words, and whole for whom it came from."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.core.messages import (
    Media,
    Message,
    OpaqueBlock,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)
from llm_manager.gateway.ingress.anthropic.mark import MARK, is_marked
from llm_manager.gateway.ingress.anthropic.translation import chat_input
from llm_manager.gateway.ingress.opaque import packed

Json = dict[str, Any]
CALL: Json = {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": "it"}}
CALLED = ToolCall(id="t1", name="look", arguments='{"at": "it"}')
IMAGE: Json = {"type": "image", "source": {"type": "url", "url": "https://example.com/a"}}


def turns(*messages: Json, body: str = "") -> tuple[Message, ...]:
    body = body or json.dumps({"model": "m", "max_tokens": 10, "messages": messages})
    return chat_input(body.encode()).messages


def assistant(*blocks: Json | str) -> tuple[Part, ...]:
    """The parts of one assistant's turn; a block given as text stands in the body as it is."""
    texts = [block if isinstance(block, str) else json.dumps(block) for block in blocks]
    turn = f'{{"role":"assistant","content":[{",".join(texts)}]}}'
    (message,) = turns(body=f'{{"model":"m","max_tokens":10,"messages":[{turn}]}}')
    assert message.role == "assistant"
    return message.parts


def results(*blocks: Json) -> list[Message]:
    return list(turns({"role": "assistant", "content": [CALL]}, {"role": "user", "content": list(blocks)}))[1:]


def own(*texts: str) -> tuple[OpaqueBlock, ...]:
    return tuple(OpaqueBlock(dialect="anthropic_messages", json=text.encode()) for text in texts)


def test_text_and_calls_are_said_in_order() -> None:
    assert assistant({"type": "text", "text": "I look."}, {**CALL, "caller": {"type": "direct"}}) == (
        Text(text="I look."),
        CALLED,
    )


@pytest.mark.parametrize("content", ["", []])
def test_an_assistant_may_have_said_nothing(content: object) -> None:
    (message,) = turns({"role": "assistant", "content": content})
    assert message.parts == (Text(text=""),)


def test_null_fields_that_the_sdk_sends_back_change_nothing() -> None:
    block = {"type": "text", "text": "Hi", "citations": None}
    call = {**CALL, "caller": None, "toolset_name": None, "cache_control": None}
    assert assistant(block, call) == (Text(text="Hi"), CALLED)


SIGNED = '{"type":"thinking", "thinking":"hm", "signature":"EqQ\\u0042"}'
OWN_BLOCKS = [
    SIGNED,
    '{"type":"redacted_thinking","data":"EmwKAhgB"}',
    '{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{"query": "x"}}',
    '{"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[]}',
    '{"type":"something_newer","n":1.50}',
    '{"type":"text","text":"cited","citations":[{"type":"char_location","cited_text":"x","document_index":0}]}',
    '{"type":"tool_use","id":"t9","name":"f","input":{},"caller":{"type":"code_execution_20250825","tool_id":"s"}}',
]


@pytest.mark.requirement("B-17", "T-14")
@pytest.mark.parametrize("block", OWN_BLOCKS, ids=lambda text: json.loads(text)["type"])
def test_a_turn_with_anthropic_s_own_blocks_comes_along_whole_byte_for_byte(block: str) -> None:
    text = '{ "type":"text", "text":"so" }'
    parts = assistant(block, text)
    assert tuple(part for part in parts if isinstance(part, OpaqueBlock)) == own(block, text)
    neutral = [part for part in parts if not isinstance(part, OpaqueBlock)]
    assert neutral[-1] == Text(text="so")


def test_thoughts_are_reasoning_for_everybody_else() -> None:
    assert assistant(SIGNED)[0] == Reasoning(text="hm")
    unsigned = {"type": "thinking", "thinking": "hm", "signature": ""}
    assert assistant(unsigned) == (Reasoning(text="hm"),)
    assert assistant({**unsigned, "thinking": ""}) == (Text(text=""),)


@pytest.mark.requirement("B-17", "T-14")
def test_blocks_of_another_provider_come_back_byte_for_byte() -> None:
    blocks = (OpaqueBlock(dialect="gemini_generate", json=b'{"thoughtSignature" : "A\\u003d="}'),)
    thinking = {"type": "thinking", "thinking": "hm", "signature": MARK}
    carried = {"type": "redacted_thinking", "data": packed(blocks)}
    assert assistant(thinking, {"type": "text", "text": "so"}, carried) == (
        Reasoning(text="hm"),
        Text(text="so"),
        *blocks,
    )


def test_what_we_marked_is_not_taken_for_anthropic_s_own() -> None:
    assert is_marked(MARK)
    assert is_marked("")
    assert not is_marked("EqQBCgIYAhIM")
    cited = {"type": "web_search_result_location", "url": "u", "title": None, "cited_text": "", "encrypted_index": MARK}
    assert assistant({"type": "text", "text": "so", "citations": [cited]}) == (Text(text="so"),)


@pytest.mark.requirement("T-13")
def test_results_are_told_apart_from_what_the_user_says() -> None:
    told = results(
        {"type": "tool_result", "tool_use_id": "t1", "content": "42", "cache_control": {"type": "ephemeral"}},
        {"type": "tool_result", "tool_use_id": "t2", "is_error": True},
        {"type": "text", "text": "Well?"},
        {"type": "tool_result", "tool_use_id": "t3", "content": [], "is_error": None},
    )
    assert told == [
        Message(
            role="tool",
            parts=(
                ToolResult(tool_call_id="t1", name="look", parts=(Text(text="42"),), cache_ttl="5m"),
                ToolResult(tool_call_id="t2", is_error=True),
            ),
        ),
        Message(role="user", parts=(Text(text="Well?"),)),
        Message(role="tool", parts=(ToolResult(tool_call_id="t3"),)),
    ]


def test_pictures_and_findings_of_tools_are_kept() -> None:
    found = {"type": "search_result", "title": "T", "source": "s", "content": [{"type": "text", "text": "here"}]}
    (message,) = results(
        {
            "type": "tool_result",
            "tool_use_id": "t1",
            "content": [{"type": "text", "text": "seen: "}, IMAGE, found],
            "is_error": False,
        }
    )
    assert message.parts == (
        ToolResult(
            tool_call_id="t1",
            name="look",
            parts=(Text(text="seen: "), Media(url="https://example.com/a"), Text(text="T\ns\nhere")),
        ),
    )


@pytest.mark.requirement("P-18")
def test_a_result_that_no_other_model_reads_is_refused() -> None:
    reference = {"type": "tool_reference", "tool_name": "f"}
    with pytest.raises(UnsupportedParameter) as refusal:
        results({"type": "tool_result", "tool_use_id": "t1", "content": [reference]})
    assert refusal.value.param == "messages[1].content[0].content[0].type"


def test_arguments_keep_the_client_s_own_json() -> None:
    call = '{"type":"tool_use","id":"t1","name":"look","input":{"seed":12345678901234567890, "x":1.0}}'
    assert assistant(call) == (ToolCall(id="t1", name="look", arguments='{"seed":12345678901234567890, "x":1.0}'),)
    with pytest.raises(InvalidRequest) as refusal:
        assistant({**CALL, "input": "it"})
    assert refusal.value.param == "messages[0].content[0].input"
