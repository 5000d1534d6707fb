"""Writes Gemini's requests, from a client's own body or from neutral words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import msgspec

from llm_manager.core.errors import InvalidRequest
from llm_manager.core.facts import Facts
from llm_manager.core.messages import ChatInput, EmbeddingsInput, Tool, ToolChoice
from llm_manager.providers.dialects.estimate import characters_in
from llm_manager.providers.dialects.gemini_generate.blocks import DIALECT
from llm_manager.providers.dialects.gemini_generate.documents import MODEL_PREFIX
from llm_manager.providers.dialects.gemini_generate.generation import generation_config, takes_levels, tool_config
from llm_manager.providers.dialects.gemini_generate.media import resolution_of_all
from llm_manager.providers.dialects.gemini_generate.turns import Turns
from llm_manager.providers.dialects.parameters import adapted, extension_table, object_fields
from llm_manager.providers.dialects.paths import chat_path, embeddings_path
from llm_manager.providers.dialects.policy import Policy
from llm_manager.providers.dialects.port import UpstreamCall

# Any: JSON documents are built here
Json = dict[str, Any]
_TASKS = {
    "search_document": "RETRIEVAL_DOCUMENT",
    "search_query": "RETRIEVAL_QUERY",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
    "similarity": "SEMANTIC_SIMILARITY",
}
# Google's JSON takes both ways of writing a name.
_WRAPPED = ("generateContentRequest", "generate_content_request")
_REQUESTS = msgspec.json.Decoder(list[msgspec.Raw])
_RESOLUTION = "mediaResolution"
_PROMPT = ("systemInstruction", "system_instruction", "contents", "tools", "content", "requests", *_WRAPPED)


def neutral_chat(facts: Facts, request: ChatInput, *, model: str, is_stream: bool, policy: Policy) -> UpstreamCall:
    """Write a chat from neutral words."""
    body = _chat_body(facts, request, model=model, policy=policy)
    path = chat_path(facts, is_stream=is_stream)
    return UpstreamCall("POST", _path(path, model), msgspec.json.encode(body), _prompt_of(body))


def neutral_count(facts: Facts, request: ChatInput, *, model: str, policy: Policy) -> UpstreamCall:
    """Write a request for the size of a prompt: the whole chat, because tools and instructions count too."""
    body = _chat_body(facts, request, model=model, policy=policy)
    whole = {"generateContentRequest": {"model": _name(model), **body}}
    return UpstreamCall("POST", _path(facts.paths.count_tokens, model), msgspec.json.encode(whole), _prompt_of(body))


def neutral_embeddings(facts: Facts, request: EmbeddingsInput, *, model: str, policy: Policy) -> UpstreamCall:
    """Write a request for vectors."""
    table: Json = {"dimensions": request.dimensions} if request.dimensions is not None else {}
    if request.purpose:
        table["taskType"] = _TASKS[request.purpose]
    table.update(extension_table(facts, request.extension, policy=policy))
    # What the client reads is decided at the edge; vectors travel as numbers.
    table.pop("encoding_format", None)
    options = adapted(facts, table, unsupported=facts.parameters.embeddings_unsupported, policy=policy)
    asked = [
        {"model": _name(model), "content": {"parts": [{"text": text}]}, **options} for text in request.texts
    ]  # fmt: skip
    is_one = len(asked) == 1
    path = embeddings_path(facts, is_batch=not is_one)
    body: Json = asked[0] if is_one else {"requests": asked}
    return UpstreamCall(
        "POST", _path(path, model), msgspec.json.encode(body), lambda: sum(map(len, request.texts))
    )  # fmt: skip


def native_chat(facts: Facts, body: bytes, *, model: str, is_stream: bool) -> UpstreamCall:
    """Write a chat that came in this dialect: byte for byte, but for a model that is named inside too."""
    fields = object_fields(body)
    path = chat_path(facts, is_stream=is_stream)
    return _native(path, body, fields, changed=_renamed(fields, model), model=model)


def native_count(facts: Facts, body: bytes, *, model: str) -> UpstreamCall:
    """Write a request for the size of a prompt that came in this dialect."""
    fields = object_fields(body)
    changed = _renamed(fields, model)
    for name in _WRAPPED:
        if name in fields and bytes(fields[name]) != b"null":
            inner = object_fields(bytes(fields[name]))
            if inner_changed := _renamed(inner, model):
                changed[name] = msgspec.Raw(msgspec.json.encode({**inner, **inner_changed}))
    return _native(facts.paths.count_tokens, body, fields, changed=changed, model=model)


def native_embeddings(facts: Facts, body: bytes, *, model: str) -> UpstreamCall:
    """Write a request for vectors that came in this dialect: with `requests` for several texts, else for one."""
    fields = object_fields(body)
    changed = _renamed(fields, model)
    if "requests" not in fields:
        return _native(embeddings_path(facts, is_batch=False), body, fields, changed=changed, model=model)
    try:
        asked = [object_fields(bytes(raw)) for raw in _REQUESTS.decode(fields["requests"])]
    except msgspec.DecodeError as error:
        raise InvalidRequest("'requests' is not a list of objects.", param="requests") from error
    renamed = [{**one, **_renamed(one, model)} for one in asked]
    if renamed != asked:
        changed["requests"] = msgspec.Raw(msgspec.json.encode(renamed))
    return _native(embeddings_path(facts, is_batch=True), body, fields, changed=changed, model=model)


def _native(path: str, body: bytes, fields: Json, *, changed: Json, model: str) -> UpstreamCall:
    sent = msgspec.json.encode({**fields, **changed}) if changed else body
    return UpstreamCall("POST", _path(path, model), sent, _prompt_of(fields))


def _renamed(fields: Json, model: str) -> Json:
    """Return the field `model` in the upstream's words where a body names another one."""
    if "model" not in fields:
        return {}
    name = _name(model)
    return {} if msgspec.json.decode(fields["model"]) == name else {"model": name}


