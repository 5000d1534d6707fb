"""Secrets in memory and at rest: a text that does not show itself, and sealed envelopes with rotatable keys."""

from __future__ import annotations

import hmac
import os
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, NoReturn, final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic_core import core_schema

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler

MASK = "***"
_VERSION = 1
_KEY_ID_LENGTH, _NONCE_LENGTH, _TAG_LENGTH = 8, 12, 16
_HEADER_LENGTH = 1 + _KEY_ID_LENGTH + _NONCE_LENGTH
MASTER_KEY_LENGTH = 32
# Shorter texts are no secrets that could be told from ordinary words, so logs do not search for them.
_SHORTEST_SEARCHED = 8


@final
class Secret:
    """A text that only `reveal()` gives away: printing, formatting, JSON and pickle do not.

    While it lives, `mask_known` replaces its text wherever logs would show it.
    """

    __slots__ = ("__weakref__", "_text")
    # plain references instead of a WeakValueDictionary, whose iteration costs 2 us for each logged text
    _living: ClassVar[dict[int, weakref.ref[Secret]]] = {}

    def __init__(self, text: str) -> None:
        self._text = text
        if len(text) >= _SHORTEST_SEARCHED:
            key = id(self)
            Secret._living[key] = weakref.ref(self, lambda _: Secret._living.pop(key, None))

    def reveal(self) -> str:
        """Return the text. Hand it straight to what needs it; never bind it to a name that outlives the call."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return format(repr(self), format_spec)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("A Secret cannot be pickled; reveal() it where it is used.")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        self.__reduce__()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Let settings take a text or a Secret and dump neither."""
        from_text = core_schema.no_info_after_validator_function(cls, core_schema.str_schema())
        return core_schema.union_schema(
            [core_schema.is_instance_schema(cls), from_text],
            mode="left_to_right",
            # one error at the field's own place, not one for each of the two
            custom_error_type="string_type",
            serialization=core_schema.plain_serializer_function_ser_schema(
                _masked, return_schema=core_schema.str_schema()
            ),
        )


def _masked(_: object) -> str:
    return MASK


def mask_known(text: str) -> str:
    """Replace the text of every living Secret inside a text; the second line of defence of logs."""
    living = (reference() for reference in tuple(Secret._living.values()))  # pyright: ignore[reportPrivateUsage] (same module)
    found = [revealed for secret in living if secret is not None and (revealed := secret.reveal()) in text]
    # the longest first: of one that begins with another the rest would stay
    for revealed in sorted(found, key=len, reverse=True):
        text = text.replace(revealed, MASK)
    return text


class SecretBoxError(Exception):
    """An envelope cannot be opened: it was changed, belongs to other data, or its key is not here."""


