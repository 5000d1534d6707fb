"""Bus messages as values of the vocabulary: InferRequest in."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from llm_manager.contracts.inference.v1 import infer_pb2
from llm_manager.core.errors import InvalidRequest
from llm_manager.core.messages import CountTokensInput
from llm_manager.kit.wire.questions import chat_from_proto, embeddings_from_proto, rerank_from_proto
from llm_manager.providers.job import Job, JobInput, NativeBody, Operation, Target


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
            sealed_headers=target.sealed_headers,
            paths=dict(target.paths),
            is_trusted=target.is_trusted,
        ),
        input=job_input,
        is_stream=request.is_stream and operation == "chat",
        timeout_seconds=request.timeout_ms / 1000,
        adapts_parameters=request.parameter_policy == infer_pb2.PARAMETER_POLICY_ADAPT,
    )


def _input(request: infer_pb2.InferRequest) -> tuple[Operation, JobInput]:  # noqa: PLR0911 # one line for each kind
    match request.WhichOneof("input"):
        case "native_chat":
            return "chat", _native(request.native_chat)
        case "chat":
            return "chat", chat_from_proto(request.chat)
        case "native_embeddings":
            return "embeddings", _native(request.native_embeddings)
        case "embeddings":
            return "embeddings", embeddings_from_proto(request.embeddings)
        case "native_rerank":
            return "rerank", _native(request.native_rerank)
        case "rerank":
            return "rerank", rerank_from_proto(request.rerank)
        case "native_count_tokens":
            return "count_tokens", _native(request.native_count_tokens)
        case "count_tokens":
            return "count_tokens", CountTokensInput(chat=chat_from_proto(request.count_tokens.chat))
        case "test":
            return "test", None
        case _:
            return "models", None


def _native(native: infer_pb2.NativeInput) -> NativeBody:
    return NativeBody(native.dialect, native.body, dict(native.headers))
