"""Which key a request shows."""

from __future__ import annotations

import pytest

from llm_manager.core.errors import AuthenticationFailed
from llm_manager.gateway.keys.shown import authorization_of

ONE, OTHER = "lm_live_one", "lm_live_other"
Headers = list[tuple[bytes, bytes]]


def _headers(**said: str) -> Headers:
    return [(name.replace("_", "-").encode(), text.encode("latin-1")) for name, text in said.items()]


@pytest.mark.parametrize(
    ("headers", "query", "authorization"),
    [
        (_headers(), "", None),
        (_headers(authorization=""), "", ""),
        (_headers(authorization=f"Bearer {ONE}", host="x"), "", f"Bearer {ONE}"),
        (_headers(x_api_key=ONE), "", f"Bearer {ONE}"),
        (_headers(x_goog_api_key=ONE), "", f"Bearer {ONE}"),
        (_headers(x_api_key=""), "", None),
        (_headers(), f"alt=sse&key={ONE}", f"Bearer {ONE}"),
        (_headers(), "monkey=1", None),
        (_headers(x_api_key=ONE), f"key={ONE}", f"Bearer {ONE}"),
        (_headers(authorization="Basic abc"), f"key={ONE}", "Basic abc"),
        # SDKs send what they find in the environment
        (_headers(authorization=f"Bearer {ONE}", x_api_key="sk-ant-1"), "", f"Bearer {ONE}"),
        (_headers(authorization=f"Bearer {ONE}", x_api_key=ONE), "", f"Bearer {ONE}"),
    ],
)
def test_it_stands_where_a_dialect_keeps_it(headers: Headers, query: str, authorization: str | None) -> None:
    assert authorization_of(headers, query.encode()) == authorization


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        (_headers(authorization=f"Bearer {ONE}", x_api_key=OTHER), ""),
        (_headers(x_goog_api_key=ONE, x_api_key=OTHER), ""),
        (_headers(authorization=f"bearer  {ONE}"), f"key={OTHER}"),
        (_headers(), f"key={ONE}&key={OTHER}"),
        ([*_headers(x_api_key=ONE), *_headers(x_api_key=OTHER)], ""),
        ([*_headers(authorization=f"Bearer {ONE}"), *_headers(authorization=f"Bearer {OTHER}")], ""),
        ([*_headers(authorization=f"Bearer {ONE}"), *_headers(authorization=f"Bearer {ONE}")], ""),
    ],
)
def test_two_are_refused(headers: Headers, query: str) -> None:
    with pytest.raises(AuthenticationFailed, match="send one") as caught:
        authorization_of(headers, query.encode())
    assert ONE not in caught.value.message
