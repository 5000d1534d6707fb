"""Everything that requests need, built once by app.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from starlette.requests import Request

from llm_manager.gateway.catalogue.discovery import ModelDirectory
from llm_manager.gateway.catalogue.service import Catalogue
from llm_manager.gateway.inference.rules import Caller
from llm_manager.gateway.inference.service import Inference
from llm_manager.gateway.keys.rules import authenticate
from llm_manager.gateway.keys.service import KeyService
from llm_manager.gateway.usage.service import UsageReports
from llm_manager.gateway.users.service import AdminDoor


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of requests, from the settings."""

    max_body_bytes: int
    heartbeat_seconds: float
    request_timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Parts:
    """The services behind the endpoints."""

    catalogue: Catalogue
    inference: Inference
    models: ModelDirectory
    keys: KeyService
    usage: UsageReports
    door: AdminDoor
    limits: Limits
    pepper: bytes

    def caller(self, authorization: str | None) -> Caller:
        """Check an API key; see keys.rules.authenticate."""
        catalogue = self.catalogue
        return authenticate(authorization, catalogue.snapshot, pepper=self.pepper, is_current=catalogue.is_current)


def parts_of(request: Request) -> Parts:
    """Return the parts of the application that serves a request."""
    return cast("Parts", request.app.state.parts)  # Starlette's state is untyped
