"""The JetStream assets of the platform, made once at the start of every service that needs them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import structlog
from nats import errors
from nats.js import api
from nats.js.errors import APIError, BadRequestError
from nats.js.errors import Error as JetStreamError

from llm_manager.core.errors import BusUnavailable
from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.bus.names import (
    BUCKET_CLAIMS,
    BUCKET_CONFIG,
    STREAM_EVENTS,
    STREAM_USAGE,
    SUBJECTS_EVENTS,
    SUBJECTS_USAGE,
)
from llm_manager.kit.bus.refusals import NotPermittedError

_READY_SECONDS = 15.0
_RETRY_SECONDS = 0.2
_DAY = 86_400.0
# A server restart and the retries around it fit; the server keeps each id in memory for so long (150 bytes). A retry
# that comes later is stored twice, and folded in the ledger.
_DEDUPE_SECONDS = 120.0
# Some 1.3 million events: the outage of the ledger that this bridges. Nothing goes by age: an event leaves when it is
# stored and room is wanted (usage/ledger/trimmer.py), and a full stream refuses new ones: work is refused first.
USAGE_BYTES = 1024**3
# What was started must outlive whoever looks for it, the usage service, and with it what USAGE holds for it: it has two
# smaller events for each of USAGE, and goes by size and age only.
_EVENTS_AGE_SECONDS = 30 * _DAY
_EVENTS_PER_USAGE_BYTE = 2
_CLAIM_AGE_SECONDS = 600.0
_CLAIM_BUCKET_BYTES = 1024**3
# Error code of the server for "exists with another configuration".
_NAME_IN_USE = 10058

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def _assets(replicas: int, usage_bytes: int) -> Iterator[api.StreamConfig]:
    yield api.StreamConfig(
        name=STREAM_USAGE,
        subjects=[SUBJECTS_USAGE],
        storage=api.StorageType.FILE,
        retention=api.RetentionPolicy.LIMITS,
        discard=api.DiscardPolicy.NEW,
        duplicate_window=_DEDUPE_SECONDS,
        max_bytes=usage_bytes,
        max_age=0.0,
        num_replicas=replicas,
    )
    yield api.StreamConfig(
        name=STREAM_EVENTS,
        subjects=[SUBJECTS_EVENTS],
        storage=api.StorageType.FILE,
        retention=api.RetentionPolicy.LIMITS,
        discard=api.DiscardPolicy.OLD,
        duplicate_window=_DEDUPE_SECONDS,
        max_bytes=usage_bytes * _EVENTS_PER_USAGE_BYTE,
        max_age=_EVENTS_AGE_SECONDS,
        num_replicas=replicas,
    )
    # The layouts of KV buckets (ADR-8) and object buckets (ADR-20) of NATS, written out so that they can be updated.
    yield api.StreamConfig(
        name=f"KV_{BUCKET_CONFIG}",
        subjects=[f"$KV.{BUCKET_CONFIG}.>"],
        storage=api.StorageType.FILE,
        discard=api.DiscardPolicy.NEW,
        max_msgs_per_subject=1,
        allow_rollup_hdrs=True,
        allow_direct=True,
        allow_msg_ttl=True,
        deny_delete=True,
        duplicate_window=120.0,
        num_replicas=replicas,
    )
    yield api.StreamConfig(
        name=f"OBJ_{BUCKET_CLAIMS}",
        subjects=[f"$O.{BUCKET_CLAIMS}.C.>", f"$O.{BUCKET_CLAIMS}.M.>"],
        storage=api.StorageType.FILE,
        discard=api.DiscardPolicy.NEW,
        max_age=_CLAIM_AGE_SECONDS,
        max_bytes=_CLAIM_BUCKET_BYTES,
        allow_rollup_hdrs=True,
        allow_direct=True,
        duplicate_window=120.0,
        num_replicas=replicas,
    )


async def ensure_streams(bus: Bus, *, replicas: int = 1, usage_bytes: int | None = None) -> None:
    """Create the assets that are missing. Idempotent, and safe from several processes, in whatever order they start.

    Args:
        usage_bytes: room of the stream USAGE; EVENTS gets twice as much. Given by the one service that may change
            assets: those that differ are updated. None leaves what is there as it is.

    Raises:
        BusUnavailable: JetStream did not answer within 15 s, or refused; the message says which asset.
    """
    for config in _assets(replicas, usage_bytes or USAGE_BYTES):
        await _ensure(bus, config, is_owner=usage_bytes is not None)


async def _ensure(bus: Bus, config: api.StreamConfig, *, is_owner: bool) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + _READY_SECONDS
    while True:
        try:
            await _create_or_update(bus, config, is_owner=is_owner)
        except (errors.Error, JetStreamError, TimeoutError) as error:
            if isinstance(error, BadRequestError | NotPermittedError) or loop.time() >= until:
                raise BusUnavailable(
                    f"JetStream did not set up {config.name}: {error}; check that the server runs with JetStream (-js)."
                ) from error
            # JetStream answers a moment later than the server itself.
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            return


async def _create_or_update(bus: Bus, config: api.StreamConfig, *, is_owner: bool) -> None:
    try:
        await bus.jetstream.add_stream(config)  # pyright: ignore[reportUnknownMemberType]  # its **params are untyped
    except APIError as error:
        if error.err_code != _NAME_IN_USE:
            raise
        if not is_owner:
            return
        await bus.jetstream.update_stream(config)  # pyright: ignore[reportUnknownMemberType]  # its **params are untyped
        log.info("bus_stream_updated", stream=config.name)
