"""Turns of a conversation in Anthropic's dialect into neutral messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Raw

from llm_manager.core.errors import InvalidRequest
from llm_manager.core.messages import (
    Media,
    Message,
    OpaqueBlock,
    Part,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from llm_manager.gateway.ingress.anthropic import content_blocks as wire
from llm_manager.gateway.ingress.anthropic.cache import cache_ttl
from llm_manager.gateway.ingress.anthropic.mark import is_marked
from llm_manager.gateway.ingress.anthropic.media import media_parts, unknown_block
from llm_manager.gateway.ingress.anthropic.request import MessageParam
from llm_manager.gateway.ingress.located import decode_at
from llm_manager.gateway.ingress.opaque import unpacked

DIALECT = "anthropic_messages"


class Turns:
    """Translates one conversation; remembers what the called tools are named, which their results do not say."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def system(self, content: str | Sequence[Raw], path: str) -> list[Message]:
        """Translate what the system says; nothing where it says nothing."""
        parts = self._texts(content, path)
        return [Message(role="system", parts=tuple(parts))] if parts else []

    def messages(self, message: MessageParam, path: str) -> Iterable[Message]:
        """Translate one turn; results of tools become messages of their own, in their place.

        Raises:
            InvalidRequest: a block is wrong.
            UnsupportedParameter: a block has no neutral words.
        """
        match message.role:
            case "system":
                return self.system(message.content, f"{path}.content")
            case "assistant":
                return [self._assistant(message.content, f"{path}.content")]
            case "user":
                return self._user(message.content, f"{path}.content")

    def _texts(self, content: str | Sequence[Raw], path: str) -> list[Part]:
        if isinstance(content, str):
            return [Text(text=content)] if content else []
        parts: list[Part] = []
        for number, raw in enumerate(content):
            where, kind = f"{path}[{number}]", wire.type_of(raw)
            if kind != "text":
                raise unknown_block(kind, where)
            parts += media_parts(raw, kind, where) or ()
        return parts

    def _user(self, content: str | Sequence[Raw], path: str) -> Iterable[Message]:
        if not content:
            # as Anthropic does: a question that asks nothing is a fault of its sender
            raise InvalidRequest(f"{path} is empty; say something.", param=path)
        if isinstance(content, str):
            yield Message(role="user", parts=(Text(text=content),))
            return
        role, parts = "user", list[Part]()
        for number, raw in enumerate(content):
            where, kind = f"{path}[{number}]", wire.type_of(raw)
            is_result = kind == "tool_result"
            said: list[Part] | None = [self._result(raw, where)] if is_result else media_parts(raw, kind, where)
            if said is None:
                raise unknown_block(kind, where)
            speaker: Role = "tool" if is_result else "user"
            if parts and speaker != role:
                yield Message(role=role, parts=tuple(parts))
                parts = []
            role = speaker
            parts += said
        yield Message(role=role, parts=tuple(parts))

    def _result(self, raw: Raw, path: str) -> ToolResult:
        block = decode_at(raw, wire.ToolResultBlock, path=path)
        content: list[Part] = []
        if isinstance(block.content, str):
            content.append(Text(text=block.content))
        else:
            for number, inner in enumerate(block.content or ()):
                where, kind = f"{path}.content[{number}]", wire.type_of(inner)
                said = media_parts(inner, kind, where)
                if said is None:
                    raise unknown_block(kind, where)
                content += said
        return ToolResult(
            tool_call_id=block.tool_use_id,
            parts=tuple(part for part in content if isinstance(part, Text | Media)),
            is_error=bool(block.is_error),
            name=self._names.get(block.tool_use_id, ""),
            cache_ttl=cache_ttl(block.cache_control),
        )

    def _assistant(self, content: str | Sequence[Raw], path: str) -> Message:
        if isinstance(content, str):
            return Message(role="assistant", parts=(Text(text=content),))
        blocks = [self._said(raw, f"{path}[{number}]") for number, raw in enumerate(content)]
        parts: list[Part] = [part for block in blocks for part in block.parts]
        carried = [block for item in blocks for block in item.carried]
        if carried:
            parts += carried
        elif any(block.is_own for block in blocks):
            # signed thoughts and server tools mean something only to their maker, and only in a turn that is whole
            parts += [OpaqueBlock(dialect=DIALECT, json=bytes(raw)) for raw in content]
        return Message(role="assistant", parts=tuple(parts) or (Text(text=""),))

    def _said(self, raw: Raw, path: str) -> _Said:
        match kind := wire.type_of(raw):
            case "text":
                text = decode_at(raw, wire.TextBlock, path=path)
                is_cited = any(not is_marked(cited.encrypted_index or "-") for cited in text.citations or ())
                return _Said([Text(text=text.text, cache_ttl=cache_ttl(text.cache_control))], is_own=is_cited)
            case "tool_use":
                return self._call(decode_at(raw, wire.ToolUseBlock, path=path), path)
            case "thinking":
                thinking = decode_at(raw, wire.ThinkingBlock, path=path)
                thought = [Reasoning(text=thinking.thinking)] if thinking.thinking else []
                return _Said(thought, is_own=not is_marked(thinking.signature))
            case "redacted_thinking":
                blocks = unpacked(decode_at(raw, wire.RedactedThinkingBlock, path=path).data)
                return _Said([], is_own=True) if blocks is None else _Said([], carried=blocks)
            case "":
                raise unknown_block(kind, path)
            case _:
                return _Said([], is_own=True)

    def _call(self, block: wire.ToolUseBlock, path: str) -> _Said:
        arguments = bytes(block.input).strip()
        if not arguments.startswith(b"{"):
            raise InvalidRequest(f"{path}.input is not an object.", param=f"{path}.input")
        self._names[block.id] = block.name
        ttl = cache_ttl(block.cache_control)
        call = ToolCall(id=block.id, name=block.name, arguments=arguments.decode(), cache_ttl=ttl)
        is_own = bool(block.toolset_name) or (block.caller is not None and block.caller.type != "direct")
        return _Said([call], is_own=is_own)


class _Said:
    """What one block of the assistant says.

    Args:
        carried: blocks of another provider that it brings back.
        is_own: neutral words do not say it whole.
    """

    __slots__ = ("carried", "is_own", "parts")

    def __init__(self, parts: Sequence[Part], *, carried: Sequence[OpaqueBlock] = (), is_own: bool = False) -> None:
        self.parts = parts
        self.carried = carried
        self.is_own = is_own
