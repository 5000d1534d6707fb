"""Models in Anthropic's shape, page by page."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic.types import ModelInfo
from starlette.datastructures import QueryParams

from llm_manager.core.deltas import Model
from llm_manager.core.errors import InvalidRequest
from llm_manager.gateway.ingress.anthropic.models import model_body, models_body, page_of

MODELS = [Model(id=name) for name in "abcde"]


def listed(query: str, models: list[Model] | None = None) -> dict[str, Any]:
    return json.loads(models_body(MODELS if models is None else models, page_of(QueryParams(query))))


def described(model: Model) -> dict[str, Any]:
    body = model_body(model)
    ModelInfo.model_validate_json(body, strict=True)
    return json.loads(body)


def test_a_model_is_exactly_this() -> None:
    assert described(Model(id="openai/gpt", created=1_700_000_000, owned_by="openai")) == {
        "type": "model",
        "id": "openai/gpt",
        "display_name": "openai/gpt",
        "created_at": "2023-11-14T22:13:20Z",
        "lifecycle": "active",
    }
    assert described(Model(id="m"))["created_at"] == "1970-01-01T00:00:00Z"


def test_what_anthropic_says_about_a_model_is_kept_under_our_name() -> None:
    native = {"type": "model", "id": "claude", "display_name": "Claude", "created_at": "2025-01-01T00:00:00Z", "new": 1}
    model = Model(id="anthropic/claude", native=json.dumps(native).encode())
    assert described(model) == {"lifecycle": "active", **native, "id": "anthropic/claude"}


@pytest.mark.parametrize("native", [b'{"id":"gpt","object":"model"}', b"[]", b"{", b'{"type":"model"}'])
def test_what_others_say_about_a_model_is_not_mixed_in(native: bytes) -> None:
    assert described(Model(id="m", native=native)) == described(Model(id="m"))


PAGES = [
    ("", "abcde", False),
    ("limit=5", "abcde", False),
    ("limit=2", "ab", True),
    ("limit=2&after_id=b", "cd", True),
    ("limit=2&after_id=c", "de", False),
    ("after_id=e", "", False),
    ("limit=2&before_id=e", "cd", True),
    ("limit=2&before_id=c", "ab", False),
    ("before_id=a", "", False),
    ("lifecycle=active&lifecycle=retired", "abcde", False),
    ("lifecycle[]=deprecated,active", "abcde", False),
    ("lifecycle=retired", "", False),
]


@pytest.mark.parametrize(("query", "wanted", "has_more"), PAGES)
def test_a_page_is_what_is_asked_for(query: str, wanted: str, has_more: bool) -> None:  # a column
    page = listed(query)
    assert "".join(model["id"] for model in page["data"]) == wanted
    ends = (wanted[0], wanted[-1]) if wanted else (None, None)
    assert (page["has_more"], page["first_id"], page["last_id"]) == (has_more, *ends)


def test_a_list_of_no_models_is_a_page() -> None:
    assert listed("", []) == {"data": [], "has_more": False, "first_id": None, "last_id": None}


WRONG = [
    ("limit=0", "limit"),
    ("limit=1001", "limit"),
    ("limit=two", "limit"),
    ("after_id=x", "after_id"),
    ("before_id=x", "before_id"),
    ("before_id=a&after_id=b", "before_id"),
]


@pytest.mark.parametrize(("query", "param"), WRONG)
def test_a_page_that_is_none_is_refused(query: str, param: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        listed(query)
    assert refusal.value.param == param
