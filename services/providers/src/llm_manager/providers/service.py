"""Makes one attempt at one provider: writes the request, reads the answer, keeps count."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from typing import Protocol
from urllib.parse import urlsplit

import structlog

from llm_manager.core.deltas import UpstreamExchange
from llm_manager.core.errors import (
    InternalError,
    InvalidRequest,
    LlmManagerError,
    UnsupportedParameter,
    UpstreamProtocolError,
    UpstreamTimeout,
)
from llm_manager.core.facts import Facts, Transport
from llm_manager.kit.secrets import Secret
from llm_manager.providers.client import Answer, HttpCall, Limits
from llm_manager.providers.credentials import Credentials
from llm_manager.providers.dialects.policy import Policy
from llm_manager.providers.dialects.port import AnswerReader, Pieces, UpstreamCall
from llm_manager.providers.dialects.upstream_errors import error_of_answer
from llm_manager.providers.job import Job, NativeBody, Outcome
from llm_manager.providers.metrics import UNKNOWN_FINISH_REASONS
from llm_manager.providers.translator import Translators, with_model

MAX_ERROR_BYTES = 1024 * 1024
# After the last event of an answer: the end of the HTTP message, so that the connection can be used again.
_REST_SECONDS = 0.2
# After an error inside a stream: some providers report usage behind it (openai_compatible-chat-59f7a7e713).
_USAGE_AFTER_ERROR_SECONDS = 1.0
# Shorter texts are words that errors may say for reasons of their own.
_SHORTEST_HIDDEN = 8
# What tells whether a provider answers: it costs nothing, and asks for the credential.
_TESTED = "models"
_PREVIEW_CHARACTERS, _LONGEST_TYPE = 2_000, 200

Emit = Callable[[Pieces], Awaitable[None]]

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Upstream(Protocol):
    """Sends requests somewhere."""

    def open(self, call: HttpCall, limits: Limits) -> AbstractAsyncContextManager[Answer]:
        """See `client.HttpClient.open`."""
        ...


class Inference:
    """Makes attempts at the providers of some kinds.

    Args:
        facts: kinds that this process serves.
        upstreams: where requests go, by the transport that the facts name.
    """

    def __init__(
        self, facts: Mapping[str, Facts], upstreams: Mapping[Transport, Upstream], credentials: Credentials
    ) -> None:
        self._facts = facts
        self._translators = Translators(facts)
        self._upstreams = upstreams
        self._credentials = credentials

    async def run(self, job: Job, outcome: Outcome, emit: Emit) -> None:
        """Make the attempt; `outcome` is filled on the way, `emit` takes the answer.

        Raises:
            LlmManagerError: the request, the provider or the network failed it.
        """
        facts = self._facts_of(job)
        if job.operation == "test":
            await self._test(job, facts, outcome, emit)
            return
        policy = Policy(adapts=job.adapts_parameters)
        call, reader = self._translators.of(job.target).translated(job, policy)
        secret = self._credentials.open(facts, job.target.credential)
        sealed = self._credentials.open_headers(facts, job.target.sealed_headers)
        outcome.reader, outcome.prompt = reader, call.prompt
        outcome.warnings, outcome.dropped = policy.warnings, policy.dropped
        outcome.request_bytes = len(call.body)
        try:
            outcome.is_calling = True
            upstream = self._upstreams[facts.transport]
            async with upstream.open(
                _http_call(job, facts, call, secret, sealed=sealed), _limits(job, facts)
            ) as answer:
                _note_answer(facts, answer, outcome)
                if answer.status >= 300:
                    body = await _read_error(answer)
                    raise error_of_answer(facts, status=answer.status, body=body, headers=answer.headers)
                await _read(job, answer, reader, outcome, emit=emit)
        except LlmManagerError as error:
            # A limit that trips while only the end of the HTTP message is awaited spoils nothing.
            if not (isinstance(error, UpstreamTimeout) and reader.is_done and reader.error is None):
                raise _without_secrets(error, secret, sealed) from error.__cause__
        _note_unknown_finishes(facts, reader)
        if reader.error is not None:
            raise _without_secrets(reader.error, secret, sealed)

    async def _test(self, job: Job, facts: Facts, outcome: Outcome, emit: Emit) -> None:
        """Ask for the models, and tell what came back, whatever it is."""
        call, reader = self._translators.of(job.target).translated(job, Policy(adapts=False))
        secret = self._credentials.open(facts, job.target.credential)
        sealed = self._credentials.open_headers(facts, job.target.sealed_headers)
        http, began = _http_call(job, facts, call, secret, sealed=sealed), time.monotonic()
        outcome.is_calling = True
        try:
            async with self._upstreams[facts.transport].open(http, _limits(job, facts)) as answer:
                _note_answer(facts, answer, outcome)
                headers_seconds = time.monotonic() - began
                body = await _read_error(answer)
        except LlmManagerError as error:
            raise _without_secrets(error, secret, sealed) from error.__cause__
        # cut last: half of a secret would not be recognised
        shown = _hidden(body.decode(errors="replace"), secret, sealed)[:_PREVIEW_CHARACTERS]
        exchange = UpstreamExchange(
            url=shown_url(http.url),
            method=http.method,
            status=answer.status,
            headers_ms=round(headers_seconds * 1000),
            total_ms=round((time.monotonic() - began) * 1000),
            size=len(body),
            content_type=answer.headers.get("content-type", "")[:_LONGEST_TYPE],
            preview="".join(filter(_is_shown, shown)),
        )
        reader.feed(body)
        models = reader.finish().models if answer.status < 300 else []
        await emit(Pieces(models=models, exchange=exchange))

    def _facts_of(self, job: Job) -> Facts:
        facts = self._facts.get(job.target.kind)
        if facts is None:
            raise InternalError(f"This worker does not serve kind {job.target.kind!r}.")
        if (_TESTED if job.operation == "test" else job.operation) not in facts.operations:
            raise UnsupportedParameter(f"{facts.title} does not offer {job.operation}.", param="model")
        return facts


def _http_call(
    job: Job, facts: Facts, call: UpstreamCall, secret: Secret | None, *, sealed: Mapping[str, Secret]
) -> HttpCall:
    base_url = (job.target.base_url or facts.base_url).rstrip("/")
    if not base_url and facts.transport == "http":
        raise InvalidRequest(f"{facts.title} needs a base URL and its provider record has none; set one.")
    headers = {"accept-encoding": "gzip, deflate", "user-agent": "llm-manager", **facts.headers.send}
    headers |= call.headers
    if isinstance(job.input, NativeBody):
        headers |= facts.headers.accepted(job.input.headers)
    headers |= {name.lower(): value for name, value in job.target.headers.items()}
    if sealed:
        headers |= {name: value.reveal() for name, value in sealed.items()}
    if call.body:
        headers["content-type"] = "application/json"
    if secret is not None:
        scheme = f"{facts.auth.scheme} " if facts.auth.scheme else ""
        headers[facts.auth.header] = f"{scheme}{secret.reveal()}"
    path = with_model(call.path, job.target) if job.target.paths else call.path
    # the kind's own address comes with the product or from a folder of whoever runs it
    is_trusted = job.target.is_trusted or not job.target.base_url
    return HttpCall(call.method, base_url + path, headers, call.body, facts.title, is_trusted)


def _limits(job: Job, facts: Facts) -> Limits:
    own, wanted = facts.timeouts, job.target.timeouts
    return Limits(
        connect=wanted.get("connect", own.connect),
        headers=wanted.get("headers", own.headers),
        first_token=wanted.get("first_token", own.first_token),
        idle=wanted.get("idle", own.idle),
        total=min(wanted.get("total", own.total), job.timeout_seconds or own.total),
    )


def _note_answer(facts: Facts, answer: Answer, outcome: Outcome) -> None:
    outcome.status = answer.status
    headers = answer.headers
    outcome.upstream_request_id = next((headers[name] for name in facts.headers.request_id if name in headers), "")
    outcome.upstream_headers = facts.headers.forwarded(headers)


async def _read_error(answer: Answer) -> bytes:
    body = b""
    while len(body) < MAX_ERROR_BYTES and (data := await answer.read()):
        body += data
    return body[:MAX_ERROR_BYTES]


async def _read(job: Job, answer: Answer, reader: AnswerReader, outcome: Outcome, *, emit: Emit) -> None:
    waits_for_content = job.is_stream
    if waits_for_content:
        answer.expect("first_token")
    while data := await _next(answer, reader):
        pieces = reader.feed(data)
        if waits_for_content and reader.written:
            waits_for_content = False
            outcome.note_first_token()
            answer.expect("idle")
        if pieces:
            await emit(pieces)
        if reader.is_done or reader.error is not None:
            break
    if reader.error is not None:
        await _read_on(answer, reader, _USAGE_AFTER_ERROR_SECONDS)
        return
    if reader.is_done:
        await _read_on(answer, reader, _REST_SECONDS)
    pieces = reader.finish()
    if pieces:
        await emit(pieces)


async def _next(answer: Answer, reader: AnswerReader) -> bytes:
    """Return the next bytes, empty at the end: also where a connection breaks after everything has been said.

    Raises:
        UpstreamProtocolError: it broke before finish and usage.
    """
    try:
        return await answer.read()
    except UpstreamProtocolError:
        if reader.error is None and reader.finish_reason and reader.usage() is not None:
            return b""
        raise


async def _read_on(answer: Answer, reader: AnswerReader, seconds: float) -> None:
    """Read what comes after the last word: usage behind an error, the end of the message. Failures no longer count."""
    with suppress(TimeoutError, LlmManagerError):
        async with asyncio.timeout(seconds):
            while data := await answer.read():
                reader.feed(data)
            reader.finish()


def _note_unknown_finishes(facts: Facts, reader: AnswerReader) -> None:
    for reason in reader.unknown_finish_reasons:
        UNKNOWN_FINISH_REASONS.labels(facts.kind).inc()
        log.warning("finish_reason_unknown", kind=facts.kind, native_finish_reason=reason[:64])


def shown_url(url: str) -> str:
    """Return a URL without name, password and query, where people put keys into variables."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _is_shown(character: str) -> bool:
    return character.isprintable() or character in "\n\t"


def _without_secrets(error: LlmManagerError, secret: Secret | None, sealed: Mapping[str, Secret]) -> LlmManagerError:
    """Cut the credential and the sealed headers out of what the provider said: some quote them back."""
    message = _hidden(error.message, secret, sealed)
    if message != error.message:
        error.message, error.args = message, (message,)
    return error


def _hidden(text: str, secret: Secret | None, sealed: Mapping[str, Secret]) -> str:
    hidden = [] if secret is None else [(secret.reveal(), "[credential]")]
    for value in sealed.values():
        # of `Bearer <key>` providers quote the key alone
        _, _, key = value.reveal().partition(" ")
        hidden += [(told, "[header]") for told in (value.reveal(), key)]
    # the longest first: one may be a part of another
    for told, instead in sorted(hidden, key=lambda one: -len(one[0])):
        if len(told) >= _SHORTEST_HIDDEN:
            text = text.replace(told, instead)
    return text
