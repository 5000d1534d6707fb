"""Writes how to answer: sampling, tools, the form of the answer, thinking."""

from __future__ import annotations

import msgspec

from llm_manager.core.facts import Facts
from llm_manager.core.messages import ChatInput, ResponseFormat, Sampling, Tool
from llm_manager.providers.dialects.cohere_v2.reply import DIALECT
from llm_manager.providers.dialects.cohere_v2.turns import is_thinking
from llm_manager.providers.dialects.json_values import Json
from llm_manager.providers.dialects.parameters import adapted, sampling_table, warn_of_binding
from llm_manager.providers.dialects.policy import Policy

# Cohere has no word for `auto`: it is what happens without one (cohere 5, `V2ChatRequestToolChoice`).
_CHOICES = {"required": "REQUIRED", "named": "REQUIRED", "none": "NONE"}
# Cohere's own OpenAI-compatible API takes this effort and none, and says them as thinking that is enabled or disabled
# (docs.cohere.com/docs/compatibility-api, read on 2026-11-29).
_FULL_EFFORT = "high"


def sampling_fields(facts: Facts, sampling: Sampling, *, model: str, policy: Policy) -> Json:
    """Return what is set, in Cohere's names.

    Raises:
        UnsupportedParameter: the provider cannot do what is asked, and the policy refuses.
    """
    table = sampling_table(sampling)
    table.pop("reasoning_effort", None)
    if sampling.max_tokens is not None:
        table["max_tokens"] = sampling.max_tokens
    fields = adapted(facts, table, unsupported=facts.parameters.unsupported, policy=policy)
    if sampling.shows_reasoning is False and is_thinking(facts, model):
        policy.unsupported(facts, "reasoning.exclude", hint="it shows what it thinks; ask it not to think")
    if thinking := _thinking(facts, sampling, policy):
        fields["thinking"] = thinking
    return fields


def _thinking(facts: Facts, sampling: Sampling, policy: Policy) -> Json:
    effort, budget = sampling.reasoning_effort, sampling.reasoning_budget
    if budget == 0 or (budget is None and effort == "none"):
        return {"type": "disabled"}
    if budget is not None:
        return {"type": "enabled", "token_budget": budget}
    if not effort:
        return {}
    if effort != _FULL_EFFORT:
        limit = f"'none', {_FULL_EFFORT!r}, or a number of tokens"
        policy.out_of_range(facts, "reasoning_effort", limit=limit, used=_FULL_EFFORT)
    return {"type": "enabled"}


def tool_fields(facts: Facts, request: ChatInput, policy: Policy) -> Json:
    """Return tools and which of them may be called.

    Raises:
        UnsupportedParameter: as above.
    """
    for block in request.native_tools:
        if block.dialect != DIALECT:
            policy.unsupported(facts, "tools", hint="it runs no tools itself")
    own = [msgspec.Raw(block.json) for block in request.native_tools if block.dialect == DIALECT]
    choice, tools = request.tool_choice, list(request.tools)
    fields: Json = {}
    if choice is not None:
        if choice.parallel is not None:
            adapted(
                facts,
                {"parallel_tool_calls": choice.parallel},
                unsupported=facts.parameters.unsupported,
                policy=policy,
            )
        # there is no list of names, so the model sees only those that it may call
        allowed = (choice.name,) if choice.mode == "named" else choice.allowed
        tools = [tool for tool in tools if not allowed or tool.name in allowed]
        if choice.mode in _CHOICES and (tools or own):
            fields["tool_choice"] = _CHOICES[choice.mode]
    if tools or own:
        fields["tools"] = [*map(_tool, tools), *own]
    if any(tool.is_strict for tool in tools):
        fields["strict_tools"] = True
    return fields


def _tool(tool: Tool) -> Json:
    function: Json = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    # the provider refuses a function without them
    function["parameters"] = msgspec.Raw(tool.parameters or b'{"type":"object","properties":{}}')
    return {"type": "function", "function": function}


def form_fields(form: ResponseFormat | None, policy: Policy) -> Json:
    """Return the form of the answer; a schema goes with the same type as JSON mode."""
    if form is None or form.kind == "text":
        return {}
    warn_of_binding(form, policy)
    written: Json = {"type": "json_object"}
    if form.kind == "json_schema" and form.schema:
        written["json_schema"] = msgspec.Raw(form.schema)
    return {"response_format": written}
