"""The requests of the loads."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from bench.client import Target

_PROMPT = "Say in one sentence why a ledger must be right to the last digit."


def chat(target: Target, prompt: str, **more: object) -> bytes:
    """A chat completion; `more` are members of its body, and win over what stands there."""
    body: Mapping[str, object] = {
        "model": target.model,
        "messages": [{"role": "system", "content": "You are brief."}, {"role": "user", "content": prompt}],
        "temperature": 0.2,
        **more,
    }
    return target.request("/chat/completions", json.dumps(body).encode())


def plain(target: Target, *, bytes_of_prompt: int = 0) -> Callable[[], bytes]:
    """A whole chat completion, with a prompt of about so many bytes."""
    prompt = _PROMPT * (1 + bytes_of_prompt // len(_PROMPT))
    request = chat(target, prompt)
    return lambda: request


def embeddings(target: Target) -> Callable[[], bytes]:
    """An embedding of 1,536 numbers."""
    body = {"model": target.model, "input": _PROMPT, "encoding_format": "float"}
    request = target.request("/embeddings", json.dumps(body).encode())
    return lambda: request


def stream(target: Target, *, chunks: int, pause_ms: int, name: str = "s") -> Callable[[int], bytes]:
    """A streamed chat completion; the number that is given makes its id at the upstream."""
    return lambda number: chat(target, f"{_PROMPT} bench:{chunks}:{pause_ms}:{name}{number}", stream=True)
