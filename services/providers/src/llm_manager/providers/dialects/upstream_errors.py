"""A provider's failure as an error of the tree. Table: spec/wire.md section 3."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from llm_manager.core.errors import (
    ContextLengthExceeded,
    LlmManagerError,
    ProviderRateLimited,
    UpstreamCredentialsExhausted,
    UpstreamFailure,
    UpstreamProtocolError,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from llm_manager.core.facts import Facts
from llm_manager.kit.secrets import mask_known
from llm_manager.providers.dialects.json_values import items
from llm_manager.providers.dialects.pointers import EXACT_DECODER, EXACT_ENCODER, find_count, find_text
from llm_manager.providers.dialects.retry_after import retry_after_seconds

MAX_MESSAGE_CHARACTERS = 2000
_PAGE = re.compile(r"<(?:!doctype|html|head|body|center|h1|title)\b", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]{0,100}>([^<]{1,100})", re.IGNORECASE)
_MOST_OF_PAGE = 10_000
# A conflict at the provider may pass, and the SDKs of all of them try it again.
_CONFLICT = 409
# A prompt that is too long (Gemini 400, Mistral 400 and 422, Anthropic 400 and 413).
_REFUSES_PROMPTS = frozenset({400, 413, 422})
_MAY_PASS = frozenset({408, _CONFLICT, 429})


def error_of_answer(facts: Facts, *, status: int, body: bytes, headers: Mapping[str, str]) -> LlmManagerError:
    """Return the error that an answer with a status of 300 and more stands for.

    Args:
        body: JSON of any shape, or plain text: OpenAI's edge answers 503 in text (openai-chat-f70725f76d), and one
            400 came as application/octet-stream, so the header decides nothing.
        headers: lower-case names.
    """
    document = _decode(body)
    request_id = next((headers[name] for name in facts.headers.request_id if name in headers), "")
    return _error(facts, document, status=status, said_status=status, headers=headers, request_id=request_id)


def error_in_stream(facts: Facts, data: bytes | str) -> LlmManagerError:
    """Return the error that an event inside an answer of status 200 stands for.

    The event may name a status of its own (Groq `status_code`, OpenRouter `code`); it selects the class, and
    `upstream.http_status` stays 200.
    """
    document = _decode(data if isinstance(data, bytes) else data.encode())
    status = find_count(document, facts.errors.status)
    if status is None or not 400 <= status <= 599:
        words = (find_text(document, facts.errors.type), find_text(document, facts.errors.code))
        status = next((facts.errors.statuses[word] for word in words if word in facts.errors.statuses), 500)
    return _error(facts, document, status=status, said_status=200, headers={}, request_id="")


def failed_finish(facts: Facts, reason: str) -> UpstreamUnavailable:
    """Return the error that a finish reason of the kind `error` stands for."""
    return UpstreamUnavailable(
        f"{facts.title} broke off the answer and gave {reason!r} as the reason; try again.",
        upstream=UpstreamFailure(200, code=reason),
    )


def broken_answer(facts: Facts, what: str) -> UpstreamProtocolError:
    """Return the error for an answer that breaks its own format."""
    return UpstreamProtocolError(f"The answer of {facts.title} {what}.", upstream=UpstreamFailure(200))


def _error(
    facts: Facts, document: object, *, status: int, said_status: int, headers: Mapping[str, str], request_id: str
) -> LlmManagerError:
    pointers = facts.errors
    message = _shown(find_text(document, pointers.message))[:MAX_MESSAGE_CHARACTERS] or _plain(document)
    is_too_long = status in _REFUSES_PROMPTS and pointers.is_too_long(message)
    failure = UpstreamFailure(
        said_status,
        ContextLengthExceeded.code if is_too_long else _shown(find_text(document, pointers.code)),
        _shown(find_text(document, pointers.type)),
        request_id,
        _should_retry(facts, headers),
    )
    if pointers.ours.fit(status=status, words=(failure.code, failure.type), text=message):
        # The provider's text may quote the key as it knows it, so it is not shown.
        hint = f" ({failure.code})" if failure.code else ""
        return UpstreamCredentialsExhausted(
            f"No credential of {facts.title} works: it answered {status}{hint}. Check the key and its permissions.",
            upstream=failure,
        )
    if status < 400:
        # Credentials are not sent anywhere else. Where it leads may be of an inner network, so it is not shown.
        return UpstreamProtocolError(
            f"{facts.title} answered with a redirect ({status}), which is not followed: correct the base URL.",
            upstream=failure,
        )
    param = _shown(find_text(document, pointers.param)) or None
    # Some send retry-after with everything (quirk 33): it says something where a retry may help only.
    wait = retry_after_seconds(facts.headers, headers, status=status) if status in _MAY_PASS or status >= 500 else None
    match status:
        case 408:
            what = f"{facts.title} gave up on the request (408): {message}"
            return UpstreamTimeout(what, upstream=failure, param=param, retry_after_seconds=wait)
        case 429:
            what = f"{facts.title} limits us: {message}"
            return ProviderRateLimited(what, upstream=failure, param=param, retry_after_seconds=wait)
        case _ if status < 500:
            return UpstreamRefused(
                message,
                upstream=failure,
                param=param,
                http_status=status,
                retry_after_seconds=wait,
                retryable=status == _CONFLICT,
            )
        case _:
            return UpstreamUnavailable(
                f"{facts.title} failed with status {status}: {message}",
                upstream=failure,
                param=param,
                http_status={504: 504, 503: 503, 529: 503}.get(status, 502),
                retry_after_seconds=wait,
            )


def _shown(text: str) -> str:
    """Return what may be shown of a provider's text: some quote the key back. Before any cut, which could halve it."""
    return mask_known(text) if text else text


def _should_retry(facts: Facts, headers: Mapping[str, str]) -> bool | None:
    return {"true": True, "false": False}.get(headers.get(facts.headers.should_retry, "").strip().lower())


def _decode(data: bytes) -> object:
    try:
        document: object = EXACT_DECODER.decode(data)
    except msgspec.DecodeError:
        return data.decode("utf-8", "replace").strip()
    # Gemini answers failed streams with a list of one error.
    return next(iter(items(document)), document)


def _plain(document: object) -> str:
    if isinstance(document, str) and _PAGE.match(document):
        # Of proxies and login pages only the title means something to somebody who did not expect a page.
        title = _TITLE.search(document[:_MOST_OF_PAGE])
        named = f" with the title {_shown(' '.join(title[1].split()))!r}" if title else ""
        return f"it sent a page of HTML{named} instead of an answer."
    text = _shown(document if isinstance(document, str) else EXACT_ENCODER.encode(document).decode())
    return text[:MAX_MESSAGE_CHARACTERS] or "it gave no reason"
