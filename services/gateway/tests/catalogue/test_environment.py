"""Which rows the environment asks for."""

from __future__ import annotations

import pytest

from llm_manager.core.facts import load_facts
from llm_manager.gateway.catalogue.environment import (
    Kept,
    Origin,
    WantedProvider,
    local_addresses,
    origin,
    wanted,
    without_login,
)

FACTS = load_facts()
NOBODY: frozenset[str] = frozenset()


def test_without_any_account_there_is_the_demo() -> None:
    asked = wanted(FACTS, {}, answering=NOBODY)
    assert [item.kind for item in asked.providers] == ["echo"]
    assert "echo" in {item.name for item in asked.configurations}
    assert asked.aliases == {"default": "echo"}


@pytest.mark.requirement("T-6")
def test_a_credential_brings_its_provider_with_plain_names() -> None:
    asked = wanted(FACTS, {"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": "http://x/v1"}, answering=NOBODY)
    assert asked.providers[0] == WantedProvider("openai", "http://x/v1", "sk-1")
    names = {item.name: item.provider for item in asked.configurations}
    assert names["gpt-4.1-mini"] == "openai"
    assert "sk-1" not in repr(asked)


def test_a_base_url_alone_brings_a_provider_that_needs_no_credential() -> None:
    assert wanted(FACTS, {"CUSTOM_BASE_URL": "http://x"}, answering=NOBODY).providers[0].kind == "custom"
    only_key = wanted(FACTS, {"CUSTOM_API_KEY": "k", "OPENAI_BASE_URL": "http://x"}, answering=NOBODY)
    assert [item.kind for item in only_key.providers] == ["echo"]


def test_a_local_provider_is_there_when_its_port_answers() -> None:
    assert local_addresses(FACTS, {})["ollama"] == ("127.0.0.1", 11434)
    assert "ollama" not in local_addresses(FACTS, {"OLLAMA_BASE_URL": "http://elsewhere:1"})
    assert "ollama" in {item.kind for item in wanted(FACTS, {}, answering=frozenset({"ollama"})).providers}
    assert "ollama" in {i.kind for i in wanted(FACTS, {"OLLAMA_BASE_URL": "http://x"}, answering=NOBODY).providers}


@pytest.mark.requirement("T-6")
def test_a_shared_name_goes_to_hosted_providers_first_and_then_by_the_alphabet() -> None:
    every = {fact.credential_env: "secret" for fact in FACTS.values() if fact.credential_env}
    asked = wanted(FACTS, every, answering=NOBODY)
    order = [item.kind for item in asked.providers]
    assert order == sorted(order, key=lambda kind: (kind == "echo", FACTS[kind].is_local, kind))
    names = [item.name for item in asked.configurations]
    assert len(names) == len(set(names))
    for item in asked.configurations:
        owners = [kind for kind in order if item.name in FACTS[kind].models]
        assert item.provider == owners[0]
        assert item.name.partition("/")[0] not in FACTS or "/" not in item.name


def test_what_a_variable_gave_stays_and_each_one_set_now_replaces_its_part() -> None:
    kept = {"openai": Kept("http://before/v1", has_credential=True), "gone": Kept("http://gone")}
    stays = wanted(FACTS, {}, answering=NOBODY, kept=kept)
    assert stays.providers[0] == WantedProvider("openai", "http://before/v1", keeps_credential=True)
    assert [item.kind for item in stays.providers] == ["openai", "echo"]
    new_key = wanted(FACTS, {"OPENAI_API_KEY": "sk-2"}, answering=NOBODY, kept=kept)
    assert new_key.providers[0] == WantedProvider("openai", "http://before/v1", "sk-2")
    new_place = wanted(FACTS, {"OPENAI_BASE_URL": "http://now/v1"}, answering=NOBODY, kept=kept)
    assert "openai" not in {provider.kind for provider in new_place.providers}
    same_place = wanted(FACTS, {"OPENAI_BASE_URL": "http://before/v1"}, answering=NOBODY, kept=kept)
    assert same_place.providers[0] == WantedProvider("openai", "http://before/v1", keeps_credential=True)
    home = wanted(FACTS, {"OPENAI_BASE_URL": "https://x"}, answering=NOBODY, kept={"openai": Kept(has_credential=True)})
    assert "openai" not in {provider.kind for provider in home.providers}


def test_a_kept_local_provider_is_not_looked_for_elsewhere() -> None:
    kept = {"ollama": Kept("http://elsewhere:1")}
    assert "ollama" not in local_addresses(FACTS, {}, kept)
    assert wanted(FACTS, {}, answering=NOBODY, kept=kept).providers[0].base_url == "http://elsewhere:1"


def test_every_provider_says_why_it_is_there() -> None:
    key, url = {"OPENAI_API_KEY": "k"}, Kept("http://x")
    assert origin(FACTS["openai"], key, Kept(has_credential=True), is_managed=True) is Origin.ENVIRONMENT
    assert origin(FACTS["openai"], {}, Kept(has_credential=True), is_managed=True) is Origin.KEPT
    assert origin(FACTS["ollama"], {}, url, is_managed=True) is Origin.KEPT
    assert origin(FACTS["ollama"], {}, Kept(), is_managed=True) is Origin.DETECTED
    assert origin(FACTS["echo"], {}, Kept(), is_managed=True) is Origin.BUILT_IN
    assert origin(None, {}, url, is_managed=False) is Origin.ADMIN


@pytest.mark.parametrize(
    ("url", "clean", "authorization"),
    [
        ("", "", ""),
        ("http://h/v1", "http://h/v1", ""),
        ("http://ann:pass@h:9/v1?k=secret#f", "http://h:9/v1", "Basic YW5uOnBhc3M="),
        ("http://ann%40x:p%3Aq@h/v1", "http://h/v1", "Basic YW5uQHg6cDpx"),
        ("http://[::1", "http://[::1", ""),
    ],
)
def test_what_is_secret_in_a_base_url_becomes_a_header(url: str, clean: str, authorization: str) -> None:
    assert without_login(url) == (clean, authorization)
