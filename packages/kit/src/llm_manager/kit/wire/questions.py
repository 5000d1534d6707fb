"""What is asked of a model, as it travels: the neutral inputs of inference/v1/chat.proto."""

from __future__ import annotations

from typing import assert_never, cast

import msgspec

from llm_manager.contracts.inference.v1 import chat_pb2
from llm_manager.core import messages as words
from llm_manager.core.errors import InvalidRequest

_ROLES: dict[words.Role, chat_pb2.Role.ValueType] = {
    "system": chat_pb2.ROLE_SYSTEM,
    "user": chat_pb2.ROLE_USER,
    "assistant": chat_pb2.ROLE_ASSISTANT,
    "tool": chat_pb2.ROLE_TOOL,
}
_ROLES_BACK: dict[int, words.Role] = {number: role for role, number in _ROLES.items()}
_MODES = {
    "auto": chat_pb2.ToolChoice.MODE_AUTO,
    "none": chat_pb2.ToolChoice.MODE_NONE,
    "required": chat_pb2.ToolChoice.MODE_REQUIRED,
    "named": chat_pb2.ToolChoice.MODE_NAMED,
}
_MODES_BACK = {number: mode for mode, number in _MODES.items()}
_FORMATS = {
    "text": chat_pb2.ResponseFormat.KIND_TEXT,
    "json_object": chat_pb2.ResponseFormat.KIND_JSON_OBJECT,
    "json_schema": chat_pb2.ResponseFormat.KIND_JSON_SCHEMA,
}
_FORMATS_BACK = {number: kind for kind, number in _FORMATS.items()}
_PURPOSES = frozenset({"", "search_document", "search_query", "classification", "clustering", "similarity"})


def chat_to_proto(chat: words.ChatInput) -> chat_pb2.ChatInput:
    """Return a chat as it travels."""
    message = chat_pb2.ChatInput(
        messages=[_message(item) for item in chat.messages],
        tools=[
            chat_pb2.Tool(
                name=tool.name,
                description=tool.description,
                parameters=tool.parameters,
                is_strict=tool.is_strict,
                cache_ttl=tool.cache_ttl,
            )
            for tool in chat.tools
        ],
        native_tools=[chat_pb2.OpaqueBlock(dialect=tool.dialect, json=tool.json) for tool in chat.native_tools],
        sampling=_sampling(chat.sampling),
        extension=chat.extension,
    )
    if (choice := chat.tool_choice) is not None:
        message.tool_choice.CopyFrom(
            chat_pb2.ToolChoice(
                mode=_MODES[choice.mode], name=choice.name, parallel=choice.parallel, allowed=choice.allowed
            )
        )
    if (form := chat.response_format) is not None:
        message.response_format.CopyFrom(
            chat_pb2.ResponseFormat(
                kind=_FORMATS[form.kind], name=form.name, schema=form.schema, is_strict=form.is_strict
            )
        )
    return message


def chat_from_proto(chat: chat_pb2.ChatInput) -> words.ChatInput:
    """Return the chat that travelled.

    Raises:
        InvalidRequest: a message has no role, or a part says nothing.
    """
    return words.ChatInput(
        messages=tuple(_message_back(message) for message in chat.messages),
        tools=tuple(
            words.Tool(
                name=tool.name,
                description=tool.description,
                parameters=tool.parameters,
                is_strict=tool.is_strict if tool.HasField("is_strict") else None,
                cache_ttl=_ttl(tool.cache_ttl),
            )
            for tool in chat.tools
        ),
        native_tools=tuple(words.OpaqueBlock(dialect=tool.dialect, json=tool.json) for tool in chat.native_tools),
        tool_choice=_tool_choice_back(chat.tool_choice) if chat.HasField("tool_choice") else None,
        response_format=_format_back(chat.response_format) if chat.HasField("response_format") else None,
        sampling=_sampling_back(chat.sampling),
        extension=chat.extension,
    )


