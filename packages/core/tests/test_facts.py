from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from llm_manager.core.facts import FactsError, load_facts, parse_facts

KINDS = [
    "anthropic",
    "azure",
    "cerebras",
    "cohere",
    "custom",
    "deepseek",
    "echo",
    "fireworks",
    "gemini",
    "groq",
    "llamacpp",
    "lmstudio",
    "mistral",
    "nvidia",
    "ollama",
    "openai",
    "openrouter",
    "perplexity",
    "together",
    "vllm",
    "xai",
]
MINIMAL = """
kind = "new"
title = "New"
source = ["https://new.example/docs"]
checked_on = 2026-11-24
dialect = "openai_chat"
operations = ["chat"]
[finish_reasons]
stop = "stop"
"""


def test_every_kind_of_this_release_is_there() -> None:
    assert list(load_facts()) == KINDS


def test_provider_with_openai_s_dialect_is_one_short_file() -> None:
    facts = parse_facts(MINIMAL, name="new")

    assert (facts.paths.chat, facts.auth.header, facts.auth.scheme) == ("/chat/completions", "authorization", "Bearer")
    assert (facts.needs_credential, facts.is_local, facts.transport) == (True, False, "http")
    assert facts.usage.input == ("prompt_tokens",)


@pytest.mark.parametrize("kind", KINDS)
def test_facts_are_complete_and_say_where_they_come_from(kind: str) -> None:
    facts = load_facts()[kind]

    assert facts.source
    assert date(2026, 1, 1) <= facts.checked_on
    assert "stop" in facts.finish_reasons.values()
    assert len(set(facts.models)) == len(facts.models)
    assert facts.base_url or facts.transport == "echo" or kind in {"azure", "custom", "llamacpp", "vllm"}
    assert not facts.base_url.endswith("/")
    assert facts.needs_credential <= bool(facts.credential_env)
    for operation in facts.operations:
        assert getattr(facts.paths, operation)
    assert ("embeddings" in facts.operations) or not facts.embedding_models
    # what may be left out is refused otherwise, so it must be among the unsupported
    refused = {name for family in facts.families for name in family.refused}
    refused |= {*facts.parameters.unsupported, *facts.parameters.embeddings_unsupported}
    assert set(facts.parameters.harmless) <= refused
    # a family that lacks what its kind lacks too says nothing
    assert all(set(family.lacks) <= set(facts.capabilities) for family in facts.families)
    # the first family that fits counts: one behind a wider one would never be asked
    assert [facts.family_of(family.models[0].replace("*", "x")) for family in facts.families] == list(facts.families)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (MINIMAL.replace('kind = "new"', 'kind = "new"\ncolour = "red"'), "colour"),
        (MINIMAL + "[usage]\ncahced = []\n", "cahced"),
        (MINIMAL.replace('dialect = "openai_chat"', 'dialect = "esperanto"'), "dialect"),
        (MINIMAL.replace("checked_on = 2026-11-24\n", ""), "checked_on"),
        (MINIMAL.replace('source = ["https://new.example/docs"]', "source = []"), "source"),
        (MINIMAL + 'stop = "perhaps"', "TOML"),
        (MINIMAL.replace('stop = "stop"', 'stop = "perhaps"'), "finish_reasons"),
        (MINIMAL.replace('kind = "new"', 'kind = "old"'), "old"),
        (MINIMAL + '[headers]\naccept = ["authorization"]', "authorization"),
        (MINIMAL + '[headers]\nforward = ["set-cookie"]', "set-cookie"),
        (MINIMAL.replace("[finish_reasons]", 'embedding_models = ["e"]\n[finish_reasons]'), "embedding_models"),
    ],
)
def test_wrong_facts_are_refused_with_the_name_of_file_and_key(text: str, named: str) -> None:
    with pytest.raises(FactsError, match=named) as raised:
        parse_facts(text, name="new")

    assert "provider_facts/new.toml" in str(raised.value)


def test_facts_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        load_facts()["openai"].title = "Mine"  # pyright: ignore[reportAttributeAccessIssue] (that is the point)
    with pytest.raises(TypeError):
        load_facts()["mine"] = load_facts()["openai"]  # pyright: ignore[reportIndexIssue] (that is the point)


def _own_file(kind: str, **fields: str) -> str:
    lines = {
        "kind": f'"{kind}"',
        "title": '"Mine"',
        "source": '["https://mine.example"]',
        "checked_on": "2026-11-24",
        "dialect": '"openai_chat"',
        "operations": '["chat"]',
        "finish_reasons": '{ stop = "stop" }',
        **fields,
    }
    return "\n".join(f"{name} = {value}" for name, value in lines.items())


def test_kind_of_ones_own_is_one_file_and_may_replace_ours(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(_own_file("mine"))
    (tmp_path / "openai.toml").write_text(_own_file("openai"))
    (tmp_path / "notes.txt").write_text("not facts")
    loaded = load_facts(tmp_path)
    assert list(loaded) == sorted([*KINDS, "mine"])
    assert (loaded["mine"].title, loaded["openai"].title) == ("Mine", "Mine")
    assert load_facts()["openai"].title == "OpenAI"


def test_wrong_file_of_ones_own_is_refused_by_name_and_key(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(_own_file("mine", operations='["sing"]'))
    with pytest.raises(FactsError, match=r"mine\.toml: .*sing.*operations"):
        load_facts(tmp_path)
    with pytest.raises(FactsError, match="cannot be read"):
        load_facts(tmp_path / "missing")


def test_provider_speaks_its_main_dialect_and_the_others_that_it_names() -> None:
    facts = parse_facts(_own_file("mine", also='["openai_responses"]'), name="mine")
    assert [facts.speaks(name) for name in ("openai_chat", "openai_responses", "cohere_v2")] == [True, True, False]


def test_401_and_402_are_ours_whatever_they_say_and_403_only_where_the_facts_say_so() -> None:
    ours = '[errors.ours]\nwords = ["no_key"]\ntexts = ["*key*"]\ntexts_of_400 = ["bad key*"]\n'
    fit = parse_facts(MINIMAL + ours, name="new").errors.ours.fit

    statuses = [400, 401, 402, 403, 404, 429, 500]
    assert [status for status in statuses if fit(status=status, words=("x", ""), text="Your Key.")] == [401, 402, 403]
    assert fit(status=403, words=("", "no_key"), text="")
    assert not fit(status=403, words=("", ""), text="moderated")
    assert fit(status=400, words=(), text="Bad key: it has expired")


@pytest.mark.parametrize("kind", KINDS)
def test_patterns_of_refusals_can_be_met(kind: str) -> None:
    ours = load_facts()[kind].errors.ours

    # messages are compared in lower case
    assert [text for text in (*ours.texts, *ours.texts_of_400) if text != text.lower() or not text.strip("*")] == []
