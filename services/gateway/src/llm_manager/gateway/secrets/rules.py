"""What hashes are keyed by; pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from llm_manager.kit.secrets import SecretBox, SecretBoxError
from llm_manager.kit.settings import SettingsError


class Purpose(StrEnum):
    """What a hash is for."""

    API_KEY = "api-key-pepper"
    SESSION = "session"
    CSRF = "session-csrf"
    IDEMPOTENCY = "idempotency"


HashSecrets = Mapping[Purpose, bytes]


def hash_aad(name: str) -> bytes:
    """Return what the envelope of a hash secret is bound to."""
    return f"hash-secret/{name}".encode()


def opened(box: SecretBox, kept: Mapping[str, bytes]) -> HashSecrets:
    """Return what hashes are keyed by.

    Args:
        kept: envelopes by purpose. Where there is none yet it is what the oldest master key makes of the purpose: what
            earlier versions always took, and what `store.ensure_hash_secrets` keeps.

    Raises:
        SettingsError: they are sealed under a master key that was not given.
    """
    try:
        return {
            purpose: box.open(kept[purpose], aad=hash_aad(purpose)) if purpose in kept else box.derive(purpose)
            for purpose in Purpose
        }
    except SecretBoxError as error:
        raise SettingsError(
            f"LLM_MANAGER_GATEWAY_MASTER_KEY does not open this database ({error}) Give the key of before too, behind "
            "the new one and separated by a space, until `llm-manager secrets rotate` has sealed everything anew."
        ) from error
