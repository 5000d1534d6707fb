"""Legacy text completions: the request, and what of it a chat can say.

Source: openai-python 3.54 `types/completion_create_params.py`, read on 2026-11-24.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Raw

from llm_manager.core.errors import UnsupportedParameter
from llm_manager.core.messages import ChatInput, Message, Sampling, Text
from llm_manager.gateway.ingress.decoding import ModelName, decode
from llm_manager.gateway.ingress.openai.chat_request import Lenient, Natural, Positive, StreamOptions
from llm_manager.gateway.ingress.openai.extension import extension_of
from llm_manager.gateway.ingress.openai.parameters import stop_of


class CompletionHead(Lenient, frozen=True):
    """What the gateway itself reads of every request."""

    model: ModelName
    prompt: Raw
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None


Tokens = Annotated[list[int], Meta(min_length=1)]


class _CompletionRequest(Lenient, frozen=True):
    prompt: str | Annotated[list[str | int | Tokens], Meta(min_length=1)]
    max_tokens: Positive | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: Natural | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: str | list[str] | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    best_of: Annotated[int, Meta(ge=1, le=128)] | None = None
    echo: bool | None = None
    logprobs: Natural | None = None
    suffix: str | None = None


_KNOWN = frozenset(_CompletionRequest.__struct_fields__)


def chat_of_completion(body: bytes) -> ChatInput:
    """Translate a request body into a chat of one user message, for models that only chat.

    `max_tokens` stays unset when the client does not set it: OpenAI's default of 16 was made for models that do not
    know where to end.

    Raises:
        InvalidRequest: a field has the wrong type or value; `param` names it.
        UnsupportedParameter: what `param` asks is only possible for a model that completes texts.
    """
    request = decode(body, _CompletionRequest)
    text = _text(request.prompt)
    # a candidate more than the answers asked means that the provider picks; as many as the answers means nothing
    if request.best_of is not None and request.best_of != (request.n or 1):
        raise _refused("best_of")
    for name, is_asked in (("echo", request.echo), ("suffix", request.suffix), ("logprobs", request.logprobs)):
        # logprobs 0 asks for those of the tokens themselves, so only the other two can be falsy without asking
        if is_asked or (name == "logprobs" and is_asked is not None):
            raise _refused(name)
    sampling = Sampling(
        max_tokens=request.max_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=request.top_k,
        presence_penalty=request.presence_penalty,
        frequency_penalty=request.frequency_penalty,
        seed=request.seed,
        stop=stop_of(request.stop),
        n=request.n,
    )
    return ChatInput(
        messages=(Message(role="user", parts=(Text(text=text),)),),
        sampling=sampling,
        extension=extension_of(body, known=_KNOWN),
    )


def _text(prompt: str | list[str | int | list[int]]) -> str:
    only = prompt if isinstance(prompt, str) else prompt[0]
    if not isinstance(only, str):
        raise UnsupportedParameter("This model reads texts, not token numbers; send a string.", param="prompt")
    if not isinstance(prompt, str) and len(prompt) > 1:
        raise UnsupportedParameter("This model takes one prompt at a time; send a string.", param="prompt")
    return only


def _refused(name: str) -> UnsupportedParameter:
    return UnsupportedParameter(
        f"This model chats, and {name} is for models that complete texts; leave it out.", param=name
    )
