"""Whole answers in OpenAI's dialect."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
from msgspec import Raw

from llm_manager.core.deltas import (
    Annotation,
    AnswerInfo,
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
from llm_manager.gateway.inference.rules import Piece
from llm_manager.gateway.ingress.openai.chunks import completed, function_finish
from llm_manager.gateway.ingress.openai.extras import Extras


class _Logprobs(msgspec.Struct):
    content: list[Raw] | None = None
    refusal: list[Raw] | None = None


@dataclass(slots=True)
class _Call:
    id: str
    name: str
    arguments: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class _Choice:
    text: list[str] = field(default_factory=list[str])
    reasoning: list[str] = field(default_factory=list[str])
    refusal: list[str] = field(default_factory=list[str])
    calls: dict[int, _Call] = field(default_factory=dict[int, _Call])
    logprobs: list[_Logprobs] = field(default_factory=list[_Logprobs])
    extras: Extras = field(default_factory=Extras)
    finish: str | None = None


class Completion:
    """Collects neutral steps into one `chat.completion`.

    Args:
        calls_functions: the client speaks of functions, as before there were tools: the first call is the message's
            `function_call`. More calls than one, which that form cannot say, follow as `tool_calls`.
    """

    def __init__(self, fallback: AnswerInfo, *, calls_functions: bool = False) -> None:
        self._info = fallback
        self._calls_functions = calls_functions
        self._choices: dict[int, _Choice] = {}

    def add(self, piece: Piece) -> None:
        """Take the next piece."""
        if piece.info is not None:
            self._info = completed(piece.info, self._info)
        for delta in piece.deltas:
            self._add(delta)

    def body(self, usage: bytes) -> bytes:
        """Render the answer.

        Raises:
            UpstreamProtocolError: a choice has no finish, so the answer is not whole.
        """
        info = self._info
        members: dict[str, object] = {
            "id": info.id,
            "object": "chat.completion",
            "created": info.created,
            "model": info.model,
            "choices": self.choices(),
            "usage": Raw(usage),
        }
        if info.system_fingerprint:
            members["system_fingerprint"] = info.system_fingerprint
        if info.service_tier:
            members["service_tier"] = info.service_tier
        return msgspec.json.encode(members)

    @property
    def info(self) -> AnswerInfo:
        """About the answer, as far as it is known."""
        return self._info

    def choices(self) -> list[dict[str, object]]:
        """Return the choices in order; the errors are those of `body`."""
        if not self._choices:
            raise UpstreamProtocolError("The provider's answer is empty; retry.")
        return [self._choice(index, self._choices[index]) for index in sorted(self._choices)]

    def _choice(self, index: int, choice: _Choice) -> dict[str, object]:
        if choice.finish is None:
            raise UpstreamProtocolError("The provider's answer ended without saying why; retry.")
        message, finish = _message(choice), choice.finish
        calls = [_call(choice.calls[number]) for number in sorted(choice.calls)]
        if self._calls_functions and calls:
            message["function_call"] = calls.pop(0)["function"]
            finish = function_finish(finish)
        if calls:
            message["tool_calls"] = calls
        return {"index": index, "message": message, "logprobs": _merged(choice.logprobs), "finish_reason": finish}

    def _add(self, delta: Delta) -> None:
        choice = self._choices.setdefault(delta.choice, _Choice())
        match delta:
            case TextDelta():
                choice.text.append(delta.text)
            case ReasoningDelta():
                choice.reasoning.append(delta.text)
            case RefusalDelta():
                choice.refusal.append(delta.text)
            case ToolCallStart():
                choice.calls[delta.index] = _Call(delta.id, delta.name)
            case ToolCallArguments():
                choice.calls[delta.index].arguments.append(delta.fragment)
            case Logprobs():
                choice.logprobs.append(msgspec.json.decode(delta.json, type=_Logprobs))
            case Finish():
                choice.finish = delta.reason
            case OpaqueDelta() | Annotation():
                choice.extras.add(delta)


def _message(choice: _Choice) -> dict[str, object]:
    text = "".join(choice.text)
    message: dict[str, object] = {
        "role": "assistant",
        "content": None if not text and (choice.calls or choice.refusal) else text,
        "refusal": "".join(choice.refusal) or None,
    }
    message |= choice.extras.fields()
    if choice.reasoning:
        message["reasoning_content"] = "".join(choice.reasoning)
    return message


def _call(call: _Call) -> dict[str, object]:
    function = {"name": call.name, "arguments": "".join(call.arguments)}
    return {"id": call.id, "type": "function", "function": function}


def _merged(parts: list[_Logprobs]) -> dict[str, object] | None:
    if not parts:
        return None
    content = [token for part in parts for token in part.content or ()]
    refusal = [token for part in parts for token in part.refusal or ()]
    return {"content": content or None, "refusal": refusal or None}


def with_usage(body: bytes, usage: bytes) -> bytes:
    """Put `usage` into a provider's own whole answer; every other byte stays, unless it has a usage already."""
    body = body.rstrip()
    # Inside a JSON string a quote is escaped, so these bytes can only be a key, at the top or further down.
    if b'"usage"' not in body and body.endswith(b"}") and len(body) > 2:
        return body[:-1] + b',"usage":' + usage + b"}"
    try:
        members = msgspec.json.decode(body, type=dict[str, Raw])
    except msgspec.DecodeError as error:
        raise UpstreamProtocolError("The provider's answer is not a JSON object; retry.") from error
    return msgspec.json.encode({**members, "usage": Raw(usage)})
