"""Payloads above the server's limit travel through the object store; the message holds only their name."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import urlsafe_b64encode
from contextlib import suppress

from nats import errors
from nats.js import api
from nats.js.errors import APIError
from nats.js.errors import Error as JetStreamError
from nats.js.object_store import ObjectStore

from llm_manager.core.errors import BodyTooLarge, StoreUnavailable
from llm_manager.core.ids import uuid7
from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.bus.names import BUCKET_CLAIMS

MAX_CLAIM_BYTES = 64 * 1024 * 1024
# Room for headers and for the frame around the business bytes, which count towards the server's limit.
_ENVELOPE_BYTES = 24 * 1024
_TRANSFER_SECONDS = 30.0
# nats-server (2.15) keeps the buffer of every message that it delivered from a stream for the next one, and has as many
# as it ever sent at once: up to 1,000 when the ledger takes a batch. In chunks of 1 MB they came to 1.5 GB in a soak
# with a body of 10 MB in 2,000. A claim of 10 MB takes 183 ms in and out with these, 142 with 1 MB (2026-11-29).
_CHUNK_BYTES = 64 * 1024
_STREAM = f"OBJ_{BUCKET_CLAIMS}"


class ClaimStore:
    """The object bucket `claims`. Claims vanish after ten minutes when nobody fetches them."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._store = ObjectStore(name=BUCKET_CLAIMS, stream=_STREAM, js=bus.jetstream)

    @property
    def inline_limit(self) -> int:
        """Bytes up to which a payload travels inside the message."""
        return max(self._bus.max_payload - _ENVELOPE_BYTES, self._bus.max_payload // 2)

    async def deposit(self, payload: bytes) -> str:
        """Store a payload and return the name of its claim.

        Raises:
            BodyTooLarge: the payload is above 64 MiB.
            StoreUnavailable: the object store did not take it.
        """
        if len(payload) > MAX_CLAIM_BYTES:
            raise BodyTooLarge(f"A message of {len(payload)} bytes is above the bus limit of {MAX_CLAIM_BYTES} bytes.")
        name = uuid7()
        chunk_bytes = min(_CHUNK_BYTES, self.inline_limit)
        meta = api.ObjectMeta(name=name, options=api.ObjectMetaOptions(max_chunk_size=chunk_bytes))
        try:
            async with asyncio.timeout(_TRANSFER_SECONDS):
                await self._store.put(name, payload, meta=meta)
        except (errors.Error, JetStreamError, TimeoutError) as error:
            raise StoreUnavailable(
                f"The object store of the bus did not take {len(payload)} bytes ({error}); retry in a moment."
            ) from error
        return name

    async def redeem(self, name: str) -> bytes:
        """Fetch a payload and delete it from the store.

        Raises:
            StoreUnavailable: it is not there any more, is damaged, or the store does not answer.
        """
        try:
            async with asyncio.timeout(_TRANSFER_SECONDS):
                payload = await self._fetch(name)
        except (errors.Error, JetStreamError, TimeoutError) as error:
            raise StoreUnavailable(f"A large message could not be fetched from the bus ({error}); retry.") from error
        with suppress(errors.Error, JetStreamError, TimeoutError):
            # A claim that cannot be deleted now goes by its age.
            await self._store.delete(name)
        return payload

    async def _fetch(self, name: str) -> bytes:
        # Direct gets, one per chunk, instead of ObjectStore.get: that makes a consumer which outlives a cancelled read,
        # waits for ever when a chunk is missing, and copies everything again for every chunk (nats-py 2.16).
        info = await self._store.get_info(name)
        if (info.size or 0) > MAX_CLAIM_BYTES:
            raise APIError(code=413, description="claim above the limit")
        subject = f"$O.{BUCKET_CLAIMS}.C.{info.nuid}"
        chunks: list[bytes] = []
        sequence = 1
        for _ in range(info.chunks or 0):
            chunk = await self._bus.jetstream.get_msg(_STREAM, seq=sequence, subject=subject, direct=True, next=True)
            chunks.append(chunk.data or b"")
            sequence = (chunk.seq or 0) + 1
        payload = b"".join(chunks)
        digest = urlsafe_b64encode(hashlib.sha256(payload).digest()).decode()
        if info.digest != f"SHA-256={digest}":
            raise APIError(code=500, description="digest differs")
        return payload
