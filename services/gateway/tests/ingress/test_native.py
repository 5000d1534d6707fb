"""Streams of a provider that speaks the client's dialect."""

from __future__ import annotations

from llm_manager.core.errors import LlmManagerError, UpstreamUnavailable
from llm_manager.gateway.inference.rules import Outcome, Piece
from llm_manager.gateway.ingress.native import EVENT_STREAM, NDJSON, NativeEvents

FIRST, SECOND = b'{ "delta":{"text":"abc"}}', b'{"delta":{"text":"de"} }  '


def framed(event: bytes) -> bytes:
    return b"<" + event + b">"


def failed(error: LlmManagerError, *, request_id: str) -> bytes:
    return f"!{error.message} {request_id}".encode()


def test_whole_events_pass_byte_for_byte_in_the_dialect_s_framing() -> None:
    writer = NativeEvents(framed, fail=failed, ping=b"ping", media_type=NDJSON, end=b"end")
    assert writer.write(Piece(native=(FIRST, SECOND))) == b"<" + FIRST + b"><" + SECOND + b">"
    assert writer.write(Piece()) == b""
    assert (writer.finish(Outcome()), writer.ping, writer.media_type) == (b"end", b"ping", NDJSON)
    assert writer.fail(UpstreamUnavailable("Down"), request_id="r") == b"!Down r"


def test_a_dialect_without_words_for_them_has_no_end_and_no_ping() -> None:
    writer = NativeEvents(framed, fail=failed, ping=b"")
    assert (writer.finish(Outcome()), writer.ping, writer.media_type) == (b"", b"", EVENT_STREAM)
