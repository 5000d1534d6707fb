"""An answer is one answer, whatever a provider calls its chunks."""

from __future__ import annotations

import json

import pytest

from llm_manager.core.facts import load_facts
from llm_manager.providers.dialects.openai_chat.stream import ChatStreamReader
from llm_manager.testing.upstream import sse


def _chunk(text: str, *, chunk_id: str | None, created: int | None, finish: str | None = None) -> dict[str, object]:
    return {
        "id": chunk_id,
        "object": "chat.completion.chunk",
        "created": created,
        "model": "m",
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}],
    }


@pytest.mark.requirement("L-29")
def test_all_chunks_carry_the_id_and_time_of_the_first() -> None:
    reader = ChatStreamReader(load_facts()["custom"], is_native=True, new_id=lambda: "made-up")
    events = [
        _chunk("a", chunk_id="first", created=1),
        _chunk("b", chunk_id="second", created=2),
        _chunk("c", chunk_id=None, created=None, finish="stop"),
    ]
    native = [n for piece in sse(*events, "[DONE]") for n in reader.feed(piece).native] + reader.finish().native
    assert {(chunk["id"], chunk["created"]) for chunk in map(json.loads, native)} == {("first", 1)}
    assert "".join(c["delta"].get("content", "") for n in native for c in json.loads(n)["choices"]) == "abc"