def _chat_body(facts: Facts, request: ChatInput, *, model: str, policy: Policy) -> Json:
    extension = adapted(
        facts,
        extension_table(facts, request.extension, policy=policy),
        unsupported=facts.parameters.unsupported,
        policy=policy,
    )
    options = {name: extension.pop(name) for name in facts.parameters.options if name in extension}
    bare_model = model.removeprefix(MODEL_PREFIX)
    is_late = takes_levels(facts, bare_model)
    body = Turns.of(facts, request, needs_signatures=is_late, policy=policy)
    # what a client says in Gemini's own words goes before
    if not is_late and _RESOLUTION not in options and (level := resolution_of_all(facts, request.messages, policy)):
        options[_RESOLUTION] = msgspec.Raw(msgspec.json.encode(level))
    if tools := _tools(facts, request, policy):
        body["tools"] = tools
    is_strict = any(tool.is_strict for tool in request.tools)
    choice = request.tool_choice or (ToolChoice() if is_strict else None)
    if choice is not None and (request.tools or choice.mode in ("required", "named")):
        body["toolConfig"] = tool_config(facts, choice, is_strict=is_strict, policy=policy)
    config = generation_config(facts, request, options, model=bare_model, policy=policy)
    if config:
        body["generationConfig"] = config
    return {**body, **extension}


def _tools(facts: Facts, request: ChatInput, policy: Policy) -> list[Json | msgspec.Raw]:
    """Return functions in one tool, and each tool that the provider runs itself as one of its own."""
    tools: list[Json | msgspec.Raw] = []
    if request.tools:
        tools.append({"functionDeclarations": [_declaration(tool) for tool in request.tools]})
    for block in request.native_tools:
        if block.dialect == DIALECT:
            tools.append(msgspec.Raw(block.json))
        else:
            policy.unsupported(facts, "tools", hint="its own tools are googleSearch, codeExecution and urlContext")
    return tools


def _declaration(tool: Tool) -> Json:
    # `parameters` is a subset of OpenAPI that refuses $ref, additionalProperties and lists of types; this one takes
    # JSON Schema (google-genai 3.4, FunctionDeclaration).
    declaration: Json = {"name": tool.name}
    if tool.description:
        declaration["description"] = tool.description
    if tool.parameters:
        declaration["parametersJsonSchema"] = msgspec.Raw(tool.parameters)
    return declaration


def _name(model: str) -> str:
    return model if model.startswith(MODEL_PREFIX) else MODEL_PREFIX + model


def _path(path: str, model: str) -> str:
    return path.replace("{model}", quote(model.removeprefix(MODEL_PREFIX), safe=""))


def _prompt_of(fields: Json) -> Callable[[], int]:
    def count() -> int:
        asked = [fields[name] for name in _PROMPT if name in fields]
        return characters_in(msgspec.json.decode(msgspec.json.encode(asked)))

    return count
