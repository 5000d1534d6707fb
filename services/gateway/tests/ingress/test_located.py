"""Pieces of a body that are decoded at their place."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import Raw

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.gateway.ingress.located import decode_at


class Block(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: str
    n: int = 0


def test_a_good_piece_is_decoded() -> None:
    assert decode_at(Raw(b'{"text":"a"}'), Block, path="blocks[0]") == Block("a")
    assert decode_at(b'{"text":"a","n":"3"}', Block, path="blocks[0]", strict=False) == Block("a", 3)


WRONG: list[tuple[bytes, type[InvalidRequest], str, str]] = [
    (b'{"text":1}', InvalidRequest, "blocks[0].text", "blocks[0]: text: Expected `str`, got `int`."),
    (b"{}", InvalidRequest, "blocks[0].text", "blocks[0]: text is missing; it is required."),
    (b'"a"', InvalidRequest, "blocks[0]", "blocks[0]: Expected `object`, got `str`."),
    (
        b'{"text":"a","new":1}',
        UnsupportedParameter,
        "blocks[0].new",
        "blocks[0]: new cannot be passed on to this model; remove it.",
    ),
]


@pytest.mark.parametrize(("raw", "kind", "param", "message"), WRONG, ids=[item[2] for item in WRONG])
def test_an_error_names_the_field_from_the_top_of_the_body(
    raw: bytes, kind: type[InvalidRequest], param: str, message: str
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        decode_at(raw, Block, path="blocks[0]")
    assert (type(refusal.value), refusal.value.param, refusal.value.message) == (kind, param, message)
