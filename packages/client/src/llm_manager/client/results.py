"""What calls of models return, and how it is read from answers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast

from .errors import ProtocolError
from .events import Number
from .wire import Reply, read_body

_AMOUNT = re.compile(r"\d{1,30}(\.\d{1,30})?")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a call used, in tokens.

    Args:
        input_tokens: all of the prompt, cached tokens included.
        output_tokens: all of the answer, reasoning included.
        cached_tokens: those of the prompt that the provider's cache gave.
        reasoning_tokens: those of the answer that were hidden reasoning.
        is_estimated: the provider reported nothing, and the platform counted the text.
    """

    input_tokens: int
    output_tokens: int
    total_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    is_estimated: bool = False


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function that the model wants to be called; `arguments` is JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """The whole answer of a chat.

    Args:
        text: what the model says; empty when it only calls tools. With `n` above one, that of the first choice.
        texts: the text of each choice.
        reasoning: its visible reasoning; empty when there is none.
        finish_reason: `stop`, `length`, `tool_calls`, `content_filter`, or a provider's own word.
        model: as the provider names it.
        provider: name of the provider on the platform.
        usage: tokens; None when nobody knows what was used.
        cost: exact US dollars; None when no price is known, which is not zero.
        request_id: as in the ledger and in logs.
        warnings: what the platform changed or left out of the request, in words.
        message: the message to send back in the next turn, in OpenAI's form; {} for an answer that was streamed.
    """

    text: str
    finish_reason: str
    model: str
    provider: str
    usage: Usage | None
    cost: Decimal | None
    request_id: str
    texts: tuple[str, ...] = ()
    reasoning: str = ""
    refusal: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    warnings: str = ""
    message: Mapping[str, Any] = field(default_factory=dict[str, Any], hash=False)


