"""An answer as content blocks in the order of appearance, from neutral steps; for streams and whole answers alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

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
from llm_manager.gateway.ingress.anthropic.mark import MARK
from llm_manager.gateway.ingress.opaque import packed

BlockKind = Literal["text", "thinking", "tool_use", "redacted_thinking"]

# Where Anthropic puts arguments that are no JSON, so that the model can be shown what it wrote. Source:
# https://docs.claude.com/en/docs/agents-and-tools/tool-use/fine-grained-tool-streaming, read on 2026-11-24.
_INVALID = "INVALID_JSON"
# What OpenAI-compatible providers send for a tool without parameters (recordings, quirk 21).
_NOTHING = "null"
_STOP_SEQUENCE, _REFUSAL = "stop_sequence", "refusal"
# What Anthropic has more words for than neutral ones; STOP_SEQUENCE is Cohere's word.
_NATIVE_REASONS = {
    ("stop_sequence", "stop"): _STOP_SEQUENCE,
    ("STOP_SEQUENCE", "stop"): _STOP_SEQUENCE,
    ("pause_turn", "stop"): "pause_turn",
    ("model_context_window_exceeded", "length"): "model_context_window_exceeded",
}
_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": _REFUSAL}


class _UrlCitation(msgspec.Struct, frozen=True):
    url: str = ""
    title: str | None = None
    start_index: int = 0


class _Annotation(msgspec.Struct, frozen=True):
    url_citation: _UrlCitation | None = None


@dataclass(slots=True)
class Block:
    """One content block as far as it is known.

    Args:
        start: for text: where it begins in the text of the whole answer.
        written: text, thoughts or arguments, in fragments.
    """

    kind: BlockKind
    id: str = ""
    name: str = ""
    start: int = 0
    written: list[str] = field(default_factory=list[str])
    citations: list[dict[str, object]] = field(default_factory=list[dict[str, object]])

    @property
    def opening(self) -> dict[str, object]:
        """The block as it is before anything of it is written."""
        match self.kind:
            case "text":
                return {"type": "text", "text": ""}
            case "thinking":
                return {"type": "thinking", "thinking": "", "signature": ""}
            case "tool_use":
                return {"type": "tool_use", "id": self.id, "name": self.name, "input": {}}
            case "redacted_thinking":
                return {"type": "redacted_thinking", "data": "".join(self.written)}

    @property
    def whole(self) -> dict[str, object]:
        """The block when all of it is written."""
        text = "".join(self.written)
        match self.kind:
            case "text":
                return {**self.opening, "text": text, **({"citations": self.citations} if self.citations else {})}
            case "thinking":
                return {**self.opening, "thinking": text, "signature": MARK}
            case "tool_use":
                return {**self.opening, "input": _input(text)}
            case "redacted_thinking":
                return self.opening

    @property
    def is_unsaid(self) -> bool:
        """Whether nothing of it may be written yet: its arguments may become `null`, which means none."""
        return self.kind == "tool_use" and _NOTHING.startswith("".join(self.written).strip())

    @property
    def is_whole(self) -> bool:
        """Whether nothing can follow once another block has begun: calls may be written in turns."""
        return self.kind != "tool_use" or is_object("".join(self.written))


class Content:
    """Collects the steps of the first choice; Anthropic's dialect has no other, and asks for none.

    Args:
        stops: the stop sequences that the client asked for.
    """

    def __init__(self, stops: Sequence[str] = ()) -> None:
        self.blocks: list[Block] = []
        self.closed = 0
        self._stops = stops
        self._is_refused = False
        self._calls: dict[int, Block] = {}
        self._opaque: list[OpaqueBlock] = []
        self._characters = 0
        self._finish: Finish | None = None

    @property
    def is_finished(self) -> bool:
        """Whether the answer has said why it ends."""
        return self._finish is not None

    @property
    def stop_reason(self) -> str:
        """Why the answer ended.

        Raises:
            UpstreamProtocolError: it did not say.
        """
        finish = self._finish
        if finish is None:
            raise UpstreamProtocolError("The provider's answer ended without saying why; retry.")
        if self._is_refused and finish.reason == "stop":
            # OpenAI says in a field of its own that a model refuses, and then that it stopped as usual
            return _REFUSAL
        return _NATIVE_REASONS.get((finish.native_reason, finish.reason)) or _REASONS[finish.reason]

    @property
    def stop_sequence(self) -> str | None:
        """Which of the client's sequences ended the answer; None as well when it may have been any of several."""
        return self._stops[0] if self.stop_reason == _STOP_SEQUENCE and len(self._stops) == 1 else None

    def add(self, delta: Delta) -> None:
        """Take the next step.

        Raises:
            UpstreamProtocolError: the answer goes on after its end, or with a call that never began.
        """
        if delta.choice != 0:
            return
        if self._finish is not None and not isinstance(delta, Annotation | Logprobs):
            raise UpstreamProtocolError("The provider went on after the end of its answer; retry.")
        match delta:
            case TextDelta() | RefusalDelta():
                self._is_refused = self._is_refused or isinstance(delta, RefusalDelta)
                self._write("text", delta.text)
                self._characters += len(delta.text)
            case ReasoningDelta():
                self._write("thinking", delta.text)
            case ToolCallStart() | ToolCallArguments():
                self._call(delta)
            case Annotation():
                self._cite(msgspec.json.decode(delta.json, type=_Annotation).url_citation)
            case OpaqueDelta():
                self._opaque.append(delta.block)
            case Finish():
                self._end(delta)
            case Logprobs():
                # the dialect has no word for them, and none to ask for them
                pass

    def _call(self, delta: ToolCallStart | ToolCallArguments) -> None:
        if isinstance(delta, ToolCallStart):
            self._calls[delta.index] = Block("tool_use", id=delta.id, name=delta.name)
            self.blocks.append(self._calls[delta.index])
            return
        call = self._calls.get(delta.index)
        if call is None:
            raise UpstreamProtocolError("The provider sent arguments of a call that did not begin; retry.")
        if delta.fragment:
            call.written.append(delta.fragment)

    def _end(self, finish: Finish) -> None:
        self._finish = finish
        if self._opaque:
            self.blocks.append(Block("redacted_thinking", written=[packed(self._opaque)]))

    def _write(self, kind: Literal["text", "thinking"], text: str) -> None:
        if not text:
            # an empty text block would be refused when it comes back with the next turn
            return
        if not self.blocks or self.blocks[-1].kind != kind:
            self.blocks.append(Block(kind, start=self._characters))
        self.blocks[-1].written.append(text)

    def _cite(self, citation: _UrlCitation | None) -> None:
        """Note a source at the text that it belongs to, or at the last one, when that was sent and closed before."""
        texts = [block for block in self.blocks[self.closed :] if block.kind == "text"]
        if citation is None or not citation.url or not texts:
            return
        fitting: Sequence[Block] = [block for block in texts if block.start <= citation.start_index] or texts
        fitting[-1].citations.append(
            {
                "type": "web_search_result_location",
                "url": citation.url,
                "title": citation.title,
                "cited_text": "",
                "encrypted_index": MARK,
            }
        )


def is_object(text: str) -> bool:
    """Return whether a text is a whole JSON object."""
    try:
        msgspec.json.decode(text, type=dict[str, Raw])
    except msgspec.DecodeError:
        return False
    return True


def _input(arguments: str) -> object:
    if arguments.strip() in ("", _NOTHING):
        return {}
    return Raw(arguments.encode()) if is_object(arguments) else {_INVALID: arguments}
