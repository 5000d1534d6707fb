from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_manager.core.errors import InvalidRequest
from llm_manager.gateway.resources.rules import Place, cursor_of, etag_of, expected_revision, place_of


@given(st.text(), st.text())
def test_a_cursor_comes_back_as_the_place_that_it_was(value: str, row_id: str) -> None:
    place = Place("name", value.encode("utf-8", "replace").decode(), row_id.encode("utf-8", "replace").decode())
    cursor = cursor_of(place)
    assert place_of(cursor, sort="name") == place
    assert cursor.isascii()
    assert not set(cursor) & set("+/= ")


@pytest.mark.parametrize(
    "cursor",
    ["x", "!!!", "é", *(base64.urlsafe_b64encode(said).decode() for said in (b"[1,2,3]", b'["name"]')), "A" * 3_000],
)
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        place_of(cursor, sort="name")
    assert raised.value.param == "cursor"


def test_a_cursor_of_another_order_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"sorted by '-created'"):
        place_of(cursor_of(Place("-created", "a", "1")), sort="name")


@pytest.mark.parametrize(
    ("header", "revision"), [(None, None), ("*", None), (etag_of(7), 7), ('W/"7"', 7), (" 7 ", 7), ("0", 0)]
)
def test_a_revision_is_read_as_it_was_given(header: str | None, revision: int | None) -> None:
    assert expected_revision(header) == revision


@pytest.mark.parametrize("header", ["", '"a"', '"1", "2"', "-1", "१", "9" * 19])
def test_what_is_no_revision_is_refused(header: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        expected_revision(header)
    assert raised.value.param == "if-match"
