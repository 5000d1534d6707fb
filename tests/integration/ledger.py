"""Reads the ledger as an administrator does: over the API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2

from llm_manager.testing.stack import Stack, wait_until

Json = dict[str, Any]


def events(stack: Stack, **filters: str) -> list[Json]:
    """Return every event that passes the filters, newest first."""
    return list(_pages(stack, filters))


def _pages(stack: Stack, filters: dict[str, str]) -> Iterator[Json]:
    token = ""
    with httpx2.Client(base_url=stack.origin, auth=stack.admin, timeout=30) as client:
        while True:
            query = {"limit": "1000", **filters, **({"page_token": token} if token else {})}
            answer = client.get("/api/v1/usage/events", params=query)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            yield from page["data"]
            token = page.get("next_page_token") or ""
            if not token:
                return


def total(stack: Stack) -> Json:
    """Return the sum of everything."""
    with httpx2.Client(base_url=stack.origin, auth=stack.admin, timeout=30) as client:
        answer = client.get("/api/v1/usage/total")
        assert answer.status_code == 200, answer.text
        data: Json = answer.json()["data"]
        return data


def events_of(stack: Stack, request_id: str, *, count: int = 1, timeout_seconds: float = 10) -> list[Json]:
    """Wait for the events of one request and return them."""
    found: list[Json] = []

    def arrived() -> bool:
        found[:] = events(stack, request_id=request_id)
        return len(found) >= count

    wait_until(arrived, timeout_seconds=timeout_seconds, what=f"{count} ledger rows of {request_id}", every_seconds=0.1)
    return found
