"""What one attempt sends, and that nothing secret comes back in its errors."""

from __future__ import annotations

import json
from contextlib import AbstractAsyncContextManager

import pytest

from llm_manager.core.errors import LlmManagerError, UpstreamProtocolError, UpstreamUnreachable
from llm_manager.core.facts import load_facts
from llm_manager.core.messages import ChatInput, Message, Text
from llm_manager.kit.bus.names import CREDENTIAL_AAD, HEADERS_AAD
from llm_manager.kit.secrets import SecretBox
from llm_manager.providers.client import Answer, HttpCall, Limits
from llm_manager.providers.credentials import Credentials
from llm_manager.providers.dialects.port import Pieces
from llm_manager.providers.job import Job, Outcome, Target
from llm_manager.providers.service import Inference

BOX = SecretBox(b"k" * 32)
KEY = "sk-canary-0123456789"


class Unreachable:
    """Takes requests and fails them, with words of its own."""

    def __init__(self, error: LlmManagerError) -> None:
        self.calls: list[HttpCall] = []
        self._error = error

    def open(self, call: HttpCall, limits: Limits) -> AbstractAsyncContextManager[Answer]:
        assert limits.total == 1.0
        self.calls.append(call)
        raise self._error


async def sent(target: Target, error: LlmManagerError | None = None) -> tuple[HttpCall, LlmManagerError]:
    """Return what was sent to a target, and the error that came of it."""
    upstream = Unreachable(error or UpstreamUnreachable("away"))
    inference = Inference(load_facts(), {"http": upstream}, Credentials(BOX))
    chat = ChatInput(messages=(Message(role="user", parts=(Text(text="Hello"),)),))

    async def emit(_: Pieces) -> None:
        raise AssertionError

    with pytest.raises(LlmManagerError) as raised:
        await inference.run(Job("chat", target, chat, is_stream=False, timeout_seconds=1.0), Outcome(), emit)
    return upstream.calls[0], raised.value


def target(*, kind: str = "anthropic", base_url: str = "", trusted: bool = False, **headers: str) -> Target:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Target(
        provider="mine",
        kind=kind,
        base_url=base_url,
        credential=BOX.seal(KEY.encode(), aad=CREDENTIAL_AAD),
        upstream_model="m",
        headers={"x-plain": "open", "x-both": "open"},
        sealed_headers=BOX.seal(json.dumps(named).encode(), aad=HEADERS_AAD) if named else b"",
        is_trusted=trusted,
    )


async def test_sealed_headers_are_added_and_the_credential_stays() -> None:
    call, _ = await sent(target(X_Api_Key="other", x_both="sealed", x_own="1", content_type="text/plain"))

    assert (call.headers["x-api-key"], call.headers["content-type"]) == (KEY, "application/json")
    assert [call.headers[name] for name in ("x-plain", "x-both", "x-own")] == ["open", "sealed", "1"]


@pytest.mark.requirement("P-14")
@pytest.mark.parametrize(
    ("base_url", "trusted", "expected"),
    [
        ("", False, True),
        ("", True, True),
        ("https://a.example", False, False),
        ("https://a.example", True, True),
        ("https://api.anthropic.com", False, False),
    ],
)
async def test_only_the_kind_s_own_address_is_trusted_unasked(base_url: str, trusted: bool, expected: bool) -> None:
    call, _ = await sent(target(base_url=base_url, trusted=trusted))

    assert call.is_trusted is expected


async def test_values_of_sealed_headers_are_cut_out_of_errors_the_longest_first() -> None:
    quoted = UpstreamProtocolError(f"{KEY}, canary-header, canary-header-2, behind-a-scheme and short")
    secret = target(x_a="canary-header", x_b="canary-header-2", x_c="short", authorization="Bearer behind-a-scheme")
    _, error = await sent(secret, quoted)

    assert str(error) == error.message == "[credential], [header], [header], [header] and short"
