"""Who an answer is, from its first chunk to its last: some providers change id or time on the way, or say neither."""

from __future__ import annotations

import time

from llm_manager.providers.dialects.json_values import Json
from llm_manager.providers.dialects.numbers import unix_seconds
from llm_manager.providers.dialects.openai_chat.events import ChatEvent
from llm_manager.providers.dialects.port import NewId


class Identity:
    """Id, time and model of a stream. Clients group chunks by the id, so all chunks carry the first one's."""

    def __init__(self) -> None:
        self._id: str | None = None
        self._created: int | None = None
        self._model: str | None = None

    @property
    def is_known(self) -> bool:
        """Whether a chunk has said an id."""
        return bool(self._id)

    def holds(self, chunk: ChatEvent) -> bool:
        """Return whether a chunk says the same as those before it; what was not said before is remembered."""
        self._id = self._id or chunk.id
        # Azure's first chunk says what was filtered and has no id, no model, and the time 0.
        if chunk.created is not None:
            self._created = self._created or unix_seconds(chunk.created)
        self._model = self._model or chunk.model
        # 1700000000.0 equals 1700000000, but clients in typed languages read a whole number only.
        is_same_time = type(chunk.created) is int and chunk.created == self._created
        return chunk.id == self._id and is_same_time and chunk.model == self._model

    def settle(self, new_id: NewId) -> None:
        """Make up what the answer's first words left out: every chunk has these members, and clients read them."""
        self._id = self._id or new_id()
        if self._created is None:
            self._created = int(time.time())
        self._model = self._model or ""

    def impose(self, document: Json) -> None:
        """Give a chunk the identity of the stream."""
        for name, value in (("id", self._id), ("created", self._created), ("model", self._model)):
            if value or (value == "" and document.get(name) is None):
                document[name] = value
