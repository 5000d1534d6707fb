"""Writes how to answer: sampling, reasoning, tools, the form of the text."""

from __future__ import annotations

import msgspec

from llm_manager.core.facts import Facts
from llm_manager.core.messages import ChatInput, ResponseFormat, Sampling, Tool, ToolChoice
from llm_manager.providers.dialects.json_values import Json
from llm_manager.providers.dialects.openai_chat.media import kept
from llm_manager.providers.dialects.openai_chat.turns import DIALECT
from llm_manager.providers.dialects.parameters import adapted, extension_table, sampling_table
from llm_manager.providers.dialects.pointers import raw_table
from llm_manager.providers.dialects.policy import Policy

# The most tokens that a level of thinking stands for: 1K, 8K and 24K are Google's on its OpenAI-compatible endpoint
# (announcement of April 2025); OpenAI itself gives no numbers.
_LEVELS = ((1024, "low"), (8192, "medium"))
# Neutral words that OpenAI's dialect has no word for; the facts say what a provider calls them, or that it has none.
BUDGET, SHOWN, ALLOWED = "reasoning_budget", "include_reasoning", "allowed_tools"


def options_of(facts: Facts, request: ChatInput, *, policy: Policy) -> Json:
    """Return everything of a body but model, messages and stream.

    Raises:
        UnsupportedParameter: the provider cannot do what is asked, and the policy refuses.
    """
    sampling = request.sampling
    table = sampling_table(sampling)
    if sampling.max_tokens is not None:
        table[facts.parameters.max_tokens] = sampling.max_tokens
    table.update(_reasoning(facts, sampling, policy))
    if BUDGET in table:
        # The number says more than the word, and both together are refused (openrouter.ai, reasoning tokens).
        table.pop("reasoning_effort", None)
    table.update(_tools(facts, request, policy))
    if request.response_format is not None:
        table["response_format"] = _response_format(request.response_format)
    table.update(extension_table(facts, request.extension, policy=policy))
    return nested(adapted(facts, table, unsupported=facts.parameters.unsupported, policy=policy))


def nested(fields: Json) -> Json:
    """Return fields with those whose names have dots in tables of their own: `reasoning.max_tokens` of OpenRouter."""
    written: Json = {}
    for name, value in fields.items():
        first, dot, rest = name.partition(".")
        if not dot:
            written[name] = value
            continue
        beside = written.get(first, {})
        written[first] = {**(raw_table(beside) if isinstance(beside, msgspec.Raw) else beside), rest: value}
    return written


def _reasoning(facts: Facts, sampling: Sampling, policy: Policy) -> Json:
    """Return how much to think: a number of tokens where the provider takes one, else the level that it comes to."""
    table: Json = {}
    if sampling.shows_reasoning is not None:
        table[SHOWN] = sampling.shows_reasoning
    budget, effort = sampling.reasoning_budget, sampling.reasoning_effort
    if budget is None:
        return table
    if BUDGET in facts.parameters.unsupported or "reasoning_effort" in facts.parameters.unsupported:
        policy.unsupported(facts, BUDGET)
    elif budget == 0:
        table["reasoning_effort"] = "none"
    elif BUDGET in facts.parameters.renamed:
        table[BUDGET] = budget
    else:
        used = effort or next((word for most, word in _LEVELS if budget <= most), "high")
        policy.out_of_range(facts, BUDGET, limit="levels of effort", used=f"effort {used}")
        table["reasoning_effort"] = used
    return table


def _tools(facts: Facts, request: ChatInput, policy: Policy) -> Json:
    """Return the functions, the tools that the provider runs itself, and which of them to call."""
    choice, tools = request.tool_choice, list(request.tools)
    has_list = ALLOWED not in facts.parameters.unsupported
    if choice is not None and choice.allowed and choice.mode != "none" and not has_list:
        # there is no list of what may be called, so the rest is not shown
        tools = [tool for tool in tools if tool.name in choice.allowed]
    written: list[Json | msgspec.Raw] = [_tool(facts, tool) for tool in tools]
    for block in request.native_tools:
        if block.dialect == DIALECT:
            written.append(msgspec.Raw(block.json))
        else:
            policy.unsupported(facts, "tools", hint="it calls functions; leave out the tools of other providers")
    table: Json = {"tools": written} if written else {}
    if choice is None:
        return table
    # Without tools there is nothing to choose from, and the provider refuses the words; who demands a call is refused.
    if written or choice.mode in ("required", "named"):
        table["tool_choice"] = _tool_choice(choice, has_list=has_list)
        if choice.parallel is not None:
            table["parallel_tool_calls"] = choice.parallel
    return table


def _tool(facts: Facts, tool: Tool) -> Json:
    function: Json = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.parameters:
        function["parameters"] = msgspec.Raw(tool.parameters)
    if tool.is_strict is not None:
        function["strict"] = tool.is_strict
    cache_name = facts.parameters.renamed.get("cache_ttl", "")
    return kept({"type": "function", "function": function}, cache_name, tool.cache_ttl)


def _tool_choice(choice: ToolChoice, *, has_list: bool) -> str | Json:
    if choice.mode == "named":
        return {"type": "function", "function": {"name": choice.name}}
    if choice.allowed and choice.mode != "none" and has_list:
        allowed = [{"type": "function", "function": {"name": name}} for name in choice.allowed]
        return {"type": ALLOWED, ALLOWED: {"mode": choice.mode, "tools": allowed}}
    return choice.mode


def _response_format(form: ResponseFormat) -> Json:
    if form.kind != "json_schema":
        return {"type": form.kind}
    schema: Json = {"name": form.name or "answer", "schema": msgspec.Raw(form.schema or b"{}")}
    if form.is_strict is not None:
        schema["strict"] = form.is_strict
    return {"type": "json_schema", "json_schema": schema}
