"""An answer as candidates with parts in the order of appearance, from neutral steps; for streams and whole answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from msgspec import Raw

from llm_manager.core.deltas import (
    Annotation,
    Delta,
    Finish,
    Logprobs,
    OpaqueDelta,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallStart,
)
from llm_manager.core.errors import UpstreamProtocolError
from llm_manager.core.messages import OpaqueBlock
from llm_manager.gateway.ingress.gemini.finish import finish_members
from llm_manager.gateway.ingress.gemini.grounding import grounding_of
from llm_manager.gateway.ingress.gemini.logprobs import logprobs_result
from llm_manager.gateway.ingress.gemini.signatures import signature_of

# Any: JSON documents are built here
Json = dict[str, Any]
PartKind = Literal["text", "thought", "call", "signature"]
# Where arguments stand that are no JSON object, under the name that Anthropic's clients know: `args` must be one.
_INVALID = "INVALID_JSON"


@dataclass(slots=True)
class AnswerPart:
    """One part as far as it is known; `written` is text, thoughts or arguments, in fragments."""

    kind: PartKind
    id: str = ""
    name: str = ""
    signature: str = ""
    written: list[str] = field(default_factory=list[str])

    def said(self, text: str) -> Json:
        """Return the part with a text, or with a stretch of it."""
        match self.kind:
            case "text":
                said: Json = {"text": text}
            case "thought":
                said = {"text": text, "thought": True}
            case "signature":
                said = {"text": ""}
            case "call":
                said = {"functionCall": {"id": self.id, "name": self.name, "args": _arguments(text)}}
        return {**said, "thoughtSignature": self.signature} if self.signature else said

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self.written)

    @property
    def is_whole(self) -> bool:
        """Whether nothing can follow once another part has begun: calls may be written in turns."""
        return self.kind != "call" or is_object(self.text)


class Candidate:
    """Collects the steps of one choice."""

    def __init__(self, index: int) -> None:
        self._index = index
        self._parts: list[AnswerPart] = []
        self._calls: dict[int, AnswerPart] = {}
        self._opaque: list[OpaqueBlock] = []
        self._annotations: list[bytes] = []
        self._logprobs: list[bytes] = []
        self._finish: Finish | None = None
        self._closed = 0
        self._sent = 0

    def add(self, delta: Delta) -> None:
        """Take the next step."""
        match delta:
            case TextDelta() | RefusalDelta():
                self._write("text", delta.text)
            case ReasoningDelta():
                self._write("thought", delta.text)
            case ToolCallStart():
                self._calls[delta.index] = AnswerPart("call", id=delta.id, name=delta.name)
                self._parts.append(self._calls[delta.index])
            case ToolCallArguments():
                self._calls[delta.index].written.append(delta.fragment)
            case Annotation():
                self._annotations.append(delta.json)
            case Logprobs():
                self._logprobs.append(delta.json)
            case OpaqueDelta():
                self._opaque.append(delta.block)
            case Finish():
                self._end(delta)

    def _write(self, kind: Literal["text", "thought"], text: str) -> None:
        if not text:
            return
        if not self._parts or self._parts[-1].kind != kind:
            self._parts.append(AnswerPart(kind))
        self._parts[-1].written.append(text)

    def _end(self, finish: Finish) -> None:
        self._finish = finish
        if not self._opaque:
            return
        # clients are most careful with the signatures of calls; the last call was not sent yet
        if not self._parts or self._parts[-1].kind != "call":
            self._parts.append(AnswerPart("signature"))
        self._parts[-1].signature = signature_of(self._opaque)

    def news(self) -> Json | None:
        """Return what a stream may say now, as a candidate; None when there is nothing new.

        Calls are said whole, as the dialect wants it, so one waits until it is complete, and what follows it waits too.
        """
        parts = list(self._new_parts())
        logprobs, self._logprobs = logprobs_result(self._logprobs), []
        if not parts and logprobs is None:
            return None
        said: Json = {"content": {"parts": parts, "role": "model"}, "index": self._index}
        return said if logprobs is None else {**said, "logprobsResult": logprobs}

    def _new_parts(self) -> Iterator[Json]:
        while self._closed < len(self._parts):
            part = self._parts[self._closed]
            is_open = self._finish is None and self._closed == len(self._parts) - 1
            if part.kind in ("text", "thought"):
                if text := "".join(part.written[self._sent :]):
                    yield part.said(text)
                self._sent = len(part.written)
                if is_open:
                    return
            else:
                if is_open or not (self._finish is not None or part.is_whole):
                    return
                yield part.said(part.text)
            self._closed += 1
            self._sent = 0

    def ending(self) -> Json:
        """Return the last of a stream's candidates: why it ended, and where its text comes from.

        Raises:
            UpstreamProtocolError: the answer does not say why it ended, so it is not whole.
        """
        return self._candidate([])

    def whole(self) -> Json:
        """Return all of it at once; see `ending`."""
        said = self._candidate([part.said(part.text) for part in self._parts])
        logprobs = logprobs_result(self._logprobs)
        return said if logprobs is None else {**said, "logprobsResult": logprobs}

    def _candidate(self, parts: list[Json]) -> Json:
        if self._finish is None:
            raise UpstreamProtocolError("The provider's answer ended without saying why; retry.")
        malformed = next((f"{part.name}({part.text})" for part in self._parts if is_malformed(part)), None)
        text = "".join(part.text for part in self._parts if part.kind == "text")
        grounding = grounding_of(self._annotations, text)
        return {
            # the SDKs take a turn without parts for a broken one and forget it
            "content": {"parts": parts or [{"text": ""}], "role": "model"},
            **finish_members(self._finish, malformed_call=malformed),
            "index": self._index,
            **({"groundingMetadata": grounding} if grounding else {}),
        }


class Candidates:
    """Collects the steps of all choices."""

    def __init__(self) -> None:
        self._candidates: dict[int, Candidate] = {}

    def add(self, delta: Delta) -> None:
        """Take the next step."""
        candidate = self._candidates.get(delta.choice)
        if candidate is None:
            candidate = self._candidates[delta.choice] = Candidate(delta.choice)
        candidate.add(delta)

    def news(self) -> list[Json]:
        """Return what a stream may say now."""
        return [said for candidate in self._in_order() if (said := candidate.news()) is not None]

    def endings(self) -> list[Json]:
        """Return what ends a stream; see `Candidate.ending`."""
        return [candidate.ending() for candidate in self._in_order()]

    def whole(self) -> list[Json]:
        """Return all of it at once; see `Candidate.ending`."""
        return [candidate.whole() for candidate in self._in_order()]

    def _in_order(self) -> list[Candidate]:
        return [self._candidates[index] for index in sorted(self._candidates)]


def is_object(text: str) -> bool:
    """Return whether a text is a whole JSON object."""
    try:
        msgspec.json.decode(text, type=dict[str, Raw])
    except msgspec.DecodeError:
        return False
    return True


def is_malformed(part: AnswerPart) -> bool:
    """Return whether a part is a call whose arguments are no object; none at all are an empty one."""
    return part.kind == "call" and bool(_stripped(part.text)) and not is_object(part.text)


def _stripped(arguments: str) -> str:
    # what OpenAI-compatible providers send for a tool without parameters (recordings, quirk 21)
    text = arguments.strip()
    return "" if text == "null" else text


def _arguments(text: str) -> object:
    if not _stripped(text):
        return {}
    return Raw(text.encode()) if is_object(text) else {_INVALID: text}
