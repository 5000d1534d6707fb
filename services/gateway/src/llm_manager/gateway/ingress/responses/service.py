"""The use cases of stored responses: go on from one, keep one, read, delete, and forget what is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import NoReturn

import structlog

from llm_manager.core.errors import InvalidRequest, LlmManagerError, StoreUnavailable
from llm_manager.gateway.http.built import Built
from llm_manager.gateway.ingress.responses.errors import not_found, previous_not_found
from llm_manager.gateway.ingress.responses.store import LONGEST_CHAIN, ResponseStore
from llm_manager.gateway.ingress.responses.turn import Turn

log = structlog.stdlib.get_logger("gateway")

# A client waits for the end of its answer while the response is stored; it is stored in milliseconds or not at all.
_SAVE_SECONDS, _READ_SECONDS, _PURGE_SECONDS = 5.0, 15.0, 60.0
_PURGE_EVERY_SECONDS, _PURGED_AT_ONCE = 600.0, 500


class StoredResponses:
    """What the platform keeps of responses.

    Args:
        retention: how long a response is kept.
        max_history_bytes: the largest conversation that a request can go on from.
        max_bytes: the largest response, with its own input, that is stored.
    """

    def __init__(
        self,
        store: ResponseStore,
        *,
        retention: timedelta,
        max_history_bytes: int = 33_554_432,
        max_bytes: int = 16_777_216,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._retention = retention
        self._max_history_bytes = max_history_bytes
        self._max_bytes = max_bytes
        self._clock = clock

    def now(self) -> datetime:
        """The time."""
        return self._clock()

    def expiry(self, created_at: datetime) -> datetime:
        """Return when a response is forgotten."""
        return created_at + self._retention

    async def history(self, app_id: str, response_id: str) -> Sequence[Turn]:
        """Return a response and all that it goes on from, oldest first.

        Raises:
            PreviousResponseNotFound: one of them is not there for this app.
            InvalidRequest: together they are too large.
            StoreUnavailable.
        """
        turns = await self._chain(app_id, response_id)
        if not turns or turns[-1].id != response_id:
            raise previous_not_found(response_id)
        if len(turns) > LONGEST_CHAIN:
            raise InvalidRequest(
                f"The conversation before this request has more than {LONGEST_CHAIN} responses; compact it with "
                "POST /v1/responses/compact, or begin a new one.",
                param="previous_response_id",
            )
        if turns[0].previous_id:
            # without its beginning the conversation would be another one, and nobody would notice
            raise previous_not_found(turns[0].previous_id)
        return turns

    async def keep(self, turn: Turn) -> bool:
        """Store a turn; return whether it is stored. A failure is logged, not raised: the answer is there and paid."""
        size_bytes = len(turn.input) + len(turn.response)
        if size_bytes > self._max_bytes:
            log.warning("response_too_large_to_store", response_id=turn.id, app_id=turn.app_id, size_bytes=size_bytes)
            return False
        try:
            async with asyncio.timeout(_SAVE_SECONDS):
                await self._store.save(turn)
        except (LlmManagerError, TimeoutError) as error:
            log.warning("response_not_stored", response_id=turn.id, app_id=turn.app_id, error=type(error).__name__)
            return False
        return True

    async def get(self, app_id: str, response_id: str) -> Turn:
        """Return a response.

        Raises:
            NotFound, StoreUnavailable.
        """
        turn = await self.find(app_id, response_id)
        if turn is None:
            raise not_found(response_id)
        return turn

    async def find(self, app_id: str, response_id: str) -> Turn | None:
        """Return a response, None when there is none; raises StoreUnavailable."""
        async with _deadline(_READ_SECONDS):
            return await self._store.get(app_id, response_id, now=self._clock())

    async def read_by_model(self, app_id: str, response_id: str) -> Sequence[Turn]:
        """Return a response and what is still there of all that it goes on from, oldest first.

        Raises:
            NotFound, InvalidRequest, StoreUnavailable.
        """
        turns = await self._chain(app_id, response_id)
        if not turns:
            raise not_found(response_id)
        return turns

    async def delete(self, app_id: str, response_id: str) -> None:
        """Delete a response; what goes on from it can no longer be gone on from.

        Raises:
            NotFound, StoreUnavailable.
        """
        async with _deadline(_READ_SECONDS):
            is_deleted = await self._store.delete(app_id, response_id, now=self._clock())
        if not is_deleted:
            raise not_found(response_id)

    async def cancel(self, app_id: str, response_id: str) -> NoReturn:
        """Refuse: a stored response is over, and one under way is cancelled by closing its connection.

        Raises:
            NotFound, InvalidRequest, StoreUnavailable.
        """
        await self.get(app_id, response_id)
        raise InvalidRequest(
            "Nothing runs in the background here, so this response is over; one under way is cancelled by closing its "
            "connection."
        )

    async def purge(self) -> int:
        """Delete what has expired; return how many. Raises StoreUnavailable."""
        deleted = 0
        async with _deadline(_PURGE_SECONDS):
            while True:
                count = await self._store.purge(now=self._clock(), limit=_PURGED_AT_ONCE)
                deleted += count
                if count < _PURGED_AT_ONCE:
                    return deleted

    @asynccontextmanager
    async def purging(self, *, every_seconds: float = _PURGE_EVERY_SECONDS) -> AsyncGenerator[None]:
        """Delete what expires while the body runs."""
        task = asyncio.create_task(self._purge_regularly(every_seconds), name="responses-purge")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _purge_regularly(self, every_seconds: float) -> None:
        while True:
            try:
                deleted = await self.purge()
            except StoreUnavailable as error:
                # the next round comes by itself, and until then expired rows are not read anyway
                log.warning("responses_not_purged", error=str(error))
            else:
                if deleted:
                    log.info("responses_purged", count=deleted)
            await asyncio.sleep(every_seconds)

    async def _chain(self, app_id: str, response_id: str) -> Sequence[Turn]:
        async with _deadline(_READ_SECONDS):
            return await self._store.chain(app_id, response_id, now=self._clock(), max_bytes=self._max_history_bytes)


@asynccontextmanager
async def _deadline(seconds: float) -> AsyncGenerator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise StoreUnavailable(f"The control-plane database did not answer within {seconds:g} s; retry.") from error


RESPONSES: Built[StoredResponses] = Built("responses")
