"""The provider's own id of an answer is found in every dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_manager.core.deltas import AnswerInfo
from llm_manager.providers.dialects.port import Pieces
from llm_manager.providers.identity import Identity, identity_of


@pytest.mark.requirement("S88")
@pytest.mark.parametrize(
    ("document", "identity"),
    [
        ({"id": "chatcmpl-1", "system_fingerprint": "fp_1", "choices": []}, Identity("chatcmpl-1", "fp_1")),
        ({"type": "message_start", "message": {"id": "msg_1", "content": []}}, Identity("msg_1")),
        ({"id": "msg_1", "type": "message", "content": []}, Identity("msg_1")),
        ({"type": "response.created", "response": {"id": "resp_1"}}, Identity("resp_1")),
        ({"candidates": [], "responseId": "abc"}, Identity("abc")),
        ({"model": "m", "response": "text", "done": True}, Identity()),
        ({"id": "c-1", "type": "message-start"}, Identity("c-1")),
        ({"id": 7}, Identity()),
        ([1], Identity()),
    ],
)
def test_identity_is_found_where_each_dialect_keeps_it(document: Any, identity: Identity) -> None:
    assert identity_of(Pieces(native=[json.dumps(document).encode()])) == identity


def test_identity_of_a_neutral_answer_and_of_nothing() -> None:
    info = AnswerInfo(id="i", model="m", created=1, system_fingerprint="f")
    assert identity_of(Pieces(info=info)) == Identity("i", "f")
    assert identity_of(Pieces()) == Identity()
    assert identity_of(Pieces(native=[b"not json"])) == Identity()
