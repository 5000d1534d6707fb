"""Streams over HTTP: heartbeats, errors before and after the first byte, clients that leave or stop reading."""

from __future__ import annotations

import asyncio

import pytest
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from told_gateway import FakeGateway, HttpAnswer, Told

from llm_manager.core.deltas import TextDelta
from llm_manager.core.errors import LlmManagerError, UpstreamProtocolError, UpstreamUnavailable, WorkerLost
from llm_manager.core.messages import ChatInput, Message, Text
from llm_manager.core.usage import Usage, UsageReport, UsageSource
from llm_manager.gateway.inference.rules import Opening, Outcome, Piece
from llm_manager.gateway.ingress import streaming
from llm_manager.gateway.ingress.asking import admitted
from llm_manager.gateway.ingress.routing import LeanRoute

PING = b"(ping)"
BEAT_SECONDS = 0.005
router = APIRouter(route_class=LeanRoute)


class Writer:
    """Writes what a text says; `?` waits for more, `!` cannot be written."""

    media_type = "text/x-test"
    ping = PING

    def write(self, piece: Piece) -> bytes:
        text = "".join(delta.text for delta in piece.deltas if isinstance(delta, TextDelta))
        if text == "!":
            raise UpstreamProtocolError("Not readable.")
        return text.encode().replace(b"?", b"")

    def finish(self, outcome: Outcome) -> bytes:
        return f"(end {outcome.report.usage.output_text})".encode()

    def fail(self, error: LlmManagerError, *, request_id: str) -> bytes:
        return f"(failed {error.code} {request_id})".encode()


@router.post("/stream")
async def stream(request: Request) -> Response:
    asked = await admitted(request)
    question = ChatInput(messages=(Message(role="user", parts=(Text(text="Hi"),)),))
    call = asked.call("chat", "fast", dialect="cohere_v2", neutral=lambda: question, is_stream=True)
    return asked.stream(call, Writer())


def text(said: str) -> Piece:
    return Piece(deltas=(TextDelta(text=said),), characters=len(said))


@pytest.fixture
def gateway() -> FakeGateway:
    made = FakeGateway(router)
    made.workers.told = Told((text("a"), text("?"), text("b")), Outcome(report=UsageReport(Usage(output_text=2))))
    return made


@pytest.fixture
def impatient() -> FakeGateway:
    """A gateway that pings at once, and whose worker then says nothing."""
    made = FakeGateway(router, heartbeat_seconds=BEAT_SECONDS)
    made.workers.told = Told((), Outcome(report=UsageReport(Usage(output_text=2))))
    made.workers.silence = asyncio.Event()
    return made


async def ask(gateway: FakeGateway) -> HttpAnswer:
    return await gateway.ask("/stream", {"messages": "Hello"})


async def test_pieces_go_out_as_they_come_and_the_end_closes(gateway: FakeGateway) -> None:
    answer = await ask(gateway)
    assert (answer.status, answer.headers["content-type"], answer.chunks) == (
        200,
        "text/x-test",
        [b"a", b"b", b"(end 2)"],
    )
    assert gateway.events.ended == [""]


async def test_what_the_provider_s_headers_said_is_passed_on_with_the_first_byte(gateway: FakeGateway) -> None:
    opening = Opening("up-1", {"x-ratelimit-remaining-requests": "9"}, ("seed was left out",))
    gateway.workers.told = Told((Piece(opening=opening), text("a")))
    answer = await ask(gateway)
    said = ("x-llm-manager-upstream-request-id", "x-ratelimit-remaining-requests", "x-llm-manager-warning")
    assert [answer.headers[name] for name in said] == ["up-1", "9", "seed was left out"]


@pytest.mark.requirement("L-26")
async def test_an_error_before_the_first_byte_has_a_status(gateway: FakeGateway) -> None:
    gateway.workers.told = Told((text("?"),), error=UpstreamUnavailable("Down", retry_after_seconds=3))
    answer = await ask(gateway)
    assert (answer.status, answer.json["error"]["code"], answer.headers["retry-after"]) == (
        502,
        "upstream_unavailable",
        "3",
    )
    assert gateway.events.ended == ["upstream_unavailable"]


@pytest.mark.requirement("L-26", "P-3")
@pytest.mark.parametrize(
    ("told", "code"),
    [
        (Told((text("a"),), error=UpstreamUnavailable("Down")), "upstream_unavailable"),
        (Told((text("a"), text("!"))), "upstream_protocol_error"),
    ],
)
async def test_an_error_after_the_first_byte_is_told_in_the_stream(gateway: FakeGateway, told: Told, code: str) -> None:
    gateway.workers.told = told
    answer = await ask(gateway)
    assert (answer.status, answer.chunks) == (200, [b"a", f"(failed {code} req-1)".encode()])
    assert gateway.events.ended == [code]


@pytest.mark.requirement("L-25")
async def test_what_a_lost_worker_wrote_is_estimated(gateway: FakeGateway) -> None:
    gateway.workers.told = Told((text("abcd"), text("efgh?")), error=WorkerLost("It went silent."))
    await ask(gateway)
    (lost,) = gateway.lost.attempts
    assert lost.report == UsageReport(Usage(input_uncached=2, output_text=3, requests=1), UsageSource.ESTIMATED)


@pytest.mark.requirement("B-7", "P-19")
async def test_a_silent_provider_does_not_make_a_silent_connection(impatient: FakeGateway) -> None:
    silence = impatient.workers.silence
    assert silence is not None

    async def reads(chunk: bytes) -> None:
        assert chunk in (PING, b"(end 2)")
        silence.set()

    answer = await impatient.ask("/stream", {}, reads=reads)
    assert (answer.status, answer.chunks[0], answer.chunks[-1]) == (200, PING, b"(end 2)")


async def test_an_error_after_a_heartbeat_is_told_in_the_stream(impatient: FakeGateway) -> None:
    silence = impatient.workers.silence
    assert silence is not None
    impatient.workers.told = Told(error=UpstreamUnavailable("Down"))

    async def reads(_: bytes) -> None:
        silence.set()

    answer = await impatient.ask("/stream", {}, reads=reads)
    assert (answer.status, answer.chunks[-1]) == (200, b"(failed upstream_unavailable req-1)")


@pytest.mark.requirement("L-24", "P-17")
async def test_a_client_that_goes_away_cancels_the_attempt_and_is_told_nothing_more(impatient: FakeGateway) -> None:
    gone = asyncio.Event()

    async def reads(_: bytes) -> None:
        gone.set()

    answer = await impatient.ask("/stream", {}, reads=reads, leaves=gone)
    assert set(answer.chunks) <= {PING}
    assert impatient.workers.cancelled == impatient.workers.calls
    assert impatient.events.ended == ["cancelled"]


@pytest.mark.requirement("P-17")
async def test_a_client_that_stops_reading_is_taken_for_gone(
    impatient: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "_STUCK_SECONDS", 2 * BEAT_SECONDS)
    impatient.workers.told = Told((text("a"),))
    await impatient.ask("/stream", {}, reads=lambda _: asyncio.Event().wait())
    assert impatient.workers.cancelled == impatient.workers.calls
    assert impatient.events.ended == ["cancelled"]
