"""What the usage service can be told."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from llm_manager.kit.bus.streams import USAGE_BYTES
from llm_manager.kit.secrets import Secret
from llm_manager.kit.settings import ServiceSettings, Token


class UsageSettings(ServiceSettings):
    """Variables `LLM_MANAGER_USAGE_…`."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(env_prefix="LLM_MANAGER_USAGE_")

    grpc_host: str = Field("127.0.0.1", description="Address on which UsageService answers.")
    grpc_port: int = Field(0, ge=0, le=65535, description="Port of the same; 0 takes a free one, which the log names.")
    rpc_token: Token = Field(None, description="Token that callers of UsageService must show.")
    clickhouse_dsn: Secret = Field(
        description="The ledger's database: chdb:///folder inside this process, or clickhouse://user:password@host:8123/.",
    )
    price_files: Path | None = Field(
        None, description="A price file of your own, or a folder of them; a model that it prices has no price of ours."
    )
    reconcile_seconds: float = Field(
        10.0, gt=0, le=3600, description="How often attempts without a record are looked for."
    )
    reconcile_grace_seconds: float = Field(
        60.0, ge=0, le=86_400, description="How long after its time an attempt may still be recorded by itself."
    )
    stream_bytes: int = Field(
        USAGE_BYTES,
        ge=16 * 1024**2,
        description="Room of the stream USAGE for events that wait for the ledger; work is refused when it is full.",
    )
    batch_events: int = Field(1000, ge=1, le=10_000, description="Events that are written together at most.")
    batch_seconds: float = Field(
        0.25,
        gt=0,
        le=10,
        description="Time that an event waits for others at most while few come; up to four times that under load.",
    )
