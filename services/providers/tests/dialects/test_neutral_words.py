"""Every word of the neutral request reaches every provider, or is refused, or a warning says that it was left out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any  # JSON bodies

import pytest
from dialects import main_dialect
from msgspec.structs import replace

from llm_manager.core.errors import LlmManagerError, UnsupportedParameter
from llm_manager.core.facts import load_facts
from llm_manager.core.messages import (
    ChatInput,
    Media,
    Message,
    ResponseFormat,
    Sampling,
    Struct,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llm_manager.providers.dialects.openai_responses.dialect import OpenAiResponses
from llm_manager.providers.dialects.policy import Policy
from llm_manager.providers.dialects.port import Dialect

RESPONSES = "openai/responses"
KINDS = (*load_facts(), RESPONSES)
MODELS: Mapping[str, str] = {"anthropic": "claude-sonnet-4-5", "gemini": "gemini-2.5-flash"}
TEXT = Text(text="Hello")
PICTURE = Media(mime_type="image/png", data=b"\x89P")
PDF = Media(mime_type="application/pdf", data=b"%PDF")
CALL = ToolCall(id="c1", name="look", arguments="{}")
RESULT = ToolResult(tool_call_id="c1", parts=(Text(text="sun"),))
TOOL = Tool(name="look", parameters=b'{"type":"object"}')
OTHER = Tool(name="hear", parameters=b'{"type":"object"}')
FORM = ResponseFormat(kind="json_schema", name="a", schema=b'{"type":"object"}')

# Words by their place: what is sent must differ from the same request without them.
WORDS: tuple[Struct, ...] = (
    Message(role="user", parts=(TEXT,), name="ann"),
    Text(text="Goodbye"),
    replace(PICTURE, detail="low"),
    replace(PICTURE, detail="original"),
    replace(PICTURE, data=b"other"),
    replace(PDF, detail="low"),
    replace(CALL, name="hear"),
    replace(CALL, arguments='{"a":1}'),
    replace(RESULT, parts=(Text(text="rain"),)),
    replace(RESULT, is_error=True),
    replace(RESULT, parts=(*RESULT.parts, PICTURE)),
    replace(RESULT, parts=(*RESULT.parts, replace(PICTURE, detail="low"))),
    replace(TOOL, description="Looks"),
    replace(TOOL, parameters=b'{"type":"object","properties":{"a":{}}}'),
    replace(TOOL, is_strict=True),
    ToolChoice(mode="none"),
    ToolChoice(mode="required"),
    ToolChoice(mode="named", name="look"),
    ToolChoice(allowed=("look",)),
    ToolChoice(parallel=False),
    replace(FORM, schema=b'{"type":"object","properties":{"a":{}}}'),
    replace(FORM, kind="json_object", schema=b""),
    Sampling(max_tokens=7),
    Sampling(temperature=0.5),
    Sampling(top_p=0.5),
    Sampling(top_k=5),
    Sampling(presence_penalty=0.5),
    Sampling(frequency_penalty=0.5),
    Sampling(seed=7),
    Sampling(stop=("x",)),
    Sampling(n=2),
    Sampling(logprobs=True),
    Sampling(logprobs=True, top_logprobs=3),
    Sampling(reasoning_effort="low"),
    Sampling(reasoning_budget=2048),
)
# What differs from the plain word by a word that two dialects say for all, so that the plain word says something too.
LOOSE = replace(FORM, is_strict=False)


def dialect_of(kind: str) -> Dialect:
    if kind == RESPONSES:
        return OpenAiResponses(load_facts()["openai"], new_id=str)
    return main_dialect(kind)


def chat_with(word: Struct) -> ChatInput:
    user = Message(role="user", parts=(TEXT,))
    match word:
        case Message():
            return ChatInput(messages=(word,))
        case Text() | Media():
            return ChatInput(messages=(Message(role="user", parts=(word,)),))
        case ToolCall():
            turns = (user, Message(role="assistant", parts=(word,)), Message(role="tool", parts=(RESULT,)))
            return ChatInput(messages=turns, tools=(TOOL, OTHER))
        case ToolResult():
            turns = (user, Message(role="assistant", parts=(CALL,)), Message(role="tool", parts=(word,)))
            return ChatInput(messages=turns, tools=(TOOL, OTHER))
        case Tool():
            return ChatInput(messages=(user,), tools=(word, OTHER))
        case ToolChoice():
            return ChatInput(messages=(user,), tools=(TOOL, OTHER), tool_choice=word)
        case ResponseFormat():
            return ChatInput(messages=(user,), response_format=word)
        case Sampling():
            return ChatInput(messages=(user,), sampling=word)
        case _:
            raise AssertionError(word)


def without(word: Struct) -> Struct:
    """Return the plain word of the same place."""
    if isinstance(word, Media):
        return PDF if word.mime_type == PDF.mime_type else PICTURE
    if isinstance(word, ToolResult) and word.media and word.media[0].detail:
        return replace(RESULT, parts=(*RESULT.parts, PICTURE))
    plain = (Message(role="user", parts=(TEXT,)), TEXT, CALL, RESULT, TOOL, ToolChoice(), FORM, Sampling())
    return next(one for one in plain if type(one) is type(word))


def body_of(kind: str, chat: ChatInput, policy: Policy) -> dict[str, Any]:
    return json.loads(dialect_of(kind).chat(chat, model=MODELS.get(kind, "m"), is_stream=False, policy=policy).body)


@pytest.mark.requirement("P-18")
@pytest.mark.parametrize("kind", KINDS)
def test_no_word_is_dropped_in_silence(kind: str) -> None:
    dropped: list[Struct] = []
    for word in WORDS:
        adapting = Policy(adapts=True)
        try:
            plain = body_of(kind, chat_with(without(word)), Policy(adapts=True))
            said = body_of(kind, chat_with(word), adapting)
        except LlmManagerError:
            continue  # refused whatever the policy
        if plain == said and not adapting.warnings:
            dropped.append(word)

    assert dropped == []


@pytest.mark.requirement("P-18")
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_left_out_with_a_warning_is_refused_by_its_name_elsewhere(kind: str) -> None:
    mentioned = 0
    for word in WORDS:
        adapting = Policy(adapts=True)
        try:
            body_of(kind, chat_with(word), adapting)
        except LlmManagerError:
            continue
        left_out = [warning.removeprefix("left out ") for warning in adapting.warnings if "left out " in warning]
        # said only: hints that change nothing of what is asked for, or that libraries send unasked
        if names := set(left_out) - {"strict of tools", "name", "detail"}:
            with pytest.raises(UnsupportedParameter) as refused:
                body_of(kind, chat_with(word), Policy())
            assert refused.value.param in names
            mentioned += 1
    plain = {"openai", "azure", "custom", "openrouter", "together", "groq", "deepseek", "mistral"}
    assert mentioned or kind in plain | {"fireworks", "nvidia", "vllm", "llamacpp"}


@pytest.mark.parametrize("kind", ["anthropic", "gemini", "cohere", "ollama"])
def test_a_schema_that_should_not_bind_binds_and_a_warning_says_so(kind: str) -> None:
    policy = Policy()
    body = body_of(kind, chat_with(LOOSE), policy)

    assert (body, policy.warnings) == (
        body_of(kind, chat_with(FORM), Policy()),
        ["left out strict of response_format"],
    )


@pytest.mark.parametrize("kind", ["anthropic", "ollama"])
@pytest.mark.parametrize("detail", ["auto", "high"])
def test_pictures_are_looked_at_in_full_where_there_is_no_word_for_less(kind: str, detail: str) -> None:
    policy = Policy()
    seen = body_of(kind, chat_with(replace(PICTURE, detail=detail)), policy)

    assert (seen, policy.warnings) == (body_of(kind, chat_with(PICTURE), Policy()), [])


def test_ten_pictures_give_one_warning() -> None:
    policy = Policy(adapts=True)
    seen = tuple(replace(PICTURE, detail="medium") for _ in range(10))
    chat = ChatInput(messages=(Message(role="user", parts=seen),))
    dialect_of("gemini").chat(chat, model="gemini-3-pro-preview", is_stream=False, policy=policy)

    assert policy.warnings == ["left out detail"]
