"""Whether a key opens the door; pure, a few microseconds, no store on the way."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from math import inf

from llm_manager.core.errors import AuthenticationFailed, PermissionRefused, StoreUnavailable
from llm_manager.core.ids import hash_api_key, parse_api_key
from llm_manager.gateway.access.rules import Permission
from llm_manager.gateway.catalogue.records import KeyRecord
from llm_manager.gateway.catalogue.rules import Snapshot
from llm_manager.gateway.inference.rules import Caller
from llm_manager.gateway.keys.networks import Networks

# The scope of who may call models; every other scope is a permission of the admin API.
INFERENCE = "inference"
SCOPES: tuple[str, ...] = (INFERENCE, *Permission)
_HOW = "Send it as `Authorization: Bearer lm_live_…`; `llm-manager keys` makes one."
# Compared with when the id is unknown, so that an unknown id and a wrong secret take the same time.
_NO_HASH = "A" * 43 + "="
_MOST_KNOWN = 10_000
_SHOWN_ADDRESS = 64


def proven(authorization: str | None, snapshot: Snapshot, *, pepper: bytes, is_current: bool) -> KeyRecord:
    """Return the key that a header shows. Whether it may be used now, from here, for this, is not asked yet.

    Args:
        authorization: the header as it came, None when it did not.
        is_current: whether this process knows the whole catalogue; when not, an unknown key may be a new one.
    Raises:
        AuthenticationFailed: no key, a mistyped, unknown or revoked one, or one of an app that is switched off.
        StoreUnavailable: the key may be good, and nobody can tell now.
    """
    if not authorization:
        raise AuthenticationFailed(f"The API key is missing. {_HOW}")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise AuthenticationFailed(f"The authorization header is not a bearer token. {_HOW}")
    key = parse_api_key(token.strip())
    if key is None:
        raise AuthenticationFailed(f"The API key is mistyped or of another platform. {_HOW}")
    record = snapshot.keys.get(key.id)
    is_same = hmac.compare_digest(hash_api_key(key.token, pepper=pepper), record.hash if record else _NO_HASH)
    if record is not None and is_same and record.app_id in snapshot.apps:
        return record
    if record is None and not (snapshot.is_complete and is_current):
        raise StoreUnavailable("The API key cannot be checked right now; retry in a moment.", retry_after_seconds=1)
    if record is not None and is_same:
        raise AuthenticationFailed(f"The app of the API key {key.id} is switched off; ask who manages it.")
    raise AuthenticationFailed(f"The API key {key.id} is unknown or revoked. {_HOW}")


@dataclass(frozen=True, slots=True)
class Conditions:
    """When and from where a key may be used, ready for every request."""

    key_id: str
    expires_at: datetime | None
    expires: float
    networks: Networks | None

    @staticmethod
    def of(record: KeyRecord) -> Conditions:
        """Prepare those of a key."""
        at, allowed = record.expires_at, record.allowed_addresses
        return Conditions(
            key_id=record.id,
            expires_at=at,
            expires=inf if at is None else at.timestamp(),
            networks=None if allowed is None else _networks(allowed),
        )

    def check(self, *, address: str, now: float) -> None:
        """Go on only if they hold.

        Args:
            address: of the connection; empty when it has none.
            now: in Unix seconds.

        Raises:
            AuthenticationFailed: the key has expired.
            PermissionRefused: it may not come from there.
        """
        if now >= self.expires:
            raise AuthenticationFailed(
                f"The API key {self.key_id} expired at {self.expires_at:%Y-%m-%d %H:%M:%S} UTC; "
                "use the one that replaced it, or make another with `llm-manager keys create`."
            )
        if self.networks is not None and not self.networks.holds(address):
            seen = f"the address {address[:_SHOWN_ADDRESS]}" if address else "a connection without an address"
            raise PermissionRefused(
                f"The API key {self.key_id} may not be used from {seen}; "
                f"add it to allowed_addresses (PATCH /api/v1/keys/{self.key_id}), or ask who manages keys."
            )


@lru_cache(maxsize=_MOST_KNOWN)
def _networks(allowed: tuple[str, ...]) -> Networks:
    """Return networks prepared: a hundred take half a millisecond, and every change of the catalogue asks again."""
    return Networks.of(allowed)


def authenticate(
    authorization: str | None, snapshot: Snapshot, *, pepper: bytes, is_current: bool, address: str, now: float
) -> Caller:
    """Return who calls models.

    Args:
        address, now: see `Conditions.check`.
    Raises:
        AuthenticationFailed: see `proven`; or the key has expired.
        PermissionRefused: the key may not come from there, or not call models.
        StoreUnavailable: the key may be good, and nobody can tell now.
    """
    record = proven(authorization, snapshot, pepper=pepper, is_current=is_current)
    Conditions.of(record).check(address=address, now=now)
    return caller_of(record)


def caller_of(record: KeyRecord) -> Caller:
    """Return who calls models with a key.

    Raises:
        PermissionRefused: it lacks the scope.
    """
    if INFERENCE not in record.scopes:
        raise PermissionRefused(
            f"The API key {record.id} may not call models: it needs the scope {INFERENCE} "
            f"(PATCH /api/v1/keys/{record.id}); ask who manages keys."
        )
    return Caller(app_id=record.app_id, api_key_id=record.id)


class KnownCallers:
    """Callers whose key was good, remembered until the catalogue changes in anything.

    A revocation makes a new snapshot, so it forgets all of them; time and address are asked for on every request. Keys
    are kept as keyed hashes only.

    Args:
        clock: Unix seconds.
    """

    def __init__(self, *, pepper: bytes, clock: Callable[[], float] = time.time) -> None:
        self._pepper = pepper
        self._clock = clock
        self._snapshot: Snapshot | None = None
        self._callers: dict[bytes, tuple[Caller, Conditions | None]] = {}

    def caller(self, authorization: str | None, snapshot: Snapshot, *, address: str, is_current: bool) -> Caller:
        """Check an API key; see `authenticate`."""
        if snapshot is not self._snapshot:
            self._snapshot = snapshot
            self._callers.clear()
        name = blake2b((authorization or "").encode(), key=self._pepper, digest_size=32).digest()
        known = self._callers.get(name)
        if known is None:
            known = self._prove(authorization, snapshot, address=address, is_current=is_current)
            if len(self._callers) >= _MOST_KNOWN:
                self._callers.clear()
            self._callers[name] = known
        elif known[1] is not None:
            known[1].check(address=address, now=self._clock())
        return known[0]

    def _prove(
        self, authorization: str | None, snapshot: Snapshot, *, address: str, is_current: bool
    ) -> tuple[Caller, Conditions | None]:
        record = proven(authorization, snapshot, pepper=self._pepper, is_current=is_current)
        conditions = Conditions.of(record)
        conditions.check(address=address, now=self._clock())
        is_bound = record.expires_at is not None or record.allowed_addresses is not None
        return caller_of(record), conditions if is_bound else None
