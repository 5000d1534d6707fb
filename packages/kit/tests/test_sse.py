import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_manager.core.errors import UpstreamProtocolError
from llm_manager.kit.sse import SseDecoder, SseEvent, comment, data_event


def decode(*pieces: bytes) -> list[SseEvent]:
    decoder = SseDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.finish()


EVERY_FORM = (
    b'\xef\xbb\xbf: a comment\r\n\r\ndata: {"a": 1}\r\n\r\nevent: ping\rid: 7\rdata\r\r'
    b"data:no space\ndata:  two spaces\ndata\n\nevent: named\ndata: \xc3\xa4\xe2\x82\xac\n\n"
    b"retry: 100\nunknown: x\n\n\n\nevent: nothing\n\ndata: last"
)
EVERY_FORM_DECODED = [
    SseEvent(None, '{"a": 1}'),
    SseEvent("ping", "", "7"),
    SseEvent(None, "no space\n two spaces\n", "7"),
    SseEvent("named", "ä€", "7"),
    SseEvent(None, "last", "7"),
]


def test_every_form_of_the_standard_is_read() -> None:
    assert decode(EVERY_FORM) == EVERY_FORM_DECODED


@pytest.mark.parametrize("position", range(len(EVERY_FORM) + 1))
def test_a_split_at_any_position_changes_nothing(position: int) -> None:
    assert decode(EVERY_FORM[:position], EVERY_FORM[position:]) == EVERY_FORM_DECODED


def test_single_bytes_and_empty_pieces_change_nothing() -> None:
    pieces = [piece for byte in EVERY_FORM for piece in (bytes([byte]), b"")]

    assert decode(*pieces) == EVERY_FORM_DECODED


@given(
    data=st.text(alphabet=st.sampled_from("ab: \näéd€\0"), max_size=30),
    ending=st.sampled_from([b"\n", b"\r", b"\r\n"]),
    cuts=st.lists(st.integers(0, 100), max_size=5),
)
def test_what_was_written_is_read_whatever_the_line_ends_and_cuts(data: str, ending: bytes, cuts: list[int]) -> None:
    wire = data_event(data.encode(), event="e").replace(b"\n", ending) * 2
    borders = sorted({0, *(min(cut, len(wire)) for cut in cuts), len(wire)})
    pieces = [wire[start:end] for start, end in itertools.pairwise(borders)]

    assert decode(*pieces) == [SseEvent("e", data)] * 2


def test_events_come_as_soon_as_their_blank_line() -> None:
    decoder = SseDecoder()

    assert decoder.feed(b"data: 1\n") == []
    assert decoder.feed(b"\n") == [SseEvent(None, "1")]
    assert decoder.feed(b"data: 2\r\n\r") == [SseEvent(None, "2")]
    assert decoder.feed(b"\ndata: 3\n\n") == [SseEvent(None, "3")]
    assert decoder.finish() == []


def test_bytes_that_are_no_utf8_are_replaced() -> None:
    assert decode(b"data: a\xffb\n\n") == [SseEvent(None, "a\ufffdb")]


def test_an_id_with_a_zero_byte_is_ignored() -> None:
    assert decode(b"id: a\0\ndata: 1\n\n") == [SseEvent(None, "1", None)]


@pytest.mark.parametrize("piece", [b"data: aaaa\n", b"aaaaaaaaaaa"])
def test_an_event_without_an_end_is_bounded(piece: bytes) -> None:
    decoder = SseDecoder(max_event_bytes=100)

    def feed_for_ever() -> None:
        for _ in range(100):
            decoder.feed(piece)

    with pytest.raises(UpstreamProtocolError, match="more than 100 bytes"):
        feed_for_ever()


def test_the_bound_is_for_one_event_not_for_the_stream() -> None:
    decoder = SseDecoder(max_event_bytes=100)

    assert sum(len(decoder.feed(b"data: aaaa\n\n")) for _ in range(100)) == 100


def test_a_large_line_in_many_small_pieces_is_read() -> None:
    decoder = SseDecoder()
    for _ in range(20_000):
        decoder.feed(b"a" * 200)

    assert decoder.feed(b"\ndata: x\n\n") == [SseEvent(None, "x")]


def test_written_events_and_comments_have_the_form_of_the_wire() -> None:
    assert data_event(b'{"a":1}') == b'data: {"a":1}\n\n'
    assert data_event(b"a\r\nb\rc", event="e") == b"event: e\ndata: a\ndata: b\ndata: c\n\n"
    assert comment("ping") == b": ping\n\n"
    assert comment("two\nlines") == b": two lines\n\n"
