"""The last conversation of one connection, so that it can go on from what was not stored."""

from __future__ import annotations

from collections.abc import Sequence

from llm_manager.gateway.ingress.responses.turn import Turn


class Memory:
    """Keeps the conversation that the last response belongs to, for as long as it is small enough.

    OpenAI's WebSocket mode promises the same: the most recent response can be gone on from although `store` is false.
    Source: https://developers.openai.com/api/docs/guides/websocket-mode, read on 2026-11-24.
    """

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._turns: tuple[Turn, ...] = ()

    def history(self, response_id: str) -> Sequence[Turn]:
        """Return a response and all that it goes on from, oldest first; nothing when it is not the last one."""
        return self._turns if self._turns and self._turns[-1].id == response_id else ()

    def keep(self, before: Sequence[Turn], turn: Turn) -> None:
        """Remember a turn after those that it goes on from."""
        turns = (*before, turn)
        size = sum(len(item.input) + len(item.response) for item in turns)
        self._turns = turns if size <= self._max_bytes else ()

    def forget(self, response_id: str | None) -> None:
        """Forget a conversation that could not be gone on from; the next request has to bring all of it."""
        if self._turns and self._turns[-1].id == response_id:
            self._turns = ()
