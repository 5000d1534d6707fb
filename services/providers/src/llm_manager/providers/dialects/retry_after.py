"""When to try again, from headers. Every provider writes it in a form of its own (recordings, quirk 36)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from llm_manager.core.facts import Headers, ResetFormat

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_UNIT_SECONDS = (86_400.0, 3_600.0, 60.0, 1.0, 0.001)
# Nobody waits for longer; a wrong unit or clock must not park a key for a year.
MAX_SECONDS = 86_400.0

Clock = Callable[[], datetime]


def _now() -> datetime:
    return datetime.now(UTC)


def retry_after_seconds(
    facts: Headers, headers: Mapping[str, str], *, status: int = 429, now: Clock = _now
) -> float | None:
    """Return the seconds to wait, None when the provider does not say.

    `retry-after-ms` is more exact than `retry-after`, and both are more to the point than the reset of a limit; of
    several resets the latest counts. A reset counts only where nothing remains of its limit, or where the status says
    that a limit was met (429) and no header says of which; a failure of the provider (5xx) has nothing to do with any.
    Call it for a refusal only: some send retry-after with 200 (quirk 33).
    """
    exact = _number(headers.get("retry-after-ms", ""))
    if exact is not None:
        return _bounded(exact / 1000)
    stated = headers.get("retry-after", "")
    if stated:
        seconds = _number(stated)
        return _bounded(seconds if seconds is not None else _seconds_until(_http_date(stated), now))
    said = [name for name in facts.reset if name in headers] if status < 500 else []
    remaining = {name: _number(headers.get(_remaining_of(name), "")) for name in said}
    spent = [name for name in said if (left := remaining[name]) is not None and left <= 0]
    if not spent and status == 429:
        spent = [name for name in said if remaining[name] is None]
    resets = [reset_seconds(headers[name], facts.reset_format, now=now) for name in spent]
    return _bounded(max((seconds for seconds in resets if seconds is not None), default=None))


def _remaining_of(reset: str) -> str:
    """Return the header beside a reset that says how much is left: every provider of the recordings names it so."""
    return reset.replace("reset", "remaining")


def reset_seconds(text: str, form: ResetFormat, *, now: Clock = _now) -> float | None:
    """Return the seconds until a limit resets, None when the text is not in the form.

    Forms: `seconds` 46; `duration` 120ms, 1s, 15m50.4s; `iso_time` 2026-03-18T18:20:05Z; `epoch_ms` 1759671180000.
    """
    match form:
        case "none":
            return None
        case "seconds":
            return _number(text)
        case "duration":
            match = _DURATION.fullmatch(text.strip())
            if not match or not any(match.groups()):
                return None
            return sum(float(part) * unit for part, unit in zip(match.groups(), _UNIT_SECONDS, strict=True) if part)
        case "iso_time":
            try:
                return _seconds_until(datetime.fromisoformat(text.strip()), now)
            except (ValueError, OverflowError):
                return None
        case "epoch_ms":
            milliseconds = _number(text)
            return None if milliseconds is None else milliseconds / 1000 - now().timestamp()


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _http_date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None


def _seconds_until(moment: datetime | None, now: Clock) -> float | None:
    if moment is None:
        return None
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now()).total_seconds()


def _bounded(seconds: float | None) -> float | None:
    return None if seconds is None else min(max(seconds, 0.0), MAX_SECONDS)
