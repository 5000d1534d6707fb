"""Bodies that cannot be read are refused with the name of the field."""

from __future__ import annotations

import msgspec
import pytest

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.gateway.ingress.decoding import MAX_DEPTH, decode, refuse_deep_nesting
from llm_manager.gateway.ingress.openai.chat_request import ChatHead, ChatRequest

GOOD = b'{"model":"echo","messages":[{"role":"user","content":"Hi"}],"a_future_field":{"x":[1]}}'


def test_a_good_body_is_read_and_unknown_fields_are_left_alone() -> None:
    head = decode(GOOD, ChatHead)
    assert (head.model, len(head.messages), head.stream) == ("echo", 1, None)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"  \n", None),
        (b"{", None),
        (b'{"model":"echo"', None),
        (b"{'model':'echo'}", None),
        (b"[]", None),
        (b'"text"', None),
        (b"null", None),
        (b"{}", "model"),
        (b'{"model":null,"messages":[{}]}', "model"),
        (b'{"model":"","messages":[{}]}', "model"),
        (b'{"model":7,"messages":[{}]}', "model"),
        (b'{"model":"echo"}', "messages"),
        (b'{"model":"echo","messages":[]}', "messages"),
        (b'{"model":"echo","messages":"Hi"}', "messages"),
        (b'{"model":"echo","messages":[{}],"stream":"yes"}', "stream"),
        (b'{"model":"echo","messages":[{}],"stream_options":{"include_usage":1}}', "stream_options.include_usage"),
        (b'{"model":"\xff","messages":[{}]}', None),
    ],
)
def test_a_bad_body_is_refused_by_name(body: bytes, param: str | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode(body, ChatHead)
    assert (caught.value.http_status, caught.value.param) == (400, param)


def test_deep_nesting_is_refused_before_it_is_parsed() -> None:
    body = b'{"model":"echo","messages":[{}],"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    with pytest.raises(InvalidRequest, match="nested deeper than 100"):
        decode(body, ChatHead)


def test_brackets_inside_strings_do_not_count_as_nesting() -> None:
    refuse_deep_nesting(b'{"x":"' + b"[" * 5_000 + rb"\"{\\" + b'"}')
    refuse_deep_nesting(b"[" + b"[]," * 500 + b"[]]")
    refuse_deep_nesting(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    with pytest.raises(InvalidRequest):
        refuse_deep_nesting(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))


def test_what_cannot_be_said_is_named_with_its_path() -> None:
    body = b'{"messages":[{"role":"user","content":[{"type":"text","text":"x","weight":{}}]}]}'
    with pytest.raises(UnsupportedParameter) as caught:
        decode(body, ChatRequest)
    assert caught.value.param == "messages[0].content[0].weight"


class _Raw(msgspec.Struct):
    model: str
    tools: msgspec.Raw = msgspec.Raw(b"[]")


def test_what_is_no_text_is_refused_also_where_nobody_looks() -> None:
    with pytest.raises(InvalidRequest, match="not valid JSON"):
        decode(b'{"model":"m","tools":["caf\xe9"]}', _Raw)


@pytest.mark.parametrize("body", [b'{"model":"m","tools":["\\ud83d"]}', '{"model":"m","tools":["é"]}'.encode()])
def test_a_lone_surrogate_and_any_text_are_valid_json(body: bytes) -> None:
    assert decode(body, _Raw).model == "m"
