"""A client that goes away stops the provider and is billed for what was used."""

from __future__ import annotations

import signal
import socket
import time
from urllib.parse import urlsplit

import pytest
from counting_provider import MODEL_SILENT, MODEL_SLOW, CountingProvider
from ledger import events_of

from llm_manager.testing.stack import Stack, wait_until


def _send(stack: Stack, *, user: str, model: str, is_stream: bool) -> socket.socket:
    """Send a request and return the open connection, so that it can be broken at any moment."""
    address = urlsplit(stack.base_url)
    body = (
        f'{{"model":"{model}","stream":{"true" if is_stream else "false"},"user":"{user}",'
        f'"messages":[{{"role":"user","content":"Say some words, {user}"}}]}}'
    )
    connection = socket.create_connection((address.hostname or "", address.port or 80), timeout=10)
    connection.sendall(
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: {address.netloc}\r\nauthorization: Bearer {stack.api_key}\r\n"
        f"content-type: application/json\r\nx-request-id: {user}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
    )
    return connection


def _read_until(connection: socket.socket, text: bytes) -> bytes:
    seen = b""
    while text not in seen:
        piece = connection.recv(65536)
        assert piece, f"the gateway closed before {text!r}: {seen!r}"
        seen += piece
    return seen


def _leaves_within_a_second(provider: CountingProvider, user: str, left_at: float) -> None:
    wait_until(lambda: provider.entries(user)[0].left_at is not None, timeout_seconds=3, what="the upstream's close")
    closed_at = provider.entries(user)[0].left_at
    assert closed_at is not None
    assert closed_at - left_at < 1.0


@pytest.mark.requirement("L-24", "B-8", "S84")
@pytest.mark.parametrize(
    ("user", "model", "is_stream"),
    [
        ("gone-before-the-first-byte", MODEL_SILENT, True),
        ("gone-while-a-whole-answer-is-made", MODEL_SILENT, False),
        ("gone-while-a-slow-answer-is-made", MODEL_SLOW, False),
    ],
)
def test_client_that_leaves_before_an_answer_frees_the_provider(
    stack: Stack, provider: CountingProvider, user: str, model: str, *, is_stream: bool
) -> None:
    connection = _send(stack, user=user, model=model, is_stream=is_stream)
    wait_until(lambda: bool(provider.entries(user)), timeout_seconds=5, what="the request at the provider")
    left_at = time.monotonic()
    connection.close()
    _leaves_within_a_second(provider, user, left_at)
    (event,) = events_of(stack, user)
    assert event["state"] == "cancelled"
    assert event["upstream_model"] == model


@pytest.mark.requirement("L-24", "L-25", "B-8", "S84")
def test_client_that_leaves_in_mid_stream_frees_the_provider_and_pays_for_what_it_got(
    stack: Stack, provider: CountingProvider
) -> None:
    user = "gone-in-mid-stream"
    connection = _send(stack, user=user, model=MODEL_SLOW, is_stream=True)
    _read_until(connection, b'"word "')
    left_at = time.monotonic()
    connection.close()
    _leaves_within_a_second(provider, user, left_at)
    (event,) = events_of(stack, user)
    assert (event["state"], event["usage_source"]) == ("cancelled", "estimated")
    assert event["usage"]["output_total"] > 0
    assert event["usage"]["input_total"] > 0
    assert event["cost_usd"] is not None


@pytest.mark.requirement("L-4", "L-25")
def test_client_that_leaves_a_worker_that_says_no_more_is_recorded_by_the_gateway(
    stack: Stack, provider: CountingProvider
) -> None:
    user = "gone-and-the-worker-too"
    connection = _send(stack, user=user, model=MODEL_SLOW, is_stream=True)
    _read_until(connection, b'"word "')
    pid = stack.kill("providers", signal.SIGSTOP)
    connection.close()
    (event,) = events_of(stack, user, timeout_seconds=60)
    assert (event["recorder"], event["state"], event["usage_source"]) == ("gateway", "cancelled", "estimated")
    assert event["usage"]["input_total"] > 0
    assert event["cost_usd"] is None, "what it cost is not known"
    wait_until(lambda: stack.pid_of("providers") != pid, timeout_seconds=150, what="another worker")
    wait_until(lambda: bool(stack.status()["is_ready"]), timeout_seconds=150, what="readiness")
    assert len(events_of(stack, user)) == 1
