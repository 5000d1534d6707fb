"""Which kinds speak responses, and which models answer only there."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import get_args

import pytest
from openai.types.shared.responses_model import ResponsesModel

from llm_manager.core.facts import load_facts
from llm_manager.providers.dialects.openai_responses.dialect import OpenAiResponses
from llm_manager.providers.dialects.registry import dialects_of

FACTS = load_facts()["openai"]


def answers_only_in_responses(model: str) -> bool:
    return any(fnmatchcase(model, pattern) for pattern in FACTS.responses_models)


@pytest.mark.parametrize(
    ("model", "is_only"),
    [
        ("gpt-5.1-codex-max", True),
        ("gpt-5.3-codex", True),
        ("codex-mini-latest", True),
        ("o1-pro", True),
        ("o3-pro-2025-06-10", True),
        ("gpt-5.5-pro-2026-04-23", True),
        ("gpt-5-pro", True),
        ("o4-mini-deep-research", True),
        ("computer-use-preview", True),
        ("gpt-6.2-astra-law", True),
        ("gpt-5.6-cyber", True),
        ("gpt-5.5", False),
        ("o3", False),
        ("gpt-4o-mini", False),
        ("gpt-4o-search-preview", False),
    ],
)
def test_models_without_chats_are_known_by_their_names(model: str, is_only: bool) -> None:
    assert answers_only_in_responses(model) is is_only


@pytest.mark.parametrize("kind", ["openai", "custom", "openrouter", "groq"])
def test_kinds_that_have_responses_speak_them_beside_chats(kind: str) -> None:
    facts = load_facts()[kind]

    assert isinstance(dialects_of(facts)["openai_responses"], OpenAiResponses)
    assert facts.paths.responses == "/responses"
    assert facts.speaks("openai_responses")


def test_models_that_the_sdk_lists_for_responses_alone_are_among_them() -> None:
    _, _, alone = get_args(ResponsesModel)
    models = get_args(alone)

    assert len(models) > 20
    assert [model for model in models if not answers_only_in_responses(model)] == []
