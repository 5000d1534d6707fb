"""Which call a fragment belongs to, and its dense number.

OpenAI numbers fragments well. Others send no index (Mistral before 2025), or index 0 for every call of a turn
(OpenRouter with Gemini behind it, recordings openai_compatible-chat-59f7a7e713; known-failures B-10, L-29).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec


@dataclass(slots=True)
class OpenCall:
    """A call that has begun; `index` is dense from 0."""

    index: int
    id: str
    name: str = ""
    arguments: list[str] = field(default_factory=list[str])


class ToolCalls:
    """The calls of one choice."""

    __slots__ = ("_by_number", "calls")

    def __init__(self) -> None:
        self.calls: list[OpenCall] = []
        self._by_number: dict[int, OpenCall] = {}

    def place(self, number: int | None, call_id: str, name: str) -> tuple[OpenCall, bool]:
        """Return the call that a fragment continues, or a new one and True.

        Args:
            number: the provider's own index, None when it sent none.
            call_id: the provider's id; empty when it sent none.
            name: name of the tool; empty when it sent none.
        """
        call = (
            self.calls[-1] if number is None and self.calls else self._by_number.get(-1 if number is None else number)
        )
        if call is None or self._is_other(call, call_id, name):
            call = OpenCall(len(self.calls), call_id, name)
            self.calls.append(call)
            if number is not None:
                self._by_number[number] = call
            return call, True
        call.id = call.id or call_id
        return call, False

    @staticmethod
    def _is_other(call: OpenCall, call_id: str, name: str) -> bool:
        if call_id and call.id:
            return call_id != call.id
        # Servers without ids and with index 0 throughout: a second name after whole arguments is a second call.
        return bool(name and call.name and not call_id and _is_whole("".join(call.arguments)))


def _is_whole(arguments: str) -> bool:
    if not arguments:
        return False
    try:
        msgspec.json.decode(arguments)
    except msgspec.DecodeError:
        return False
    return True
