"""The parts of Gemini's documents that the reader looks at. Everything else is left in the bytes."""

from __future__ import annotations

from typing import Any, TypeGuard

import msgspec
from msgspec import UNSET, UnsetType

from llm_manager.kit.lenient_json import LenientDecoder

# A thought is said in neutral words; anything beside these fields is not (recordings, quirk 23).
_NEUTRAL_FIELDS = (frozenset({"text"}), frozenset({"text", "thought"}), frozenset({"functionCall"}))


class _Camel(msgspec.Struct, rename="camel"):
    """Google writes JSON names in camel case."""


class FunctionCall(_Camel):
    """A call; Gemini sends it whole, mostly without an id (recordings, quirk 22)."""

    id: str | None = None
    name: str | None = None
    args: msgspec.Raw | UnsetType = UNSET


class Part(_Camel):
    """A piece of content; exactly one kind is set, the signature stands beside it."""

    text: str | None = None
    thought: bool | None = None
    function_call: FunctionCall | None = None


class Content(_Camel):
    """What a candidate says."""

    parts: list[msgspec.Raw] | None = None


class Candidate(_Camel):
    """One of the answers."""

    index: Any = None  # Any: a number by the book
    content: Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    grounding_metadata: msgspec.Raw | UnsetType = UNSET
    citation_metadata: msgspec.Raw | UnsetType = UNSET
    logprobs_result: msgspec.Raw | UnsetType = UNSET


class PromptFeedback(_Camel):
    """Why there is no answer; the list of reasons is open."""

    block_reason: str | None = None


class Document(_Camel):
    """A chunk or a whole answer."""

    candidates: list[Candidate] | None = None
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: msgspec.Raw | UnsetType = UNSET
    model_version: str | None = None
    response_id: str | None = None
    create_time: str | None = None
    error: msgspec.Raw | UnsetType = UNSET


DOCUMENT = LenientDecoder(Document, strict=False)
PART = LenientDecoder(Part, strict=False)


def is_neutral(fields: frozenset[str]) -> bool:
    """Return whether neutral words can say a part with these fields."""
    return fields in _NEUTRAL_FIELDS


def arguments_of(call: FunctionCall) -> str:
    """Return the arguments as JSON text, as the provider wrote them but for the spaces."""
    if call.args is UNSET or bytes(call.args) == b"null":
        return "{}"
    return compact(bytes(call.args)).decode()


def compact(document: bytes) -> bytes:
    """Return JSON on one line. Texts and numbers stay as they were written, so signatures do too."""
    return msgspec.json.format(document, indent=-1) if b"\n" in document else document


def is_said(value: msgspec.Raw | UnsetType) -> TypeGuard[msgspec.Raw]:
    """Return whether a field is there and says something."""
    return isinstance(value, msgspec.Raw) and bytes(value) not in (b"null", b"{}")
