"""What holds for every test: asyncio as the one event loop, and no silent skips where real parts are required."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

# `.ci/run` sets it: a part that cannot be had is a failure there, not a skip (design.md, section 11)
REQUIRED_KEY = "LLM_MANAGER_REQUIRE_REAL_PARTS"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skip(report)
    return report


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.outcome == "skipped" and os.environ.get(REQUIRED_KEY) == "1":
        where_and_why = report.longrepr
        reason = where_and_why[2] if isinstance(where_and_why, tuple) else str(where_and_why)
        report.outcome = "failed"
        report.longrepr = f"{reason}\n{REQUIRED_KEY}=1 makes this skip a failure: everything needed must be there."
