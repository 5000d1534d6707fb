"""`llm-manager chat`: one question, its answer as it comes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llm_manager.client.transport import HttpTransport

PATH = "/v1/chat/completions"


def request_body(model: str, text: str, *, system: str | None, is_streaming: bool) -> dict[str, Any]:
    """Return the body of the chat request."""
    messages = [{"role": "system", "content": system}] if system else []
    body: dict[str, Any] = {"model": model, "messages": [*messages, {"role": "user", "content": text}]}
    if is_streaming:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def print_stream(transport: HttpTransport, body: dict[str, Any]) -> None:
    """Write the text of a streamed answer to stdout as it comes, tool calls as JSON lines at its end.

    Raises:
        LlmManagerError: the gateway refused, or the answer failed on its way.
    """
    calls: dict[int, dict[str, str]] = {}
    for event in transport.stream("POST", PATH, body=body):
        for choice in event.get("choices", []):
            delta: dict[str, Any] = choice.get("delta") or {}
            sys.stdout.write(delta.get("content") or delta.get("refusal") or "")
            sys.stdout.flush()
            _collect(delta.get("tool_calls") or (), calls)
    sys.stdout.write("\n")
    for call in calls.values():
        print(json.dumps({"tool_call": call}))


def _collect(parts: Iterable[dict[str, Any]], calls: dict[int, dict[str, str]]) -> None:
    for part in parts:
        call = calls.setdefault(int(part["index"]), {"name": "", "arguments": ""})
        function: dict[str, Any] = part.get("function") or {}
        call["name"] += function.get("name") or ""
        call["arguments"] += function.get("arguments") or ""
