"""Request parameters in a provider's names. What it cannot do is refused, never dropped in silence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from llm_manager.core.errors import InvalidRequest
from llm_manager.core.facts import Facts
from llm_manager.core.messages import ResponseFormat, Sampling
from llm_manager.providers.dialects.pointers import raw_table
from llm_manager.providers.dialects.policy import Policy

# What every provider does unasked (platform.openai.com/docs/api-reference/chat/create, defaults; read 2026-11).
_ASK_FOR_NOTHING: Mapping[str, object] = {
    "response_format": {"type": "text"},
    "modalities": ["text"],
    "detail": "auto",
    "logit_bias": {},
    "metadata": {},
}
# Who asked stands in the ledger: the answer is the same one where the provider has no word for it.
_END_USER = frozenset({"user", "safety_identifier"})


def adapted(facts: Facts, table: Mapping[str, Any], *, unsupported: tuple[str, ...], policy: Policy) -> dict[str, Any]:
    """Return parameters in the provider's names, in their order.

    Args:
        table: OpenAI's names to values; values may be `msgspec.Raw`, which stay as they are.
        unsupported: names that this operation does not take.

    Raises:
        UnsupportedParameter: one of them is asked for with a value that means something, and the policy refuses.
    """
    result: dict[str, Any] = {}
    for name, value in table.items():
        if name in unsupported:
            if not is_harmless(facts, name, value):
                _meet(facts, name, policy)
            continue
        new_name = facts.parameters.renamed.get(name, name)
        # A client that sends the provider's own name as well means that one.
        if new_name == name or (new_name not in table and new_name not in result):
            result[new_name] = value
    return result


def _meet(facts: Facts, name: str, policy: Policy) -> None:
    if name in _END_USER:
        policy.left_out(name)
    else:
        policy.unsupported(facts, name)


def sampling_table(sampling: Sampling) -> dict[str, Any]:
    """Return what is set, in OpenAI's names, without the largest number of tokens: that has many names."""
    table: dict[str, Any] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "seed": sampling.seed,
        "stop": list(sampling.stop) or None,
        "n": sampling.n,
        "logprobs": sampling.logprobs,
        "top_logprobs": sampling.top_logprobs,
        "reasoning_effort": sampling.reasoning_effort or None,
    }
    return {name: value for name, value in table.items() if value is not None}


def warn_of_binding(form: ResponseFormat | None, policy: Policy) -> None:
    """Meet a schema that should only guide the answer, where a schema always binds it: said, but nothing to refuse."""
    if form is not None and form.is_strict is False:
        policy.left_out("strict of response_format")


def extension_table(facts: Facts, extension: bytes, *, policy: Policy) -> dict[str, msgspec.Raw]:
    """Return the parameters beyond the neutral vocabulary.

    Raises:
        UnsupportedParameter: the facts do not know one of them, and the policy refuses.
        InvalidRequest: not a JSON object.
    """
    if not extension:
        return {}
    known = (*facts.parameters.extension, *facts.parameters.options, *facts.parameters.unsupported)
    table = {name: value for name, value in object_fields(extension).items() if bytes(value) != b"null"}
    if "*" in known:
        return table
    for name in table:
        if name not in known:
            _meet(facts, name, policy)
    return {name: value for name, value in table.items() if name in known}


def object_fields(body: bytes) -> dict[str, msgspec.Raw]:
    """Return the fields of a request body, each byte for byte as it came: seeds of 64 bits stay exact.

    Raises:
        InvalidRequest: not a JSON object.
    """
    try:
        return raw_table(body)
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"The body is not a JSON object: {error}.") from error


def is_harmless(facts: Facts, name: str, value: object) -> bool:
    """Return whether a value asks for no more than what the provider does unasked."""
    plain = msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value
    if plain is None or (name in _ASK_FOR_NOTHING and plain == _ASK_FOR_NOTHING[name]):
        return True
    harmless = facts.parameters.harmless.get(name)
    return harmless is not None and plain == harmless and isinstance(plain, bool) is isinstance(harmless, bool)
