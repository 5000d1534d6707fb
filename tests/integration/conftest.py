"""The running product, once per module, with a provider that keeps its own books."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from counting_provider import CountingProvider, counting_provider

from llm_manager.testing.stack import Stack, running_stack


@pytest.fixture(scope="module")
def provider() -> Iterator[CountingProvider]:
    with counting_provider() as running:
        yield running


@pytest.fixture(scope="module")
def stack(provider: CountingProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    environment = {"OPENAI_API_KEY": "sk-counting-provider", "OPENAI_BASE_URL": provider.base_url}
    with running_stack(tmp_path_factory.mktemp("stack"), environment=environment) as running:
        yield running
