"""The request of the short form: a prompt or messages, a configuration, parameters, context."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from llm_manager.core.errors import InvalidRequest, RequestError, UnsupportedParameter
from llm_manager.core.messages import ChatInput, Message, Text
from llm_manager.gateway.ingress.decoding import ModelName, decode
from llm_manager.gateway.ingress.openai.chat_request import AnyMessage, ChatParameters, Strict
from llm_manager.gateway.ingress.openai.translation import chat_of

_UNPROCESSABLE = 422
# Names of the neutral request that are other names here.
_RENAMED = {"model": "configuration"}


class _Parameters(ChatParameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Those of OpenAI that every provider's dialect can be told."""


_PARAMETERS = frozenset(_Parameters.__struct_fields__)


class GenerateRequest(Strict, frozen=True, kw_only=True):
    """What a client may send; an unknown field is refused (known-failures B-2)."""

    configuration: ModelName
    prompt: Annotated[str, Meta(min_length=1)] | None = None
    messages: Annotated[list[AnyMessage], Meta(min_length=1)] | None = None
    parameters: _Parameters | None = None
    context: str | list[str] | None = None
    extension: dict[str, Raw] | None = None
    stream: bool | None = None
    user: str | None = None


def read_request(body: bytes) -> GenerateRequest:
    """Read a body.

    Raises:
        InvalidRequest: status 422; a field is missing, wrong or unknown; `param` names it.
    """
    try:
        request = decode(body, GenerateRequest)
    except UnsupportedParameter as error:
        known = (error.param or "").endswith(("type", "role"))
        # this form is ours: a field that it does not know is no matter of any model
        raise _wrong(error.message if known else f"{error.param} is no field here; remove it.", error.param) from error
    except InvalidRequest as error:
        raise _wrong(error.message, error.param) from error
    if (request.prompt is None) == (request.messages is None):
        raise _wrong("Give either prompt or messages.", "prompt")
    if known := sorted(_PARAMETERS & (request.extension or {}).keys()):
        raise _wrong(f"{known[0]} belongs into parameters.", f"extension.{known[0]}")
    _check(request.parameters or _Parameters())
    return request


def _check(parameters: _Parameters) -> None:
    if parameters.n is not None and parameters.n > 1:
        raise _wrong("This route answers with one text; ask several times, or leave n out.", "parameters.n")
    if parameters.logprobs or parameters.top_logprobs:
        raise _wrong("This route answers without logprobs; use /v1/chat/completions.", "parameters.logprobs")
    if parameters.functions is not None or parameters.function_call is not None:
        raise _wrong("functions is the old name of tools; send tools.", "parameters.functions")


def _wrong(message: str, param: str | None) -> InvalidRequest:
    return InvalidRequest(message, param=param, http_status=_UNPROCESSABLE)


def chat_of_request(request: GenerateRequest) -> ChatInput:
    """Translate a request; the context stands before everything else, as one system message.

    Raises:
        InvalidRequest, UnsupportedParameter: see openai.translation.chat_input; in OpenAI's words, so to be translated
            in `in_words_of_the_form`.
    """
    extension = msgspec.json.encode(request.extension) if request.extension else b""
    chat = chat_of(request.messages or (), request.parameters or _Parameters(), extension=extension)
    said = [Message(role="user", parts=(Text(text=request.prompt),))] if request.prompt is not None else []
    return msgspec.structs.replace(chat, messages=(*_context(request.context), *chat.messages, *said))


def _context(context: str | list[str] | None) -> Iterator[Message]:
    texts = (context,) if isinstance(context, str) else tuple(context or ())
    if any(texts):
        yield Message(role="system", parts=tuple(Text(text=text) for text in texts if text))


@contextmanager
def in_words_of_the_form() -> Generator[None]:
    """Let what refuses a request in OpenAI's words name the fields of this form; a wrong one answers 422 (S32)."""
    try:
        yield
    except RequestError as error:
        name = (error.param or "").partition(".")[0].partition("[")[0]
        if name in _PARAMETERS:
            error.param = f"parameters.{error.param}"
        else:
            error.param = _RENAMED.get(name, error.param)
        if isinstance(error, InvalidRequest):
            error.http_status = _UNPROCESSABLE
        raise
