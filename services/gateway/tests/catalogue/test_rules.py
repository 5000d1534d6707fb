"""Names, keys of the bucket, and what leads where."""

from __future__ import annotations

import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_manager.core.errors import ModelNotFound
from llm_manager.gateway.catalogue.rules import (
    AliasRecord,
    AppRecord,
    ConfigurationRecord,
    ProviderRecord,
    Snapshot,
    kind_of,
    kv_key,
)

RECORDS = [
    AppRecord(id="a", revision=1, name="default"),
    ProviderRecord(id="p1", revision=1, name="openai", kind="openai", credentials=(b"sealed",)),
    ProviderRecord(id="p2", revision=1, name="together", kind="together"),
    ProviderRecord(id="p3", revision=1, name="gone", kind="groq", is_enabled=False),
    ConfigurationRecord(id="c1", revision=1, name="gpt-4.1-mini", provider="openai", upstream_model="gpt-4.1-mini"),
    ConfigurationRecord(id="c2", revision=1, name="openai/special", provider="together", upstream_model="s"),
    ConfigurationRecord(id="c3", revision=1, name="orphan", provider="gone", upstream_model="x"),
    ConfigurationRecord(id="c4", revision=1, name="off", provider="openai", upstream_model="x", is_enabled=False),
    AliasRecord(id="l1", revision=1, name="fast", configuration="gpt-4.1-mini"),
]
SNAPSHOT = Snapshot.of(RECORDS, is_complete=True)


@pytest.mark.requirement("T-6")
@pytest.mark.parametrize(
    ("model", "provider", "upstream_model", "configuration"),
    [
        ("gpt-4.1-mini", "openai", "gpt-4.1-mini", "gpt-4.1-mini"),
        ("fast", "openai", "gpt-4.1-mini", "gpt-4.1-mini"),
        ("openai/gpt-4.1-mini", "openai", "gpt-4.1-mini", ""),
        ("openai/special", "together", "s", "openai/special"),
        ("together/meta-llama/Llama-3.3-70B", "together", "meta-llama/Llama-3.3-70B", ""),
    ],
)
def test_a_name_leads_to_a_configuration_then_an_alias_then_a_provider(
    model: str, provider: str, upstream_model: str, configuration: str
) -> None:
    target = SNAPSHOT.resolve(model)
    assert (target.provider, target.upstream_model, target.configuration) == (provider, upstream_model, configuration)


@pytest.mark.parametrize("model", ["nothing", "orphan", "off", "gone/x", "openai/", "/x", "openai", "x" * 5_000])
def test_a_name_that_leads_nowhere_is_a_404_of_bounded_length(model: str) -> None:
    with pytest.raises(ModelNotFound) as caught:
        SNAPSHOT.resolve(model)
    assert (caught.value.http_status, caught.value.param) == (404, "model")
    assert len(caught.value.message) < 400


def test_a_change_leads_the_same_name_elsewhere_at_once() -> None:
    provider = ProviderRecord(id="p2", revision=2, name="together", kind="together", base_url="https://new.example/v1")
    assert SNAPSHOT.resolve("together/m").base_url == ""
    changed = SNAPSHOT.changed(provider)
    assert changed.resolve("together/m").base_url == provider.base_url
    assert SNAPSHOT.resolve("together/m").base_url == ""
    with pytest.raises(ModelNotFound):
        changed.without(provider).resolve("together/m")


def test_names_that_clients_make_up_are_kept_in_bounded_memory() -> None:
    snapshot = Snapshot.of(RECORDS, is_complete=True)
    tracemalloc.start()
    try:
        for number in range(20_000):
            snapshot.resolve(f"together/{number}")
            snapshot.resolve(f"together/{number}{'x' * 10_000}")
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2_000_000
    assert {snapshot.resolve("together/1").upstream_model, snapshot.resolve("together/2").upstream_model} == {"1", "2"}


def test_the_nearest_names_are_offered() -> None:
    with pytest.raises(ModelNotFound, match=r"Did you mean gpt-4\.1-mini\?"):
        SNAPSHOT.resolve("gpt4.1-mini")


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_every_name_has_a_key_of_its_own_that_nats_takes(left: str, right: str) -> None:
    keys = [kv_key(AliasRecord(id="x", revision=1, name=name, configuration="c")) for name in (left, right)]
    for key in keys:
        assert re.fullmatch(r"[-/_=.a-zA-Z0-9]+", key)
        assert not key.endswith(".")
        assert ".." not in key
        assert kind_of(key) is AliasRecord
    assert (keys[0] == keys[1]) == (left == right)


def test_common_names_stay_readable() -> None:
    record = ConfigurationRecord(id="c", revision=1, name="gpt-4.1-mini", provider="p", upstream_model="m")
    assert kv_key(record) == "configuration.gpt-4.1-mini"
    assert kind_of("price_book") is None
