"""The response object around an output, whole and with nothing null that must not be; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec
from msgspec import Raw

from llm_manager.core.ids import uuid7
from llm_manager.core.usage import UsageSource
from llm_manager.gateway.inference.rules import Outcome
from llm_manager.gateway.ingress.money import usd
from llm_manager.gateway.ingress.responses.request import ResponseRequest, TextOptions

Members = dict[str, object]
Status = Literal["in_progress", "completed", "incomplete", "failed"]

# Source: openai-python 3.54 `types/responses/service_tier.py`; other providers have words of their own.
_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast", "ultrafast"})
_RESPONSE = "resp_"


def new_response_id() -> str:
    """Return an id; the ids of the response's items can be derived from it and back."""
    return _RESPONSE + uuid7().replace("-", "")


def key_of(response_id: str) -> str:
    """Return the part of an own response's id that its items share."""
    return response_id.removeprefix(_RESPONSE)


def response_of_item(item_id: str) -> str | None:
    """Return the id of the response that an own item belongs to; None for the item of a provider."""
    prefix, _, key = item_id.partition("_")
    if prefix not in ("msg", "rs", "fc") or len(key) != 36 or not set(key) <= set("0123456789abcdef"):
        return None
    return _RESPONSE + key[:32]


@dataclass(frozen=True, slots=True)
class Shape:
    """What stays the same of a response from its first event to its last.

    Args:
        previous_response_id: as the client gave it.
        model: as its provider calls it.
    """

    id: str
    created_at: int
    model: str
    request: ResponseRequest
    previous_response_id: str | None = None
    service_tier: str = ""

    def body(
        self,
        status: Status,
        output: list[Members],
        *,
        usage: Members | None = None,
        incomplete_reason: str | None = None,
        error: Members | None = None,
        completed_at: int | None = None,
        is_stored: bool = True,
    ) -> Members:
        """Return the whole object."""
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created_at,
            "status": status,
            "completed_at": completed_at,
            "error": error,
            "incomplete_details": None if incomplete_reason is None else {"reason": incomplete_reason},
            "model": self.model,
            "previous_response_id": self.previous_response_id,
            "output": output,
            "usage": usage,
            "store": is_stored,
            "service_tier": self.service_tier if self.service_tier in _TIERS else "default",
            **_repeated(self.request),
        }


def _repeated(request: ResponseRequest) -> Members:
    reasoning, text = request.reasoning, request.text
    return {
        "background": False,
        "frequency_penalty": _or(request.frequency_penalty, 0.0),
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "max_tool_calls": request.max_tool_calls,
        "metadata": request.metadata or {},
        "parallel_tool_calls": _or(request.parallel_tool_calls, True),
        "presence_penalty": _or(request.presence_penalty, 0.0),
        "prompt_cache_key": request.prompt_cache_key,
        "reasoning": {
            "effort": None if reasoning is None else reasoning.effort,
            "summary": None if reasoning is None else reasoning.summary or reasoning.generate_summary,
        },
        "safety_identifier": request.safety_identifier,
        "temperature": _or(request.temperature, 1.0),
        "text": _text(text),
        "tool_choice": _or(request.tool_choice, "auto"),
        "tools": [_tool(raw) for raw in request.tools or ()],
        "top_logprobs": _or(request.top_logprobs, 0),
        "top_p": _or(request.top_p, 1.0),
        "truncation": request.truncation or "disabled",
        "user": request.user,
    }


def _text(text: TextOptions | None) -> Members:
    form = None if text is None else text.format
    said: Members = {"format": {"type": "text"} if form is None else _without_nulls(form)}
    if text is not None and text.verbosity is not None:
        said["verbosity"] = text.verbosity
    return said


def _tool(raw: Raw) -> Members:
    tool = msgspec.json.decode(raw, type=Members)
    # Open Responses has these in every function of an answer, null where nothing was said
    empty: Members = {"description": None, "parameters": None, "strict": None} if tool.get("type") == "function" else {}
    return {**empty, **tool}


def _or(value: object, default: object) -> object:
    return default if value is None else value


def _without_nulls(form: msgspec.Struct) -> Members:
    members = msgspec.json.decode(msgspec.json.encode(form), type=Members)
    return {name: value for name, value in members.items() if value is not None}


def usage_of(outcome: Outcome, *, with_cost: bool) -> Members | None:
    """Render the `usage` of a response; None when nobody knows what was used.

    Args:
        with_cost: adds `cost`, the exact USD as a JSON number, null when unpriced.
    """
    report = outcome.report
    if report.source is UsageSource.UNKNOWN:
        return None
    usage = report.usage
    members = counts(
        usage.input_total,
        usage.output_total,
        cached=usage.cache_read,
        cache_write=usage.cache_write_5m + usage.cache_write_1h,
        reasoning=usage.output_reasoning,
    )
    if report.source is UsageSource.ESTIMATED:
        members["is_estimated"] = True
    if with_cost:
        total = outcome.cost.total_usd
        members["cost"] = None if total is None else Raw(usd(total).encode())
    return members


def counts(input_tokens: int, output_tokens: int, *, cached: int, cache_write: int, reasoning: int) -> Members:
    """Return the counts of a response in OpenAI's words."""
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": cache_write},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": input_tokens + output_tokens,
    }
