"""Writes Cohere's requests, from a client's own body or from neutral words."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from llm_manager.core.facts import Facts
from llm_manager.core.messages import ChatInput, EmbeddingsInput, RerankInput
from llm_manager.providers.dialects.cohere_v2.documents import FLOAT
from llm_manager.providers.dialects.cohere_v2.generation import form_fields, sampling_fields, tool_fields
from llm_manager.providers.dialects.cohere_v2.turns import messages_of
from llm_manager.providers.dialects.estimate import characters_in
from llm_manager.providers.dialects.json_values import Json
from llm_manager.providers.dialects.parameters import adapted, extension_table, object_fields
from llm_manager.providers.dialects.paths import chat_path
from llm_manager.providers.dialects.policy import Policy
from llm_manager.providers.dialects.port import UpstreamCall

# Cohere demands to know what vectors are for. Who does not say it fills an index more often than anything else.
_PURPOSES = {
    "": "search_document",
    "search_document": "search_document",
    "search_query": "search_query",
    "classification": "classification",
    "clustering": "clustering",
}
_PROMPT = ("messages", "tools", "documents", "texts", "inputs", "query")


def neutral_chat(facts: Facts, request: ChatInput, *, model: str, is_stream: bool, policy: Policy) -> UpstreamCall:
    """Write a chat from neutral words."""
    body: Json = {
        "model": model,
        "messages": messages_of(facts, request.messages, model=model, policy=policy),
        **tool_fields(facts, request, policy),
        **form_fields(request.response_format, policy),
        **sampling_fields(facts, request.sampling, model=model, policy=policy),
        **adapted(
            facts,
            extension_table(facts, request.extension, policy=policy),
            unsupported=facts.parameters.unsupported,
            policy=policy,
        ),
        "stream": is_stream,
    }
    return _call(chat_path(facts, is_stream=is_stream), body)


def neutral_embeddings(facts: Facts, request: EmbeddingsInput, *, model: str, policy: Policy) -> UpstreamCall:
    """Write a request for vectors of numbers; what form the client reads is decided at the edge."""
    table: Json = {"dimensions": request.dimensions} if request.dimensions is not None else {}
    table.update(extension_table(facts, request.extension, policy=policy))
    for name in ("encoding_format", "embedding_types"):
        table.pop(name, None)
    body: Json = {
        "model": model,
        "texts": list(request.texts),
        "input_type": _purpose(facts, request, policy) if "input_type" not in table else table.pop("input_type"),
        "embedding_types": [FLOAT],
        **adapted(facts, table, unsupported=facts.parameters.embeddings_unsupported, policy=policy),
    }
    return _call(facts.paths.embeddings, body)


def _purpose(facts: Facts, request: EmbeddingsInput, policy: Policy) -> str:
    known = _PURPOSES.get(request.purpose)
    if known is None:
        known = "clustering"
        policy.out_of_range(facts, "input_type", limit=", ".join(filter(None, _PURPOSES)), used=known)
    return known


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
    return _call(facts.paths.rerank, body)


def native_chat(facts: Facts, body: bytes, *, model: str, is_stream: bool) -> UpstreamCall:
    """Write a chat that came in this dialect."""
    return _native(chat_path(facts, is_stream=is_stream), body, {"model": model, "stream": is_stream})


def native_embeddings(facts: Facts, body: bytes, *, model: str) -> UpstreamCall:
    """Write a request for vectors that came in this dialect, whatever types of them it asks for."""
    return _native(facts.paths.embeddings, body, {"model": model})


def native_rerank(facts: Facts, body: bytes, *, model: str) -> UpstreamCall:
    """Write a request for an order that came in this dialect."""
    return _native(facts.paths.rerank, body, {"model": model})


def _native(path: str, body: bytes, imposed: Json) -> UpstreamCall:
    fields = object_fields(body)
    said = {name: msgspec.json.decode(fields[name]) for name in imposed if name in fields}
    # what is left out is false
    wanted = {name: value for name, value in imposed.items() if value is not False or name in said}
    sent = body if said == wanted else msgspec.json.encode({**fields, **wanted})
    return UpstreamCall("POST", path, sent, _prompt_of(fields))


def _call(path: str, body: Json) -> UpstreamCall:
    return UpstreamCall("POST", path, msgspec.json.encode(body), _prompt_of(body))


def _prompt_of(fields: Json) -> Callable[[], int]:
    def count() -> int:
        asked = [fields[name] for name in _PROMPT if name in fields]
        return characters_in(msgspec.json.decode(msgspec.json.encode(asked)))

    return count
