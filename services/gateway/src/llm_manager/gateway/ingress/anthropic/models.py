"""Models in Anthropic's shape, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
from msgspec import Raw
from starlette.datastructures import QueryParams

from llm_manager.core.deltas import Model
from llm_manager.core.errors import InvalidRequest

_MOST = 1000
_ACTIVE = "active"


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of the list is asked for.

    Args:
        limit: how many models. Anthropic's default is 20; here all come at once unless fewer are asked for, because a
            client that reads only one page then misses nothing.
        after, before: id of the model behind or before which the page lies; empty means the first page.
        lifecycles: stages of life that are asked for.
    """

    limit: int = _MOST
    after: str = ""
    before: str = ""
    lifecycles: frozenset[str] = frozenset({_ACTIVE, "deprecated"})


def page_of(query: QueryParams) -> Page:
    """Read which part is asked for.

    Raises:
        InvalidRequest: a limit that is none, or both ends at once.
    """
    limit, after, before = query.get("limit", str(_MOST)), query.get("after_id", ""), query.get("before_id", "")
    if not limit.isdecimal() or not 1 <= int(limit) <= _MOST:
        raise InvalidRequest(f"limit is {limit[:20]!r}; send a number from 1 to {_MOST}.", param="limit")
    if after and before:
        raise InvalidRequest("after_id and before_id exclude each other; send one.", param="before_id")
    stages = [item for name in ("lifecycle", "lifecycle[]") for item in query.getlist(name)]
    lifecycles = frozenset(stage for item in stages for stage in item.split(","))
    return Page(int(limit), after, before, lifecycles) if lifecycles else Page(int(limit), after, before)


def model_body(model: Model) -> bytes:
    """Render one model."""
    return msgspec.json.encode(_members(model))


def models_body(models: Sequence[Model], page: Page) -> bytes:
    """Render one page of models.

    Raises:
        InvalidRequest: the page lies beside a model that is not in the list.
    """
    # what is listed can be asked, so all of it is active
    shown, has_more = _cut(models if _ACTIVE in page.lifecycles else (), page)
    return msgspec.json.encode(
        {
            "data": [_members(model) for model in shown],
            "has_more": has_more,
            "first_id": shown[0].id if shown else None,
            "last_id": shown[-1].id if shown else None,
        }
    )


def _cut(models: Sequence[Model], page: Page) -> tuple[Sequence[Model], bool]:
    ids = [model.id for model in models]
    if page.before:
        rest = models[: _place(ids, page.before, "before_id")]
        return rest[-page.limit :], len(rest) > page.limit
    rest = models[_place(ids, page.after, "after_id") + 1 :] if page.after else models
    return rest[: page.limit], len(rest) > page.limit


def _place(ids: Sequence[str], wanted: str, param: str) -> int:
    if wanted not in ids:
        raise InvalidRequest(f"{param}: there is no model {wanted[:100]!r}; begin with the first page.", param=param)
    return ids.index(wanted)


class _Native(msgspec.Struct, frozen=True):
    type: str = ""
    display_name: str = ""


def _members(model: Model) -> dict[str, object]:
    created_at = datetime.fromtimestamp(model.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    members: dict[str, object] = {
        "type": "model",
        "id": model.id,
        "display_name": model.id,
        # when it is not known, the epoch: that is what Anthropic's own list says then
        "created_at": created_at,
        "lifecycle": _ACTIVE,
    }
    return {**members, **_native(model), "id": model.id}


def _native(model: Model) -> dict[str, Raw]:
    """What the provider itself says about a model, where it says it in this shape."""
    if not model.native:
        return {}
    try:
        native = msgspec.json.decode(model.native, type=_Native)
        if native.type != "model" or not native.display_name:
            return {}
        return msgspec.json.decode(model.native, type=dict[str, Raw])
    except msgspec.DecodeError:
        return {}
