"""Writes OpenAI's request bodies, from a client's own body or from neutral words."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from llm_manager.core.facts import Facts
from llm_manager.core.messages import ChatInput, EmbeddingsInput, RerankInput
from llm_manager.providers.dialects.estimate import characters_in
from llm_manager.providers.dialects.json_values import Json
from llm_manager.providers.dialects.openai_chat.conformity import concerns, conform
from llm_manager.providers.dialects.openai_chat.options import options_of
from llm_manager.providers.dialects.openai_chat.turns import Turns
from llm_manager.providers.dialects.parameters import adapted, extension_table, object_fields
from llm_manager.providers.dialects.paths import chat_path
from llm_manager.providers.dialects.policy import Policy
from llm_manager.providers.dialects.port import UpstreamCall

_TRUE = msgspec.Raw(b"true")
_PROMPT = ("messages", "tools", "input", "response_format", "query", "documents")
# What vectors are for, by its neutral name; the facts know the provider's, if it has one.
_PURPOSE, _PURPOSE_OF_CLIENTS = "purpose", "input_type"


def native_chat(facts: Facts, body: bytes, *, model: str, is_stream: bool, policy: Policy) -> UpstreamCall:
    """Write a chat that came in this dialect: model and stream are replaced, unknown fields stay as they are."""
    asked: Json = {**object_fields(body)}
    if concerns(facts, body):
        conform(facts, asked, policy)
    fields = adapted(facts, asked, unsupported=facts.parameters.unsupported, policy=policy)
    fields["model"] = model
    set_stream(facts, fields, is_stream=is_stream)
    return UpstreamCall("POST", chat_path(facts, is_stream=is_stream), msgspec.json.encode(fields), _prompt_of(fields))


def native_embeddings(facts: Facts, body: bytes, *, model: str, policy: Policy) -> UpstreamCall:
    """Write a request for vectors that came in this dialect."""
    fields = adapted(facts, object_fields(body), unsupported=facts.parameters.embeddings_unsupported, policy=policy)
    fields["model"] = model
    return UpstreamCall("POST", facts.paths.embeddings, msgspec.json.encode(fields), _prompt_of(fields))


def native_rerank(facts: Facts, body: bytes, *, model: str, policy: Policy) -> UpstreamCall:
    """Write a request for an order that came in this dialect."""
    fields = adapted(facts, object_fields(body), unsupported=facts.parameters.rerank_unsupported, policy=policy)
    fields["model"] = model
    return UpstreamCall("POST", facts.paths.rerank, msgspec.json.encode(fields), _prompt_of(fields))


def neutral_chat(facts: Facts, request: ChatInput, *, model: str, is_stream: bool, policy: Policy) -> UpstreamCall:
    """Write a chat from neutral words."""
    messages = Turns.of(facts, request.messages, policy=policy)
    options = options_of(facts, request, policy=policy)
    body: Json = {"model": model, "messages": messages, **options}
    if "tool_call_id" in facts.parameters.renamed:
        # only what both ways into this dialect have in common is left to do: `Turns` knows the rest
        body = {**object_fields(msgspec.json.encode(body))}
        conform(facts, body, policy)
    set_stream(facts, body, is_stream=is_stream)
    return UpstreamCall("POST", chat_path(facts, is_stream=is_stream), msgspec.json.encode(body), _prompt_of(body))


def neutral_embeddings(facts: Facts, request: EmbeddingsInput, *, model: str, policy: Policy) -> UpstreamCall:
    """Write a request for vectors.

    What they are for is said where the provider has a word for it; to models that make no difference it means nothing,
    so it is left out with a warning and never refused: Cohere's clients must say it, whatever the model.
    """
    table: Json = {"dimensions": request.dimensions} if request.dimensions is not None else {}
    if request.purpose and _PURPOSE in facts.parameters.renamed:
        table[_PURPOSE] = request.purpose
    elif request.purpose:
        policy.left_out(_PURPOSE_OF_CLIENTS)
    table.update(extension_table(facts, request.extension, policy=policy))
    body = {
        "model": model,
        "input": list(request.texts),
        **adapted(facts, table, unsupported=facts.parameters.embeddings_unsupported, policy=policy),
    }
    return UpstreamCall("POST", facts.paths.embeddings, msgspec.json.encode(body), lambda: sum(map(len, request.texts)))


def neutral_rerank(facts: Facts, request: RerankInput, *, model: str, policy: Policy) -> UpstreamCall:
    """Write a request for an order."""
    extension = extension_table(facts, request.extension, policy=policy)
    body: Json = {
        "model": model,
        "query": request.query,
        "documents": list(request.documents),
        **({} if request.top_n is None else {"top_n": request.top_n}),
        **adapted(facts, extension, unsupported=facts.parameters.rerank_unsupported, policy=policy),
    }
    return UpstreamCall("POST", facts.paths.rerank, msgspec.json.encode(body), _prompt_of(body))


def set_stream(facts: Facts, fields: Json, *, is_stream: bool) -> None:
    """Ask for a stream or for a whole answer, and with a stream for its usage."""
    options = fields.pop("stream_options", None)
    fields.pop("stream", None)
    if is_stream:
        fields["stream"] = True
        if facts.stream.asks_usage:
            fields["stream_options"] = _with_usage(options)


def _with_usage(options: msgspec.Raw | None) -> Json:
    """Ask for usage always: the client's wish decides only what it is shown (wire.md section 1)."""
    fields = {} if options is None or bytes(options) == b"null" else object_fields(bytes(options))
    return {**fields, "include_usage": _TRUE}


def _prompt_of(fields: Json) -> Callable[[], int]:
    def count() -> int:
        asked = [fields[name] for name in _PROMPT if name in fields]
        return characters_in(msgspec.json.decode(msgspec.json.encode(asked)))

    return count
