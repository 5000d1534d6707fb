"""Turns a whole answer that came where a stream was asked into the events that a stream would have had."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import msgspec

from llm_manager.providers.dialects.json_values import Json, table, tables
from llm_manager.providers.dialects.pointers import EXACT_DECODER, EXACT_ENCODER


def unfolded(body: bytes) -> list[bytes]:
    """Return the events of a whole answer; what is none goes on as it is, as one event that the reader judges."""
    try:
        response = table(EXACT_DECODER.decode(body))
    except msgspec.DecodeError:
        return [body.strip()]
    if not isinstance(response.get("output"), list):
        return [EXACT_ENCODER.encode({"type": "error", **response} if response.get("error") else response)]
    numbers = itertools.count()
    return [EXACT_ENCODER.encode({**event, "sequence_number": next(numbers)}) for event in _events(response)]


def _events(response: Json) -> Iterator[Json]:
    begun: Json = {**response, "status": "in_progress", "output": [], "usage": None, "error": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(tables(response["output"])):
        at = {"output_index": index}
        is_message = item.get("type") == "message"
        opened: Json = {**item, "status": "in_progress", "content": []} if is_message else item
        yield {"type": "response.output_item.added", **at, "item": opened}
        if is_message:
            for place, part in enumerate(tables(item.get("content"))):
                yield from _part({**at, "item_id": item.get("id"), "content_index": place}, part)
        yield {"type": "response.output_item.done", **at, "item": item}
    status = response.get("status")
    kind = status if status in ("completed", "incomplete", "failed", "cancelled") else "completed"
    yield {"type": f"response.{kind}", "response": response}


def _part(at: Json, part: Json) -> Iterator[Json]:
    kind, field = ("refusal", "refusal") if part.get("type") == "refusal" else ("output_text", "text")
    text = str(part.get(field) or "")
    # What a stream says with the text, it says here with the whole item.
    more: Json = {} if kind == "refusal" else {"logprobs": part.get("logprobs") or []}
    empty: Json = {**part, field: ""} if kind == "refusal" else {**part, field: "", "annotations": []}
    yield {"type": "response.content_part.added", **at, "part": empty}
    if text:
        yield {"type": f"response.{kind}.delta", **at, "delta": text, **more}
    for number, annotation in enumerate(tables(part.get("annotations"))):
        yield {
            "type": "response.output_text.annotation.added", **at, "annotation_index": number, "annotation": annotation
        }  # fmt: skip
    yield {"type": f"response.{kind}.done", **at, field: text, **more}
    yield {"type": "response.content_part.done", **at, "part": part}
