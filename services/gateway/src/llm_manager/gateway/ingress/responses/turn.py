"""One stored response and what it answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Turn:
    """A response, its request's input, and where it came from.

    Args:
        previous_id: the response that it goes on from; empty when it begins a conversation.
        provider: name of the provider in the catalogue.
        is_upstream: its provider speaks the dialect and keeps the response too, so that it knows the id.
        input: the request's own input as JSON: a text or items, without what came before.
        response: the response object as JSON, as the client got it.
    """

    id: str
    app_id: str
    previous_id: str
    model: str
    provider: str
    is_upstream: bool
    created_at: datetime
    expires_at: datetime
    input: bytes
    response: bytes
