"""Writes a conversation as the items of an `input`."""

from __future__ import annotations

from typing import Any

import msgspec

from llm_manager.core.errors import InvalidRequest
from llm_manager.core.facts import Facts
from llm_manager.core.messages import ChatInput, Media, Message, OpaqueBlock, Refusal, Text, ToolCall, ToolResult
from llm_manager.providers.dialects.json_values import table
from llm_manager.providers.dialects.openai_responses.blocks import DIALECT, returns_as_it_is
from llm_manager.providers.dialects.openai_responses.media import media_part
from llm_manager.providers.dialects.parts import given_by, text_given_by, without_names
from llm_manager.providers.dialects.pointers import raw_table
from llm_manager.providers.dialects.policy import Policy

# Any: JSON documents are built here
Json = dict[str, Any]
Item = Json | msgspec.Raw


class Turns:
    """Builds the items of one conversation in order."""

    def __init__(self, facts: Facts, policy: Policy) -> None:
        self._facts = facts
        self._policy = policy
        self._items: list[Item] = []
        self._custom_calls: set[str] = set()

    @classmethod
    def of(cls, facts: Facts, request: ChatInput, *, policy: Policy) -> list[Item]:
        """Return the items.

        What the system says stays an item where it was said: `instructions` has one place only, and not every server
        takes it.

        Raises:
            InvalidRequest: a medium that cannot stand where it stands.
            UnsupportedParameter: media in an assistant's turn, or the name of who speaks, and the policy refuses.
        """
        turns = cls(facts, policy)
        without_names(request.messages, policy)
        for message in request.messages:
            turns.add(message)
        return turns._items

    def add(self, message: Message) -> None:
        """Write the next turn; each result of a tool is an item of its own."""
        if message.role == "assistant":
            own = [part.json for part in message.parts if isinstance(part, OpaqueBlock) and part.dialect == DIALECT]
            if own:
                self._return(own)
            else:
                self._say(message)
            return
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        self._items += [self._result(result) for result in results]
        content = _content(message)
        if content or not results:
            role = "user" if message.role == "tool" else message.role
            self._items.append({"role": role, "content": content})

    def _return(self, items: list[bytes]) -> None:
        """Send a turn of the provider back as it wrote it (known-failures B-17, T-14)."""
        kept = [item for item in items if returns_as_it_is(item)]
        for raw in kept:
            item = table(msgspec.json.decode(raw))
            if item.get("type") == "custom_tool_call":
                self._custom_calls.add(str(item.get("call_id")))
            if len(kept) < len(items) and "id" in item:
                # By its id the provider would know which reasoning is missing in front of an item, and refuse it.
                rest = {name: value for name, value in raw_table(raw).items() if name != "id"}
                self._items.append(msgspec.Raw(msgspec.json.encode(rest)))
            else:
                self._items.append(msgspec.Raw(raw))

    def _say(self, message: Message) -> None:
        """Write a turn in neutral words. Reasoning goes back in items of the provider's own, or not at all."""
        said: list[Json] = []
        for part in message.parts:
            match part:
                case Text(text=text) if text:
                    said.append({"type": "output_text", "text": text})
                case Refusal(text=text) if text:
                    said.append({"type": "refusal", "refusal": text})
                case ToolCall(id=call_id, name=name, arguments=arguments):
                    self._end_message(said)
                    said = []
                    # Both mean that there are none (recordings, quirk 21); all else stays the model's own, cut or not.
                    given = "{}" if arguments.strip() in ("", "null") else arguments
                    self._items.append({"type": "function_call", "call_id": call_id, "name": name, "arguments": given})
                case Media():
                    hint = "an assistant's turn holds text; send pictures and files as the user's"
                    self._policy.unsupported(self._facts, "messages", hint=hint)
                case _:
                    pass
        self._end_message(said)

    def _end_message(self, said: list[Json]) -> None:
        match said:
            case []:
                return
            case [{"type": "output_text", "text": text}]:
                self._items.append({"role": "assistant", "content": text})
            case _:
                self._items.append({"role": "assistant", "content": said})

    def _result(self, result: ToolResult) -> Json:
        kind = "custom_tool_call" if result.tool_call_id in self._custom_calls else "function_call"
        given = given_by(result)
        output: str | list[Json] = [
            media_part(part) if isinstance(part, Media) else {"type": "input_text", "text": part.text} for part in given
        ]
        if any(part["type"] == "input_audio" for part in output):
            raise InvalidRequest("The result of a tool can hold text, pictures and files, no audio.", param="messages")
        if len(given) <= 1 and not result.media:
            output = text_given_by(result)
        return {"type": f"{kind}_output", "call_id": result.tool_call_id, "output": output}


def _content(message: Message) -> str | list[Json]:
    shown = [part for part in message.parts if isinstance(part, Text | Refusal | Media)]
    match shown:
        case []:
            return ""
        case [Text(text=text) | Refusal(text=text)]:
            return text
        case _:
            return [
                media_part(part) if isinstance(part, Media) else {"type": "input_text", "text": part.text}
                for part in shown
            ]