class SecretBox:
    """Seals bytes with AES-256-GCM under the active master key; opens what older keys sealed too.

    Envelope: version (1 byte), key id (8), nonce (12), ciphertext with tag (16). The key id is derived from the
    master key, so that rotation needs no table: give the new key, keep the old one in `older_keys` until everything
    is sealed anew (`needs_resealing` tells).

    Args:
        master_key: 32 random bytes.
        older_keys: keys that still open envelopes, never seal; the oldest last.
        changed: returns the keys, the active one first, when they are others than at the last time, else None. Asked
            before something is sealed, and before an envelope is refused because its key is unknown.
    """

    def __init__(
        self,
        master_key: bytes,
        *,
        older_keys: Sequence[bytes] = (),
        changed: Callable[[], Sequence[bytes] | None] | None = None,
    ) -> None:
        self._ciphers: dict[bytes, AESGCM] = {}
        self._active_id = b""
        self._changed = changed
        self._take((master_key, *older_keys))
        self._oldest = (master_key, *older_keys)[-1]

    def __repr__(self) -> str:
        return f"SecretBox(active key {self.active_key_id})"

    @property
    def active_key_id(self) -> str:
        """Name of the key that seals, in hex; safe to show."""
        return self._active_id.hex()

    @property
    def key_ids(self) -> frozenset[str]:
        """Names of all keys that open, in hex."""
        return frozenset(key_id.hex() for key_id in self._ciphers)

    def refresh(self) -> None:
        """Take over master keys that were changed since; what was given earlier still opens."""
        keys = self._changed() if self._changed is not None else None
        if keys is not None:
            self._take(keys)

    def seal(self, plain: bytes, *, aad: bytes) -> bytes:
        """Encrypt and bind to `aad` (what the bytes are for), so that an envelope cannot be moved elsewhere."""
        self.refresh()
        nonce = os.urandom(_NONCE_LENGTH)
        header = bytes([_VERSION]) + self._active_id + nonce
        return header + self._ciphers[self._active_id].encrypt(nonce, plain, _bound(header, aad))

    def open(self, envelope: bytes, *, aad: bytes) -> bytes:
        """Decrypt an envelope.

        Raises:
            SecretBoxError: changed bytes, another `aad`, an unknown key or version.
        """
        if len(envelope) < _HEADER_LENGTH + _TAG_LENGTH or envelope[0] != _VERSION:
            raise SecretBoxError("This is not an envelope of version 1.")
        header = envelope[:_HEADER_LENGTH]
        key_id = header[1 : 1 + _KEY_ID_LENGTH]
        if key_id not in self._ciphers:
            self.refresh()
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SecretBoxError(f"The envelope was sealed under master key {key_id.hex()}, which is not configured.")
        try:
            return cipher.decrypt(header[1 + _KEY_ID_LENGTH :], envelope[_HEADER_LENGTH:], _bound(header, aad))
        except InvalidTag as error:
            raise SecretBoxError("The envelope was changed or belongs to other data.") from error

    def needs_resealing(self, envelope: bytes) -> bool:
        """Whether an envelope is under an older key than the active one."""
        return envelope[1 : 1 + _KEY_ID_LENGTH] != self._active_id

    def reseal(self, envelope: bytes, *, aad: bytes) -> bytes:
        """Return the same under the active key.

        Raises:
            SecretBoxError: see `open`.
        """
        return self.seal(self.open(envelope, aad=aad), aad=aad)

    def derive(self, purpose: str) -> bytes:
        """Return 32 bytes that belong to the purpose, for example "api-key-pepper", and to the oldest of the keys that
        were given at the start: while a rotation lasts they are those of before.
        """
        return _hkdf(self._oldest, f"derive/{purpose}")

    def _take(self, keys: Sequence[bytes]) -> None:
        for key in keys:
            if len(key) != MASTER_KEY_LENGTH:
                raise SecretBoxError(f"A master key has {MASTER_KEY_LENGTH} bytes, this one has {len(key)}.")
        # those of before stay: requests that are under way carry envelopes of theirs
        self._ciphers.update({_key_id(key): AESGCM(_hkdf(key, "envelope")) for key in keys})
        self._active_id = _key_id(keys[0])


def key_id_of(master_key: bytes) -> str:
    """Return the name of a master key, in hex; safe to show."""
    return _key_id(master_key).hex()


def key_id_in(envelope: bytes) -> str:
    """Return the name of the master key that an envelope is sealed under, in hex."""
    return envelope[1 : 1 + _KEY_ID_LENGTH].hex()


def _bound(header: bytes, aad: bytes) -> bytes:
    return header[: 1 + _KEY_ID_LENGTH] + aad


def _key_id(master_key: bytes) -> bytes:
    return _hkdf(master_key, "key-id")[:_KEY_ID_LENGTH]


def _hkdf(master_key: bytes, purpose: str) -> bytes:
    # RFC 5869; no salt, because the input is already 32 random bytes.
    return HKDF(hashes.SHA256(), 32, salt=None, info=f"llm-manager/v1/{purpose}".encode()).derive(master_key)
