"""The running product, once per module, with a provider that keeps its own books."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from counting_provider import CountingProvider, counting_provider

from llm_manager.testing.stack import Stack, running_stack


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that tests have recorded as `figures`, so that every report of CI shows them."""
    reports: list[pytest.TestReport] = [
        report for outcome in ("passed", "failed") for report in terminalreporter.getreports(outcome)
    ]
    lines = [str(value) for report in reports for name, value in report.user_properties if name == "figures"]
    if lines:
        terminalreporter.section("figures", sep="-")
        for line in lines:
            terminalreporter.write_line(line)


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


@pytest.fixture(scope="module")
def provider() -> Iterator[CountingProvider]:
    with counting_provider() as running:
        yield running


@pytest.fixture(scope="module")
def stack(provider: CountingProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    environment = {"OPENAI_API_KEY": "sk-counting-provider", "OPENAI_BASE_URL": provider.base_url}
    with running_stack(tmp_path_factory.mktemp("stack"), environment=environment) as running:
        yield running
