"""Instruments of the ledger that nobody else records; the rest live in kit/telemetry_names.py."""

from __future__ import annotations

from prometheus_client import Counter

LEDGER_EVENTS_REJECTED = Counter(
    "llm_manager_ledger_events_rejected",
    "Messages kept in usage.rejected, by reason; those that also became a row with defects are included.",
    ("reason",),
)
LEDGER_ATTEMPTS_RECONCILED = Counter(
    "llm_manager_ledger_attempts_reconciled",
    "Attempts that were handed over, that nobody recorded, and that got a row of unknown cost.",
)
