"""Writes requests for completions from a client's own body."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from llm_manager.core.estimates import CHARACTERS_PER_TOKEN
from llm_manager.core.facts import Facts
from llm_manager.providers.dialects.estimate import characters_in
from llm_manager.providers.dialects.json_values import Json, items
from llm_manager.providers.dialects.openai_chat.request import set_stream
from llm_manager.providers.dialects.parameters import adapted, object_fields
from llm_manager.providers.dialects.policy import Policy
from llm_manager.providers.dialects.port import UpstreamCall

_PROMPT = ("prompt", "suffix")


def native_completion(facts: Facts, body: bytes, *, model: str, is_stream: bool, policy: Policy) -> UpstreamCall:
    """Write a completion: model and stream are replaced, unknown fields stay as they are.

    Raises:
        UnsupportedParameter: the provider does not take a parameter, and the policy refuses.
    """
    fields = adapted(facts, object_fields(body), unsupported=facts.parameters.unsupported, policy=policy)
    fields["model"] = model
    set_stream(facts, fields, is_stream=is_stream)
    return UpstreamCall("POST", facts.paths.completions, msgspec.json.encode(fields), _prompt_of(fields))


def _prompt_of(fields: Json) -> Callable[[], int]:
    def count() -> int:
        asked = [msgspec.json.decode(fields[name]) for name in _PROMPT if name in fields]
        return sum(_characters(value) for value in asked)

    return count


def _characters(prompt: object) -> int:
    """Return the characters of texts; each number of a prompt is a token."""
    if isinstance(prompt, int):
        return CHARACTERS_PER_TOKEN
    listed = items(prompt)
    return sum(map(_characters, listed)) if listed else characters_in(prompt)
