"""Writes a conversation as Gemini's `systemInstruction` and `contents`."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from itertools import count
from typing import Any

import msgspec

from llm_manager.core.errors import InvalidRequest
from llm_manager.core.facts import Facts
from llm_manager.core.messages import ChatInput, Media, Message, OpaqueBlock, Refusal, Text, ToolCall, ToolResult
from llm_manager.providers.dialects.gemini_generate.blocks import DIALECT
from llm_manager.providers.dialects.gemini_generate.events import PART
from llm_manager.providers.dialects.gemini_generate.media import media_part, resolution_of
from llm_manager.providers.dialects.parts import without_names
from llm_manager.providers.dialects.policy import Policy

# Any: JSON documents are built here
Json = dict[str, Any]
# For calls that another model made, or whose signature was lost on the way: models since the third generation refuse a
# call without one (ai.google.dev/gemini-api/docs/thought-signatures). The field is bytes, so the word that Google names
# for this travels in base64; it was accepted so in gemini-chat-096b5dfe5f.
_NO_SIGNATURE = base64.b64encode(b"skip_thought_signature_validator").decode()
# "If "output" and "error" keys are not specified, then whole "response" is treated as function output" (google-genai
# 3.4, FunctionResponse.response): what stands beside one of them might not be read.
_READ_ALONE = frozenset({"output", "error"})
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that was made; `wire_id` is what the provider itself called it, None when it gave no id."""

    wire_id: str | None
    name: str
    place: int


