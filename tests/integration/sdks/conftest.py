"""The running product before a provider made of rules, for the official SDKs as clients."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from chats_only import write_chats_only

from llm_manager.testing.plausible_provider import PlausibleProvider, plausible_provider
from llm_manager.testing.stack import Stack, running_stack


@pytest.fixture(scope="package")
def provider() -> Iterator[PlausibleProvider]:
    with plausible_provider() as running:
        yield running


@pytest.fixture(scope="package")
def stack(provider: PlausibleProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("sdks")
    write_chats_only(folder, ["openai"])
    environment = {"OPENAI_API_KEY": "sk-plausible", "OPENAI_BASE_URL": provider.base_url}
    with running_stack(folder, environment=environment) as running:
        yield running
