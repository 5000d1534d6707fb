"""Everything that model calls need, built once by app.py."""

from __future__ import annotations

from dataclasses import dataclass

from llm_manager.gateway.catalogue.discovery import ModelDirectory
from llm_manager.gateway.catalogue.service import Catalogue
from llm_manager.gateway.http.built import Built
from llm_manager.gateway.inference.rules import Caller
from llm_manager.gateway.inference.service import Inference
from llm_manager.gateway.keys.rules import KnownCallers


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of requests, from the settings."""

    max_body_bytes: int
    heartbeat_seconds: float
    request_timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Parts:
    """The services behind every ingress."""

    catalogue: Catalogue
    inference: Inference
    models: ModelDirectory
    limits: Limits
    known_callers: KnownCallers

    def caller(self, authorization: str | None, address: str) -> Caller:
        """Check an API key; see keys.rules.authenticate."""
        catalogue = self.catalogue
        return self.known_callers.caller(
            authorization, catalogue.snapshot, address=address, is_current=catalogue.is_current
        )


PARTS: Built[Parts] = Built("parts")
