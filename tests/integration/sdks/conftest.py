"""The running product before a provider made of rules, for the official SDKs as clients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from chats_only import write_chats_only

from llm_manager.testing.plausible_provider import PlausibleProvider, plausible_provider
from llm_manager.testing.stack import Stack, running_stack


@pytest.fixture(scope="package")
def provider() -> Iterator[PlausibleProvider]:
    with plausible_provider() as running:
        yield running


@pytest.fixture(autouse=True)
def connections_end_with_the_test(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close what the SDKs opened: as garbage of a later test it would warn there, and warnings are errors."""
    opened: list[httpx.Client] = []
    make = httpx.Client.__init__

    # Any: the parameters are httpx's
    def make_and_remember(client: httpx.Client, *arguments: Any, **options: Any) -> None:
        make(client, *arguments, **options)
        opened.append(client)

    monkeypatch.setattr(httpx.Client, "__init__", make_and_remember)
    yield
    for client in opened:
        client.close()


@pytest.fixture(scope="package")
def stack(provider: PlausibleProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("sdks")
    write_chats_only(folder, ["openai"])
    environment = {"OPENAI_API_KEY": "sk-plausible", "OPENAI_BASE_URL": provider.base_url}
    with running_stack(folder, environment=environment) as running:
        yield running
