from __future__ import annotations

import pytest

from llm_manager.core.errors import UpstreamCredentialsExhausted
from llm_manager.core.facts import load_facts
from llm_manager.kit.bus.names import CREDENTIAL_AAD
from llm_manager.kit.secrets import SecretBox
from llm_manager.providers.credentials import Credentials

BOX = SecretBox(b"k" * 32)
OPENAI, OLLAMA = load_facts()["openai"], load_facts()["ollama"]


def test_envelope_is_opened_once_and_kept() -> None:
    credentials = Credentials(BOX, size=2)
    envelopes = [BOX.seal(text, aad=CREDENTIAL_AAD) for text in (b"one\n", b"two", b"three")]
    first = credentials.open(OPENAI, envelopes[0])

    assert first is not None
    assert first.reveal() == "one"
    assert credentials.open(OPENAI, envelopes[0]) is first
    for envelope in envelopes[1:]:
        credentials.open(OPENAI, envelope)
    assert credentials.open(OPENAI, envelopes[0]) is not first


def test_local_provider_needs_no_credential() -> None:
    assert Credentials(BOX).open(OLLAMA, b"") is None


@pytest.mark.parametrize(
    "envelope",
    [b"", b"nonsense", BOX.seal(b"x", aad=b"other"), SecretBox(b"z" * 32).seal(b"x", aad=CREDENTIAL_AAD)],
    ids=["none", "nonsense", "of another purpose", "of another key"],
)
def test_what_does_not_open_is_a_fault_of_the_platform_and_not_of_the_caller(envelope: bytes) -> None:
    with pytest.raises(UpstreamCredentialsExhausted) as raised:
        Credentials(BOX).open(OPENAI, envelope)

    assert raised.value.http_status == 502
