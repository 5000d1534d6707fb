"""Who an answer is, from its first chunk to its last: some providers change id or time on the way."""

from __future__ import annotations

from llm_manager.providers.dialects.json_values import Json
from llm_manager.providers.dialects.openai_chat.events import ChatEvent


class Identity:
    """Id, time and model of a stream. Clients group chunks by the id, so all chunks carry the first one's."""

    def __init__(self) -> None:
        self._id: str | None = None
        self._created: float | None = None
        self._model: str | None = None

    @property
    def is_known(self) -> bool:
        """Whether a chunk has said an id."""
        return bool(self._id)

    def holds(self, chunk: ChatEvent) -> bool:
        """Return whether a chunk says the same as those before it; what was not said before is remembered."""
        self._id = self._id or chunk.id
        # Azure's first chunk says what was filtered and has no id, no model, and the time 0.
        self._created = self._created or chunk.created
        self._model = self._model or chunk.model
        return chunk.id == self._id and chunk.created == self._created and chunk.model == self._model

    def impose(self, document: Json) -> None:
        """Give a chunk the identity of the stream."""
        for name, value in (("id", self._id), ("created", self._created), ("model", self._model)):
            if value:
                document[name] = int(value) if isinstance(value, float) else value
