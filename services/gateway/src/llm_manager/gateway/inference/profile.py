"""What a model can do and how much it takes; what asks for more is refused before it is asked (S6, S15, P-18)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from llm_manager.core.errors import ContextLengthExceeded, InvalidRequest, UnsupportedParameter
from llm_manager.core.facts import Facts
from llm_manager.core.families import Capability
from llm_manager.core.messages import ChatInput, Media, Message, ToolResult

# A refusal must be certain: prose has four to five characters a token, and hardly any text has more than this. What is
# too long by less, the provider itself refuses, with the same code.
_MOST_CHARACTERS_PER_TOKEN = 6


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

    @staticmethod
    def told_by(facts: Facts, model: str) -> ModelProfile:
        """Return what the facts of a kind say about one of its models."""
        family = facts.family_of(model)
        if family is None:
            return ModelProfile(frozenset(facts.capabilities))
        abilities = frozenset(facts.capabilities).difference(family.lacks)
        return ModelProfile(abilities, family.context_window, family.max_output_tokens)

    def over(self, other: ModelProfile) -> ModelProfile:
        """Return this profile, and what the other one says where this one says nothing."""
        return ModelProfile(
            self.capabilities if self.capabilities is not None else other.capabilities,
            self.context_window if self.context_window is not None else other.context_window,
            self.max_output_tokens if self.max_output_tokens is not None else other.max_output_tokens,
        )


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


class _Limits(msgspec.Struct):
    max_tokens: object = None
    max_completion_tokens: object = None


_LIMITS = msgspec.json.Decoder(_Limits)


def max_tokens_in(body: bytes) -> int | None:
    """Return the largest number of tokens that a body in OpenAI's dialect asks for, None where it names none."""
    if b'"max_' not in body:
        return None
    try:
        said = _LIMITS.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return max((n for n in (said.max_tokens, said.max_completion_tokens) if isinstance(n, int)), default=None)


def check_output(profile: ModelProfile, *, model: str, max_tokens: int | None) -> None:
    """Refuse a request for more tokens than the model writes.

    Raises:
        InvalidRequest.
    """
    limit = profile.max_output_tokens
    if limit is not None and max_tokens is not None and max_tokens > limit:
        raise InvalidRequest(
            f"The model {model[:100]!r} writes at most {limit} tokens and {max_tokens} are asked; lower max_tokens.",
            param="max_tokens",
        )


def check_prompt(profile: ModelProfile, *, model: str, size: int, characters: Callable[[], int]) -> None:
    """Refuse a prompt that is certainly longer than the model takes.

    Args:
        size: bytes of the whole request, which are more than the characters of its texts.
        characters: of the prompt's texts; asked only where the size leaves it open.

    Raises:
        ContextLengthExceeded.
    """
    window = profile.context_window
    if window is None or size <= window * _MOST_CHARACTERS_PER_TOKEN:
        return
    if (tokens := characters() // _MOST_CHARACTERS_PER_TOKEN) > window:
        raise ContextLengthExceeded(
            f"The prompt has more than {tokens} tokens and the model {model[:100]!r} takes {window}; shorten it or "
            "choose a model with a larger context window.",
            param="messages",
        )
