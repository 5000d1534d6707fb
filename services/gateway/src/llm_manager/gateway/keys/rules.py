"""Whether a key opens the door; pure, a few microseconds, no store on the way."""

from __future__ import annotations

import hmac

from llm_manager.core.errors import AuthenticationFailed, StoreUnavailable
from llm_manager.core.ids import hash_api_key, parse_api_key
from llm_manager.gateway.catalogue.rules import Snapshot
from llm_manager.gateway.inference.rules import Caller

PEPPER_PURPOSE = "api-key-pepper"
_HOW = "Send it as `Authorization: Bearer lm_live_…`; `llm-manager keys` makes one."
# Compared with when the id is unknown, so that an unknown id and a wrong secret take the same time.
_NO_HASH = "A" * 43 + "="


def authenticate(authorization: str | None, snapshot: Snapshot, *, pepper: bytes, is_current: bool) -> Caller:
    """Return who calls.

    Args:
        authorization: the header as it came, None when it did not.
        is_current: whether changes of the catalogue reach this process; when not, an unknown key may be a new one.
    Raises:
        AuthenticationFailed: no key, a mistyped, unknown or revoked one.
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
    raise AuthenticationFailed(f"The API key {key.id} is unknown or revoked. {_HOW}")
