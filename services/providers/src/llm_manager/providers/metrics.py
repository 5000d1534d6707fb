"""Metrics of the workers beyond the ones that all services share (kit.telemetry_names)."""

from __future__ import annotations

from prometheus_client import Counter

UNKNOWN_FINISH_REASONS = Counter(
    "llm_manager_unknown_finish_reasons",
    "Answers that ended with a word that the facts do not know; it was passed on as `length`.",
    ("gen_ai_provider_name",),
)
EVENTS_RETRIED = Counter(
    "llm_manager_usage_events_retried", "Usage events that could not be stored in time and are tried again."
)
EVENTS_INCOMPLETE = Counter(
    "llm_manager_usage_events_incomplete",
    "Usage events without counts, because what the provider or the client wrote could not be put into one.",
)
EVENTS_LOST = Counter(
    "llm_manager_usage_events_lost", "Usage events that could not be stored before the end of the process."
)
