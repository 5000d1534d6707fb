"""Names, keys of the bucket, and what leads where."""

from __future__ import annotations

import re
import tracemalloc

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_manager.core.errors import ConfigurationInactive, ModelNotFound, PermissionRefused
from llm_manager.gateway.catalogue.records import (
    AliasRecord,
    AppRecord,
    ConfigurationRecord,
    KeyRecord,
    ProviderRecord,
    kind_of,
    kv_key,
)
from llm_manager.gateway.catalogue.rules import Snapshot, is_allowed
from llm_manager.gateway.inference.rules import Caller

ANYBODY = Caller(app_id="a", api_key_id="k")

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
    target = SNAPSHOT.resolve(model, ANYBODY)
    assert (target.provider, target.upstream_model, target.configuration) == (provider, upstream_model, configuration)


@pytest.mark.parametrize("model", ["nothing", "orphan", "off", "gone/x", "openai/", "/x", "openai", "x" * 5_000])
def test_a_name_that_leads_nowhere_is_a_404_of_bounded_length(model: str) -> None:
    with pytest.raises(ModelNotFound) as caught:
        SNAPSHOT.resolve(model, ANYBODY)
    assert (caught.value.http_status, caught.value.param) == (404, "model")
    assert len(caught.value.message) < 400


def test_a_change_leads_the_same_name_elsewhere_at_once() -> None:
    provider = ProviderRecord(id="p2", revision=2, name="together", kind="together", base_url="https://new.example/v1")
    assert SNAPSHOT.resolve("together/m", ANYBODY).base_url == ""
    changed = SNAPSHOT.changed(provider)
    assert changed.resolve("together/m", ANYBODY).base_url == provider.base_url
    assert SNAPSHOT.resolve("together/m", ANYBODY).base_url == ""
    with pytest.raises(ModelNotFound):
        changed.without(provider).resolve("together/m", ANYBODY)


def test_names_that_clients_make_up_are_kept_in_bounded_memory() -> None:
    snapshot = Snapshot.of(RECORDS, is_complete=True)
    tracemalloc.start()
    try:
        for number in range(20_000):
            snapshot.resolve(f"together/{number}", ANYBODY)
            snapshot.resolve(f"together/{number}{'x' * 10_000}", ANYBODY)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2_000_000
    assert {
        snapshot.resolve("together/1", ANYBODY).upstream_model,
        snapshot.resolve("together/2", ANYBODY).upstream_model,
    } == {"1", "2"}


def test_the_nearest_names_are_offered() -> None:
    with pytest.raises(ModelNotFound, match=r"Did you mean gpt-4\.1-mini\?"):
        SNAPSHOT.resolve("gpt4.1-mini", ANYBODY)


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


def _owned() -> Snapshot:
    def named(name: str, **said: object) -> ConfigurationRecord:
        fields = {"id": name, "revision": 1, "provider": "openai", "upstream_model": f"up-{name}", **said}
        return msgspec.convert({"name": name, **fields}, ConfigurationRecord)

    return Snapshot.of(
        [
            *RECORDS[:3],
            AppRecord(id="b", revision=1, name="narrow", allowed_models=("best", "together/*")),
            KeyRecord(id="kn", revision=1, app_id="a", name="n", hash="", allowed_models=("all",)),
            named("all", is_default=True),
            named("mine", app_id="a", is_default=True),
            named("theirs", app_id="b"),
            named("off", is_active=False),
            named("empty", is_active=False, upstream_model=""),
            AliasRecord(id="l1", revision=1, name="best", configuration="all"),
            AliasRecord(id="l2", revision=1, name="default", configuration="theirs"),
        ],
        is_complete=True,
    )


@pytest.mark.requirement("S10")
def test_a_configuration_of_another_app_is_refused_and_a_global_one_is_for_all() -> None:
    snapshot = _owned()
    assert snapshot.resolve("all", ANYBODY).upstream_model == "up-all"
    assert snapshot.resolve("mine", ANYBODY).upstream_model == "up-mine"
    with pytest.raises(PermissionRefused, match="'default' or its key may not use the model 'theirs'"):
        snapshot.resolve("theirs", ANYBODY)


def test_an_app_asks_for_what_it_is_allowed_by_any_of_its_names() -> None:
    snapshot, narrow = _owned(), Caller(app_id="b", api_key_id="k")
    assert snapshot.resolve("best", narrow).upstream_model == "up-all"
    assert snapshot.resolve("together/x/y", narrow).upstream_model == "x/y"
    for model in ("all", "theirs", "openai/gpt-4.1-mini", "default"):
        with pytest.raises(PermissionRefused):
            snapshot.resolve(model, narrow)


def test_a_key_narrows_what_its_app_may_ask_for() -> None:
    snapshot, key = _owned(), Caller(app_id="a", api_key_id="kn")
    # an alias of an allowed configuration is allowed
    assert snapshot.resolve("all", key).upstream_model == snapshot.resolve("best", key).upstream_model == "up-all"
    with pytest.raises(PermissionRefused):
        snapshot.resolve("mine", key)
    # what another key of the same app was told is not remembered for this one
    assert snapshot.resolve("mine", ANYBODY).upstream_model == "up-mine"
    with pytest.raises(PermissionRefused):
        snapshot.resolve("mine", key)


@pytest.mark.requirement("S4")
def test_default_is_the_app_s_own_then_that_of_all_then_the_alias() -> None:
    snapshot = _owned()
    assert snapshot.resolve("default", ANYBODY).upstream_model == "up-mine"
    assert snapshot.resolve("default", Caller(app_id="c", api_key_id="k")).upstream_model == "up-all"
    without = snapshot.without(snapshot.configurations["all"])
    with pytest.raises(PermissionRefused):
        without.resolve("default", Caller(app_id="c", api_key_id="k"))


@pytest.mark.parametrize(("model", "why"), [("off", "is switched off"), ("empty", "has no model yet")])
def test_what_is_switched_off_says_so(model: str, why: str) -> None:
    with pytest.raises(ConfigurationInactive, match=why) as caught:
        _owned().resolve(model, ANYBODY)
    assert (caught.value.http_status, caught.value.code) == (409, "configuration_inactive")


@pytest.mark.parametrize(
    ("patterns", "names", "answer"),
    [
        (None, ["x"], True),
        ((), ["x"], False),
        (("x",), ["x"], True),
        (("x",), ["xy"], False),
        (("x*",), ["xy"], True),
        (("*",), [""], True),
        (("a/*",), ["a"], False),
        (("b",), ["a", "b"], True),
        (("x*y",), ["xzy"], False),
    ],
)
def test_a_star_at_the_end_of_a_pattern_stands_for_the_rest(
    patterns: tuple[str, ...] | None, names: list[str], answer: bool
) -> None:
    assert is_allowed(patterns, names) is answer
