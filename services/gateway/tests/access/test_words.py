"""Every permission and role has its words in every language."""

from __future__ import annotations

import pytest

from llm_manager.gateway.access import words
from llm_manager.gateway.access.rules import Permission, Role


@pytest.mark.requirement("S44")
def test_every_permission_and_role_is_told_in_every_language_in_words_of_its_own() -> None:
    assert set(words.PERMISSIONS) == set(Permission)
    assert set(words.ROLES) == set(Role)
    for table in (words.PERMISSIONS, words.ROLES):
        for language in words.LANGUAGES:
            told = [said[language] for said in table.values()]
            assert all(text.title and text.description.endswith(".") for text in told)
            assert len({text.title for text in told}) == len(told)
        for said in table.values():
            assert len({text.description for text in said.values()}) == len(words.LANGUAGES)


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("pt-BR, fr;q=0.5", "fr"),
        ("ES", "es"),
        ("*", "en"),
        (",;,;q=", "en"),
        ("x" * 10_000 + ",de", "en"),
    ],
)
def test_the_first_language_that_the_product_has_is_spoken(wanted: str, language: str) -> None:
    assert words.language_of(wanted) == language
