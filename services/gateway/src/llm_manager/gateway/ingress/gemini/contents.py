"""Turns of a conversation in Gemini's dialect into neutral messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.core.messages import Media, Message, OpaqueBlock, Part, Reasoning, Role, Text, ToolCall, ToolResult
from llm_manager.gateway.ingress.gemini import parts as wire
from llm_manager.gateway.ingress.gemini.calls import Calls
from llm_manager.gateway.ingress.gemini.reading import is_nothing, items, members, read
from llm_manager.gateway.ingress.gemini.request import Content
from llm_manager.gateway.ingress.gemini.signatures import blocks_in

DIALECT = "gemini_generate"
# `function` is how results were sent before 2024, and an absent role is a user's.
_ROLES = ("user", "model", "function", "")
_MODEL_FIELDS = frozenset(wire.ModelPart.__struct_encode_fields__)


class Turns:
    """Translates one conversation; remembers the calls, which their results may name by order only."""

    def __init__(self) -> None:
        self._calls = Calls()

    def system(self, raw: Raw, path: str) -> list[Message]:
        """Translate what the system says; nothing where it says nothing.

        Raises:
            UnsupportedParameter: it says something other than text.
        """
        content = read(raw, Content, path=path)
        parts: list[Part] = []
        for where, item in _parts(content, path):
            part = _user_part(item, where)
            if part.text is None:
                raise UnsupportedParameter(f"{where} is no text, and instructions are text only.", param=where)
            parts += [Text(text=part.text)] if part.text else []
        return [Message(role="system", parts=tuple(parts))] if parts else []

    def messages(self, raws: Sequence[Raw], path: str) -> Iterator[Message]:
        """Translate the turns; results of functions become messages of their own, in their place.

        Neighbouring turns of the model are one: the SDKs keep each chunk of a stream as a turn (google-genai 3.4
        `chats.py`), and what a signature in the last carries belongs to all of them.

        Raises:
            InvalidRequest: a part is wrong, or a result answers no call.
            UnsupportedParameter: a part has no neutral words.
        """
        said: list[tuple[str, Raw]] | None = None
        for number, raw in enumerate(raws):
            where = f"{path}[{number}]"
            content = read(raw, Content, path=where)
            if content.role not in _ROLES:
                shown = content.role[:100]
                raise InvalidRequest(f"{where}.role is {shown!r}; it is user or model.", param=f"{where}.role")
            parts = _parts(content, where)
            if content.role == "model":
                said = [] if said is None else said
                said += parts
                continue
            if said is not None:
                yield self._model(said)
                said = None
            yield from self._user(parts)
        if said is not None:
            yield self._model(said)

    def _user(self, raws: Sequence[tuple[str, Raw]]) -> Iterator[Message]:
        role, parts = "user", list[Part]()
        for where, raw in raws:
            said = self._heard(raw, where)
            speaker: Role = "tool" if isinstance(said, ToolResult) else "user"
            if parts and speaker != role:
                yield Message(role=role, parts=tuple(parts))
                parts = []
            role = speaker
            parts.append(said)
        yield Message(role=role, parts=tuple(parts) or (Text(text=""),))

    def _heard(self, raw: Raw, path: str) -> Part:
        part = _user_part(raw, path)
        kinds = (part.text is not None, *(not is_nothing(item) for item in _others(part)))
        if sum(kinds) != 1:
            what = "says nothing" if not any(kinds) else "says several things"
            raise InvalidRequest(
                f"{path} {what}; a part has one of text, inlineData, fileData, functionResponse.", param=path
            )
        if part.text is not None:
            return Text(text=part.text)
        media = wire.media_of(part, path=path)
        if media is not None:
            return replace(media, detail=wire.detail_of(part.media_resolution, path=f"{path}.mediaResolution"))
        return self._result(part.function_response, f"{path}.functionResponse")

    def _result(self, raw: Raw, path: str) -> ToolResult:
        answer = read(raw, wire.FunctionResponse, path=path)
        call = self._calls.answered(answer.id, answer.name)
        if call is None:
            raise InvalidRequest(
                f"{path} answers no call of this conversation: there is no open call of {answer.name[:100]!r} before "
                "it; send the model's turn with the call, or correct the name.",
                param=path,
            )
        content, is_error = _said_by_function(answer.response, f"{path}.response")
        return ToolResult(
            tool_call_id=call[0],
            parts=(*((Text(text=content),) if content else ()), *_media_in(answer, path)),
            is_error=is_error,
            name=call[1],
        )

    def _model(self, raws: Sequence[tuple[str, Raw]]) -> Message:
        said = [self._said(raw, where) for where, raw in raws]
        parts = [part for item in said for part in item.parts]
        carried = [block for item in said for block in item.carried]
        if carried:
            parts += carried
        elif any(item.is_own for item in said):
            # signatures and code that ran mean something only to Gemini, and only in a turn that is whole
            parts += [OpaqueBlock(dialect=DIALECT, json=bytes(raw)) for _, raw in raws]
        return Message(role="assistant", parts=tuple(parts) or (Text(text=""),))

    def _said(self, raw: Raw, path: str) -> _Said:
        part = read(raw, wire.ModelPart, path=path)
        if not is_nothing(part.function_response):
            raise InvalidRequest(f"{path}.functionResponse belongs into a turn of the role user.", param=path)
        blocks = blocks_in(part.thought_signature)
        parts: list[Part] = []
        if part.text:
            parts.append(Reasoning(text=part.text) if part.thought else Text(text=part.text))
        if not is_nothing(part.function_call):
            parts.append(self._call(part.function_call, f"{path}.functionCall"))
        if (media := wire.media_of(part, path=path)) is not None:
            parts.append(media)
        is_signed = bool(part.thought_signature) and blocks is None
        is_said = members(raw, known=_MODEL_FIELDS, path=path).keys() <= wire.SAID
        return _Said(parts, carried=blocks or (), is_own=is_signed or not is_said)

    def _call(self, raw: Raw, path: str) -> ToolCall:
        call = read(raw, wire.FunctionCall, path=path)
        arguments = b"{}" if is_nothing(call.args) else bytes(call.args).strip()
        if not arguments.startswith(b"{"):
            raise InvalidRequest(f"{path}.args is not an object.", param=f"{path}.args")
        return ToolCall(id=self._calls.made(call.id, call.name), name=call.name, arguments=arguments.decode())


class _Said:
    """What one part of the model says.

    Args:
        carried: blocks of another provider that it brings back.
        is_own: neutral words do not say it whole.
    """

    __slots__ = ("carried", "is_own", "parts")

    def __init__(self, parts: Sequence[Part], *, carried: Sequence[OpaqueBlock], is_own: bool) -> None:
        self.parts = parts
        self.carried = carried
        self.is_own = is_own


def _parts(content: Content, path: str) -> list[tuple[str, Raw]]:
    if is_nothing(content.parts):
        return []
    where = f"{path}.parts"
    return [(f"{where}[{number}]", raw) for number, raw in enumerate(items(content.parts, path=where))]


def _user_part(raw: Raw, path: str) -> wire.UserPart:
    part = read(raw, wire.UserPart, path=path)
    if part.thought:
        raise UnsupportedParameter(f"{path}.thought: only a model thinks; leave it out.", param=f"{path}.thought")
    return part


def _others(part: wire.UserPart) -> tuple[Raw, Raw, Raw]:
    return part.inline_data, part.file_data, part.function_response


def _media_in(answer: wire.FunctionResponse, path: str) -> Iterator[Media]:
    if is_nothing(answer.parts):
        return
    for number, raw in enumerate(items(answer.parts, path=f"{path}.parts")):
        where = f"{path}.parts[{number}]"
        media = wire.media_of(read(raw, wire.ResponsePart, path=where), path=where)
        if media is None:
            raise InvalidRequest(f"{where} says nothing; it has one of inlineData, fileData.", param=where)
        yield media


def _said_by_function(raw: Raw, path: str) -> tuple[str, bool]:
    """Return what a function said, and whether it failed.

    `result`, `output` and `error` alone are wrappings of clients around a text, because the dialect wants an object.
    """
    if is_nothing(raw):
        return "{}", False
    said = bytes(raw).strip()
    if not said.startswith(b"{"):
        raise InvalidRequest(f"{path} is not an object.", param=path)
    fields = msgspec.json.decode(said, type=dict[str, Raw])
    if len(fields) == 1:
        ((name, value),) = fields.items()
        is_text = bytes(value).startswith(b'"')
        if name == "error":
            return (msgspec.json.decode(value) if is_text else bytes(value).decode()), True
        if name in ("result", "output") and is_text:
            return msgspec.json.decode(value), False
    return said.decode(), False
