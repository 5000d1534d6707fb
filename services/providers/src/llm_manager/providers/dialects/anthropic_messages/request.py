"""Writes Anthropic's requests, from a client's own body or from neutral words."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from llm_manager.core.facts import Facts
from llm_manager.core.messages import ChatInput
from llm_manager.providers.dialects.anthropic_messages.generation import (
    extension_of,
    format_of,
    sampling_of,
    tool_choice_of,
    tools_of,
)
from llm_manager.providers.dialects.anthropic_messages.thinking import sampled_beside, thinking_of, unless_forced
from llm_manager.providers.dialects.anthropic_messages.turns import Turns
from llm_manager.providers.dialects.estimate import characters_in
from llm_manager.providers.dialects.json_values import Json
from llm_manager.providers.dialects.parameters import extension_table, object_fields
from llm_manager.providers.dialects.paths import chat_path
from llm_manager.providers.dialects.policy import Policy
from llm_manager.providers.dialects.port import UpstreamCall

# What a request for a count may hold (anthropic 2.12, MessageCountTokensParams); the rest is refused there.
_COUNTED = frozenset(
    {"model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control", "speed"}
)
_PROMPT = ("system", "messages", "tools")


def neutral_chat(facts: Facts, request: ChatInput, *, model: str, is_stream: bool, policy: Policy) -> UpstreamCall:
    """Write a chat from neutral words."""
    body = _chat_body(facts, request, model=model, policy=policy)
    if is_stream:
        body["stream"] = True
    return UpstreamCall("POST", chat_path(facts, is_stream=is_stream), msgspec.json.encode(body), _prompt_of(body))


def neutral_count(facts: Facts, request: ChatInput, *, model: str, policy: Policy) -> UpstreamCall:
    """Write a request for the size of a prompt: tools and instructions count too."""
    whole = _chat_body(facts, request, model=model, policy=policy)
    body = {name: value for name, value in whole.items() if name in _COUNTED}
    return UpstreamCall("POST", facts.paths.count_tokens, msgspec.json.encode(body), _prompt_of(body))


def native_chat(facts: Facts, body: bytes, *, model: str, is_stream: bool) -> UpstreamCall:
    """Write a chat that came in this dialect: byte for byte, but for the names that only we understand."""
    fields = object_fields(body)
    changed = _renamed(fields, model)
    if (bytes(fields.get("stream", b"")) == b"true") is not is_stream:
        changed["stream"] = is_stream
    return _native(chat_path(facts, is_stream=is_stream), body, fields, changed=changed)


def native_count(facts: Facts, body: bytes, *, model: str) -> UpstreamCall:
    """Write a request for the size of a prompt that came in this dialect."""
    fields = object_fields(body)
    return _native(facts.paths.count_tokens, body, fields, changed=_renamed(fields, model))


def _native(path: str, body: bytes, fields: Json, *, changed: Json) -> UpstreamCall:
    sent = msgspec.json.encode({**fields, **changed}) if changed else body
    return UpstreamCall("POST", path, sent, _prompt_of(fields))


def _renamed(fields: Json, model: str) -> Json:
    """Return the field `model` where a body names another one than the upstream's."""
    is_same = "model" in fields and msgspec.json.decode(fields["model"]) == model
    return {} if is_same else {"model": model}


def _chat_body(facts: Facts, request: ChatInput, *, model: str, policy: Policy) -> Json:
    extension = extension_of(facts, extension_table(facts, request.extension, policy=policy), policy=policy)
    tools = tools_of(facts, request, policy)
    choice = tool_choice_of(request.tool_choice, has_tools=bool(tools))
    thinking = thinking_of(facts, request.sampling, model=model, policy=policy)
    thinking = unless_forced(facts, thinking, request.sampling, choice, policy=policy)
    turns = Turns.of(facts, request, policy=policy)
    body: Json = {"model": model, facts.parameters.max_tokens: thinking.max_tokens, **turns}
    sampled = sampling_of(facts, request.sampling, policy=policy)
    body.update(sampled_beside(facts, extension.get("thinking", thinking.table), sampled, policy=policy))
    if tools:
        body["tools"] = tools
    if choice:
        body["tool_choice"] = choice
    if thinking.table:
        body["thinking"] = thinking.table
    config: Json = {"effort": thinking.effort} if thinking.effort else {}
    if form := format_of(facts, request.response_format, policy):
        config["format"] = form
    if config:
        body["output_config"] = config
    return {**body, **extension}


def _prompt_of(fields: Json) -> Callable[[], int]:
    def count() -> int:
        asked = [fields[name] for name in _PROMPT if name in fields]
        return characters_in(msgspec.json.decode(msgspec.json.encode(asked)))

    return count
