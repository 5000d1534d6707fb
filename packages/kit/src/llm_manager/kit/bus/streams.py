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

_READY_SECONDS = 15.0
_RETRY_SECONDS = 0.2
_DAY = 86_400.0
# A server restart plus the longest retry of a publisher must fit, so that no retry counts twice.
_DEDUPE_SECONDS = 600.0
# The ledger is the usage service's database; the stream bridges its outages and allows a replay of the last month.
_USAGE_AGE_SECONDS = 30 * _DAY
_EVENTS_AGE_SECONDS = 7 * _DAY
_CLAIM_AGE_SECONDS = 600.0
_CLAIM_BUCKET_BYTES = 1024**3
# Error code of the server for "exists with another configuration".
_NAME_IN_USE = 10058

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def _assets(replicas: int) -> Iterator[api.StreamConfig]:
    for name, subject, age in (
        (STREAM_USAGE, SUBJECTS_USAGE, _USAGE_AGE_SECONDS),
        (STREAM_EVENTS, SUBJECTS_EVENTS, _EVENTS_AGE_SECONDS),
    ):
        yield api.StreamConfig(
            name=name,
            subjects=[subject],
            storage=api.StorageType.FILE,
            retention=api.RetentionPolicy.LIMITS,
            duplicate_window=_DEDUPE_SECONDS,
            max_age=age,
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


async def ensure_streams(bus: Bus, *, replicas: int = 1) -> None:
    """Create the assets that are missing and update those that differ. Idempotent, and safe from several processes.

    Raises:
        BusUnavailable: JetStream did not answer within 15 s, or refused; the message says which asset.
    """
    for config in _assets(replicas):
        await _ensure(bus, config)


async def _ensure(bus: Bus, config: api.StreamConfig) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + _READY_SECONDS
    while True:
        try:
            await _create_or_update(bus, config)
        except (errors.Error, JetStreamError, TimeoutError) as error:
            if isinstance(error, BadRequestError) or loop.time() >= until:
                raise BusUnavailable(
                    f"JetStream did not set up {config.name}: {error}; check that the server runs with JetStream (-js)."
                ) from error
            # JetStream answers a moment later than the server itself.
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            return


async def _create_or_update(bus: Bus, config: api.StreamConfig) -> None:
    try:
        await bus.jetstream.add_stream(config)  # pyright: ignore[reportUnknownMemberType]  # its **params are untyped
    except APIError as error:
        if error.err_code != _NAME_IN_USE:
            raise
        await bus.jetstream.update_stream(config)  # pyright: ignore[reportUnknownMemberType]  # its **params are untyped
        log.info("bus_stream_updated", stream=config.name)
