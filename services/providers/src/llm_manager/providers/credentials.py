"""Opens the credentials that come with requests as encrypted envelopes."""

from __future__ import annotations

from collections import OrderedDict

from llm_manager.core.errors import UpstreamCredentialsExhausted
from llm_manager.core.facts import Facts
from llm_manager.kit.bus.names import CREDENTIAL_AAD
from llm_manager.kit.secrets import Secret, SecretBox, SecretBoxError


class Credentials:
    """Opens envelopes and keeps the last ones open, so that a busy key costs one decryption."""

    def __init__(self, box: SecretBox, *, size: int = 1024) -> None:
        self._box = box
        self._size = size
        self._open: OrderedDict[bytes, Secret] = OrderedDict()

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
        secret = self._open.get(envelope)
        if secret is None:
            secret = self._decrypted(facts, envelope)
            self._open[envelope] = secret
            if len(self._open) > self._size:
                self._open.popitem(last=False)
        else:
            self._open.move_to_end(envelope)
        return secret

    def _decrypted(self, facts: Facts, envelope: bytes) -> Secret:
        try:
            return Secret(self._box.open(envelope, aad=CREDENTIAL_AAD).decode().strip())
        except (SecretBoxError, UnicodeDecodeError) as error:
            raise UpstreamCredentialsExhausted(
                f"The credential of {facts.title} cannot be opened; do gateway and worker share the master key?"
            ) from error
