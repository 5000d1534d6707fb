"""Models in Gemini's shape."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from llm_manager.core.deltas import Model
from llm_manager.core.errors import InvalidRequest

PREFIX = "models/"
_LARGEST_PAGE = 1000


class _Native(msgspec.Struct, frozen=True):
    name: str = ""


def model_body(model: Model) -> bytes:
    """Render one model."""
    return msgspec.json.encode(_members(model))


def models_body(models: Sequence[Model], *, page_size: str | None, page_token: str | None) -> bytes:
    """Render a page of models.

    Args:
        page_size: as the client wrote it; None makes all of them one page.
        page_token: where the page begins, from the page before it.

    Raises:
        InvalidRequest: one of them is no number that there is.
    """
    start = 0 if not page_token else _number(page_token, "pageToken", most=len(models))
    size = _number(page_size, "pageSize", most=2**31 - 1) if page_size else 0
    size = min(size, _LARGEST_PAGE) or len(models)
    page: dict[str, object] = {"models": [_members(model) for model in models[start : start + size]]}
    if start + size < len(models):
        page["nextPageToken"] = str(start + size)
    return msgspec.json.encode(page)


def _number(text: str, name: str, *, most: int) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text[:20]) > most:
        raise InvalidRequest(f"{name} is {text[:100]!r}, which is no {name} that there is; leave it out.", param=name)
    return int(text)


def _members(model: Model) -> dict[str, object]:
    members: dict[str, object] = {
        "name": PREFIX + model.id,
        "version": model.id,
        "displayName": model.id,
        "description": f"Served by {model.owned_by}." if model.owned_by else "",
        "supportedGenerationMethods": _methods(model.id),
    }
    return {**members, **_native(model), "name": PREFIX + model.id}


def _methods(model_id: str) -> list[str]:
    # Clients show only what says that it generates. Nobody tells what a model is for; one that embeds is named so.
    return ["embedContent", "batchEmbedContents"] if "embed" in model_id.lower() else ["generateContent", "countTokens"]


def _native(model: Model) -> dict[str, Raw]:
    """What the provider itself says about a model, where it says it in this shape."""
    if not model.native:
        return {}
    try:
        if not msgspec.json.decode(model.native, type=_Native).name.startswith(PREFIX):
            return {}
        return msgspec.json.decode(model.native, type=dict[str, Raw])
    except msgspec.DecodeError:
        return {}
