"""Opens what comes with requests as encrypted envelopes: credentials, and headers whose values may be secret."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

import msgspec

from llm_manager.core.errors import UpstreamCredentialsExhausted
from llm_manager.core.facts import Facts
from llm_manager.kit.bus.names import CREDENTIAL_AAD, HEADERS_AAD
from llm_manager.kit.secrets import Secret, SecretBox, SecretBoxError
from llm_manager.providers.http1.request import NAME

T = TypeVar("T")
# RFC 9110, 5.5: line breaks would bring headers of their own.
_NOT_IN_VALUES = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_HEADERS = msgspec.json.Decoder(dict[str, str])
_NO_HEADERS: Mapping[str, Secret] = {}


class _Opened(Generic[T]):
    """Envelopes of one purpose; the last ones stay open, so that a busy one costs one decryption.

    Args:
        read: makes of the plain bytes what they mean. `ValueError` from it means that they are not that.
    """

    def __init__(self, box: SecretBox, aad: bytes, read: Callable[[bytes], T], *, size: int) -> None:
        self._box = box
        self._aad = aad
        self._read = read
        self._size = size
        self._kept: OrderedDict[bytes, T] = OrderedDict()

    def open(self, envelope: bytes) -> T:
        """Return what is inside.

        Raises:
            SecretBoxError, ValueError: it does not open, or holds something else.
        """
        kept = self._kept.get(envelope)
        if kept is not None:
            self._kept.move_to_end(envelope)
            return kept
        opened = self._kept[envelope] = self._read(self._box.open(envelope, aad=self._aad))
        if len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return opened


class Credentials:
    """Opens envelopes under the platform's master key.

    Args:
        size: how many envelopes of each purpose stay open.
    """

    def __init__(self, box: SecretBox, *, size: int = 1024) -> None:
        self._credentials = _Opened(box, CREDENTIAL_AAD, _credential, size=size)
        self._headers = _Opened(box, HEADERS_AAD, _headers, size=size)

    def open(self, facts: Facts, envelope: bytes) -> Secret | None:
        """Return the credential, None when the request brings none and the provider needs none.

        Raises:
            UpstreamCredentialsExhausted: it brings none, or one that this master key does not open.
        """
        if not envelope:
            if facts.needs_credential:
                raise UpstreamCredentialsExhausted(
                    f"{facts.title} needs an API key and its provider record has none; set one."
                )
            return None
        try:
            return self._credentials.open(envelope)
        except (SecretBoxError, ValueError) as error:
            raise UpstreamCredentialsExhausted(
                f"The credential of {facts.title} cannot be opened; do gateway and worker share the master key?"
            ) from error

    def open_headers(self, facts: Facts, envelope: bytes) -> Mapping[str, Secret]:
        """Return the headers by their names in lower case; none where the envelope is empty.

        Raises:
            UpstreamCredentialsExhausted: this master key does not open them, or they are no headers.
        """
        if not envelope:
            return _NO_HEADERS
        try:
            return self._headers.open(envelope)
        except SecretBoxError as error:
            raise UpstreamCredentialsExhausted(
                f"The headers of {facts.title} cannot be opened; do gateway and worker share the master key?"
            ) from error
        except ValueError:
            # no cause: what was wrong may quote a value
            raise UpstreamCredentialsExhausted(
                f"The headers of {facts.title} are malformed; set them anew in its provider record."
            ) from None


def _credential(plain: bytes) -> Secret:
    return Secret(plain.decode().strip())


def _headers(plain: bytes) -> Mapping[str, Secret]:
    found = _HEADERS.decode(plain)
    if any(NAME.fullmatch(name) is None or _NOT_IN_VALUES.search(value) for name, value in found.items()):
        raise ValueError("no headers")
    return {name.lower(): Secret(value) for name, value in found.items()}
