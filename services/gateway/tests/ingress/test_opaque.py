"""Blocks come back byte for byte; what providers write is left alone."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_manager.core.messages import OpaqueBlock
from llm_manager.gateway.ingress.opaque import is_carried_in, packed, unpacked


@pytest.mark.requirement("B-17", "T-14")
@given(st.lists(st.tuples(st.text(max_size=20), st.integers() | st.text()), max_size=5))
def test_blocks_come_back_byte_for_byte(items: list[tuple[str, int | str]]) -> None:
    blocks = tuple(OpaqueBlock(dialect=d, json=json.dumps({"v": v}, indent=1).encode()) for d, v in items)
    text = packed(blocks)
    assert unpacked(text) == blocks
    assert is_carried_in(json.dumps({"data": text}).encode())


@pytest.mark.parametrize("text", ["", "EqQBCgIYAhIM", "lm1.", "lm1.!!!", "lm1.e30="])
def test_text_of_a_provider_is_no_block_of_ours(text: str) -> None:
    assert unpacked(text) is None


@pytest.mark.requirement("B-17", "T-14")
def test_blocks_are_found_where_a_dialect_wants_bytes() -> None:
    text = packed((OpaqueBlock(dialect="anthropic_messages", json=b'{"n": 1}'),))
    signature = base64.b64encode(text.encode()).decode()
    assert is_carried_in(json.dumps({"thoughtSignature": signature}).encode())


@pytest.mark.parametrize("body", [b'{"text":"about lm1. and more"}', b"{}", b'{"signature":"EqQBCgIYAhIM"}'])
def test_a_body_without_blocks_goes_through(body: bytes) -> None:
    assert not is_carried_in(body)
