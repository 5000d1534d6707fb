import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_manager.core.errors import UpstreamProtocolError
from llm_manager.kit.ndjson import NdjsonDecoder


def decode(*pieces: bytes, decoder: NdjsonDecoder | None = None) -> list[bytes]:
    decoder = decoder or NdjsonDecoder()
    lines = [line for piece in pieces for line in decoder.feed(piece)]
    return lines + decoder.finish()


WIRE = b'\xef\xbb\xbf{"a":1}\r\n\n  \n{"b":"\xc3\xa4"}\n{"c":3}'
LINES = [b'{"a":1}', '{"b":"ä"}'.encode(), b'{"c":3}']


@pytest.mark.parametrize("position", range(len(WIRE) + 1))
def test_a_split_at_any_position_changes_nothing(position: int) -> None:
    assert decode(WIRE[:position], WIRE[position:]) == LINES


@given(lines=st.lists(st.binary(min_size=1, max_size=20).filter(lambda line: not set(line) & set(b"\n\r \t\v\f\xef"))))
def test_single_bytes_give_the_same_lines(lines: list[bytes]) -> None:
    wire = b"\n".join(lines)

    assert decode(*(bytes([byte]) for byte in wire)) == lines


def test_a_line_comes_as_soon_as_its_end() -> None:
    decoder = NdjsonDecoder()

    assert decoder.feed(b'{"a":1}') == []
    assert decoder.feed(b'\n{"b"') == [b'{"a":1}']
    assert decoder.finish() == [b'{"b"']


def test_a_line_without_an_end_is_bounded() -> None:
    decoder = NdjsonDecoder(max_line_bytes=10)

    assert decoder.feed(b"123456789\n123456789\n") == [b"123456789"] * 2
    with pytest.raises(UpstreamProtocolError, match="more than 10 bytes"):
        decode(b"123456", b"789012", decoder=decoder)
