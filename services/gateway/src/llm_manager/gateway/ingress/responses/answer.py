"""The output of one response: neutral steps into items, each change as an event; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

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
from llm_manager.gateway.ingress.opaque import packed
from llm_manager.gateway.ingress.responses.annotations import annotation_of, logprobs_of

Members = dict[str, object]

_UNFINISHED = {"length": "max_output_tokens", "content_filter": "content_filter"}


@dataclass(slots=True)
class _Reasoning:
    id: str
    index: int
    text: list[str] = field(default_factory=list[str])
    encrypted: str | None = None
    status: str = "in_progress"

    def members(self) -> Members:
        summary = [{"type": "summary_text", "text": "".join(self.text)}] if self.text else []
        members: Members = {"id": self.id, "type": "reasoning", "summary": summary, "status": self.status}
        if self.encrypted is not None:
            members["encrypted_content"] = self.encrypted
        return members


@dataclass(slots=True)
class _Part:
    """Text or refusal; `offset` is where it begins in the text of the whole answer, by which citations count."""

    is_refusal: bool
    offset: int = 0
    text: list[str] = field(default_factory=list[str])
    annotations: list[Members] = field(default_factory=list[Members])
    logprobs: list[Members] = field(default_factory=list[Members])

    def members(self) -> Members:
        text = "".join(self.text)
        if self.is_refusal:
            return {"type": "refusal", "refusal": text}
        members: Members = {"type": "output_text", "text": text}
        return {**members, "annotations": list(self.annotations), "logprobs": list(self.logprobs)}


@dataclass(slots=True)
class _Message:
    id: str
    index: int
    parts: list[_Part] = field(default_factory=list[_Part])
    status: str = "in_progress"

    def members(self) -> Members:
        content = [part.members() for part in self.parts]
        return {"id": self.id, "type": "message", "status": self.status, "role": "assistant", "content": content}


@dataclass(slots=True)
class _Call:
    id: str
    index: int
    call_id: str
    name: str
    arguments: list[str] = field(default_factory=list[str])
    status: str = "in_progress"

    def members(self) -> Members:
        return {
            "id": self.id,
            "type": "function_call",
            "status": self.status,
            "call_id": self.call_id,
            "name": self.name,
            "arguments": "".join(self.arguments),
        }


class Output:
    """Collects neutral steps; every method returns the events of the change, without their numbers.

    Args:
        key: 32 characters of the response's id; from them come the ids of its items.
    """

    def __init__(self, key: str) -> None:
        self.finish: Finish | None = None
        self._key = key
        self._items: list[_Reasoning | _Message | _Call] = []
        self._reasoning: _Reasoning | None = None
        self._message: _Message | None = None
        self._calls: dict[int, _Call] = {}
        self._blocks: list[OpaqueBlock] = []
        self._waiting: list[Members] = []
        self._characters = 0

    @property
    def incomplete_reason(self) -> str | None:
        """Why the answer is not whole; None when it is."""
        return None if self.finish is None else _UNFINISHED.get(self.finish.reason)

    @property
    def text(self) -> str:
        """All of the visible text."""
        messages = (item for item in self._items if isinstance(item, _Message))
        return "".join("".join(part.text) for item in messages for part in item.parts if not part.is_refusal)

    def items(self) -> list[Members]:
        """Return the items as they are now."""
        return [item.members() for item in self._items]

    def add(self, deltas: Sequence[Delta]) -> list[Members]:
        """Take the next steps.

        Raises:
            UpstreamProtocolError: they come after the end, or belong to no call.
        """
        # the dialect has one answer and its clients ask for no more; a provider that gives more is not wrong
        mine = [delta for delta in deltas if delta.choice == 0]
        for delta in mine:
            if isinstance(delta, Logprobs):
                # said beside the text that they belong to, before or after it
                self._waiting.extend(logprobs_of(delta.json))
        return [event for delta in mine for event in self._step(delta)]

    def _step(self, delta: Delta) -> list[Members]:
        if self.finish is not None:
            raise UpstreamProtocolError("The provider went on with its answer after its end; retry.")
        match delta:
            case TextDelta() | RefusalDelta():
                return self._write(delta) if delta.text else []
            case ReasoningDelta():
                return self._think(delta.text) if delta.text else []
            case ToolCallStart():
                return self._call(delta)
            case ToolCallArguments():
                return self._argue(delta)
            case Annotation():
                return self._annotate(delta.json)
            case OpaqueDelta():
                self._blocks.append(delta.block)
                return []
            case Logprobs():
                return []
            case Finish():
                self.finish = delta
                return self.close(is_whole=delta.reason not in _UNFINISHED)

    def close(self, *, is_whole: bool) -> list[Members]:
        """End whatever is open.

        Args:
            is_whole: the answer ended where the model wanted; otherwise its last item is incomplete.
        """
        last = len(self._items) - 1
        events: list[Members] = []
        self._settle_logprobs()
        for item in list(self._items):
            if item.status == "in_progress":
                status = "completed" if is_whole or item.index != last else "incomplete"
                events += self._end(item, status)
        self._reasoning = self._message = None
        if self._blocks:
            item = _Reasoning(self._id("rs"), len(self._items), encrypted=packed(self._blocks))
            events += self._begin(item)
            events += self._end(item, "completed")
        return events

    def _id(self, prefix: str) -> str:
        return f"{prefix}_{self._key}{len(self._items):04x}"

    def _begin(self, item: _Reasoning | _Message | _Call) -> list[Members]:
        self._items.append(item)
        return [{"type": "response.output_item.added", "output_index": item.index, "item": item.members()}]

    def _end(self, item: _Reasoning | _Message | _Call, status: str) -> list[Members]:
        match item:
            case _Reasoning():
                events = _reasoning_done(item)
            case _Message():
                events = _part_done(item)
            case _Call():
                events = [_of(item, "function_call_arguments.done", arguments="".join(item.arguments))]
        item.status = status
        return [
            *events,
            {"type": "response.output_item.done", "output_index": item.index, "item": item.members()},
        ]

    def _think(self, text: str) -> list[Members]:
        events: list[Members] = []
        if self._message is not None:
            events += self._end(self._message, "completed")
            self._message = None
        if self._reasoning is None:
            item = self._reasoning = _Reasoning(self._id("rs"), len(self._items))
            events += self._begin(item)
            part = {"type": "summary_text", "text": ""}
            events.append(_of(item, "reasoning_summary_part.added", summary_index=0, part=part))
        self._reasoning.text.append(text)
        events.append(_of(self._reasoning, "reasoning_summary_text.delta", summary_index=0, delta=text))
        return events

    def _stop_thinking(self) -> list[Members]:
        item, self._reasoning = self._reasoning, None
        return [] if item is None else self._end(item, "completed")

    def _write(self, delta: TextDelta | RefusalDelta) -> list[Members]:
        events = self._stop_thinking()
        message, is_refusal = self._message, isinstance(delta, RefusalDelta)
        if message is not None and message.index != len(self._items) - 1:
            # calls came in between; items are in the order in which the model wrote them
            events += self._end(message, "completed")
            message = None
        if message is None:
            message = self._message = _Message(self._id("msg"), len(self._items))
            events += self._begin(message)
        if not message.parts or message.parts[-1].is_refusal is not is_refusal:
            events += _part_done(message)
            message.parts.append(_Part(is_refusal, self._characters))
            events.append(_of_part(message, "content_part.added", part=message.parts[-1].members()))
        part = message.parts[-1]
        part.text.append(delta.text)
        if is_refusal:
            return [*events, _of_part(message, "refusal.delta", delta=delta.text)]
        self._characters += len(delta.text)
        logprobs, self._waiting = self._waiting, []
        part.logprobs += logprobs
        return [*events, _of_part(message, "output_text.delta", delta=delta.text, logprobs=logprobs)]

    def _settle_logprobs(self) -> None:
        """Give what came behind the last text, with no text of its own, to that text."""
        parts = self._message.parts if self._message is not None else []
        part = next((part for part in reversed(parts) if not part.is_refusal), None)
        if part is not None:
            part.logprobs += self._waiting
        self._waiting = []

    def _annotate(self, json: bytes) -> list[Members]:
        annotation = annotation_of(json)
        places = [
            (item, number, part)
            for item in self._items
            if isinstance(item, _Message)
            for number, part in enumerate(item.parts)
            if not part.is_refusal
        ]
        if annotation is None or not places:
            return []
        start = annotation.get("start_index")
        begun = [place for place in places if not isinstance(start, int) or place[2].offset <= start]
        message, number, part = (begun or places)[-1]
        for name in ("start_index", "end_index"):
            if isinstance(at := annotation.get(name), int):
                annotation[name] = max(at - part.offset, 0)
        part.annotations.append(annotation)
        event = _of(message, "output_text.annotation.added", content_index=number)
        return [{**event, "annotation_index": len(part.annotations) - 1, "annotation": annotation}]

    def _call(self, delta: ToolCallStart) -> list[Members]:
        events = self._stop_thinking()
        call_id = delta.id or f"call_{self._key}{delta.index:04x}"
        item = self._calls[delta.index] = _Call(self._id("fc"), len(self._items), call_id, delta.name)
        return [*events, *self._begin(item)]

    def _argue(self, delta: ToolCallArguments) -> list[Members]:
        item = self._calls.get(delta.index)
        if item is None:
            raise UpstreamProtocolError(f"The provider gave arguments of call {delta.index}, which it never began.")
        if not delta.fragment:
            return []
        item.arguments.append(delta.fragment)
        return [_of(item, "function_call_arguments.delta", delta=delta.fragment)]


def _of(item: _Reasoning | _Message | _Call, kind: str, **members: object) -> Members:
    return {"type": f"response.{kind}", "item_id": item.id, "output_index": item.index, **members}


def _of_part(message: _Message, kind: str, **members: object) -> Members:
    return _of(message, kind, content_index=len(message.parts) - 1, **members)


def _reasoning_done(item: _Reasoning) -> list[Members]:
    if not item.text:
        return []
    text = "".join(item.text)
    part = {"type": "summary_text", "text": text}
    return [
        _of(item, "reasoning_summary_text.done", summary_index=0, text=text),
        _of(item, "reasoning_summary_part.done", summary_index=0, part=part),
    ]


def _part_done(message: _Message) -> list[Members]:
    if not message.parts:
        return []
    part = message.parts[-1]
    text = "".join(part.text)
    if part.is_refusal:
        done = _of_part(message, "refusal.done", refusal=text)
    else:
        done = _of_part(message, "output_text.done", text=text, logprobs=list(part.logprobs))
    return [done, _of_part(message, "content_part.done", part=part.members())]
