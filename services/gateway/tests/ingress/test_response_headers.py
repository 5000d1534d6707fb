"""Headers that say what a call cost and who answered."""

from __future__ import annotations

from typing import cast

import pytest

from llm_manager.core.messages import ChatInput
from llm_manager.core.prices import Cost, CostState
from llm_manager.gateway.http.exchange import Exchange
from llm_manager.gateway.inference.rules import Call, Caller, Opening, Outcome, Target
from llm_manager.gateway.inference.run import Run
from llm_manager.gateway.ingress.response_headers import answer_headers, stream_headers

OPENING = Opening(
    upstream_request_id="up-1",
    upstream_headers={
        "x-ratelimit-remaining-requests": "9",
        "anthropic-ratelimit-tokens-reset": "2026-11-24T00:00:00Z",
        "openai-processing-ms": "12",
        "x-groq-region": "eu",
        "set-cookie": "a=b",
        "x-ratelimit-bad": "a\r\nb: c",
        "x-ratelimit-UPPER": "1",
    },
    warnings=("top_k was left out", "naïve"),
    dropped=("top_k", "é"),
)
FORWARDED = {
    "x-llm-manager-upstream-request-id": "up-1",
    "x-ratelimit-remaining-requests": "9",
    "anthropic-ratelimit-tokens-reset": "2026-11-24T00:00:00Z",
    "openai-processing-ms": "12",
    "x-groq-region": "eu",
    "x-llm-manager-warning": "top_k was left out; na?ve",
    "x-llm-manager-dropped": "top_k, ?",
}


def call(model: str = "gpt") -> Call:
    return Call(
        request_id="r",
        caller=Caller("app", "key"),
        target=Target(provider="openai", kind="openai", upstream_model=model),
        operation="chat",
        input=ChatInput(messages=()),
        requested_model="fast",
        deadline_seconds=1,
    )


class _Ended:
    """A run that has ended well, on its second attempt."""

    attempts = 2

    def __init__(self, outcome: Outcome) -> None:
        self.call = call()
        self.outcome = outcome


def run(outcome: Outcome) -> Run:
    return cast("Run", _Ended(outcome))


def texts(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    named = {name.decode(): value.decode() for name, value in headers}
    assert len(named) == len(headers)
    assert float(named.pop("x-llm-manager-overhead-ms")) >= 0
    return named


def test_a_stream_says_what_is_known_before_its_first_byte() -> None:
    exchange = Exchange()
    exchange.hand_over()
    about = {
        "content-type": "text/event-stream",
        "cache-control": "no-cache",
        "x-accel-buffering": "no",
        "x-llm-manager-provider": "openai",
        "x-llm-manager-model": "gpt",
        "x-llm-manager-attempts": "1",
    }
    assert texts(stream_headers(call(), exchange, "text/event-stream", None)) == about
    assert texts(stream_headers(call(), exchange, "text/event-stream", OPENING)) == {**about, **FORWARDED}


@pytest.mark.requirement("L-11")
def test_a_whole_answer_says_what_it_cost() -> None:
    outcome = Outcome(
        cost=Cost(CostState.PRICED, 54_399_000_000),
        upstream_request_id=OPENING.upstream_request_id,
        upstream_headers=OPENING.upstream_headers,
        warnings=OPENING.warnings,
        dropped=OPENING.dropped,
    )
    assert texts(answer_headers(run(outcome), Exchange())) == {
        "x-llm-manager-provider": "openai",
        "x-llm-manager-model": "gpt",
        "x-llm-manager-attempts": "2",
        "x-llm-manager-cost": "0.054399",
        **FORWARDED,
    }


@pytest.mark.requirement("L-9")
def test_an_unknown_cost_is_not_said_to_be_nothing() -> None:
    assert "x-llm-manager-cost" not in texts(answer_headers(run(Outcome()), Exchange()))
    free = Outcome(cost=Cost(CostState.PRICED, 0))
    assert float(texts(answer_headers(run(free), Exchange()))["x-llm-manager-cost"]) == 0


def test_nothing_that_a_client_or_a_provider_writes_ends_a_header() -> None:
    headers = texts(stream_headers(call("a\r\nb c" + "d" * 600), Exchange(), "text/plain", None))
    assert headers["x-llm-manager-model"] == "a??b?c" + "d" * 506
    bad = Opening(upstream_request_id="a\nb", warnings=("w" * 2000,))
    said = texts(stream_headers(call(), Exchange(), "text/plain", bad))
    assert "x-llm-manager-upstream-request-id" not in said
    assert len(said["x-llm-manager-warning"]) == 1000
