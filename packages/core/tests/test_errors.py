"""One tree of errors: codes are unique, drawn, and rebuild their class on the other side."""

from __future__ import annotations

import re

import pytest

from llm_manager.core import errors
from llm_manager.core.errors import (
    CODES,
    BudgetExceeded,
    InternalError,
    InvalidRequest,
    LlmManagerError,
    ProviderRateLimited,
    UpstreamError,
    UpstreamFailure,
    UpstreamRefused,
    class_of,
)

GRPC_STATUSES = {
    *("INVALID_ARGUMENT", "UNAUTHENTICATED", "PERMISSION_DENIED", "NOT_FOUND", "UNIMPLEMENTED", "FAILED_PRECONDITION"),
    *("RESOURCE_EXHAUSTED", "CANCELLED", "UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL"),
}
# a class as it is drawn in the docstring: name, HTTP status or "4xx", code
_DRAWN = re.compile(r"[├└]── (\w+) +(\d\d\d|[45]xx) +(\w+)")


def subclasses(cls: type[LlmManagerError]) -> list[type[LlmManagerError]]:
    return [found for sub in cls.__subclasses__() for found in (sub, *subclasses(sub))]


@pytest.mark.parametrize("code", CODES)
def test_a_code_rebuilds_a_class_that_has_it(code: str) -> None:
    assert class_of(code).code == code


def test_every_class_that_is_drawn_owns_its_code_and_status() -> None:
    drawn = _DRAWN.findall(errors.__doc__ or "")

    assert {code for _, _, code in drawn} == set(CODES)
    for name, status, code in drawn:
        cls = class_of(code)
        assert cls.__name__ == name
        assert str(cls.http_status).startswith(status.removesuffix("xx"))


def test_every_class_of_the_tree_is_drawn() -> None:
    names = {cls.__name__ for cls in subclasses(LlmManagerError)}

    assert names <= set(re.findall(r"\w+", errors.__doc__ or ""))


@pytest.mark.parametrize("cls", subclasses(LlmManagerError))
def test_statuses_and_codes_are_of_their_kind(cls: type[LlmManagerError]) -> None:
    assert 400 <= cls.http_status <= 599
    assert cls.grpc_status in GRPC_STATUSES
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", cls.code)
    assert cls.__doc__


def test_a_code_of_a_newer_version_is_an_internal_error() -> None:
    assert class_of("invented_tomorrow") is InternalError


def test_the_codes_of_shared_parents_belong_to_the_leaf() -> None:
    assert class_of("invalid_request") is InvalidRequest
    assert class_of("upstream_unavailable") is not UpstreamError


def test_an_error_carries_what_the_caller_can_act_on() -> None:
    failure = UpstreamFailure(422, code="context_length", request_id="req_1")
    error = UpstreamRefused("Too long; shorten it.", http_status=422, param="messages", upstream=failure)

    assert (str(error), error.message) == ("Too long; shorten it.", "Too long; shorten it.")
    assert (error.http_status, error.param, error.upstream, error.retry_after_seconds) == (
        422,
        "messages",
        failure,
        None,
    )
    assert UpstreamRefused.http_status == 400


def test_a_spent_budget_is_told_apart_from_the_providers_limit_and_not_retried() -> None:
    assert (BudgetExceeded.code, BudgetExceeded.http_status, BudgetExceeded.retryable) == (
        "budget_exceeded",
        429,
        False,
    )


def test_the_word_of_the_provider_decides_whether_a_retry_makes_sense() -> None:
    no, yes, silent = (UpstreamFailure(429, should_retry=said) for said in (False, True, None))

    assert [ProviderRateLimited("x", upstream=said).retryable for said in (no, yes, silent)] == [False, True, True]
    assert [UpstreamRefused("x", upstream=said, retryable=True).retryable for said in (no, silent)] == [False, True]
    assert not UpstreamRefused.retryable
