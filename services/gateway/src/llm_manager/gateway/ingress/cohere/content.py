"""An answer as Cohere's message, from neutral steps; for streams and whole answers alike."""

from __future__ import annotations

from collections.abc import Sequence
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
from llm_manager.gateway.ingress.anthropic.content import is_object
from llm_manager.gateway.ingress.cohere.citations import Stretch, citation_of
from llm_manager.gateway.ingress.cohere.turns import DIALECT
from llm_manager.gateway.ingress.openai.extras import Extras

# Any: JSON documents are built here
Json = dict[str, Any]
Kind = Literal["text", "thinking", "call"]

# What OpenAI-compatible providers send for a tool without parameters (recordings, quirk 21), and what is meant.
_NOTHING, _NO_ARGUMENTS = "null", "{}"
_STOP_SEQUENCE = "STOP_SEQUENCE"
# What Cohere has more words for than neutral ones; stop_sequence is Anthropic's word.
_NATIVE_REASONS = {("stop_sequence", "stop"): _STOP_SEQUENCE, (_STOP_SEQUENCE, "stop"): _STOP_SEQUENCE}
_REASONS = {"stop": "COMPLETE", "length": "MAX_TOKENS", "tool_calls": "TOOL_CALL", "content_filter": "ERROR_TOXIC"}


class _Own(msgspec.Struct, frozen=True):
    tool_plan: str | None = None
    citations: list[Raw] | None = None


class _Token(msgspec.Struct, frozen=True):
    token: str
    logprob: float


class _Logprobs(msgspec.Struct, frozen=True):
    content: list[_Token] | None = None
    refusal: list[_Token] | None = None


@dataclass(slots=True)
class Block:
    """One block of the content, or one call, as far as it is known.

    Args:
        index: its place in the content, or among the calls.
        start: for text: where it begins in the text of the whole answer.
        written: text, thoughts or arguments, in fragments.
    """

    kind: Kind
    index: int
    id: str = ""
    name: str = ""
    start: int = 0
    written: list[str] = field(default_factory=list[str])
    logprobs: list[Json] = field(default_factory=list[Json])

    @property
    def text(self) -> str:
        """All of it; a call that was given no arguments has an empty object of them."""
        text = "".join(self.written)
        return _NO_ARGUMENTS if self.kind == "call" and text.strip() in ("", _NOTHING) else text

    @property
    def whole(self) -> Json:
        """The block as a whole message holds it."""
        if self.kind == "call":
            return {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": self.text}}
        return {"type": self.kind, self.kind: self.text}

    @property
    def is_unsaid(self) -> bool:
        """Whether nothing of it may be written yet: its arguments may become `null`, which means none."""
        return self.kind == "call" and _NOTHING.startswith("".join(self.written).strip())

    @property
    def is_whole(self) -> bool:
        """Whether nothing can follow once another block has begun: calls may be written in turns."""
        return self.kind != "call" or is_object("".join(self.written))


class Content:
    """Collects the steps of the first choice; Cohere's dialect has no other, and asks for none."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.plan = ""
        self._calls: dict[int, Block] = {}
        self._places = 0
        self._characters = 0
        self._annotations: list[bytes] = []
        self._own_citations: list[Raw] = []
        self._extras = Extras()
        self._waiting: list[Json] = []
        self._finish: Finish | None = None

    @property
    def is_finished(self) -> bool:
        """Whether the answer has said why it ends."""
        return self._finish is not None

    @property
    def finish_reason(self) -> str:
        """Why the answer ended.

        Raises:
            UpstreamProtocolError: it did not say.
        """
        finish = self._finish
        if finish is None:
            raise UpstreamProtocolError("The provider's answer ended without saying why; retry.")
        return _NATIVE_REASONS.get((finish.native_reason, finish.reason)) or _REASONS[finish.reason]

    @property
    def citations(self) -> Sequence[Json | Raw]:
        """Where the text comes from: as Cohere says it, where Cohere answered."""
        if self._own_citations:
            return self._own_citations
        texts = [Stretch(block.index, block.start, block.text) for block in self.blocks if block.kind == "text"]
        found = (citation_of(annotation, texts) for annotation in self._annotations)
        return [citation for citation in found if citation is not None]

    @property
    def extension(self) -> Json:
        """What goes back to the provider with the next turn, as fields of the message; see `openai.extras`."""
        return self._extras.fields()

    @property
    def message(self) -> Json:
        """The whole message."""
        parts = [block.whole for block in self.blocks if block.kind != "call"]
        calls = [block.whole for block in self.blocks if block.kind == "call"]
        message: Json = {"role": "assistant"}
        if calls:
            message["tool_calls"] = calls
        if self.plan:
            message["tool_plan"] = self.plan
        if parts or not calls:
            message["content"] = parts or [{"type": "text", "text": ""}]
        if citations := self.citations:
            message["citations"] = citations
        return {**message, **self.extension}

    @property
    def logprobs(self) -> list[Json]:
        """Log probabilities of all tokens, in order."""
        return [item for block in self.blocks for item in block.logprobs] + self._waiting

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
                self._write("text", delta.text)
                self._characters += len(delta.text)
            case ReasoningDelta():
                self._write("thinking", delta.text)
            case ToolCallStart() | ToolCallArguments():
                self._call(delta)
            case Annotation():
                self._annotations.append(delta.json)
            case OpaqueDelta():
                self._keep(delta)
            case Logprobs():
                self._weigh(msgspec.json.decode(delta.json, type=_Logprobs))
            case Finish():
                self._finish = delta

    def _write(self, kind: Literal["text", "thinking"], text: str) -> None:
        if not text:
            return
        if not self.blocks or self.blocks[-1].kind != kind:
            self.blocks.append(Block(kind, self._places, start=self._characters))
            self._places += 1
        block = self.blocks[-1]
        block.written.append(text)
        if kind == "text" and self._waiting:
            block.logprobs += self._waiting
            self._waiting = []

    def _call(self, delta: ToolCallStart | ToolCallArguments) -> None:
        if isinstance(delta, ToolCallStart):
            call = Block("call", len(self._calls), id=delta.id, name=delta.name)
            self._calls[delta.index] = call
            self.blocks.append(call)
            return
        started = self._calls.get(delta.index)
        if started is None:
            raise UpstreamProtocolError("The provider sent arguments of a call that did not begin; retry.")
        if delta.fragment:
            started.written.append(delta.fragment)

    def _keep(self, delta: OpaqueDelta) -> None:
        block: OpaqueBlock = delta.block
        own = msgspec.json.decode(block.json, type=_Own) if block.dialect == DIALECT else _Own()
        if not own.tool_plan and not own.citations:
            self._extras.add(delta)
            return
        self.plan = own.tool_plan or ""
        self._own_citations = own.citations or []

    def _weigh(self, logprobs: _Logprobs) -> None:
        # Cohere's numbers of tokens are those of its own models
        items: list[Json] = [
            {"text": token.token, "token_ids": [], "logprobs": [token.logprob]}
            for token in (*(logprobs.content or ()), *(logprobs.refusal or ()))
        ]
        texts = [block for block in self.blocks if block.kind == "text"]
        (texts[-1].logprobs if texts else self._waiting).extend(items)