def embeddings_to_proto(asked: words.EmbeddingsInput) -> chat_pb2.EmbeddingsInput:
    """Return texts to embed as they travel."""
    return chat_pb2.EmbeddingsInput(
        texts=asked.texts, dimensions=asked.dimensions, extension=asked.extension, purpose=asked.purpose
    )


def embeddings_from_proto(asked: chat_pb2.EmbeddingsInput) -> words.EmbeddingsInput:
    """Return the texts that travelled.

    Raises:
        InvalidRequest: an unknown purpose.
    """
    if asked.purpose not in _PURPOSES:
        raise InvalidRequest(
            f"The purpose {asked.purpose[:50]!r} is unknown; use one of {sorted(_PURPOSES)}.", param="purpose"
        )
    return words.EmbeddingsInput(
        texts=tuple(asked.texts),
        dimensions=asked.dimensions if asked.HasField("dimensions") else None,
        purpose=cast("words.EmbeddingPurpose", asked.purpose),  # checked above
        extension=asked.extension,
    )


def rerank_to_proto(asked: words.RerankInput) -> chat_pb2.RerankInput:
    """Return documents to order as they travel."""
    return chat_pb2.RerankInput(
        query=asked.query, documents=asked.documents, top_n=asked.top_n, extension=asked.extension
    )


def rerank_from_proto(asked: chat_pb2.RerankInput) -> words.RerankInput:
    """Return the documents that travelled."""
    return words.RerankInput(
        query=asked.query,
        documents=tuple(asked.documents),
        top_n=asked.top_n if asked.HasField("top_n") else None,
        extension=asked.extension,
    )


def _message(message: words.Message) -> chat_pb2.Message:
    return chat_pb2.Message(role=_ROLES[message.role], parts=[_part(part) for part in message.parts], name=message.name)


def _message_back(message: chat_pb2.Message) -> words.Message:
    role = _ROLES_BACK.get(message.role)
    if role is None:
        raise InvalidRequest("A message has no role.", param="messages")
    return words.Message(role=role, parts=tuple(_part_back(part) for part in message.parts), name=message.name)


def _part(part: words.Part) -> chat_pb2.Part:
    match part:
        case words.Text():
            return chat_pb2.Part(text=part.text, cache_ttl=part.cache_ttl)
        case words.Media():
            return chat_pb2.Part(media=_media(part), cache_ttl=part.cache_ttl)
        case words.ToolCall():
            call = chat_pb2.ToolCall(id=part.id, name=part.name, arguments=part.arguments)
            return chat_pb2.Part(tool_call=call, cache_ttl=part.cache_ttl)
        case words.ToolResult():
            return chat_pb2.Part(tool_result=_result(part), cache_ttl=part.cache_ttl)
        case words.Reasoning():
            return chat_pb2.Part(reasoning=part.text)
        case words.Refusal():
            return chat_pb2.Part(refusal=part.text)
        case words.OpaqueBlock():
            return chat_pb2.Part(opaque=chat_pb2.OpaqueBlock(dialect=part.dialect, json=part.json))
        case _:
            assert_never(part)


def _result(result: words.ToolResult) -> chat_pb2.ToolResult:
    written = chat_pb2.ToolResult(tool_call_id=result.tool_call_id, is_error=result.is_error, name=result.name)
    match result.parts:
        case ():
            pass
        case (words.Text(text=text, cache_ttl=""),) if text:
            written.content = text
        case parts:
            written.parts.extend(map(_result_part, parts))
    return written


def _result_part(part: words.Text | words.Media) -> chat_pb2.ToolResultPart:
    if isinstance(part, words.Text):
        return chat_pb2.ToolResultPart(text=part.text)
    return chat_pb2.ToolResultPart(media=_media(part))


