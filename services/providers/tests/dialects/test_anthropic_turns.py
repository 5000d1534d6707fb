"""How a turn that Anthropic wrote goes back to it with a hint to keep the prompt up to it."""

from __future__ import annotations

import json
from typing import Any  # JSON bodies

import pytest

from llm_manager.core.facts import load_facts
from llm_manager.core.messages import CacheTtl, ChatInput, Message, OpaqueBlock, Text, ToolCall, ToolResult
from llm_manager.providers.dialects.anthropic_messages.dialect import AnthropicMessages
from llm_manager.providers.dialects.policy import Policy

DIALECT = AnthropicMessages(load_facts()["anthropic"], new_id=str)
Json = dict[str, Any]
THOUGHT = b'{"type":"thinking","thinking":"Ask.","signature":"EqQB+/="}'
SECRET = b'{"type":"redacted_thinking","data":"Emw="}'
CALL = b'{"type":"tool_use","id":"toolu_1","name":"now","input":{"exact":1.50}}'
MARKED = b'{"type":"text","text":"Hm.","cache_control":{"type":"ephemeral","ttl":"1h"}}'


def sent(*blocks: bytes, ttl: CacheTtl) -> bytes:
    """The body for a turn of these blocks, whose neutral words hold the hint."""
    parts = (
        Text(text="Hm."),
        ToolCall(id="toolu_1", name="now", arguments="{}", cache_ttl=ttl),
        *(OpaqueBlock(dialect="anthropic_messages", json=block) for block in blocks),
    )
    messages = (
        Message(role="user", parts=(Text(text="go"),)),
        Message(role="assistant", parts=parts),
        Message(role="tool", parts=(ToolResult(tool_call_id="toolu_1", parts=(Text(text="noon"),)),)),
    )
    return DIALECT.chat(ChatInput(messages=messages), model="claude-opus-5", is_stream=False, policy=Policy()).body


def test_hint_on_a_signed_turn_reaches_its_last_block_and_nothing_else_changes() -> None:
    body = sent(THOUGHT, CALL, ttl="5m")
    assert THOUGHT in body
    assert CALL[:-1] + b',"cache_control":{"type":"ephemeral","ttl":"5m"}}' in body


def test_signed_turn_without_a_hint_goes_back_byte_for_byte() -> None:
    assert b"[" + THOUGHT + b"," + CALL + b"]" in sent(THOUGHT, CALL, ttl="")


@pytest.mark.parametrize(
    ("blocks", "hints"),
    [
        # thoughts take no hint
        ((CALL, SECRET, THOUGHT), ["5m", None, None]),
        ((SECRET,), [None]),
        # a block keeps its own
        ((THOUGHT, MARKED), [None, "1h"]),
    ],
)
def test_hint_stands_where_anthropic_takes_one(blocks: tuple[bytes, ...], hints: list[str | None]) -> None:
    turn: list[Json] = json.loads(sent(*blocks, ttl="5m"))["messages"][1]["content"]
    assert [block.get("cache_control", {}).get("ttl") for block in turn] == hints
