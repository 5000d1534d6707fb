"""Tools in Anthropic's dialect, and which of them to call."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.core.messages import ChatInput, OpaqueBlock, Tool, ToolChoice
from llm_manager.gateway.ingress.anthropic.translation import chat_input

Json = dict[str, Any]
SCHEMA: Json = {"type": "object", "properties": {}}
TOOL: Json = {"name": "look", "input_schema": SCHEMA}


def ask(*tools: Json, choice: Json | None = None) -> ChatInput:
    body = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}], "tools": tools}
    return chat_input(json.dumps({**body, "tool_choice": choice}).encode())


def test_a_tool_is_told_whole() -> None:
    full = {
        **TOOL,
        "type": "custom",
        "description": "Looks.",
        "strict": True,
        "cache_control": {"type": "ephemeral", "ttl": "1h"},
        "eager_input_streaming": True,
        "defer_loading": False,
        "allowed_callers": ["direct"],
        "input_examples": [{"at": "it"}],
    }
    schema = json.dumps(SCHEMA).encode()
    assert ask(TOOL, full).tools == (
        Tool(name="look", parameters=schema),
        Tool(
            name="look",
            description='Looks.\n\nExamples of the input: [{"at": "it"}]',
            parameters=schema,
            is_strict=True,
            cache_ttl="1h",
        ),
    )


@pytest.mark.requirement("T-14")
def test_tools_of_anthropic_itself_travel_byte_for_byte() -> None:
    text = '{"type":"web_search_20250305",  "name":"web_search","max_uses":2}'
    body = f'{{"model":"m","max_tokens":1,"messages":[{{"role":"user","content":"Hi"}}],"tools":[{text}]}}'
    chat = chat_input(body.encode())
    assert (chat.tools, chat.native_tools) == ((), (OpaqueBlock(dialect="anthropic_messages", json=text.encode()),))


REFUSED: list[tuple[Json, str]] = [
    ({"defer_loading": True}, "tools[0].defer_loading"),
    ({"allowed_callers": ["direct", "code_execution_20250825"]}, "tools[0].allowed_callers"),
    ({"something_new": 1}, "tools[0].something_new"),
]


@pytest.mark.requirement("P-18", "B-14")
@pytest.mark.parametrize(("fields", "param"), REFUSED, ids=[param for _, param in REFUSED])
def test_what_only_anthropic_s_models_do_with_tools_is_refused(fields: Json, param: str) -> None:
    with pytest.raises(UnsupportedParameter) as refusal:
        ask({**TOOL, **fields})
    assert refusal.value.param == param


@pytest.mark.parametrize("schema", ["{}", [], None])
def test_a_schema_that_is_none_is_named(schema: object) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        ask({"name": "look", "input_schema": schema})
    assert refusal.value.param == "tools[0].input_schema"


CHOICES: list[tuple[Json | None, ToolChoice | None]] = [
    (None, None),
    ({"type": "auto"}, ToolChoice()),
    ({"type": "auto", "disable_parallel_tool_use": True}, ToolChoice(parallel=False)),
    ({"type": "any", "disable_parallel_tool_use": False}, ToolChoice(mode="required", parallel=True)),
    ({"type": "none"}, ToolChoice(mode="none")),
    ({"type": "tool", "name": "look"}, ToolChoice(mode="named", name="look")),
]


@pytest.mark.parametrize(("choice", "neutral"), CHOICES)
def test_which_tool_to_call(choice: Json | None, neutral: ToolChoice | None) -> None:
    assert ask(TOOL, choice=choice).tool_choice == neutral
