"""The checks: each asks a worker something and returns what was wrong, in words; nothing when nothing was."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

from llm_manager.contracts.bus.v1.frame_pb2 import Frame
from llm_manager.contracts.inference.v1.infer_pb2 import Attribution, InferRequest
from llm_manager.contracts.usage.v1 import event_pb2
from llm_manager.core.usage import BUCKETS
from llm_manager.testing.conformance.conversation import Conversation, Heard

Check = Callable[[Conversation], Awaitable[list[str]]]
_CANCEL_SECONDS = 2.0
_SILENCE_SECONDS = 7.0
_COPIED = ("request_id", "app_id", "api_key_id", "requested_model", "configuration", "end_user", "tags")
_REASONS = ("stop", "length", "tool_calls", "content_filter")


async def a_whole_chat_is_answered_and_recorded_once(talk: Conversation) -> list[str]:
    """One message in, text and exactly one finish out, and one event with counts."""
    request = talk.chat("Say hello.", is_stream=False)
    heard = await talk.ask(request)
    return [*_framing(heard), *_good_end(heard), *_chat(heard), *await _account(talk, request, heard, "ok")]


async def a_streamed_chat_is_answered_piece_by_piece(talk: Conversation) -> list[str]:
    """The same as a stream: the finish comes last."""
    request = talk.chat("Count from one to twenty, in words.", is_stream=True)
    heard = await talk.ask(request)
    return [*_framing(heard), *_good_end(heard), *_chat(heard), *await _account(talk, request, heard, "ok")]


async def a_cancelled_chat_ends_soon_and_is_recorded(talk: Conversation) -> list[str]:
    """A Cancel ends the attempt with `cancelled`; a worker that was faster may still say that it was done."""
    request = talk.chat("Count from one to five hundred, in words.", is_stream=True)
    heard = await talk.ask(request, cancel_after_frames=1)
    found = _framing(heard)
    end = heard.last.WhichOneof("body")
    if end == "failed" and heard.last.failed.error.code != "cancelled":
        found.append(f"a cancelled attempt failed with {heard.last.failed.error.code!r} instead of 'cancelled'")
    if heard.at and heard.at[-1] - heard.at[0] > _CANCEL_SECONDS:
        found.append(f"it took {heard.at[-1] - heard.at[0]:.1f} s to stop after a Cancel; at most {_CANCEL_SECONDS} s")
    return [*found, *await _account(talk, request, heard, "cancelled" if end == "failed" else "ok")]


async def what_cannot_be_read_is_refused(talk: Conversation) -> list[str]:
    """Bytes that are no InferRequest, and one without an input, fail with invalid_request."""
    found: list[str] = []
    for what, request in (("bytes that are no InferRequest", b"\xff\xff\xff"), ("no input", talk.request())):
        heard = await talk.ask(request, wait_seconds=8.0)
        found += _refusal(heard, what, ("invalid_request",))
    return found


async def what_the_worker_cannot_do_is_refused_by_name(talk: Conversation) -> list[str]:
    """A parameter that no provider knows is refused with unsupported_parameter, never dropped in silence."""
    request = talk.chat("hello", is_stream=False)
    request.chat.extension = b'{"conformance_unknown_parameter":1}'
    heard = await talk.ask(request)
    return _refusal(heard, "an unknown parameter", ("unsupported_parameter", "upstream_refused"))


async def a_deadline_that_has_passed_ends_the_attempt(talk: Conversation) -> list[str]:
    """An attempt with one millisecond left ends by itself, soon."""
    heard = await talk.ask(talk.chat("hello", is_stream=False, timeout_ms=1), wait_seconds=8.0)
    return _framing(heard)


async def vectors_come_in_the_order_of_the_texts(talk: Conversation) -> list[str]:
    """As many vectors as texts, all of one length, the same for the same text; or a clear refusal."""
    request = talk.embeddings(["one", "two", "one"])
    heard = await talk.ask(request)
    if heard.last.WhichOneof("body") == "failed":
        return _refusal(heard, "embeddings", ("unsupported_parameter", "invalid_request"))
    vectors = [list(vector.values) for chunk in heard.chunks for vector in chunk.embeddings]
    found = [*_framing(heard), *await _account(talk, request, heard, "ok")]
    if len(vectors) != 3:
        return [*found, f"{len(vectors)} vectors for 3 texts"]
    if len({len(vector) for vector in vectors}) != 1 or not vectors[0]:
        found.append("the vectors are not all of one length above zero")
    if vectors[0] != vectors[2] or vectors[0] == vectors[1]:
        found.append("equal texts must have equal vectors, different ones different vectors")
    return found


CHECKS: tuple[Check, ...] = (
    a_whole_chat_is_answered_and_recorded_once,
    a_streamed_chat_is_answered_piece_by_piece,
    a_cancelled_chat_ends_soon_and_is_recorded,
    what_cannot_be_read_is_refused,
    what_the_worker_cannot_do_is_refused_by_name,
    a_deadline_that_has_passed_ends_the_attempt,
    vectors_come_in_the_order_of_the_texts,
)


def _framing(heard: Heard) -> list[str]:
    return list(_framing_problems(heard))


def _framing_problems(heard: Heard) -> Iterator[str]:
    if heard.no_worker:
        yield "no worker listens on this subject"
        return
    kinds = [frame.WhichOneof("body") for frame in heard.frames]
    if not kinds or kinds[-1] not in ("done", "failed"):
        yield f"no terminal frame came; the frames were {kinds}"
        return
    refused_at_once = kinds == ["failed"]
    if not refused_at_once and (kinds[0] != "accepted" or not heard.frames[0].accepted.worker_id):
        yield f"the first frame must be accepted and name the worker, it was {kinds[0]}"
    if kinds.count("accepted") > 1 or kinds.count("done") + kinds.count("failed") != 1:
        yield f"one accepted and one terminal frame are allowed; the frames were {kinds}"
    numbers = [frame.sequence for frame in heard.frames]
    if numbers != list(range(len(numbers))):
        yield f"frames must be numbered 0, 1, 2 …; they were {numbers[:20]}"
    if heard.after_end:
        yield f"{heard.after_end} frames came after the terminal one"
    gaps = [later - earlier for earlier, later in zip(heard.at, heard.at[1:], strict=False)]
    if gaps and max(gaps) > _SILENCE_SECONDS:
        yield f"{max(gaps):.1f} s of silence; a heartbeat is due every 2 s, after 7 s the worker is taken for lost"


def _good_end(heard: Heard) -> list[str]:
    if heard.last.WhichOneof("body") == "failed":
        error = heard.last.failed.error
        return [f"it failed with {error.code}: {error.message}"]
    return []


def _chat(heard: Heard) -> list[str]:
    found: list[str] = []
    chunks = heard.chunks
    deltas = [delta for chunk in chunks for delta in chunk.deltas]
    if not chunks or not chunks[0].HasField("info") or not chunks[0].info.model:
        found.append("the first chunk must carry info with the model that answered")
    if not any(delta.text for delta in deltas):
        found.append("no text came")
    finishes = [delta.finish.reason for delta in deltas if delta.WhichOneof("kind") == "finish"]
    if len(finishes) != 1 or finishes[0] not in _REASONS:
        found.append(f"exactly one finish with one of {_REASONS} is due; there were {finishes}")
    elif deltas[-1].WhichOneof("kind") != "finish":
        found.append("the finish must be the last step")
    return found


async def _account(talk: Conversation, request: InferRequest, heard: Heard, state: str) -> list[str]:
    if not heard.frames:
        return []
    attempt = request.attribution
    events = await talk.recorded(attempt.attempt_id)
    if len(events) != 1:
        return [f"{len(events)} events were recorded for the attempt instead of one"]
    found = _event(events[0], attempt, state)
    if talk.message_ids[attempt.attempt_id] != [attempt.attempt_id]:
        found.append("the header Nats-Msg-Id must be the event_id, which is the attempt_id")
    if not heard.event_before_end:
        found.append("the event must be published before the terminal frame")
    if heard.done.event.usage != events[0].usage:
        found.append("the terminal frame does not carry the counts of the event")
    return found


def _event(event: event_pb2.UsageRecorded, attempt: Attribution, state: str) -> list[str]:
    found: list[str] = []
    said = event_pb2.AttemptState.Name(event.state).removeprefix("ATTEMPT_STATE_").lower()
    if said != state:
        found.append(f"the state of the event is {said!r} instead of {state!r}")
    found += [
        f"{name} of the event differs from the request's"
        for name in _COPIED
        if getattr(event, name) != getattr(attempt, name)
    ]
    if event.usage_source == event_pb2.USAGE_SOURCE_UNSPECIFIED:
        found.append("usage_source is not set: say PROVIDER, ESTIMATED, UNKNOWN or NONE")
    if event.cost.state == event_pb2.COST_STATE_UNSPECIFIED:
        found.append("cost.state is not set: an unknown price is UNPRICED, never zero")
    if event.cost.lines and sum(line.amount_picousd for line in event.cost.lines) != event.cost.total_picousd:
        found.append("the total of the cost is not the sum of its lines")
    counted = sum(getattr(event.usage, name) for name in BUCKETS if name != "requests")
    if state == "ok" and event.usage_source == event_pb2.USAGE_SOURCE_PROVIDER and not counted:
        found.append("the usage is said to be the provider's and counts nothing")
    return found


def _refusal(heard: Heard, what: str, codes: tuple[str, ...]) -> list[str]:
    found = _framing(heard)
    end: Frame = heard.last
    if end.WhichOneof("body") != "failed":
        return [*found, f"{what} must be refused"]
    error = end.failed.error
    if error.code not in codes:
        found.append(f"{what} must be refused with {' or '.join(codes)}, not {error.code!r}")
    if not error.message:
        found.append(f"the refusal of {what} says nothing; a message says what happened and what to do")
    return found
