"""Neutral words into the messages of the contract and back; the only place beside inbound and outbound files that
knows them."""

from __future__ import annotations

from typing import assert_never

import msgspec

from llm_manager.contracts.inference.v1 import chat_pb2, infer_pb2
from llm_manager.contracts.usage.v1 import event_pb2
from llm_manager.core import messages as words
from llm_manager.core.deltas import (
    AnswerInfo,
    Delta,
    Finish,
    FinishReason,
    Logprobs,
    Model,
    OpaqueDelta,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallStart,
)
from llm_manager.core.prices import Cost, CostState
from llm_manager.core.usage import BUCKETS, Usage, UsageReport, UsageSource
from llm_manager.gateway.inference.rules import Outcome, Piece

_ROLES: dict[words.Role, chat_pb2.Role.ValueType] = {
    "system": chat_pb2.ROLE_SYSTEM,
    "user": chat_pb2.ROLE_USER,
    "assistant": chat_pb2.ROLE_ASSISTANT,
    "tool": chat_pb2.ROLE_TOOL,
}
_MODES = {
    "auto": chat_pb2.ToolChoice.MODE_AUTO,
    "none": chat_pb2.ToolChoice.MODE_NONE,
    "required": chat_pb2.ToolChoice.MODE_REQUIRED,
    "named": chat_pb2.ToolChoice.MODE_NAMED,
}
_FORMATS = {
    "text": chat_pb2.ResponseFormat.KIND_TEXT,
    "json_object": chat_pb2.ResponseFormat.KIND_JSON_OBJECT,
    "json_schema": chat_pb2.ResponseFormat.KIND_JSON_SCHEMA,
}
_SOURCES = {
    event_pb2.USAGE_SOURCE_PROVIDER: UsageSource.PROVIDER,
    event_pb2.USAGE_SOURCE_ESTIMATED: UsageSource.ESTIMATED,
    event_pb2.USAGE_SOURCE_NONE: UsageSource.NONE,
}
_COSTS = {
    event_pb2.COST_STATE_PRICED: CostState.PRICED,
    event_pb2.COST_STATE_REPORTED: CostState.REPORTED,
}


def chat_input(chat: words.ChatInput) -> chat_pb2.ChatInput:
    """Return a chat as it travels."""
    message = chat_pb2.ChatInput(
        messages=[_message(item) for item in chat.messages],
        tools=[
            chat_pb2.Tool(name=t.name, description=t.description, parameters=t.parameters, is_strict=t.is_strict)
            for t in chat.tools
        ],
        sampling=_sampling(chat.sampling),
        extension=chat.extension,
    )
    if (choice := chat.tool_choice) is not None:
        message.tool_choice.CopyFrom(
            chat_pb2.ToolChoice(mode=_MODES[choice.mode], name=choice.name, parallel=choice.parallel)
        )
    if (form := chat.response_format) is not None:
        message.response_format.CopyFrom(
            chat_pb2.ResponseFormat(
                kind=_FORMATS[form.kind], name=form.name, schema=form.schema, is_strict=form.is_strict
            )
        )
    return message


def embeddings_input(asked: words.EmbeddingsInput) -> chat_pb2.EmbeddingsInput:
    """Return texts to embed as they travel."""
    return chat_pb2.EmbeddingsInput(texts=asked.texts, dimensions=asked.dimensions, extension=asked.extension)


def _message(message: words.Message) -> chat_pb2.Message:
    return chat_pb2.Message(role=_ROLES[message.role], parts=[_part(part) for part in message.parts], name=message.name)


def _part(part: words.Part) -> chat_pb2.Part:
    match part:
        case words.Text():
            return chat_pb2.Part(text=part.text)
        case words.Media():
            return chat_pb2.Part(media=_media(part))
        case words.ToolCall():
            call = chat_pb2.ToolCall(id=part.id, name=part.name, arguments=part.arguments)
            return chat_pb2.Part(tool_call=call)
        case words.ToolResult():
            result = chat_pb2.ToolResult(tool_call_id=part.tool_call_id, content=part.content, is_error=part.is_error)
            return chat_pb2.Part(tool_result=result)
        case words.Reasoning():
            return chat_pb2.Part(reasoning=part.text)
        case words.Refusal():
            return chat_pb2.Part(refusal=part.text)
        case words.OpaqueBlock():
            return chat_pb2.Part(opaque=chat_pb2.OpaqueBlock(dialect=part.dialect, json=part.json))
        case _:
            assert_never(part)


