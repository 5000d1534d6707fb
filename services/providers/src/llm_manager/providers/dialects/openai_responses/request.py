"""Writes requests of the Responses API, from a client's own body or from neutral words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec

from llm_manager.core.facts import Facts
from llm_manager.core.messages import ChatInput
from llm_manager.providers.dialects.estimate import characters_in
from llm_manager.providers.dialects.json_values import items
from llm_manager.providers.dialects.openai_responses.options import options_of, prompt_options
from llm_manager.providers.dialects.openai_responses.turns import Turns
from llm_manager.providers.dialects.parameters import object_fields
from llm_manager.providers.dialects.policy import Policy
from llm_manager.providers.dialects.port import UpstreamCall

# Any: JSON documents are built here
Json = dict[str, Any]
_PROMPT = ("instructions", "input", "tools", "text")
# Beside what is no text in any dialect: a file of a megabyte is no quarter of a million tokens.
_NOT_TEXT = frozenset({"file_data", "file_url", "file_id", "encrypted_content", "call_id"})


def neutral_chat(facts: Facts, request: ChatInput, *, model: str, is_stream: bool, policy: Policy) -> UpstreamCall:
    """Write a chat from neutral words."""
    turns = Turns.of(facts, request, policy=policy)
    body: Json = {"model": model, "input": turns, **options_of(facts, request, policy=policy)}
    if is_stream:
        body["stream"] = True
    return _call(facts.paths.responses, body)


def neutral_count(facts: Facts, request: ChatInput, *, model: str, policy: Policy) -> UpstreamCall:
    """Write a request for the size of a prompt: what decides only the answer is no part of it."""
    turns = Turns.of(facts, request, policy=policy)
    return _call(
        facts.paths.count_tokens, {"model": model, "input": turns, **prompt_options(facts, request, policy=policy)}
    )


def native_chat(facts: Facts, body: bytes, *, model: str, is_stream: bool) -> UpstreamCall:
    """Write a chat that came in this dialect: model and stream are replaced, everything else stays as it is.

    What went before has been put into the input by the gateway, unless the provider itself knows it by
    `previous_response_id`.
    """
    fields: Json = {**object_fields(body), "model": model}
    fields.pop("stream", None)
    if is_stream:
        fields["stream"] = True
    else:
        fields.pop("stream_options", None)
    if "store" in facts.parameters.unsupported:
        # The gateway keeps responses; a provider that keeps none refuses to be asked for it.
        fields.pop("store", None)
    return _call(facts.paths.responses, fields)


def native_count(facts: Facts, body: bytes, *, model: str) -> UpstreamCall:
    """Write a request for the size of a prompt that came in this dialect."""
    return _call(facts.paths.count_tokens, {**object_fields(body), "model": model})


def _call(path: str, body: Json) -> UpstreamCall:
    return UpstreamCall("POST", path, msgspec.json.encode(body), _prompt_of(body))


def _prompt_of(body: Json) -> Callable[[], int]:
    def count() -> int:
        asked = msgspec.json.encode([body[name] for name in _PROMPT if name in body])
        return characters_in(_text_of(msgspec.json.decode(asked)))

    return count


def _text_of(value: object) -> object:
    if isinstance(value, Mapping):
        # Any: a JSON document has any shape until it is looked at.
        fields = cast("Mapping[str, Any]", value)
        return {name: _text_of(field) for name, field in fields.items() if name not in _NOT_TEXT}
    return [_text_of(item) for item in items(value)] or value
