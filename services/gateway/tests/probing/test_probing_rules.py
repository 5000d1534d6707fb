"""Which questions are put to a server, and what their answers prove."""

from __future__ import annotations

import json

import msgspec
import pytest

from llm_manager.core.errors import (
    LlmManagerError,
    ProviderRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from llm_manager.core.facts import load_facts
from llm_manager.gateway.catalogue.records import ConfigurationRecord, ProviderProfile, ProviderRecord
from llm_manager.gateway.catalogue.rules import Snapshot
from llm_manager.gateway.inference.rules import Caller
from llm_manager.gateway.probing.rules import PLAIN, PROBES, Probe, abilities, asked_of, is_refusal, may_be_refusal

CUSTOM = load_facts()["custom"]
BY_NAME = {probe.name: probe for probe in PROBES}
ANYBODY = Caller(app_id="a", api_key_id="k")
AT = "2026-11-26T00:00:00Z"


def members(probe: Probe) -> dict[str, object]:
    return json.loads(probe.body("m").body)


def test_every_question_is_a_small_request_for_the_model() -> None:
    for probe in (PLAIN, *PROBES):
        body = members(probe)
        assert body["model"] == "m"
        assert body.get("max_tokens", body.get("max_output_tokens")) == 16
        assert len(probe.body("m").body) < 1_000


def test_only_what_the_facts_claim_is_asked() -> None:
    assert [probe.name for probe in asked_of(CUSTOM)] == [probe.name for probe in PROBES]
    modest = msgspec.structs.replace(CUSTOM, capabilities=("streaming", "tools"), also=())
    assert [probe.name for probe in asked_of(modest)] == ["streaming", "tools"]


def test_what_was_refused_is_lacking() -> None:
    capabilities, dialects = abilities(CUSTOM, [BY_NAME["tools"], BY_NAME["responses"]])
    assert set(CUSTOM.capabilities) - set(capabilities) == {"tools", "parallel_tools"}
    assert set(CUSTOM.also) - set(dialects) == {"openai_responses"}
    assert dialects[0] == "openai_chat"


@pytest.mark.parametrize(
    ("error", "at_once", "the_second_time"),
    [
        (UpstreamRefused("no"), True, False),
        (UpstreamUnavailable("stumbled"), False, True),
        (ProviderRateLimited("slower"), False, False),
        (UpstreamTimeout("late"), False, False),
    ],
)
def test_failures_of_the_moment_prove_nothing(error: LlmManagerError, at_once: bool, the_second_time: bool) -> None:
    assert (is_refusal(error), may_be_refusal(error)) == (at_once, the_second_time)


@pytest.mark.parametrize(
    ("name", "body", "proved"),
    [
        ("several_choices", {"choices": [{"index": 0}, {"index": 1}]}, True),
        ("several_choices", {"choices": [{"index": 0}]}, False),
        ("logprobs", {"choices": [{"logprobs": {"content": [{"token": "OK"}]}}]}, True),
        ("logprobs", {"choices": [{"logprobs": None}]}, False),
        ("logprobs", {"choices": []}, False),
    ],
)
def test_what_servers_ignore_in_silence_is_looked_for_in_the_answer(
    name: str, body: dict[str, object], proved: bool
) -> None:
    proves = BY_NAME[name].proves
    assert proves is not None
    assert proves(json.dumps(body).encode()) is proved


def provider(*, base_url: str = "http://a/v1") -> ProviderRecord:
    profile = msgspec.convert(
        {
            "base_url": "http://a/v1",
            "dialects": ["openai_chat"],
            "capabilities": {"small": ["streaming"]},
            "probed_at": AT,
        },
        ProviderProfile,
    )
    return ProviderRecord(id="p", revision=1, name="custom", kind="custom", base_url=base_url, profile=profile)


def test_a_profile_says_what_the_provider_speaks_and_what_the_probed_model_can_do() -> None:
    snapshot = Snapshot.of([provider()], is_complete=True)
    target = snapshot.resolve("custom/small", ANYBODY)
    assert (target.dialects, target.profile.capabilities) == (("openai_chat",), frozenset({"streaming"}))
    other = snapshot.resolve("custom/large", ANYBODY)
    assert (other.dialects, other.profile.capabilities) == (("openai_chat",), None)


def test_a_profile_of_another_address_says_nothing() -> None:
    target = Snapshot.of([provider(base_url="http://b/v1")], is_complete=True).resolve("custom/small", ANYBODY)
    assert (target.dialects, target.profile.capabilities) == (None, None)


def test_what_a_person_says_about_a_model_counts_more() -> None:
    configuration = ConfigurationRecord(
        id="c", revision=1, name="mine", provider="custom", upstream_model="small", capabilities=("tools",)
    )
    for item, expected in (
        (configuration, frozenset({"tools"})),
        (msgspec.structs.replace(configuration, capabilities=None), frozenset({"streaming"})),
    ):
        target = Snapshot.of([provider(), item], is_complete=True).resolve("mine", ANYBODY)
        assert target.profile.capabilities == expected
