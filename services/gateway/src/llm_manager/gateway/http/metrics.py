"""Metrics of the HTTP edge beyond the ones that all services share (kit.telemetry_names)."""

from __future__ import annotations

from prometheus_client import Counter

CONNECTIONS_ENDED = Counter(
    "llm_manager_http_connections_ended",
    "Connections that the gateway ended; reason is head_timeout, body_timeout, head_too_large, slow_reader, "
    "buffers_full, too_many.",
    ("reason",),
)
