from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_manager.contracts.errors.v1 import error_pb2
from llm_manager.core.errors import (
    CODES,
    InternalError,
    InvalidRequest,
    LlmManagerError,
    NoWorker,
    UpstreamFailure,
    UpstreamRefused,
    class_of,
)
from llm_manager.kit.errors_wire import from_proto, to_proto

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
statuses = st.integers(100, 599)


def _all_classes(cls: type[LlmManagerError]) -> list[type[LlmManagerError]]:
    return [cls, *(leaf for sub in cls.__subclasses__() for leaf in _all_classes(sub))]


def _state(error: LlmManagerError) -> tuple[object, ...]:
    return (error.code, error.message, error.http_status, error.param, error.retry_after_seconds, error.upstream)


upstreams = st.builds(
    UpstreamFailure,
    http_status=statuses,
    code=texts,
    type=texts,
    request_id=texts,
    should_retry=st.none() | st.booleans(),
)


@given(
    cls=st.sampled_from(_all_classes(LlmManagerError)),
    message=texts,
    param=st.none() | texts.filter(bool),
    retry_ms=st.none() | st.integers(0, 2**32 - 1),
    http_status=st.none() | statuses,
    upstream=st.none() | upstreams,
)
def test_every_error_of_the_tree_survives_the_wire(  # one argument per field
    cls: type[LlmManagerError],
    message: str,
    param: str | None,
    retry_ms: int | None,
    http_status: int | None,
    upstream: UpstreamFailure | None,
) -> None:
    retry_after_seconds = None if retry_ms is None else retry_ms / 1000
    error = cls(
        message, param=param, retry_after_seconds=retry_after_seconds, http_status=http_status, upstream=upstream
    )

    sent = to_proto(error)
    received = from_proto(error_pb2.Error.FromString(sent.SerializeToString()))

    assert _state(received) == _state(error)
    assert sent.is_retryable == error.retryable
    # an abstract parent arrives as the child that owns its code, and is what that is
    assert received.retryable == error.retryable or type(received) is not cls
    assert type(received) is class_of(cls.code)
    assert issubclass(type(received), cls) or cls.code == InvalidRequest.code


def test_a_retry_that_makes_sense_for_this_one_error_survives_and_what_is_left_out_takes_nothing_back() -> None:
    assert from_proto(to_proto(UpstreamRefused("x", http_status=409, retryable=True))).retryable
    # a worker of somebody else may say nothing of it
    assert from_proto(error_pb2.Error(code=NoWorker.code, message="x")).retryable


@pytest.mark.parametrize("code", CODES)
def test_the_class_of_a_code_is_rebuilt(code: str) -> None:
    assert from_proto(to_proto(class_of(code)("because"))).code == code


def test_a_code_of_a_newer_version_becomes_an_internal_error_with_its_own_status() -> None:
    received = from_proto(error_pb2.Error(code="from_the_future", message="new", http_status=418))

    assert (type(received), received.http_status, received.message) == (InternalError, 418, "new")


def test_text_that_is_no_unicode_and_numbers_out_of_range_still_travel() -> None:
    error = InternalError("bad \ud800 text", retry_after_seconds=float("inf"), http_status=-5)

    received = from_proto(error_pb2.Error.FromString(to_proto(error).SerializeToString()))

    assert received.message == "bad ? text"
    assert received.retry_after_seconds == pytest.approx(4_294_967.295)
    assert received.http_status == 500


def test_huge_texts_are_cut_so_that_an_error_fits_into_a_message_of_the_bus() -> None:
    text = "ä€" * 1_000_000
    upstream = UpstreamFailure(500, code=text, type=text, request_id=text)

    sent = to_proto(InternalError(text, param=text, upstream=upstream))

    assert sent.ByteSize() < 16_384
    assert text.startswith(sent.message)
    assert len(sent.message.encode()) > 8_000


def test_a_wait_shorter_than_a_millisecond_is_not_lost() -> None:
    assert to_proto(InternalError("soon", retry_after_seconds=0.0004)).retry_after_ms == 1
