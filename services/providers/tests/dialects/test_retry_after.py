"""When to try again, in the form of every provider."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from llm_manager.core.facts import load_facts
from llm_manager.providers.dialects.retry_after import reset_seconds, retry_after_seconds


@pytest.mark.parametrize(
    ("text", "form", "seconds"),
    [
        ("120ms", "duration", 0.12), ("1s", "duration", 1.0), ("15m50.4s", "duration", 950.4),
        ("530ms", "duration", 0.53), ("1h2m3s", "duration", 3723.0), ("0s", "duration", 0.0),
        ("soon", "duration", None), ("", "duration", None), ("46", "seconds", 46.0), ("nan", "seconds", None),
        ("2026-01-01T00:00:09Z", "iso_time", 9.0), ("yesterday", "iso_time", None),
        ("1767225605000", "epoch_ms", 5.0), ("x", "epoch_ms", None), ("5", "none", None),
    ],
)  # fmt: skip
def test_reset_is_read_in_the_form_of_its_provider(text: str, form: str, seconds: float | None) -> None:
    found = reset_seconds(text, form, now=lambda: datetime(2026, 1, 1, tzinfo=UTC))  # pyright: ignore[reportArgumentType]

    assert found is None if seconds is None else found == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("kind", "headers", "seconds"),
    [
        ("openai", {"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ("openai", {"retry-after": "7", "x-ratelimit-reset-tokens": "1s"}, 7.0),
        ("openai", {"retry-after": "Thu, 01 Jan 2026 00:00:03 GMT"}, 3.0),
        ("openai", {"x-ratelimit-reset-requests": "2s", "x-ratelimit-reset-tokens": "3s"}, 3.0),
        ("openrouter", {"x-ratelimit-reset": "1767225604000"}, 4.0),
        ("openrouter", {"x-ratelimit-reset": "1"}, 0.0),
        ("mistral", {"x-ratelimit-reset-tokens": "9"}, None),
        ("groq", {"retry-after": "999999999"}, 86_400.0),
        ("groq", {}, None),
    ],
)
def test_wait_is_read_from_the_most_exact_header(kind: str, headers: dict[str, str], seconds: float | None) -> None:
    found = retry_after_seconds(load_facts()[kind].headers, headers, now=lambda: datetime(2026, 1, 1, tzinfo=UTC))

    assert found is None if seconds is None else found == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("status", "left", "seconds"),
    [
        (429, {"requests": "99", "tokens": "0"}, 20.0),
        (429, {"requests": "0", "tokens": "0"}, 300.0),
        (429, {"requests": "99", "tokens": "7"}, None),
        (429, {}, 300.0),
        (429, {"requests": "99"}, 20.0),
        (409, {}, None),
        (500, {"requests": "99", "tokens": "7"}, None),
        (503, {"requests": "0", "tokens": "0"}, None),
    ],
)
def test_reset_counts_only_where_its_limit_is_used_up(status: int, left: dict[str, str], seconds: float | None) -> None:
    resets = {"x-ratelimit-reset-requests": "5m0s", "x-ratelimit-reset-tokens": "20s"}
    headers = resets | {f"x-ratelimit-remaining-{name}": value for name, value in left.items()}

    assert retry_after_seconds(load_facts()["openai"].headers, headers, status=status) == seconds


@pytest.mark.parametrize("text", ["9" * 5000, "Thu, 01 Jan " + "9" * 30 + " 00:00:03 GMT"])
def test_retry_after_that_is_no_time_is_none(text: str) -> None:
    assert retry_after_seconds(load_facts()["openai"].headers, {"retry-after": text}) is None
    assert reset_seconds("1.2.3s", "duration") is None
