"""A conversation in short: the question to a model, and the item that carries its answer; pure.

Every provider can do it, because the platform asks for the summary itself. The item's `encrypted_content` is a packed
block of ours; sent back as input it becomes a message that tells the model what went before.

Source: Open Responses 2026-04-24, POST /responses/compact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import msgspec

from llm_manager.core.errors import InvalidRequest
from llm_manager.core.messages import (
    ChatInput,
    Media,
    Message,
    OpaqueBlock,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from llm_manager.gateway.ingress.opaque import packed, unpacked

_DIALECT = "llm_manager_compaction"
_TASK = (
    "Below is a conversation between a user and an assistant. Write a summary from which another assistant can carry "
    "on without having read it. Keep: what the user wants, in the user's own words where they matter; decisions and "
    "constraints; facts, names, numbers, identifiers, paths and code that may be needed again; what tools were called "
    "and what came of it; what is still open. Leave out greetings and repetition. Answer with the summary alone."
)
_BEFORE = "This conversation was shortened. What went before, in summary:\n\n"


class _Summary(msgspec.Struct, frozen=True):
    summary: str


def compaction_input(messages: Sequence[Message], *, instructions: str | None) -> ChatInput:
    """Ask for the summary of a conversation.

    The conversation goes as one text, because providers refuse messages with calls of tools that are not declared.

    Args:
        instructions: what the client wants to be kept.
    """
    task = f"{_TASK}\n\nBeyond that: {instructions}" if instructions else _TASK
    transcript = "\n\n".join(_paragraph(message) for message in messages)
    asked = f"<conversation>\n{transcript}\n</conversation>"
    return ChatInput(
        messages=(Message(role="system", parts=(Text(text=task),)), Message(role="user", parts=(Text(text=asked),)))
    )


def compaction_item(item_id: str, summary: str) -> dict[str, object]:
    """Return the item that stands for a conversation."""
    block = OpaqueBlock(dialect=_DIALECT, json=msgspec.json.encode(_Summary(summary)))
    return {"id": item_id, "type": "compaction", "encrypted_content": packed([block])}


def summary_message(encrypted_content: str, *, path: str) -> Message:
    """Return what an item stands for.

    Raises:
        InvalidRequest: it is not one of ours.
    """
    for block in unpacked(encrypted_content) or ():
        if block.dialect == _DIALECT:
            try:
                summary = msgspec.json.decode(block.json, type=_Summary).summary
            except msgspec.DecodeError:
                break
            return Message(role="user", parts=(Text(text=_BEFORE + summary),))
    raise InvalidRequest(
        f"{path}.encrypted_content was not made here; only the provider that made it can read it.",
        param=f"{path}.encrypted_content",
    )


def _paragraph(message: Message) -> str:
    return f"{message.role}: " + "\n".join(text for part in message.parts if (text := _shown(part)))


def _shown(part: Part) -> str:
    match part:
        case Text() | Refusal():
            return part.text
        case Reasoning():
            return f"[thought: {part.text}]"
        case ToolCall():
            return f"[called {part.name} as {part.id} with {part.arguments}]"
        case ToolResult():
            return f"[{part.tool_call_id} answered: {part.text}]"
        case Media():
            return f"[{part.mime_type or 'a file'} {part.filename or part.url or part.file_id or ''}]".replace(
                " ]", "]"
            )
        case OpaqueBlock():
            return ""
        case _:
            assert_never(part)