def _result_back(result: chat_pb2.ToolResult, ttl: words.CacheTtl) -> words.ToolResult:
    # whoever was built before `parts` says one text, and media behind it
    before = [words.Text(text=result.content)] if result.content else []
    parts = [*before, *(_media_back(medium, "") for medium in result.media), *map(_result_part_back, result.parts)]
    return words.ToolResult(
        tool_call_id=result.tool_call_id, parts=tuple(parts), is_error=result.is_error, name=result.name, cache_ttl=ttl
    )


def _result_part_back(part: chat_pb2.ToolResultPart) -> words.Text | words.Media:
    return _media_back(part.media, "") if part.WhichOneof("kind") == "media" else words.Text(text=part.text)


def _part_back(part: chat_pb2.Part) -> words.Part:
    ttl = _ttl(part.cache_ttl)
    match part.WhichOneof("kind"):
        case "text":
            return words.Text(text=part.text, cache_ttl=ttl)
        case "media":
            return _media_back(part.media, ttl)
        case "tool_call":
            call = part.tool_call
            return words.ToolCall(id=call.id, name=call.name, arguments=call.arguments, cache_ttl=ttl)
        case "tool_result":
            return _result_back(part.tool_result, ttl)
        case "reasoning":
            return words.Reasoning(text=part.reasoning)
        case "refusal":
            return words.Refusal(text=part.refusal)
        case "opaque":
            return words.OpaqueBlock(dialect=part.opaque.dialect, json=part.opaque.json)
        case _:
            raise InvalidRequest("A part of a message says nothing.", param="messages")


def _media(media: words.Media) -> chat_pb2.Media:
    message = chat_pb2.Media(mime_type=media.mime_type, filename=media.filename, detail=media.detail)
    if media.data is not None:
        message.data = media.data
    elif media.url is not None:
        message.url = media.url
    elif media.file_id is not None:
        message.file_id = media.file_id
    return message


def _media_back(media: chat_pb2.Media, ttl: words.CacheTtl) -> words.Media:
    source = media.WhichOneof("source")
    return words.Media(
        mime_type=media.mime_type,
        data=media.data if source == "data" else None,
        url=media.url if source == "url" else None,
        file_id=media.file_id if source == "file_id" else None,
        filename=media.filename,
        detail=media.detail,
        cache_ttl=ttl,
    )


def _ttl(text: str) -> words.CacheTtl:
    # a duration of a newer version is still a hint: the shortest promises least
    return "1h" if text == "1h" else "5m" if text else ""


def _tool_choice_back(choice: chat_pb2.ToolChoice) -> words.ToolChoice:
    mode = _MODES_BACK.get(choice.mode, "auto")
    return words.ToolChoice(
        mode=cast("words.ToolChoiceMode", mode),  # the table above has its words only
        name=choice.name if mode == "named" else "",
        parallel=choice.parallel if choice.HasField("parallel") else None,
        allowed=tuple(choice.allowed),
    )


def _format_back(form: chat_pb2.ResponseFormat) -> words.ResponseFormat:
    kind = _FORMATS_BACK.get(form.kind, "text")
    return words.ResponseFormat(
        kind=cast("words.FormatKind", kind),  # the table above has its words only
        name=form.name,
        schema=form.schema,
        is_strict=form.is_strict if form.HasField("is_strict") else None,
    )


def _sampling(sampling: words.Sampling) -> chat_pb2.Sampling:
    members: dict[str, object] = msgspec.structs.asdict(sampling)
    # absent means the provider's default, which zero does not
    return chat_pb2.Sampling(**{name: value for name, value in members.items() if value is not None})  # pyright: ignore[reportArgumentType] # the same names and types on both sides, kept so by a test


def _sampling_back(sampling: chat_pb2.Sampling) -> words.Sampling:
    members: dict[str, object] = {field.name: value for field, value in sampling.ListFields()}
    members["stop"] = tuple(sampling.stop)
    return words.Sampling(**members)  # pyright: ignore[reportArgumentType] # the same names and types on both sides, kept so by a test
