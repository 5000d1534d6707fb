from __future__ import annotations

import pytest

from llm_manager.testing.cuts import SMALL_BYTES, cuts_of, on_every_cut, pieces_of
from llm_manager.testing.recordings import Recording


def _recording(body: bytes, *, is_stream: bool = True, chunk_sizes: tuple[int, ...] = ()) -> Recording:
    return Recording(
        id="some-chat-1",
        provider="some",
        operation="chat",
        wire="some.chat",
        is_stream=is_stream,
        status=200,
        media_type="",
        headers={},
        body=body,
        chunk_sizes=chunk_sizes,
        request=None,
        url="",
        tags=(),
        fidelity="",
        expected={},
    )


SMALL = _recording(b"data: one\n\ndata: two\r\n\r\n", chunk_sizes=(3, 21))
LARGE = _recording(b"data: one\n\n" * SMALL_BYTES)


def test_an_answer_is_cut_in_every_way_that_says_something() -> None:
    assert cuts_of(SMALL) == ["whole", "7", "events", "chunks"]
    assert cuts_of(LARGE) == ["whole", "sample", "events"]
    assert cuts_of(_recording(b"{}", is_stream=False)) == ["whole", "7"]


@pytest.mark.parametrize("recording", [SMALL, LARGE, _recording(b"")], ids=["small", "large", "empty"])
def test_pieces_put_together_are_the_answer(recording: Recording) -> None:
    for cut in cuts_of(recording):
        assert b"".join(pieces_of(recording, cut)) == recording.body


def test_pieces_are_where_the_cut_says() -> None:
    assert list(pieces_of(SMALL, "events"))[:2] == [b"data: one\n\n", b"data: two\r\n\r\n"]
    assert [len(piece) for piece in pieces_of(SMALL, "chunks") if piece] == [3, 21]
    assert [len(piece) for piece in pieces_of(SMALL, "7")] == [7, 7, 7, 3]
    assert len(list(pieces_of(LARGE, "sample"))) == 501
    assert list(pieces_of(LARGE, "sample")) == list(pieces_of(LARGE, "sample"))


def test_what_fails_says_at_which_cut() -> None:
    tried: list[str] = []

    @on_every_cut
    def fails(recording: Recording, cut: str) -> None:
        tried.append(cut)
        assert cut != "events"

    with pytest.raises(AssertionError) as failure:
        fails(SMALL)
    assert (tried, failure.value.__notes__) == (["whole", "7", "events"], ["cut: events"])