def _media(media: words.Media) -> chat_pb2.Media:
    message = chat_pb2.Media(mime_type=media.mime_type, filename=media.filename, detail=media.detail)
    if media.data is not None:
        message.data = media.data
    elif media.url is not None:
        message.url = media.url
    elif media.file_id is not None:
        message.file_id = media.file_id
    return message


def _sampling(sampling: words.Sampling) -> chat_pb2.Sampling:
    members: dict[str, object] = msgspec.structs.asdict(sampling)
    # absent means the provider's default, which zero does not
    return chat_pb2.Sampling(**{name: value for name, value in members.items() if value is not None})  # pyright: ignore[reportArgumentType] # the same names and types on both sides, kept so by a test


def piece_of(message: bytes) -> Piece:
    """Read one message of an answer."""
    chunk = infer_pb2.Chunk.FromString(message)
    if chunk.native:
        # a native answer has nothing else, and there is one such message for every token
        return Piece(native=tuple(chunk.native))
    return Piece(
        info=_info(chunk.info) if chunk.HasField("info") else None,
        deltas=tuple(delta for item in chunk.deltas if (delta := _delta(item)) is not None),
        native=tuple(chunk.native),
        embeddings=tuple(tuple(item.values) for item in chunk.embeddings),
        models=tuple(Model(id=m.id, created=m.created, owned_by=m.owned_by, native=m.native) for m in chunk.models),
    )


def _info(info: chat_pb2.AnswerInfo) -> AnswerInfo:
    return AnswerInfo(
        id=info.id,
        model=info.model,
        created=info.created,
        system_fingerprint=info.system_fingerprint,
        service_tier=info.service_tier,
    )


_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
}


def _delta(delta: chat_pb2.Delta) -> Delta | None:  # noqa: PLR0911 # one line for each kind
    choice = delta.choice
    match delta.WhichOneof("kind"):
        case "text":
            return TextDelta(text=delta.text, choice=choice)
        case "reasoning":
            return ReasoningDelta(text=delta.reasoning, choice=choice)
        case "refusal":
            return RefusalDelta(text=delta.refusal, choice=choice)
        case "tool_call_start":
            start = delta.tool_call_start
            return ToolCallStart(index=start.index, id=start.id, name=start.name, choice=choice)
        case "tool_call_arguments":
            more = delta.tool_call_arguments
            return ToolCallArguments(index=more.index, fragment=more.fragment, choice=choice)
        case "logprobs":
            return Logprobs(json=delta.logprobs, choice=choice)
        case "finish":
            end = delta.finish
            # a reason of a newer worker still ends the answer, and stop promises the least
            return Finish(reason=_REASONS.get(end.reason, "stop"), native_reason=end.native_reason, choice=choice)
        case "opaque":
            block = words.OpaqueBlock(dialect=delta.opaque.dialect, json=delta.opaque.json)
            return OpaqueDelta(block=block, choice=choice)
        case _:
            return None


def outcome_of(done: bytes) -> Outcome:
    """Read what an attempt used and cost."""
    message = infer_pb2.Done.FromString(done)
    event = message.event
    usage = Usage(**{name: getattr(event.usage, name) for name in BUCKETS})
    total = event.cost.total_picousd if event.cost.HasField("total_picousd") else None
    state = _COSTS.get(event.cost.state, CostState.UNPRICED)
    return Outcome(
        report=UsageReport(usage, _SOURCES.get(event.usage_source, UsageSource.UNKNOWN), event.raw_usage),
        cost=Cost(state, total, price_version=event.cost.price_version),
        upstream_request_id=event.upstream_request_id,
        upstream_headers=dict(message.upstream_headers),
        response_model=event.response_model,
    )
