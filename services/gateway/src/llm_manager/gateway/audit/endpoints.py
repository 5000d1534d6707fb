"""Admin API of the audit."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import asdict
from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import StreamingResponse

from llm_manager.gateway.access.endpoints import admin_router
from llm_manager.gateway.access.rules import Permission
from llm_manager.gateway.audit.rules import Entry
from llm_manager.gateway.audit.schemas import EntryList, EntryView, ProofView
from llm_manager.gateway.audit.service import MOST_ENTRIES, Audit, AuditQuery
from llm_manager.gateway.http.built import Built
from llm_manager.gateway.http.fields import Absent, Moment

AUDIT: Built[Audit] = Built("audit")
router = admin_router("audit", "Audit", needs=Permission.AUDIT_VIEW)
Text = Annotated[str, Query(max_length=512)]


@router.get("")
async def list_audit_entries(
    request: Request,
    *,
    resource: Text = "",
    resource_id: Text = "",
    actor: Annotated[str, Query(max_length=200, description="Id or name of who acted.")] = "",
    request_id: Annotated[str, Query(max_length=128)] = "",
    start: Annotated[Moment | Absent, Query(alias="from", description="First instant, inclusive.")] = None,
    end: Annotated[Moment | Absent, Query(alias="to", description="Last instant, exclusive.")] = None,
    before: Annotated[int | Absent, Query(ge=1, le=2**63 - 1)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_ENTRIES)] = 100,
) -> EntryList:
    """List what was done, newest first, page by page."""
    query = AuditQuery(
        resource=resource, resource_id=resource_id, actor=actor, request_id=request_id,
        start=start, end=end, before=before, limit=limit,
    )  # fmt: skip
    found = await AUDIT.of(request).page(query)
    shown = found[:limit]
    next_before = shown[-1][0].sequence if len(found) > limit else None
    return EntryList(data=[_view(*item) for item in shown], next_before=next_before)


@router.get("/export", response_class=StreamingResponse)
async def export_audit(request: Request) -> StreamingResponse:
    """Send every entry, oldest first, as one JSON object a line."""
    return StreamingResponse(_lines(AUDIT.of(request)), media_type="application/x-ndjson")


@router.get("/proof")
async def prove_audit(request: Request) -> ProofView:
    """Follow the chain of hashes and say whether any entry was changed, put in or taken out."""
    proof = await AUDIT.of(request).proof()
    return ProofView(is_whole=proof.broken_at is None, entries=proof.entries, broken_at=proof.broken_at)


async def _lines(audit: Audit) -> AsyncGenerator[str]:
    async for page in audit.every():
        yield "".join(f"{_view(*item).model_dump_json()}\n" for item in page)


def _view(entry: Entry, hashed: str) -> EntryView:
    return EntryView(**asdict(entry), hash=hashed)
