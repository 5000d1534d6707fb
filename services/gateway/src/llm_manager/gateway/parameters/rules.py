"""Parameters of configurations and overrides: merged in their order, put into requests that do not say them; pure.

They are in OpenAI's names; a table says where each dialect keeps them. What the call says itself always counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, cast

import msgspec
from msgspec import Raw

# Any, here and below: JSON of any shape
Table = Mapping[str, Any]
_decode_table = msgspec.json.Decoder(dict[str, Raw]).decode


class Strategy(StrEnum):
    """What an override does with the parameters before it."""

    REPLACE = "replace"
    MERGE = "merge"
    DEEP_MERGE = "deep_merge"


def effective(defaults: Table, overrides: Iterable[tuple[Strategy, Table]]) -> dict[str, Any]:
    """Return the parameters of a call that says none itself.

    Args:
        overrides: in ascending order of priority.
    """
    merged: dict[str, Any] = dict(defaults)
    for strategy, parameters in overrides:
        match strategy:
            case Strategy.REPLACE:
                merged = dict(parameters)
            case Strategy.MERGE:
                merged = {**merged, **parameters}
            case Strategy.DEEP_MERGE:
                merged = deep_merged(merged, parameters)
    return merged


def deep_merged(before: Table, after: Table) -> dict[str, Any]:
    """Merge tables inside of tables; everything else, lists included, is replaced."""
    merged = dict(before)
    for name, value in after.items():
        held = merged.get(name)
        if isinstance(held, dict) and isinstance(value, dict):
            merged[name] = deep_merged(cast("Table", held), cast("Table", value))
        else:
            merged[name] = value
    return merged


# Names that say the same to one dialect: where a call says one of them, it has said all.
_SAME = (
    frozenset({"max_tokens", "max_completion_tokens"}),
    frozenset({"reasoning_effort", "reasoning", "thinking"}),
    frozenset({"tools", "functions"}),
    frozenset({"tool_choice", "function_call"}),
)
_COMMON = {"temperature": "temperature", "top_p": "top_p"}
_OUTPUT = ("max_tokens", "max_completion_tokens")
# Where a dialect keeps a parameter of OpenAI's chat: a field, or a field in a table. What is not here it has no word
# for. Sources: the SDKs that docs/dialects.md names, read 2026-11.
_PLACES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "anthropic_messages": {
            **_COMMON,
            "top_k": "top_k",
            "stop": "stop_sequences",
            "thinking": "thinking",
            "service_tier": "service_tier",
            **dict.fromkeys(_OUTPUT, "max_tokens"),
        },
        "gemini_generate": {
            "temperature": "generationConfig.temperature",
            "top_p": "generationConfig.topP",
            "top_k": "generationConfig.topK",
            "stop": "generationConfig.stopSequences",
            "seed": "generationConfig.seed",
            "n": "generationConfig.candidateCount",
            "presence_penalty": "generationConfig.presencePenalty",
            "frequency_penalty": "generationConfig.frequencyPenalty",
            **dict.fromkeys(_OUTPUT, "generationConfig.maxOutputTokens"),
        },
        "cohere_v2": {
            "temperature": "temperature",
            "top_p": "p",
            "top_k": "k",
            "stop": "stop_sequences",
            "seed": "seed",
            "presence_penalty": "presence_penalty",
            "frequency_penalty": "frequency_penalty",
            **dict.fromkeys(_OUTPUT, "max_tokens"),
        },
        "openai_responses": {
            **_COMMON,
            "top_logprobs": "top_logprobs",
            "reasoning_effort": "reasoning.effort",
            "parallel_tool_calls": "parallel_tool_calls",
            "service_tier": "service_tier",
            **dict.fromkeys(_OUTPUT, "max_output_tokens"),
        },
        "openai_completions": {
            **_COMMON,
            **{name: name for name in ("stop", "seed", "n", "presence_penalty", "frequency_penalty", "logit_bias")},
            **dict.fromkeys(_OUTPUT, "max_tokens"),
        },
    }
)
# OpenAI's own, and the platform's short form, which has a table for all of them.
_OWN, _SHORT_FORM = "openai_chat", ""


def with_parameters(body: bytes, dialect: str, parameters: Table) -> tuple[bytes, dict[str, Any]]:
    """Return a request with the parameters that it does not say, and what holds for it in OpenAI's names.

    What the dialect has no word for is left out of both. A body that is no JSON object stays as it is.
    """
    try:
        table = _decode_table(body)
    except msgspec.DecodeError:
        return body, {}
    holds: dict[str, Any] = {}
    for name, value in parameters.items():
        outer, _, inner = place_of(dialect, name).partition(".")
        if not outer:
            continue
        inside = _inside(table, outer) if inner else table
        if inside is None:
            continue
        said = next((inside[same] for same in _names(dialect, name, inner or outer) if same in inside), None)
        if said is not None:
            holds[name] = msgspec.json.decode(said)
            continue
        holds[name] = value
        inside[inner or outer] = Raw(msgspec.json.encode(_form(dialect, name, value)))
        if inner:
            table[outer] = Raw(msgspec.json.encode(inside))
    return msgspec.json.encode(table), holds


def place_of(dialect: str, name: str) -> str:
    """Return where a dialect keeps a parameter; empty where it has no word for it."""
    if dialect == _OWN:
        return name
    if dialect == _SHORT_FORM:
        return f"parameters.{name}"
    return _PLACES.get(dialect, {}).get(name, "")


def _names(dialect: str, name: str, field: str) -> Iterable[str]:
    """Return the fields that say a parameter."""
    if dialect not in (_OWN, _SHORT_FORM):
        return (field,)
    return next((same for same in _SAME if name in same), (name,))


def _inside(table: Mapping[str, Raw], outer: str) -> dict[str, Raw] | None:
    """Return a table in a request; empty where it has none, None where something else stands there."""
    if outer not in table or bytes(table[outer]) == b"null":
        return {}
    try:
        return _decode_table(table[outer])
    except msgspec.DecodeError:
        return None


def _form(dialect: str, name: str, value: object) -> object:
    """OpenAI takes one text to stop at, all others a list of them."""
    is_list_wanted = name == "stop" and dialect not in (_OWN, _SHORT_FORM, "openai_completions")
    return [value] if is_list_wanted and isinstance(value, str) else value
