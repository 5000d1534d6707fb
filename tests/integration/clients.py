"""One plain chat as clients of every dialect ask for it, and the wire in which the reader reads the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
QUESTION = "What is new?"


@dataclass(frozen=True)
class Client:
    """How a dialect's clients ask.

    Args:
        provider, wire: under which the reader of the recordings knows the dialect.
        path: for a model, whole and streamed.
        body: for a model.
    """

    provider: str
    wire: str
    path: Callable[[str, bool], str]
    body: Callable[[str, bool], Json]


def _at(path: str) -> Callable[[str, bool], str]:
    return lambda model, is_stream: path


def _messages(model: str, is_stream: bool) -> Json:
    body: Json = {"model": model, "messages": [{"role": "user", "content": QUESTION}], "stream": is_stream}
    return body


def _openai(model: str, is_stream: bool) -> Json:
    options = {"stream_options": {"include_usage": True}} if is_stream else {}
    return {**_messages(model, is_stream), **options}


def _gemini_path(model: str, is_stream: bool) -> str:
    method = "streamGenerateContent?alt=sse" if is_stream else "generateContent"
    return f"/v1beta/models/{model}:{method}"


CLIENTS = {
    "openai_chat": Client("openai", "openai.chat", _at("/v1/chat/completions"), _openai),
    "openai_responses": Client(
        "openai",
        "openai.responses",
        _at("/v1/responses"),
        lambda model, is_stream: {"model": model, "input": QUESTION, "stream": is_stream},
    ),
    "anthropic_messages": Client(
        "anthropic",
        "anthropic.messages",
        _at("/v1/messages"),
        lambda model, is_stream: {**_messages(model, is_stream), "max_tokens": 1000},
    ),
    "gemini_generate": Client(
        "gemini",
        "gemini.generate",
        _gemini_path,
        lambda model, is_stream: {"contents": [{"role": "user", "parts": [{"text": QUESTION}]}]},
    ),
}
