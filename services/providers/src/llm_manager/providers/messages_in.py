"""Bus messages as values of the vocabulary: InferRequest in."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from llm_manager.contracts.inference.v1 import chat_pb2, infer_pb2
from llm_manager.core.errors import InvalidRequest
from llm_manager.core.messages import (
    ChatInput,
    EmbeddingsInput,
    Media,
    Message,
    OpaqueBlock,
    Part,
    Reasoning,
    Refusal,
    ResponseFormat,
    Role,
    Sampling,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llm_manager.providers.job import Job, JobInput, NativeBody, Operation, Target

_ROLES: dict[int, Role] = {
    chat_pb2.ROLE_SYSTEM: "system",
    chat_pb2.ROLE_USER: "user",
    chat_pb2.ROLE_ASSISTANT: "assistant",
    chat_pb2.ROLE_TOOL: "tool",
}


def read_request(payload: bytes) -> infer_pb2.InferRequest:
    """Parse a request.

    Raises:
        InvalidRequest: not an InferRequest, or without an input.
    """
    try:
        request = infer_pb2.InferRequest.FromString(payload)
    except DecodeError as error:
        raise InvalidRequest("The message on the bus is no InferRequest.") from error
    if request.WhichOneof("input") is None:
        raise InvalidRequest("The InferRequest has no input.", param="input")
    return request


def job_of(request: infer_pb2.InferRequest) -> Job:
    """Return what the request asks.

    Raises:
        InvalidRequest: a message has no role, or a part says nothing.
    """
    operation, job_input = _input(request)
    target = request.target
    timeouts = {
        field.name.removesuffix("_ms"): value / 1000
        for field, value in target.timeouts.ListFields()
        if isinstance(value, int)
    }
    return Job(
        operation=operation,
        target=Target(
            provider=target.provider,
            kind=target.kind,
            base_url=target.base_url,
            credential=target.credential,
            upstream_model=target.upstream_model,
            headers=dict(target.headers),
            timeouts=timeouts,
        ),
        input=job_input,
        is_stream=request.is_stream and operation == "chat",
        timeout_seconds=request.timeout_ms / 1000,
    )


def _input(request: infer_pb2.InferRequest) -> tuple[Operation, JobInput]:
    match request.WhichOneof("input"):
        case "native_chat":
            return "chat", NativeBody(request.native_chat.dialect, request.native_chat.body)
        case "chat":
            return "chat", _chat(request.chat)
        case "native_embeddings":
            return "embeddings", NativeBody(request.native_embeddings.dialect, request.native_embeddings.body)
        case "embeddings":
            return "embeddings", _embeddings(request.embeddings)
        case _:
            return "models", None


def _chat(chat: chat_pb2.ChatInput) -> ChatInput:
    return ChatInput(
        messages=tuple(_message(message) for message in chat.messages),
        tools=tuple(
            Tool(
                name=tool.name,
                description=tool.description,
                parameters=tool.parameters,
                is_strict=tool.is_strict if tool.HasField("is_strict") else None,
            )
            for tool in chat.tools
        ),
        tool_choice=_tool_choice(chat.tool_choice) if chat.HasField("tool_choice") else None,
        response_format=_response_format(chat.response_format) if chat.HasField("response_format") else None,
        sampling=_sampling(chat.sampling),
        extension=chat.extension,
    )


def _embeddings(embeddings: chat_pb2.EmbeddingsInput) -> EmbeddingsInput:
    return EmbeddingsInput(
        texts=tuple(embeddings.texts),
        dimensions=embeddings.dimensions if embeddings.HasField("dimensions") else None,
        extension=embeddings.extension,
    )


def _message(message: chat_pb2.Message) -> Message:
    role = _ROLES.get(message.role)
    if role is None:
        raise InvalidRequest("A message has no role.", param="messages")
    return Message(role=role, parts=tuple(_part(part) for part in message.parts), name=message.name)


def _part(part: chat_pb2.Part) -> Part:
    match part.WhichOneof("kind"):
        case "text":
            return Text(text=part.text)
        case "media":
            return _media(part.media)
        case "tool_call":
            call = part.tool_call
            return ToolCall(id=call.id, name=call.name, arguments=call.arguments)
        case "tool_result":
            result = part.tool_result
            return ToolResult(tool_call_id=result.tool_call_id, content=result.content, is_error=result.is_error)
        case "reasoning":
            return Reasoning(text=part.reasoning)
        case "refusal":
            return Refusal(text=part.refusal)
        case "opaque":
            return OpaqueBlock(dialect=part.opaque.dialect, json=part.opaque.json)
        case _:
            raise InvalidRequest("A part of a message says nothing.", param="messages")


def _media(media: chat_pb2.Media) -> Media:
    source = media.WhichOneof("source")
    return Media(
        mime_type=media.mime_type,
        data=media.data if source == "data" else None,
        url=media.url if source == "url" else None,
        file_id=media.file_id if source == "file_id" else None,
        filename=media.filename,
        detail=media.detail,
    )


def _tool_choice(choice: chat_pb2.ToolChoice) -> ToolChoice:
    parallel = choice.parallel if choice.HasField("parallel") else None
    match choice.mode:
        case chat_pb2.ToolChoice.MODE_NONE:
            return ToolChoice(mode="none", parallel=parallel)
        case chat_pb2.ToolChoice.MODE_REQUIRED:
            return ToolChoice(mode="required", parallel=parallel)
        case chat_pb2.ToolChoice.MODE_NAMED:
            return ToolChoice(mode="named", name=choice.name, parallel=parallel)
        case _:
            return ToolChoice(parallel=parallel)


def _response_format(form: chat_pb2.ResponseFormat) -> ResponseFormat:
    strict = form.is_strict if form.HasField("is_strict") else None
    match form.kind:
        case chat_pb2.ResponseFormat.KIND_JSON_OBJECT:
            return ResponseFormat(kind="json_object")
        case chat_pb2.ResponseFormat.KIND_JSON_SCHEMA:
            return ResponseFormat(kind="json_schema", name=form.name, schema=form.schema, is_strict=strict)
        case _:
            return ResponseFormat(kind="text")


def _sampling(sampling: chat_pb2.Sampling) -> Sampling:
    has = sampling.HasField
    return Sampling(
        max_tokens=sampling.max_tokens if has("max_tokens") else None,
        temperature=sampling.temperature if has("temperature") else None,
        top_p=sampling.top_p if has("top_p") else None,
        top_k=sampling.top_k if has("top_k") else None,
        presence_penalty=sampling.presence_penalty if has("presence_penalty") else None,
        frequency_penalty=sampling.frequency_penalty if has("frequency_penalty") else None,
        seed=sampling.seed if has("seed") else None,
        stop=tuple(sampling.stop),
        n=sampling.n if has("n") else None,
        logprobs=sampling.logprobs if has("logprobs") else None,
        top_logprobs=sampling.top_logprobs if has("top_logprobs") else None,
        reasoning_effort=sampling.reasoning_effort,
    )
