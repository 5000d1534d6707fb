"""Writes how to answer: `options`, `format`, `think`, and the tools."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from llm_manager.core.errors import InvalidRequest
from llm_manager.core.facts import Facts
from llm_manager.core.messages import ChatInput, ResponseFormat, Sampling, Tool, ToolChoice
from llm_manager.providers.dialects.json_values import Json
from llm_manager.providers.dialects.ollama_chat.turns import DIALECT
from llm_manager.providers.dialects.parameters import adapted, extension_table, sampling_table, warn_of_binding
from llm_manager.providers.dialects.policy import Policy

# What /api/chat wants beside `options`, not inside, and its name there.
OUTSIDE: Mapping[str, str] = {
    "logprobs": "logprobs",
    "top_logprobs": "top_logprobs",
    "response_format": "format",
    "reasoning_effort": "think",
}
_LEVELS = ("low", "medium", "high")
# What stands for the words that are no level.
_NEAREST_LEVEL: Mapping[str, str] = {"minimal": "low", "xhigh": "high", "max": "high"}
# The most tokens that a level of thinking stands for: 1K, 8K and 24K are Google's on its OpenAI-compatible endpoint
# (announcement of April 2025); Ollama gives no numbers.
_BUDGETS = ((1024, "low"), (8192, "medium"))
_NO_PARAMETERS = b'{"type":"object","properties":{}}'


def options_of(facts: Facts, request: ChatInput, *, policy: Policy) -> Json:
    """Return everything of a body but model, messages and stream: sampling in `options`, the rest beside it.

    Raises:
        UnsupportedParameter: the provider cannot do what is asked, and the policy refuses.
        InvalidRequest: `options` is no object.
    """
    sampling = request.sampling
    table = sampling_table(sampling)
    if sampling.max_tokens is not None:
        table[facts.parameters.max_tokens] = sampling.max_tokens
    table.update(_tool_choice(request.tool_choice))
    if request.response_format is not None and request.response_format.kind != "text":
        table["response_format"] = _format(request.response_format)
        warn_of_binding(request.response_format, policy)
    table.update(_effort(facts, sampling, policy))
    unsupported = facts.parameters.unsupported
    options = adapted(facts, table, unsupported=unsupported, policy=policy)
    outside = {new_name: options.pop(name) for name, new_name in OUTSIDE.items() if name in options}
    if "think" in outside:
        outside["think"] = _think(facts, outside["think"], policy)
    extension = extension_table(facts, request.extension, policy=policy)
    place(facts, adapted(facts, extension, unsupported=unsupported, policy=policy), outside, options)
    written: Json = {**outside, "options": options} if options else outside
    if tools := _tools(facts, request, policy):
        written["tools"] = tools
    return written


def place(facts: Facts, extension: Json, outside: Json, options: Json) -> None:
    """Put parameters beyond the neutral vocabulary where Ollama looks for them.

    Raises:
        InvalidRequest: `options` is no object.
    """
    for name, value in extension.items():
        if name == "options":
            try:
                options.update(msgspec.json.decode(value, type=dict[str, msgspec.Raw]))
            except msgspec.DecodeError as error:
                raise InvalidRequest("'options' is no object of parameters.", param="options") from error
        elif name in facts.parameters.options:
            options[name] = value
        else:
            outside[name] = value


def _effort(facts: Facts, sampling: Sampling, policy: Policy) -> Json:
    """Return how much to think as an effort, which is all that Ollama knows."""
    effort, budget = sampling.reasoning_effort, sampling.reasoning_budget
    if budget == 0:
        effort = "none"
    elif budget is not None and "reasoning_effort" in facts.parameters.unsupported:
        policy.unsupported(facts, "reasoning_budget")
    elif budget is not None:
        effort = effort or next((word for most, word in _BUDGETS if budget <= most), "high")
        policy.out_of_range(facts, "reasoning_budget", limit="levels of effort", used=f"effort {effort}")
    if sampling.shows_reasoning is False and effort != "none":
        policy.unsupported(facts, "reasoning.exclude", hint="it shows what it thinks; ask it not to think")
    return {"reasoning_effort": effort} if effort else {}


def _think(facts: Facts, effort: str, policy: Policy) -> bool | str:
    """Return `think`. Models without levels take any of them as yes; versions of 2025 refuse them by name instead."""
    if effort == "none":
        return False
    level = effort if effort in _LEVELS else _NEAREST_LEVEL.get(effort, "medium")
    if level != effort:
        policy.out_of_range(facts, "reasoning_effort", limit=", ".join(("none", *_LEVELS)), used=level)
    return level


def _tool_choice(choice: ToolChoice | None) -> Json:
    table: Json = {}
    if choice is not None and choice.mode in ("required", "named"):
        table["tool_choice"] = choice.mode
    if choice is not None and choice.parallel is not None:
        table["parallel_tool_calls"] = choice.parallel
    return table


def _tools(facts: Facts, request: ChatInput, policy: Policy) -> list[Json | msgspec.Raw]:
    """Return the functions that may be called: there is no tool_choice, so the model is shown no others."""
    choice = request.tool_choice
    for block in request.native_tools:
        if block.dialect != DIALECT:
            policy.unsupported(facts, "tools", hint="it runs no tools itself")
    if choice is not None and choice.mode == "none":
        return []
    allowed = () if choice is None else (choice.name,) if choice.mode == "named" else choice.allowed
    shown = [tool for tool in request.tools if not allowed or tool.name in allowed]
    if any(tool.is_strict for tool in shown):
        # No server of this dialect promises it, and libraries ask for it by default: said, but not refused.
        policy.left_out("strict of tools")
    own = [msgspec.Raw(block.json) for block in request.native_tools if block.dialect == DIALECT]
    return [*map(_tool, shown), *own]


def _tool(tool: Tool) -> Json:
    function: Json = {
        "name": tool.name,
        "description": tool.description,
        "parameters": msgspec.Raw(tool.parameters or _NO_PARAMETERS),
    }
    return {"type": "function", "function": function}


def _format(form: ResponseFormat) -> str | msgspec.Raw:
    return msgspec.Raw(form.schema) if form.kind == "json_schema" and form.schema else "json"
