"""Writes Ollama's request bodies, from a client's own body or from neutral words."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from llm_manager.core.estimates import CHARACTERS_PER_TOKEN
from llm_manager.core.facts import Facts
from llm_manager.core.messages import ChatInput, EmbeddingsInput
from llm_manager.providers.dialects.estimate import characters_in
from llm_manager.providers.dialects.json_values import Json, items
from llm_manager.providers.dialects.ollama_chat.options import OUTSIDE, options_of, place
from llm_manager.providers.dialects.ollama_chat.turns import messages_of
from llm_manager.providers.dialects.parameters import adapted, extension_table, object_fields
from llm_manager.providers.dialects.paths import chat_path
from llm_manager.providers.dialects.policy import Policy
from llm_manager.providers.dialects.port import UpstreamCall

_PROMPT = ("messages", "tools", "input", "prompt", "system", "suffix", "context")
# Values of a client's own field that ask for nothing.
_HARMLESS = (b"null", b"false", b'""', b"0")


def neutral_chat(facts: Facts, request: ChatInput, *, model: str, is_stream: bool, policy: Policy) -> UpstreamCall:
    """Write a chat: sampling goes into `options` under Ollama's names."""
    body: Json = {
        "model": model,
        "messages": messages_of(facts, request.messages, policy=policy),
        "stream": is_stream,
        **options_of(facts, request, policy=policy),
    }
    return UpstreamCall("POST", chat_path(facts, is_stream=is_stream), msgspec.json.encode(body), prompt_of(body))


def neutral_embeddings(facts: Facts, request: EmbeddingsInput, *, model: str, policy: Policy) -> UpstreamCall:
    """Write a request for vectors.

    Ollama has no word for what they are for: models that make a difference want it in the text, and say how.
    """
    table: Json = {"dimensions": request.dimensions} if request.dimensions is not None else {}
    if request.purpose:
        policy.left_out("input_type")
    table.update(extension_table(facts, request.extension, policy=policy))
    # What the client reads is decided at the edge; vectors travel as numbers.
    table.pop("encoding_format", None)
    body: Json = {"model": model, "input": list(request.texts)}
    options: Json = {}
    fields = adapted(facts, table, unsupported=facts.parameters.embeddings_unsupported, policy=policy)
    place(facts, fields, body, options)
    if options:
        body["options"] = options
    return UpstreamCall("POST", facts.paths.embeddings, msgspec.json.encode(body), prompt_of(body))


def native_chat(facts: Facts, body: bytes, *, model: str, is_stream: bool, policy: Policy) -> UpstreamCall:
    """Write a chat that came in this dialect."""
    return native_call(
        facts, chat_path(facts, is_stream=is_stream), body, {"model": model, "stream": is_stream}, policy=policy
    )


def native_embeddings(facts: Facts, body: bytes, *, model: str, policy: Policy) -> UpstreamCall:
    """Write a request for vectors that came in this dialect."""
    return native_call(facts, facts.paths.embeddings, body, {"model": model}, policy=policy)


def native_call(facts: Facts, path: str, body: bytes, imposed: Json, *, policy: Policy) -> UpstreamCall:
    """Write a client's own body: byte for byte where it says the same as what is imposed.

    Raises:
        UnsupportedParameter: the facts say that the kind cannot do what a field asks, and the policy refuses.
        InvalidRequest: not a JSON object.
    """
    fields = object_fields(body)
    refused = _refused(facts, fields)
    for name in refused:
        policy.unsupported(facts, name)
    # Ollama streams where nothing is said, so `stream` is always said.
    said = {name: msgspec.json.decode(fields[name]) for name in imposed if name in fields}
    if said == imposed and not refused:
        return UpstreamCall("POST", path, body, prompt_of(fields))
    kept = {name: value for name, value in fields.items() if name not in refused}
    return UpstreamCall("POST", path, msgspec.json.encode({**kept, **imposed}), prompt_of(fields))


def _refused(facts: Facts, fields: Mapping[str, msgspec.Raw]) -> list[str]:
    """Return the fields that a kind of this dialect has no ability for, by their names in this dialect."""
    return [
        own_name
        for name, own_name in OUTSIDE.items()
        if name in facts.parameters.unsupported and own_name in fields and bytes(fields[own_name]) not in _HARMLESS
    ]


def prompt_of(fields: Json) -> Callable[[], int]:
    """Return what counts the characters of a prompt; the numbers of a `context` are tokens."""

    def count() -> int:
        asked = {name: fields[name] for name in _PROMPT if name in fields}
        plain: Json = msgspec.json.decode(msgspec.json.encode(asked))
        tokens = len(items(plain.pop("context", None)))
        return characters_in(list(plain.values())) + CHARACTERS_PER_TOKEN * tokens

    return count