@dataclass(frozen=True, slots=True)
class Piece:
    """One step of a streamed answer; each text may be empty. `choice` counts from 0 and is 0 unless `n` was asked."""

    text: str = ""
    reasoning: str = ""
    choice: int = 0


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors in the order of the texts. Usage and cost are those of `ChatAnswer`: tokens, and exact US dollars or
    None.
    """

    vectors: tuple[tuple[float, ...], ...]
    model: str
    provider: str
    usage: Usage | None
    cost: Decimal | None
    request_id: str
    warnings: str = ""


def chat_answer(reply: Reply) -> ChatAnswer:
    """Read a whole chat.

    Raises:
        ProtocolError: it has no choice, or is no chat.
    """
    try:
        body = cast("dict[str, Any]", read_body(reply))
        choices = cast("list[dict[str, Any]]", body["choices"])
        messages = [cast("dict[str, Any]", choice["message"]) for choice in choices]
        texts = tuple(_text(message.get("content")) for message in messages)
        calls = cast("list[dict[str, Any]]", messages[0].get("tool_calls") or [])
        return ChatAnswer(
            text=texts[0],
            texts=texts,
            reasoning=_text(messages[0].get("reasoning_content")),
            refusal=_text(messages[0].get("refusal")),
            tool_calls=tuple(_tool_call(call) for call in calls),
            finish_reason=_text(choices[0].get("finish_reason")),
            message=messages[0],
            usage=usage_of(body.get("usage")),
            cost=_amount(reply.headers.get("x-llm-manager-cost")),
            **_about(body, reply.headers),
        )
    except (KeyError, IndexError, TypeError, AttributeError):
        raise _no_answer(reply.headers, "chat") from None


def embeddings(reply: Reply) -> Embeddings:
    """Read vectors.

    Raises:
        ProtocolError: there are none.
    """
    try:
        body = cast("dict[str, Any]", read_body(reply))
        rows = sorted(cast("list[dict[str, Any]]", body["data"]), key=lambda row: row["index"])
        return Embeddings(
            vectors=tuple(tuple(map(float, row["embedding"])) for row in rows),
            usage=usage_of(body.get("usage")),
            cost=_amount(reply.headers.get("x-llm-manager-cost")),
            **_about(body, reply.headers),
        )
    except (KeyError, TypeError, AttributeError, ValueError):
        raise _no_answer(reply.headers, "embeddings") from None


class Gathered:
    """Puts a streamed chat together, event by event."""

    def __init__(self) -> None:
        self._texts: dict[int, list[str]] = {}
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._calls: dict[int, dict[str, str]] = {}
        self._finish = ""
        self._model = ""
        self._usage: Any = None
        self._headers: Mapping[str, str] = {}

    def add(self, headers: Mapping[str, str], event: Any) -> list[Piece]:
        """Take an event and return the steps of text in it.

        Raises:
            ProtocolError: it is none of a chat.
        """
        self._headers = headers
        try:
            self._model = event.get("model") or self._model
            self._usage = event.get("usage") or self._usage
            return [piece for choice in event.get("choices") or () if (piece := self._step(choice))]
        except (KeyError, TypeError, AttributeError):
            raise _no_answer(headers, "chat") from None

    def answer(self) -> ChatAnswer:
        """Return the whole."""
        texts = tuple("".join(self._texts[choice]) for choice in sorted(self._texts)) or ("",)
        return ChatAnswer(
            text=texts[0],
            texts=texts,
            reasoning="".join(self._reasoning),
            refusal="".join(self._refusal),
            tool_calls=tuple(ToolCall(**self._calls[index]) for index in sorted(self._calls)),
            finish_reason=self._finish,
            usage=usage_of(self._usage),
            # the headers of a stream leave before anybody knows what it costs
            cost=cost_of(self._usage),
            **_about({"model": self._model}, self._headers),
        )

    def _step(self, choice: dict[str, Any]) -> Piece | None:
        delta: dict[str, Any] = choice.get("delta") or {}
        index: int = choice.get("index") or 0
        piece = Piece(_text(delta.get("content")), _text(delta.get("reasoning_content")), index)
        self._texts.setdefault(index, []).append(piece.text)
        if index == 0:
            self._reasoning.append(piece.reasoning)
            self._refusal.append(_text(delta.get("refusal")))
            self._finish = _text(choice.get("finish_reason")) or self._finish
            for part in cast("list[dict[str, Any]]", delta.get("tool_calls") or []):
                self._call(part)
        return piece if piece.text or piece.reasoning else None

    def _call(self, part: dict[str, Any]) -> None:
        call = self._calls.setdefault(part.get("index") or 0, {"id": "", "name": "", "arguments": ""})
        function: dict[str, Any] = part.get("function") or {}
        call["id"] = _text(part.get("id")) or call["id"]
        call["name"] = _text(function.get("name")) or call["name"]
        call["arguments"] += _text(function.get("arguments"))


def usage_of(said: Any) -> Usage | None:
    """Read OpenAI's totals; None when nobody knows."""
    if not isinstance(said, dict):
        return None
    usage = cast("dict[str, Any]", said)
    prompt, completion = (
        cast("dict[str, Any]", usage.get(f"{name}_tokens_details") or {}) for name in ("prompt", "completion")
    )
    return Usage(
        input_tokens=_count(usage.get("prompt_tokens")),
        output_tokens=_count(usage.get("completion_tokens")),
        total_tokens=_count(usage.get("total_tokens")),
        cached_tokens=_count(prompt.get("cached_tokens")),
        reasoning_tokens=_count(completion.get("reasoning_tokens")),
        is_estimated=usage.get("is_estimated") is True,
    )


def cost_of(usage: Any) -> Decimal | None:
    """Read the cost of the usage at the end of a stream, where a provider's own table may stand (docs/usage.md)."""
    cost: Any = cast("dict[str, Any]", usage).get("cost") if isinstance(usage, dict) else None
    if isinstance(cost, dict):
        cost = cast("dict[str, Any]", cost).get("total_cost")
    return _amount(cost.text if isinstance(cost, Number) else str(cost))


def _amount(text: str | None) -> Decimal | None:
    return Decimal(text) if text and _AMOUNT.fullmatch(text) else None


def _about(body: Mapping[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
    return {
        "model": _text(body.get("model")) or headers.get("x-llm-manager-model", ""),
        "provider": headers.get("x-llm-manager-provider", ""),
        "request_id": headers.get("x-request-id", ""),
        "warnings": headers.get("x-llm-manager-warning", ""),
    }


def _tool_call(call: Mapping[str, Any]) -> ToolCall:
    function: dict[str, Any] = call.get("function") or {}
    return ToolCall(_text(call.get("id")), _text(function.get("name")), _text(function.get("arguments")))


def _no_answer(headers: Mapping[str, str], what: str) -> ProtocolError:
    return ProtocolError(
        f"The answer is none of {what}; is this the address of LLM Manager?", request_id=headers.get("x-request-id")
    )


def _text(value: Any) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        # content in parts, as some providers answer
        parts = cast("Sequence[Any]", value)
        return "".join(_text(cast("dict[str, Any]", part).get("text")) for part in parts if isinstance(part, dict))
    return value if isinstance(value, str) else ""


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0
