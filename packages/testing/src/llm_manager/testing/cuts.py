"""The ways in which a recorded answer reaches a reader: as it was recorded, and as networks may cut it."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from .recordings import Recording

# Up to here an answer is cut every 7 bytes, which meets every field of it; a larger one repeats itself.
SMALL_BYTES = 20_000
_SAMPLES = 500
_EVENT_END = re.compile(rb"(?<=\n\n)|(?<=\r\n\r\n)")


def cuts_of(recording: Recording) -> list[str]:
    """Return the names of the ways that differ for a recording; a whole answer has no events to be cut at."""
    small = "7" if len(recording.body) <= SMALL_BYTES else "sample"
    events = ["events"] if recording.is_stream else []
    return ["whole", small, *events, *(["chunks"] if len(recording.chunk_sizes) > 1 else [])]


def pieces_of(recording: Recording, cut: str) -> Iterator[bytes]:
    """Yield a recorded body in pieces.

    Args:
        cut: `whole`, `events`, `chunks` (as it came over the network), `sample` (500 places, the same in every run),
            or a number of bytes.
    """
    body = recording.body
    match cut:
        case "whole":
            return iter([body])
        case "events" if recording.wire.startswith("ollama."):
            return iter(body.splitlines(keepends=True))
        case "events":
            return iter(_EVENT_END.split(body))
        case "chunks":
            sizes = recording.chunk_sizes or (len(body),)
            assert sum(sizes) == len(body)
            return _between(body, itertools.accumulate(sizes))
        case "sample":
            return _between(body, sorted(random.Random(recording.id).choices(range(len(body)), k=_SAMPLES)))
        case _:
            return _between(body, range(int(cut), len(body), int(cut)))


class _OfRecording(Protocol):
    def __call__(self, recording: Recording, cut: str, /) -> None: ...


def on_every_cut(test: _OfRecording) -> Callable[[Recording], None]:
    """Make one test of a recording out of a test of one way to cut it: the ways as parameters cost more than reading.

    What fails carries the name of its cut as a note.
    """

    def every(recording: Recording) -> None:
        for cut in cuts_of(recording):
            try:
                test(recording, cut)
            except BaseException as error:
                error.add_note(f"cut: {cut}")
                raise

    every.__doc__ = test.__doc__
    return every


def _between(body: bytes, borders: Iterable[int]) -> Iterator[bytes]:
    edges = itertools.chain((0,), borders, (len(body),))
    return (body[start:end] for start, end in itertools.pairwise(edges))
