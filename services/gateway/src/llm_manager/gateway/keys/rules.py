"""Whether a key opens the door; pure, a few microseconds, no store on the way."""

from __future__ import annotations

import hmac
from hashlib import blake2b

from llm_manager.core.errors import AuthenticationFailed, StoreUnavailable
from llm_manager.core.ids import hash_api_key, parse_api_key
from llm_manager.gateway.catalogue.rules import Snapshot
from llm_manager.gateway.inference.rules import Caller

PEPPER_PURPOSE = "api-key-pepper"
_HOW = "Send it as `Authorization: Bearer lm_live_…`; `llm-manager keys` makes one."
# Compared with when the id is unknown, so that an unknown id and a wrong secret take the same time.
_NO_HASH = "A" * 43 + "="
_MOST_KNOWN = 10_000


def authenticate(authorization: str | None, snapshot: Snapshot, *, pepper: bytes, is_current: bool) -> Caller:
    """Return who calls.

    Args:
        authorization: the header as it came, None when it did not.
        is_current: whether changes of the catalogue reach this process; when not, an unknown key may be a new one.
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
        return Caller(app_id=record.app_id, api_key_id=record.id)
    if record is None and not (snapshot.is_complete and is_current):
        raise StoreUnavailable("The API key cannot be checked right now; retry in a moment.", retry_after_seconds=1)
    if record is not None and is_same:
        raise AuthenticationFailed(f"The app of the API key {key.id} is switched off; ask who manages it.")
    raise AuthenticationFailed(f"The API key {key.id} is unknown or revoked. {_HOW}")


class KnownCallers:
    """Callers whose key was good, remembered until the catalogue changes in anything.

    A revocation makes a new snapshot, so it forgets all of them. Keys are kept as keyed hashes only.
    """

    def __init__(self, *, pepper: bytes) -> None:
        self._pepper = pepper
        self._snapshot: Snapshot | None = None
        self._callers: dict[bytes, Caller] = {}

    def caller(self, authorization: str | None, snapshot: Snapshot, *, is_current: bool) -> Caller:
        """Check an API key; see `authenticate`."""
        if snapshot is not self._snapshot:
            self._snapshot = snapshot
            self._callers.clear()
        name = blake2b((authorization or "").encode(), key=self._pepper, digest_size=32).digest()
        caller = self._callers.get(name)
        if caller is None:
            caller = authenticate(authorization, snapshot, pepper=self._pepper, is_current=is_current)
            if len(self._callers) >= _MOST_KNOWN:
                self._callers.clear()
            self._callers[name] = caller
        return caller
