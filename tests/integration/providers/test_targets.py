"""What a provider record says beside its URL reaches the provider: paths, and headers that nobody else may see."""

from __future__ import annotations

import json

import pytest
from structlog.testing import capture_logs

from llm_manager.core.errors import UpstreamCredentialsExhausted, UpstreamUnreachable
from llm_manager.kit.bus.names import HEADERS_AAD
from llm_manager.kit.secrets import SecretBox
from llm_manager.testing.asker import CREDENTIAL, Asker
from llm_manager.testing.upstream import FakeUpstream, Script, chunk, completion, sse

BODY = b'{"model":"nice-name","messages":[{"role":"user","content":"Hello"}]}'
CANARY = "canary-header-0123456789"


def sealed(**headers: str) -> bytes:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return SecretBox(b"k" * 32).seal(json.dumps(named).encode(), aad=HEADERS_AAD)


async def test_provider_sees_the_paths_and_headers_of_its_record(asker: Asker, upstream: FakeUpstream) -> None:
    upstream.script = completion("Hello", usage=None)
    request = asker.native_chat(BODY, stream=False)
    request.target.paths["chat"] = "deployments/{model}/chat?version=2"
    request.target.headers["x-plain"] = "open"
    request.target.sealed_headers = sealed(X_Team=CANARY, Host="evil.example", content_length="7", X_Plain="sealed")
    answered = await asker.ask(request)

    assert answered.error is None
    (seen,) = upstream.requests
    assert seen.path.endswith("/deployments/asked-for/chat?version=2")
    assert (seen.headers["x-team"], seen.headers["x-plain"]) == (CANARY, "sealed")
    assert seen.headers["host"] == upstream.base_url.removeprefix("http://").partition("/")[0]
    assert seen.headers["content-length"] == str(len(seen.body)) != "7"


async def test_header_of_the_record_does_not_replace_the_credential(asker: Asker, upstream: FakeUpstream) -> None:
    upstream.script = completion("Hello", usage=None)
    request = asker.native_chat(BODY, stream=False)
    request.target.sealed_headers = sealed(Authorization="Bearer other")
    await asker.ask(request)

    assert upstream.requests[0].headers["authorization"] == f"Bearer {CREDENTIAL}"


@pytest.mark.parametrize("is_stream", [False, True])
async def test_header_that_a_provider_quotes_back_is_seen_by_nobody(
    asker: Asker, upstream: FakeUpstream, is_stream: bool
) -> None:
    failure = {"error": {"message": f"{CANARY} is no team, and short is none", "code": "bad"}}
    steps = sse(chunk("a"), failure) if is_stream else [json.dumps(failure).encode()]
    upstream.script = Script(steps=steps, status=200 if is_stream else 400)
    request = asker.native_chat(BODY, stream=is_stream)
    request.target.sealed_headers = sealed(x_team=CANARY, x_short="short")
    with capture_logs() as logs:
        answered = await asker.ask(request)
        event = await asker.the_event()

    assert answered.error is not None
    assert str(answered.error).endswith("*** is no team, and short is none")
    assert CANARY not in f"{logs} {event} {answered}"


async def test_headers_that_do_not_open_are_ours_to_mend(asker: Asker, upstream: FakeUpstream) -> None:
    request = asker.native_chat(BODY)
    request.target.sealed_headers = b"\x01" + b"x" * 60
    answered = await asker.ask(request)

    assert isinstance(answered.error, UpstreamCredentialsExhausted)
    assert "share the master key" in str(answered.error)
    assert upstream.connections == 0


@pytest.mark.requirement("P-14")
async def test_base_url_of_others_does_not_lead_into_our_networks(asker: Asker, upstream: FakeUpstream) -> None:
    request = asker.native_chat(BODY)
    request.target.is_trusted = False
    answered = await asker.ask(request)

    assert isinstance(answered.error, UpstreamUnreachable)
    assert str(answered.error).endswith(
        "resolves to a private address; whoever runs the platform can allow it with "
        "LLM_MANAGER_PROVIDERS_PRIVATE_NETWORKS."
    )
    assert "127.0.0.1" not in f"{answered.error} {answered.failure}"
    assert not answered.error.retryable
    assert upstream.connections == 0


@pytest.mark.requirement("P-14")
async def test_redirect_is_a_failure_and_carries_the_credential_nowhere(asker: Asker, upstream: FakeUpstream) -> None:
    upstream.script = Script(status=307, headers={"location": f"{upstream.base_url}/elsewhere"})
    answered = await asker.ask(asker.native_chat(BODY))

    assert answered.error is not None
    assert len(upstream.requests) == 1
