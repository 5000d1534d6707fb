"""Sends an attempt to a worker over the bus and reads its answer."""

from __future__ import annotations

import asyncio
import itertools
from types import TracebackType
from typing import Self, assert_never

from llm_manager.contracts.inference.v1 import infer_pb2
from llm_manager.core.messages import ChatInput, CountTokensInput, EmbeddingsInput, RerankInput
from llm_manager.gateway.inference import contract
from llm_manager.gateway.inference.rules import (
    Call,
    ConnectionTest,
    EncodedInput,
    ModelsQuery,
    NativeBody,
    Outcome,
    Piece,
)
from llm_manager.kit import telemetry
from llm_manager.kit.bus.names import infer_subject
from llm_manager.kit.bus.requests import Ending, FrameStream, Requester
from llm_manager.kit.wire import questions

# The worker stops at the deadline and says so in its own words; the bus gives up a little later.
_GRACE_SECONDS = 1.0


class Answer:
    """The answer of one attempt, while it comes. Entering it sends the attempt; leaving it early cancels it.

    Raises:
        LlmManagerError: see Requester.stream; out of entering and out of reading.
    """

    __slots__ = ("_stream",)

    def __init__(self, stream: FrameStream) -> None:
        self._stream = stream

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stream.__aexit__(kind, error, trace)

    @property
    def worker_id(self) -> str:
        """The worker that accepted the attempt; empty when none has."""
        return self._stream.worker_id

    @property
    def ending(self) -> asyncio.Future[Ending] | None:
        """How the worker ends it, where it was left before its end."""
        return self._stream.ending

    async def messages(self) -> list[bytes]:
        """Return the messages of the contract that are here (infer_pb2.Chunk), at least one; none at the end."""
        return await self._stream.arrived()

    async def pieces(self) -> list[Piece]:
        """Return what is here of the answer in neutral words, at least one piece; none at the end."""
        return [contract.piece_of(message) for message in await self._stream.arrived()]

    @property
    def done(self) -> bytes:
        """What the worker said at the end (infer_pb2.Done). Only after the last piece."""
        return self._stream.done

    def outcome(self) -> Outcome:
        """Read what the attempt used and cost. Only after the last piece."""
        return contract.outcome_of(self._stream.done)


class WorkerClient:
    """Speaks to the workers of every provider kind."""

    def __init__(self, requester: Requester) -> None:
        self._requester = requester
        # whose turn it is among the credentials of a provider
        self._turns = itertools.count()

    def attempt(self, call: Call, *, attempt_id: str, number: int) -> Answer:
        """Return the answer of one attempt; entering it sends the attempt."""
        headers: dict[str, str] = {}
        telemetry.inject(headers)
        stream = self._requester.stream(
            infer_subject(call.target.kind),
            self._request(call, attempt_id, number).SerializeToString(),
            request_id=call.request_id,
            deadline_seconds=call.deadline_seconds + _GRACE_SECONDS,
            headers=headers,
        )
        return Answer(stream)

    def _request(self, call: Call, attempt_id: str, number: int) -> infer_pb2.InferRequest:
        keys = call.target.credentials
        credential = keys[next(self._turns) % len(keys)] if keys else b""
        return _request(call, credential, attempt_id, number)


def _request(call: Call, credential: bytes, attempt_id: str, number: int) -> infer_pb2.InferRequest:
    target = call.target
    request = infer_pb2.InferRequest(
        attribution=infer_pb2.Attribution(
            request_id=call.request_id,
            attempt_id=attempt_id,
            attempt=number,
            app_id=call.caller.app_id,
            api_key_id=call.caller.api_key_id,
            requested_model=call.requested_model,
            configuration=target.configuration,
            end_user=call.end_user,
            tags=target.tags,
        ),
        target=infer_pb2.Target(
            provider=target.provider,
            kind=target.kind,
            base_url=target.base_url,
            credential=credential,
            upstream_model=target.upstream_model,
            sealed_headers=target.headers,
            paths=target.paths,
            is_trusted=target.is_trusted,
        ),
        is_stream=call.is_stream,
        timeout_ms=int(call.deadline_seconds * 1000),
        parameter_policy=(
            infer_pb2.PARAMETER_POLICY_ADAPT if target.adapts_parameters else infer_pb2.PARAMETER_POLICY_REFUSE
        ),
    )
    for limit, milliseconds in target.timeouts.items():
        setattr(request.target.timeouts, f"{limit}_ms", milliseconds)
    _set_input(request, call)
    return request


def _set_input(request: infer_pb2.InferRequest, call: Call) -> None:
    match call.input:
        case NativeBody():
            native = getattr(request, f"native_{call.operation}")
            native.MergeFrom(
                infer_pb2.NativeInput(dialect=call.input.dialect, body=call.input.body, headers=call.input.headers)
            )
        case ChatInput():
            request.chat.CopyFrom(questions.chat_to_proto(call.input))
        case CountTokensInput():
            request.count_tokens.chat.CopyFrom(questions.chat_to_proto(call.input.chat))
        case EmbeddingsInput():
            request.embeddings.CopyFrom(questions.embeddings_to_proto(call.input))
        case RerankInput():
            request.rerank.CopyFrom(questions.rerank_to_proto(call.input))
        case EncodedInput():
            getattr(request, call.operation).MergeFromString(call.input.message)
        case ModelsQuery():
            request.models.SetInParent()
        case ConnectionTest():
            request.test.SetInParent()
        case _:
            assert_never(call.input)
