"""What a model can do and how much it takes; what asks for more is refused before it is asked (S6, S15, P-18)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.core.facts import Capability
from llm_manager.core.messages import ChatInput, Media, Message, ToolResult

_UNPROCESSABLE = 422


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """What a configuration says about its model; None means that nobody said it.

    Args:
        capabilities: instead of those of the provider.
        context_window: tokens of prompt and answer together.
        max_output_tokens: tokens of one answer.
    """

    capabilities: frozenset[Capability] | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None


def needed(chat: ChatInput, *, is_stream: bool) -> Iterator[tuple[Capability, str]]:
    """Yield the capabilities that a chat needs, each with the parameter that asks for it."""
    if is_stream:
        yield "streaming", "stream"
    if chat.tools or chat.native_tools:
        yield "tools", "tools"
    if chat.response_format is not None and chat.response_format.kind != "text":
        yield chat.response_format.kind, "response_format"
    for number, message in enumerate(chat.messages):
        for media in _media_of(message):
            yield _capability_for(media), f"messages[{number}]"


def _media_of(message: Message) -> Iterator[Media]:
    for part in message.parts:
        if isinstance(part, Media):
            yield part
        elif isinstance(part, ToolResult):
            yield from part.media


def _capability_for(media: Media) -> Capability:
    if media.mime_type.startswith("audio/"):
        return "audio"
    # an address without a type is a picture: that is the only medium for which OpenAI's dialect takes one
    if media.mime_type.startswith("image/") or (media.url is not None and not media.mime_type):
        return "images"
    return "documents"


def check_capabilities(chat: ChatInput, capabilities: frozenset[Capability], *, model: str, is_stream: bool) -> None:
    """Refuse a chat that needs what its model cannot do.

    Raises:
        UnsupportedParameter: `param` names what asks for it.
    """
    for capability, param in needed(chat, is_stream=is_stream):
        if capability not in capabilities:
            raise UnsupportedParameter(
                f"The model {model[:100]!r} has no {_WORDS.get(capability, capability)}; "
                f"leave out {param} or choose another model.",
                param=param,
            )


# What a body in OpenAI's dialect holds when it may need a capability: none of it is there, none is needed.
_MARKERS: Mapping[Capability, bytes] = {
    "tools": b'"tools"',
    "images": b'"image_url"',
    "audio": b'"input_audio"',
    "documents": b'"file"',
    "json_object": b'"json_object"',
    "json_schema": b'"json_schema"',
}


def may_lack(body: bytes, capabilities: frozenset[Capability]) -> bool:
    """Whether a body in OpenAI's dialect is worth a closer look: it may need what is not among the capabilities."""
    return any(marker in body for capability, marker in _MARKERS.items() if capability not in capabilities)


_WORDS: Mapping[Capability, str] = {
    "images": "vision",
    "tools": "function calling",
    "json_object": "JSON mode",
    "json_schema": "structured output",
    "audio": "audio input",
    "documents": "document input",
}


def check_size(profile: ModelProfile, *, model: str, max_tokens: int | None, prompt_tokens: Callable[[], int]) -> None:
    """Refuse a request that cannot fit.

    Args:
        prompt_tokens: an estimate that is rather too low than too high; asked only when there is a limit.

    Raises:
        InvalidRequest: status 422; more is asked than the model can write, or read.
    """
    limit = profile.max_output_tokens
    if limit is not None and max_tokens is not None and max_tokens > limit:
        raise InvalidRequest(
            f"The model {model[:100]!r} writes at most {limit} tokens and {max_tokens} are asked; lower max_tokens.",
            param="max_tokens",
            http_status=_UNPROCESSABLE,
        )
    window = profile.context_window
    if window is not None and (tokens := prompt_tokens()) > window:
        raise InvalidRequest(
            f"The prompt has about {tokens} tokens and the model {model[:100]!r} takes {window}; shorten it or choose "
            "a model with a larger context window.",
            param="messages",
            http_status=_UNPROCESSABLE,
        )
