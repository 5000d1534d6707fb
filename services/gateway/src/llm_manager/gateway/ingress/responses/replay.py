"""A stored response as the events that make it up; pure.

The numbers are dense and the same on each reading, so a client can go on after a number of an earlier reading. Texts
come in one delta each, so the numbers are not those of the stream in which the response was made.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import msgspec

from llm_manager.kit.sse import data_event

Members = dict[str, object]

_ENDS = frozenset({"completed", "incomplete", "failed"})


def replayed(response: bytes, *, after: int | None) -> bytes:
    """Return the events of a response as server-sent events.

    Args:
        after: number of the last event that is not wanted again; None for all of them.
    """
    frames: list[bytes] = []
    for number, event in enumerate(_events(msgspec.json.decode(response, type=Members))):
        if after is None or number > after:
            kind = str(event["type"])
            frames.append(data_event(msgspec.json.encode({**event, "sequence_number": number}), event=kind))
    return b"".join(frames)


def _events(response: Members) -> Iterator[Members]:
    begun: Members = {**response, "status": "in_progress", "output": [], "usage": None, "completed_at": None}
    begun |= {"error": None, "incomplete_details": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(_list(response.get("output"))):
        yield from _item(item, index)
    if response.get("status") in _ENDS:
        yield {"type": f"response.{response['status']}", "response": response}


def _item(item: Members, index: int) -> Iterator[Members]:
    where: Members = {"item_id": item.get("id", ""), "output_index": index}
    shell, changes = _opened(item, where)
    yield {"type": "response.output_item.added", "output_index": index, "item": shell}
    yield from changes
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _opened(item: Members, where: Members) -> tuple[Members, list[Members]]:
    """Return an item as it begins, and what fills it."""
    match item.get("type"):
        case "message":
            parts = enumerate(_list(item.get("content")))
            filling = [event for number, part in parts for event in _part(part, {**where, "content_index": number})]
            return {**item, "status": "in_progress", "content": []}, filling
        case "function_call":
            return {**item, "status": "in_progress", "arguments": ""}, _call(item, "arguments", where)
        case "custom_tool_call":
            return {**item, "input": ""}, _call(item, "input", where)
        case "reasoning":
            said, thought = enumerate(_list(item.get("summary"))), enumerate(_list(item.get("content")))
            filling = [event for at, part in said for event in _summary(part, {**where, "summary_index": at})]
            filling += [event for at, part in thought for event in _thought(part, {**where, "content_index": at})]
            empty: Members = {"content": []} if "content" in item else {}
            return {**item, "summary": [], **empty}, filling
        case _:
            return item, []


def _call(item: Members, field: str, where: Members) -> list[Members]:
    kind, written = f"response.{item['type']}_{field}", item.get(field, "")
    return [{"type": f"{kind}.delta", **where, "delta": written}, {"type": f"{kind}.done", **where, field: written}]


def _part(part: Members, where: Members) -> list[Members]:
    if part.get("type") == "refusal":
        empty, text = {**part, "refusal": ""}, part.get("refusal", "")
        middle: list[Members] = [
            {"type": "response.refusal.delta", **where, "delta": text},
            {"type": "response.refusal.done", **where, "refusal": text},
        ]
    else:
        empty: Members = {**part, "text": "", "annotations": [], "logprobs": []}
        text, logprobs = part.get("text", ""), _list(part.get("logprobs"))
        middle = [
            {"type": "response.output_text.delta", **where, "delta": text, "logprobs": logprobs},
            *(
                {"type": "response.output_text.annotation.added", **where, "annotation_index": at, "annotation": said}
                for at, said in enumerate(_list(part.get("annotations")))
            ),
            {"type": "response.output_text.done", **where, "text": text, "logprobs": logprobs},
        ]
    return [
        {"type": "response.content_part.added", **where, "part": empty},
        *middle,
        {"type": "response.content_part.done", **where, "part": part},
    ]


def _summary(part: Members, where: Members) -> list[Members]:
    text, kind = part.get("text", ""), "response.reasoning_summary"
    return [
        {"type": f"{kind}_part.added", **where, "part": {**part, "text": ""}},
        {"type": f"{kind}_text.delta", **where, "delta": text},
        {"type": f"{kind}_text.done", **where, "text": text},
        {"type": f"{kind}_part.done", **where, "part": part},
    ]


def _thought(part: Members, where: Members) -> list[Members]:
    text = part.get("text", "")
    return [
        {"type": "response.content_part.added", **where, "part": {**part, "text": ""}},
        {"type": "response.reasoning_text.delta", **where, "delta": text},
        {"type": "response.reasoning_text.done", **where, "text": text},
        {"type": "response.content_part.done", **where, "part": part},
    ]


def _list(value: object) -> list[Members]:
    return cast("list[Members]", value) if isinstance(value, list) else []  # a response holds lists of objects
