"""The platform's master keys: read from settings, refused when they are weak, followed while their file changes."""

from __future__ import annotations

import base64
import binascii
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import structlog
from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from llm_manager.kit.secrets import MASTER_KEY_LENGTH, Secret, SecretBox
from llm_manager.kit.settings import ServiceSettings

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

# Of 32 random bytes about 30 differ, and about 29 of the steps from one to the next: 16 do not happen.
_LEAST_DIFFERENT = 16
_HOW = (
    "make one with `python -c 'import os, base64; print(base64.urlsafe_b64encode(os.urandom(32)).decode())'`"
    " and keep it where backups are kept"
)


def parse(text: str) -> tuple[bytes, ...]:
    """Return master keys, the active one first: each 32 bytes in base64url, separated by white space or commas.

    Raises:
        ValueError: there is none, or one is malformed or could be guessed; the message repeats none of it.
    """
    keys = tuple(_decoded(word) for word in text.replace(",", " ").split())
    if not keys:
        raise ValueError(f"there is no key; {_HOW}")
    return keys


def _decoded(word: str) -> bytes:
    try:
        key = base64.b64decode(word + "=" * (-len(word) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != MASTER_KEY_LENGTH:
        raise ValueError(f"it is not {MASTER_KEY_LENGTH} bytes in base64url; {_HOW}")
    steps = {(after - before) % 256 for before, after in pairwise(key)}
    if min(len(set(key)), len(steps)) < _LEAST_DIFFERENT or all(0x20 <= byte < 0x7F for byte in key):
        raise ValueError(f"it is no random key, but a pattern or a text that can be guessed; {_HOW}")
    return key


class MasterKeySettings(ServiceSettings):
    """Settings of a service that opens what the platform keeps sealed."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_prefix="LLM_MANAGER_", extra="forbid", frozen=True, validate_default=True
    )

    master_key: Secret = Field(
        ...,
        description="The platform's master key, 32 random bytes in base64url, under which its secrets are sealed. "
        "Several while they are rotated: the first seals, all of them open. A file is read again when it changes.",
    )

    @field_validator("master_key")
    @classmethod
    def _are_keys(cls, value: Secret) -> Secret:
        parse(value.reveal())
        return value

    def secret_box(self) -> SecretBox:
        """Return what seals and opens; it follows the file that the keys came from."""
        active, *older = parse(self.master_key.reveal())
        file = self.file_of("master_key")
        return SecretBox(
            active, older_keys=older, changed=None if file is None else _Followed(file, (active, *older)).changed
        )


class _Followed:
    """The file of the master keys."""

    def __init__(self, file: Path, keys: tuple[bytes, ...]) -> None:
        self._file = file
        self._keys = keys
        self._seen: tuple[int, int, int] | None = None

    def changed(self) -> tuple[bytes, ...] | None:
        """Return the keys when they are others than at the last time, else None.

        A file that cannot be read or is wrong changes nothing: the keys of before go on.
        """
        stamp = self._stamp()
        if stamp is None or stamp == self._seen:
            return None
        try:
            keys = parse(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            log.warning("master_keys_refused", file=str(self._file), reason=str(error))
            return None
        finally:
            self._seen = stamp
        if keys == self._keys:
            return None
        self._keys = keys
        log.info("master_keys_changed", file=str(self._file), count=len(keys))
        return keys

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
