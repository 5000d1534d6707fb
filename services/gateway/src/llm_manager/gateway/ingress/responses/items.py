"""Items as they are kept: history in front of a new input, references, and the list of a response's input; pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, cast

import msgspec
from msgspec import Raw

from llm_manager.core.errors import InvalidRequest
from llm_manager.gateway.ingress.opaque import is_carried_in
from llm_manager.gateway.ingress.responses.request import ItemKind, raw_items
from llm_manager.gateway.ingress.responses.turn import Turn

Members = dict[str, object]
Order = Literal["asc", "desc"]

_kind = msgspec.json.Decoder(ItemKind)
_members = msgspec.json.Decoder(dict[str, Raw])


class _Output(msgspec.Struct, frozen=True):
    output: list[Raw] = []


class _Encrypted(msgspec.Struct, frozen=True):
    encrypted_content: str | None = None


def kind_of(item: Raw) -> ItemKind:
    """Return what tells items apart; the kind of nothing for what is no item."""
    try:
        return _kind.decode(item)
    except msgspec.DecodeError:
        return ItemKind()


def output_of(response: bytes) -> list[Raw]:
    """Return the output items of a response."""
    return msgspec.json.decode(response, type=_Output).output


def items_of(turn: Turn) -> list[Raw]:
    """Return what a turn adds to a conversation: its input, then its output."""
    return [*raw_items(Raw(turn.input)), *output_of(turn.response)]


def history(turns: Sequence[Turn], *, provider: str | None) -> list[Raw]:
    """Return the items of earlier turns, to be sent in front of a new input.

    Args:
        turns: oldest first.
        provider: name of the provider if it gets the items as they are, None when they are translated. It cannot look
            up items that it has not made, so those go without their ids, and reasoning that only another provider
            could read is left out.
    """
    items = ((turn, item) for turn in turns for item in items_of(turn))
    if provider is None:
        return [item for _, item in items]
    return [kept for turn, item in items if (kept := _portable(item, is_own=turn.provider == provider)) is not None]


def _portable(item: Raw, *, is_own: bool) -> Raw | None:
    kind = kind_of(item)
    if kind.name == "reasoning":
        encrypted = msgspec.json.decode(item, type=_Encrypted).encrypted_content
        if not encrypted:
            return None
        return item if is_own or is_carried_in(bytes(item)) else None
    members = _members.decode(item)
    for name in ("id", "status"):
        if kind.name in ("message", "function_call", "function_call_output"):
            members.pop(name, None)
    return Raw(msgspec.json.encode(members))


def references_in(items: Iterable[Raw]) -> list[str]:
    """Return the ids of the items that an input refers to."""
    return [kind.id for item in items if (kind := kind_of(item)).name == "item_reference" and kind.id]


def resolved(items: Iterable[Raw], find: Callable[[str], Raw | None]) -> list[Raw]:
    """Return items with each reference replaced by what it stands for; one that is not found stays."""
    replaced: list[Raw] = []
    for item in items:
        kind = kind_of(item)
        found = find(kind.id) if kind.name == "item_reference" and kind.id else None
        replaced.append(item if found is None else found)
    return replaced


def with_input(body: bytes, items: Sequence[Raw]) -> bytes:
    """Return a body with another input, which holds what went before."""
    members = _members.decode(body)
    members.pop("previous_response_id", None)
    members["input"] = Raw(msgspec.json.encode(list(items)))
    return msgspec.json.encode(members)


def page_of(items: Sequence[Members], *, after: str | None, limit: int, order: Order) -> Members:
    """Return one page of a list.

    Args:
        items: oldest first, each with an id.
        after: id of the last item of the page before; None for the first page.
        limit: the most items.

    Raises:
        InvalidRequest: there is no item `after`. To begin anew would keep a client that reads page by page in a circle.
    """
    ordered = list(items) if order == "asc" else list(reversed(items))
    ids = [str(item["id"]) for item in ordered]
    if after is not None and after not in ids:
        message = f"after names {after[:100]!r}, which is not in this list; begin again without it."
        raise InvalidRequest(message, param="after")
    start = 0 if after is None else ids.index(after) + 1
    page = ordered[start : start + limit]
    return {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else "",
        "last_id": page[-1]["id"] if page else "",
        "has_more": start + limit < len(ordered),
    }


def listed(turns: Sequence[Turn]) -> list[Members]:
    """Return everything that the model read for the last of these turns, each item with an id that stays the same."""
    items: list[Members] = []
    for number, turn in enumerate(turns):
        is_last = number == len(turns) - 1
        raws = raw_items(Raw(turn.input)) if is_last else items_of(turn)
        items += [_listed(raw, seed=f"{turn.id}/{place}") for place, raw in enumerate(raws)]
    return items


_PREFIXES = {"message": "msg", "function_call": "fc", "function_call_output": "fco", "reasoning": "rs"}
# Items that clients may send without a status, and that strict readers refuse without one.
# Source: openai-python 3.54 `types/responses/response_item.py`.
_HAVE_STATUS = frozenset(
    {"message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output"}
)


def _listed(raw: Raw, *, seed: str) -> Members:
    item = msgspec.json.decode(raw, type=Members)
    name = kind_of(raw).name
    prefix = _PREFIXES.get(name, "item")
    item = {field: value for field, value in item.items() if value is not None}
    item["type"] = name
    if not item.get("id"):
        item["id"] = f"{prefix}_{hashlib.sha256(seed.encode()).hexdigest()[:40]}"
    if name in _HAVE_STATUS:
        item.setdefault("status", "completed")
    if name == "message":
        item["content"] = _content(item.get("content"), is_said=item.get("role") == "assistant")
    elif name == "reasoning":
        item.setdefault("summary", [])
    return item


def _content(content: object, *, is_said: bool) -> list[Members]:
    parts = cast("list[Members]", content) if isinstance(content, list) else [{"text": content}]  # JSON objects
    return [_content_part(part, is_said=is_said) for part in parts]


def _content_part(part: Members, *, is_said: bool) -> Members:
    kind = part.get("type")
    if kind == "input_image":
        return {"detail": "auto", **{name: value for name, value in part.items() if value is not None}}
    if is_said and kind != "refusal":
        return {"annotations": [], **part, "type": "output_text"}
    return part if kind is not None else {"type": "input_text", **part}
