"""The configuration file of the nats-server that `up` starts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from llm_manager.kit.bus.permissions import authorization

# The same on one machine as NATS' default in a cluster; larger messages travel by claim check.
MAX_PAYLOAD_BYTES = 1_048_576
MAX_STORE_BYTES = 64 * 1024**3


def render(*, port: int, passwords: Mapping[str, str], store: Path) -> str:
    """Return the configuration; it holds the passwords of the users of the bus, so the file must be private."""
    return f"""\
# Written by `llm-manager up` at every start; changes are overwritten.
server_name: "llm-manager"
listen: "127.0.0.1:{port}"
max_payload: {MAX_PAYLOAD_BYTES}
# A frozen process gives no PONG: after 6 to 8 s the bus takes it out of its queue group, and requests that only it
# could take are refused at once instead of waiting for it (default: four minutes).
ping_interval: "2s"
ping_max: 2
{authorization(passwords)}
jetstream {{
  store_dir: "{store}"
  # Streams have bounds of their own (kit/bus/streams.py). Without this the server refuses them where three quarters of
  # the free disk are less than their sum, though they are far from full.
  max_file_store: {MAX_STORE_BYTES}
  # A killed nats-server loses nothing at any value: what it has acknowledged is in the page cache. This bounds what a
  # power failure can lose (default two minutes). `always` loses nothing then either, and costs 0.45 ms instead of
  # 0.14 ms for each event and 3,600 instead of 19,700 events/s (2 cores, ext4, 2026-11-24).
  sync_interval: "1s"
}}
"""
