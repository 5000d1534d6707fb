"""Which headers may pass between clients and providers."""

from __future__ import annotations

import pytest

from llm_manager.core.facts import load_facts
from llm_manager.core.http_headers import MAX_HEADERS, MAX_VALUE_CHARACTERS, may_be_named, passing


@pytest.mark.parametrize(
    "name",
    [
        *("authorization", "cookie", "set-cookie", "x-api-key", "api-key", "connection", "transfer-encoding"),
        *("content-length", "proxy-authorization", "access-control-allow-origin", "x-llm-manager-cost", "x-request-id"),
        *("retry-after", "X-Upper", "a b", "a:b", ""),
    ],
)
def test_credentials_hops_and_our_own_words_never_pass(name: str) -> None:
    assert not may_be_named(name)
    assert passing({name: "x"}, is_wanted=lambda _: True) == {}


def test_values_and_numbers_are_bounded_and_printable() -> None:
    longest = "v" * MAX_VALUE_CHARACTERS
    said = {"x-a": longest, "x-b": longest + "v", "x-c": "a\r\nb: c", "x-d": "\u00e4", "x-e": "", "x-f": "not wanted"}
    assert passing(said, is_wanted=lambda name: name != "x-f") == {"x-a": longest}
    many = {f"x-{number}": "1" for number in range(MAX_HEADERS + 1)}
    assert len(passing(many, is_wanted=lambda _: True)) == MAX_HEADERS


@pytest.mark.parametrize(
    ("kind", "forwarded"),
    [
        ("openai", {"openai-processing-ms", "x-ratelimit-limit-tokens"}),
        ("groq", {"x-groq-region", "x-ratelimit-limit-tokens"}),
        ("anthropic", {"anthropic-ratelimit-tokens-reset"}),
        ("echo", set[str]()),
    ],
)
def test_clients_get_of_an_answer_what_the_facts_say(kind: str, forwarded: set[str]) -> None:
    names = ("openai-processing-ms", "x-groq-region", "x-ratelimit-limit-tokens", "anthropic-ratelimit-tokens-reset")
    headers: dict[str, str] = dict.fromkeys((*names, "set-cookie", "server"), "1")
    assert load_facts()[kind].headers.forwarded(headers).keys() == forwarded


@pytest.mark.parametrize(
    ("kind", "accepted"),
    [
        ("openai", {"openai-beta", "idempotency-key"}),
        ("anthropic", {"anthropic-beta", "anthropic-version"}),
        ("groq", set[str]()),
    ],
)
def test_providers_get_of_a_client_what_the_facts_say(kind: str, accepted: set[str]) -> None:
    names = ("openai-beta", "openai-organization", "openai-project", "idempotency-key", "anthropic-beta")
    headers: dict[str, str] = dict.fromkeys((*names, "anthropic-version", "authorization", "cookie"), "1")
    assert load_facts()[kind].headers.accepted(headers).keys() == accepted