class Turns:
    """Builds the turns of one conversation in order.

    Args:
        needs_signatures: the model is of the third generation or later: it refuses calls without a signature, takes
            media inside of a tool's result, and is told of each medium how closely to look.
    """

    def __init__(self, facts: Facts, policy: Policy, *, needs_signatures: bool) -> None:
        self._facts = facts
        self._policy = policy
        self._needs_signatures = needs_signatures
        self._calls: dict[str, _Call] = {}
        self._places = count()
        self._results: list[tuple[int, Json, list[Json]]] = []
        self._system: list[Json] = []
        self._contents: list[Json] = []

    @classmethod
    def of(cls, facts: Facts, request: ChatInput, *, needs_signatures: bool, policy: Policy) -> Json:
        """Return `systemInstruction`, where there is one, and `contents`.

        Nobody but the system spoke: its words are the user's then, for the provider refuses a request without contents
        ("contents is not specified").

        Raises:
            InvalidRequest: a tool's result answers no call and names no tool.
            UnsupportedParameter: a message holds what the provider has no place for, and the policy refuses.
        """
        without_names(request.messages, policy)
        turns = cls(facts, policy, needs_signatures=needs_signatures)
        for message in request.messages:
            turns.add(message)
        turns.end_results()
        if turns._system and not turns._contents:
            return {"contents": [{"role": "user", "parts": turns._system}]}
        written: Json = {"systemInstruction": {"parts": turns._system}} if turns._system else {}
        return {**written, "contents": turns._contents}

    def add(self, message: Message) -> None:
        """Write the next turn. Gemini has one place for what the system says, wherever it was said."""
        if message.role == "system":
            if any(isinstance(part, Media) for part in message.parts):
                self._policy.unsupported(self._facts, "messages", hint="let the user send pictures and files")
            self._system += [{"text": part.text} for part in message.parts if isinstance(part, Text) and part.text]
        elif message.role == "assistant":
            self.end_results()
            own = [part for part in message.parts if isinstance(part, OpaqueBlock) and part.dialect == DIALECT]
            parts = self._own_turn(message, own) if own else self._model_turn(message)
            if parts:
                self._contents.append({"role": "model", "parts": parts})
        else:
            self._results += [self._result(part) for part in message.parts if isinstance(part, ToolResult)]
            parts = [written for part in message.parts if (written := self._part(part)) is not None]
            if parts or not any(isinstance(part, ToolResult) for part in message.parts):
                self._add_user(parts)

    def end_results(self) -> None:
        """Write the results of one turn of calls as one content, in the order of the calls.

        Calls without ids can be matched in no other way (recordings, quirk 22), and the provider demands as many
        results as there were calls. What else is said stands in contents of its own: after results in one content, the
        models since 3 Flash refuse text and media ("Requests ending with a model turn are not supported",
        google/oss-rebuild pull request 1559, MoonshotAI/kimi-code issue 3274), and every model takes it so (recordings,
        gemini-chat-7883fd75b9, gemini-chat-e9128a7946, gemini-chat-9d5a68b7c4).
        """
        ordered = sorted(self._results, key=lambda result: result[0])
        self._results = []
        media = [medium for _, _, beside in ordered for medium in beside]
        for parts in ([part for _, part, _ in ordered], media):
            if parts:
                self._contents.append({"role": "user", "parts": parts})

    def _add_user(self, parts: list[Json]) -> None:
        self.end_results()
        self._contents.append({"role": "user", "parts": parts or [{"text": ""}]})

    def _model_turn(self, message: Message) -> list[Json | msgspec.Raw]:
        parts: list[Json | msgspec.Raw] = []
        needs_signature = self._needs_signatures
        for part in message.parts:
            if isinstance(part, ToolCall):
                written: Json = {"functionCall": {"id": part.id, "name": part.name, "args": _arguments(part)}}
                if needs_signature:
                    # the first of parallel calls carries the signature of all
                    written["thoughtSignature"], needs_signature = _NO_SIGNATURE, False
                self._calls[part.id] = _Call(part.id, part.name, next(self._places))
                parts.append(written)
            elif (other := self._part(part)) is not None:
                parts.append(other)
        return parts

    def _own_turn(self, message: Message, blocks: list[OpaqueBlock]) -> list[Json | msgspec.Raw]:
        """Return a turn that Gemini wrote as it wrote it; its calls are known by the ids that clients were told."""
        made = [call for block in blocks if (call := PART.decode(block.json).function_call) is not None]
        told = [part.id for part in message.parts if isinstance(part, ToolCall)]
        for number, call in enumerate(made):
            known = _Call(call.id, call.name or "", next(self._places))
            if call.id:
                self._calls[call.id] = known
            if len(told) == len(made):
                self._calls[told[number]] = known
        return [msgspec.Raw(block.json) for block in blocks]

    def _part(self, part: object) -> Json | None:
        match part:
            case Text(text=text) | Refusal(text=text):
                return {"text": text} if text else None
            case Media():
                return self._medium(part)
            case _:
                # Results stand apart; reasoning of earlier turns goes back in signed blocks or not at all.
                return None

    def _medium(self, media: Media) -> Json:
        # the models before have one word for the whole request
        level = resolution_of(self._facts, media, self._policy) if self._needs_signatures else ""
        return media_part(self._facts, media, resolution=level)

    def _result(self, result: ToolResult) -> tuple[int, Json, list[Json]]:
        call = self._calls.get(result.tool_call_id)
        name = call.name if call is not None else result.name
        if not name:
            raise InvalidRequest(
                f"The tool result {result.tool_call_id[:100]!r} answers no call of this conversation; "
                "send the call before it, or the name of the tool.",
                param="messages",
            )
        wire_id = result.tool_call_id if call is None else call.wire_id
        response: Json = {"id": wire_id} if wire_id else {}
        response |= {"name": name, "response": _response(result)}
        media = [self._medium(medium) for medium in result.media]
        if media and self._needs_signatures:
            response["parts"], media = media, []
        return next(self._places) if call is None else call.place, {"functionResponse": response}, media


def _arguments(call: ToolCall) -> Json | msgspec.Raw:
    """Return arguments as an object; a call that was cut is none, so the model sees what it wrote."""
    if call.arguments.strip() in ("", "null"):
        return {}
    is_object = _object_in(call.arguments) is not None
    return msgspec.Raw(call.arguments.encode()) if is_object else {"text": call.arguments}


def _response(result: ToolResult) -> Json | msgspec.Raw:
    """Return what a tool said as the object that Gemini wants."""
    text = result.text
    fields = _object_in(text)
    said = text if fields is None else msgspec.Raw(text.encode())
    if result.is_error:
        return {"error": said}
    if isinstance(said, str) or fields is None:
        return {"result": said}
    return {"output": said} if len(fields) > 1 and not _READ_ALONE.isdisjoint(fields) else said


def _object_in(text: str) -> dict[str, msgspec.Raw] | None:
    try:
        return _OBJECT.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
