from __future__ import annotations

import pytest

from llm_manager.core.errors import UpstreamCredentialsExhausted
from llm_manager.core.facts import load_facts
from llm_manager.kit.bus.names import CREDENTIAL_AAD, HEADERS_AAD
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


def test_sealed_headers_are_opened_once_and_named_in_lower_case() -> None:
    credentials = Credentials(BOX, size=1)
    first = BOX.seal(b'{"X-Team":"a-secret-team","x-b":"\\tb c"}', aad=HEADERS_AAD)
    opened = credentials.open_headers(OPENAI, first)

    assert {name: value.reveal() for name, value in opened.items()} == {"x-team": "a-secret-team", "x-b": "\tb c"}
    assert "a-secret-team" not in repr(opened)
    assert credentials.open_headers(OPENAI, first) is opened
    credentials.open_headers(OPENAI, BOX.seal(b"{}", aad=HEADERS_AAD))
    assert credentials.open_headers(OPENAI, first) is not opened


def test_no_envelope_means_no_headers() -> None:
    assert Credentials(BOX).open_headers(OPENAI, b"") == {}


@pytest.mark.parametrize(
    ("envelope", "why"),
    [
        (b"nonsense", "share the master key"),
        (BOX.seal(b"{}", aad=CREDENTIAL_AAD), "share the master key"),
        (SecretBox(b"z" * 32).seal(b"{}", aad=HEADERS_AAD), "share the master key"),
        (BOX.seal(b'["canary-value"]', aad=HEADERS_AAD), "set them anew"),
        (BOX.seal(b'{"x-a":{"canary-value":1}}', aad=HEADERS_AAD), "set them anew"),
        (BOX.seal(b'{"x-a":"canary-value\\r\\nx-b: 1"}', aad=HEADERS_AAD), "set them anew"),
        (BOX.seal(b'{"content-length ":"canary-value"}', aad=HEADERS_AAD), "set them anew"),
        (BOX.seal(b'{"":"canary-value"}', aad=HEADERS_AAD), "set them anew"),
        (BOX.seal(b"canary-value\xff", aad=HEADERS_AAD), "set them anew"),
    ],
    # envelopes differ with every process, and tests are shared out by their names
    ids=["no envelope", "credential", "other key", "list", "table", "line break", "framing", "no name", "no text"],
)
def test_headers_that_do_not_open_or_are_none_say_what_to_do_and_no_value(envelope: bytes, why: str) -> None:
    with pytest.raises(UpstreamCredentialsExhausted, match=why) as raised:
        Credentials(BOX).open_headers(OPENAI, envelope)

    assert "canary-value" not in f"{raised.value} {raised.value.__cause__}"
