"""The output of one answer while it is read: what was said, in neutral words, each thing once.

A stream says everything twice, in pieces and then in whole items; some servers leave out the pieces. So whole items are
compared with what their pieces said, and only the rest is said. A whole answer is a list of items without pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from llm_manager.core.deltas import (
    Annotation,
    Delta,
    Finish,
    FinishReason,
    Logprobs,
    OpaqueDelta,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallStart,
)
from llm_manager.providers.dialects.estimate import Written
from llm_manager.providers.dialects.json_values import Json, table, tables
from llm_manager.providers.dialects.openai_responses.blocks import Blocks
from llm_manager.providers.dialects.openai_responses.events import (
    ITEM,
    ITEM_KIND,
    Event,
    Item,
    Part,
    Response,
    id_of,
    is_said,
)
from llm_manager.providers.dialects.pointers import EXACT_DECODER, EXACT_ENCODER
from llm_manager.providers.dialects.port import NewId

Kind = Literal["text", "refusal", "summary", "reasoning", "arguments"]
_KINDS: dict[str, Kind] = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.reasoning_summary_text.delta": "summary",
    "response.reasoning_text.delta": "reasoning",
    "response.function_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "arguments",
}
_NEUTRAL_ITEMS = frozenset({"message", "reasoning", "function_call", "custom_tool_call"})
# Types of tools that the client runs and that take text instead of JSON.
_TEXT_TOOLS = frozenset({"custom"})


class Output:
    """What an answer said so far."""

    def __init__(self, new_id: NewId) -> None:
        self._new_id = new_id
        self._said: dict[tuple[int, Kind, int], list[str]] = {}
        self._offsets: dict[tuple[int, int], int] = {}
        self._annotated: dict[tuple[int, int], int] = {}
        self._with_logprobs: set[tuple[int, int]] = set()
        self._calls: dict[int, int] = {}
        self._custom_tools: frozenset[str] | None = None
        self._characters = 0
        self._blocks = Blocks()
        self.written = Written()

    @property
    def has_calls(self) -> bool:
        """Whether the client is asked to call something."""
        return bool(self._calls)

    def note_tools(self, response: Response) -> None:
        """Take the tools that the answer repeats: they tell the client's own from those of the provider.

        xAI shows the queries of its own search as calls of custom tools (openai_compatible-responses-1242b88ee9).
        """
        if response.tools is not None:
            self._custom_tools = frozenset(
                tool.name for tool in response.tools if tool.type in _TEXT_TOOLS and tool.name
            )

    def take(self, event: Event) -> list[Delta]:
        """Return what an event says."""
        index = event.output_index or 0
        kind = _KINDS.get(event.type or "")
        if kind is not None:
            place = event.summary_index if kind == "summary" else event.content_index
            return self._piece(event, kind, index, place or 0)
        if event.type == "response.output_item.added" and is_said(event.item):
            return self._open(index, bytes(event.item))
        if event.type == "response.output_item.done" and is_said(event.item):
            return self.close(index, bytes(event.item))
        if event.type == "response.output_text.annotation.added" and is_said(event.annotation):
            return self._annotate(index, event.content_index or 0, table(EXACT_DECODER.decode(event.annotation)))
        return []

    def close(self, index: int, raw: bytes) -> list[Delta]:
        """Take a whole item; return what of it was not said yet."""
        if index in self._blocks:
            return []
        self._blocks.add(index, raw)
        if ITEM_KIND.decode(raw).type not in _NEUTRAL_ITEMS:
            return []
        item = ITEM.decode(raw)
        deltas: list[Delta] = []
        match item.type:
            case "message":
                for place, part in enumerate(item.content or ()):
                    deltas += self._close_part(index, place, part)
            case "reasoning":
                for place, part in enumerate(item.summary or ()):
                    deltas += self._rest("summary", index, place, part.text)
                for place, part in enumerate(item.content or ()):
                    deltas += self._rest("reasoning", index, place, part.text)
            case _:
                deltas += self._start(index, item, is_whole=True)
                deltas += self._rest("arguments", index, 0, _arguments(item))
        return deltas

    def close_rest(self, items: Sequence[msgspec.Raw]) -> list[Delta]:
        """Take the output as it stands at the end; return what of it no event said.

        The places of events and of this list may differ where a server leaves items out of one of them, so an item is
        known by its id too.
        """
        known = self._blocks.ids()
        unsaid = [(n, bytes(item)) for n, item in enumerate(items) if id_of(item) not in known]
        return [delta for index, raw in unsaid for delta in self.close(index, raw)]

    def finishes(self, reason: FinishReason, native_reason: str) -> list[Delta]:
        """Return what ends the answer: the turn in the provider's own items where it needs them, and the finish."""
        blocks: list[Delta] = [OpaqueDelta(block=block) for block in self._blocks.all()]
        return [*blocks, Finish(reason=reason, native_reason=native_reason)]

    def _open(self, index: int, raw: bytes) -> list[Delta]:
        if ITEM_KIND.decode(raw).type in ("function_call", "custom_tool_call"):
            return self._start(index, ITEM.decode(raw), is_whole=False)
        return []

    def _start(self, index: int, item: Item, *, is_whole: bool) -> list[Delta]:
        """Begin a call; one without id or name waits until its item is whole."""
        is_known = bool(item.call_id and item.name)
        if index in self._calls or not (is_known or is_whole) or not self._is_callable(item):
            return []
        number = self._calls[index] = len(self._calls)
        self.written.add_text(0, item.name or "")
        return [ToolCallStart(index=number, id=item.call_id or self._new_id(), name=item.name or "")]

    def _is_callable(self, item: Item) -> bool:
        return item.type == "function_call" or self._custom_tools is None or item.name in self._custom_tools

    def _piece(self, event: Event, kind: Kind, index: int, place: int) -> list[Delta]:
        deltas = self._say(kind, index, place, event.delta) if isinstance(event.delta, str) else []
        if kind == "text" and is_said(event.logprobs):
            deltas += self._logprobs(index, place, bytes(event.logprobs))
        return deltas

    def _rest(self, kind: Kind, index: int, place: int, text: str | None) -> list[Delta]:
        said = "".join(self._said.get((index, kind, place), ()))
        if not text or not text.startswith(said):
            return []
        return self._say(kind, index, place, text[len(said) :])

    def _say(self, kind: Kind, index: int, place: int, text: str) -> list[Delta]:
        if not text or (kind == "arguments" and index not in self._calls):
            return []
        self._said.setdefault((index, kind, place), []).append(text)
        if kind in ("summary", "reasoning"):
            self.written.add_reasoning(0, text)
            return [ReasoningDelta(text=text)]
        self.written.add_text(0, text)
        match kind:
            case "text":
                self._offsets.setdefault((index, place), self._characters)
                self._characters += len(text)
                return [TextDelta(text=text)]
            case "refusal":
                return [RefusalDelta(text=text)]
            case "arguments":
                return [ToolCallArguments(index=self._calls[index], fragment=text)]

    def _close_part(self, index: int, place: int, part: Part) -> list[Delta]:
        deltas = self._rest("text", index, place, part.text)
        deltas += self._rest("refusal", index, place, part.refusal)
        if (index, place) not in self._with_logprobs and is_said(part.logprobs):
            deltas += self._logprobs(index, place, bytes(part.logprobs))
        for raw in (part.annotations or [])[self._annotated.get((index, place), 0) :]:
            deltas += self._annotate(index, place, table(EXACT_DECODER.decode(raw)))
        return deltas

    def _logprobs(self, index: int, place: int, raw: bytes) -> list[Delta]:
        """Return log probabilities in the form of chats, which demands the bytes of each token, or null."""
        tokens = [_token(token) for token in tables(EXACT_DECODER.decode(raw))]
        if not tokens:
            return []
        self._with_logprobs.add((index, place))
        return [Logprobs(json=EXACT_ENCODER.encode({"content": tokens, "refusal": None}))]

    def _annotate(self, index: int, place: int, annotation: Json) -> list[Delta]:
        """Return a citation in the form of chats; its places count from the start of the whole text."""
        self._annotated[index, place] = self._annotated.get((index, place), 0) + 1
        if annotation.get("type") != "url_citation":
            return []
        citation = {name: value for name, value in annotation.items() if name != "type"}
        offset = self._offsets.get((index, place), self._characters)
        for name in ("start_index", "end_index"):
            if isinstance(citation.get(name), int):
                citation[name] += offset
        return [Annotation(json=msgspec.json.encode({"type": "url_citation", "url_citation": citation}))]


def _arguments(item: Item) -> str:
    if item.type == "custom_tool_call":
        return item.input or ""
    if item.arguments is None or isinstance(item.arguments, str):
        return item.arguments or ""
    return msgspec.json.encode(item.arguments).decode()


def _token(token: Json) -> Json:
    written = {**token, "bytes": token.get("bytes")}
    written["top_logprobs"] = [{**other, "bytes": other.get("bytes")} for other in tables(token.get("top_logprobs"))]
    return written
