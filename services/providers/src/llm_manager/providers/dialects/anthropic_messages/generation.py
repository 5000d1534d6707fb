"""Writes how to answer: sampling, form, tools and which of them to call."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from llm_manager.core.facts import Facts
from llm_manager.core.messages import ChatInput, ResponseFormat, Sampling, Tool, ToolChoice
from llm_manager.providers.dialects.anthropic_messages.blocks import DIALECT
from llm_manager.providers.dialects.anthropic_messages.media import kept
from llm_manager.providers.dialects.json_values import Json, table
from llm_manager.providers.dialects.parameters import adapted, sampling_table, warn_of_binding
from llm_manager.providers.dialects.pointers import raw_table
from llm_manager.providers.dialects.policy import Policy

_MODES: Mapping[str, str] = {"auto": "auto", "none": "none", "required": "any", "named": "tool"}
# The provider's words for the tier that an extension asks in OpenAI's; other tiers are bought, not asked for.
_TIERS: Mapping[str, str] = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}
_WARMEST = 1.0


def sampling_of(facts: Facts, sampling: Sampling, *, policy: Policy) -> Json:
    """Write how to sample, without thoughts and without the largest number of tokens.

    Raises:
        UnsupportedParameter: the provider cannot do what is asked, and the policy refuses.
    """
    asked = sampling_table(sampling)
    asked.pop("reasoning_effort", None)
    _drop_blank_stops(facts, asked, policy)
    written = adapted(facts, asked, unsupported=facts.parameters.unsupported, policy=policy)
    if written.get("temperature", 0.0) > _WARMEST:
        policy.out_of_range(facts, "temperature", limit=f"at most {_WARMEST}", used=_WARMEST)
        written["temperature"] = _WARMEST
    return _without_idle_twin(written)


def _without_idle_twin(written: Json) -> Json:
    """Leave out the one of `temperature` and `top_p` that asks for nothing: from Opus 4.1 on, models refuse both."""
    if "temperature" not in written or "top_p" not in written:
        return written
    idle = next((name for name in ("top_p", "temperature") if written[name] == 1), "")
    return {name: value for name, value in written.items() if name != idle}


def _drop_blank_stops(facts: Facts, asked: Json, policy: Policy) -> None:
    """Meet white space that should end the answer: the provider refuses the whole request for it."""
    stops: list[str] = asked.get("stop", [])
    told = [stop for stop in stops if stop.strip()]
    if len(told) == len(stops):
        return
    # counted, not told: the words are the client's, and warnings travel in a header
    used = f"{len(told)} of {len(stops)} texts"
    policy.out_of_range(facts, "stop", limit="texts with more than white space", used=used)
    asked["stop"] = told
    if not told:
        del asked["stop"]


def format_of(facts: Facts, form: ResponseFormat | None, policy: Policy) -> Json:
    """Write the form of the answer; empty for text.

    Raises:
        UnsupportedParameter: JSON of any shape is asked for, and the policy refuses.
    """
    if form is None or form.kind == "text":
        return {}
    if form.kind == "json_object" or not form.schema:
        policy.unsupported(facts, "response_format", hint="ask for json_schema, which it does, and send a schema")
        return {}
    warn_of_binding(form, policy)
    return {"type": "json_schema", "schema": msgspec.Raw(form.schema)}


def tools_of(facts: Facts, request: ChatInput, policy: Policy) -> list[Json | msgspec.Raw]:
    """Return the functions that may be called, then the tools that the provider defines itself.

    Raises:
        UnsupportedParameter: a tool of another provider is asked for, and the policy refuses.
    """
    choice = request.tool_choice
    allowed = choice.allowed if choice is not None else ()
    # there is no list of what may be called, so the rest is not shown
    tools: list[Json | msgspec.Raw] = [_tool(tool) for tool in request.tools if not allowed or tool.name in allowed]
    for block in request.native_tools:
        if block.dialect == DIALECT:
            tools.append(msgspec.Raw(block.json))
        else:
            policy.unsupported(facts, "tools", hint="its own tools are web_search, web_fetch and code_execution")
    return tools


def tool_choice_of(choice: ToolChoice | None, *, has_tools: bool) -> Json:
    """Write which tool to call; empty when nothing is said, or when there is nothing to choose from."""
    if choice is None or not (has_tools or choice.mode in ("required", "named")):
        return {}
    written: Json = {"type": _MODES[choice.mode]}
    if choice.mode == "named":
        written["name"] = choice.name
    if choice.parallel is not None and choice.mode != "none":
        written["disable_parallel_tool_use"] = not choice.parallel
    return written


def extension_of(facts: Facts, extension: Mapping[str, msgspec.Raw], *, policy: Policy) -> Json:
    """Write what is beyond the neutral vocabulary.

    Raises:
        UnsupportedParameter: the provider cannot do what is asked, and the policy refuses.
    """
    written = adapted(facts, extension, unsupported=facts.parameters.unsupported, policy=policy)
    asked_by = [written.pop(name) for name in ("safety_identifier", "user") if name in written]
    if asked_by:
        written["metadata"] = {"user_id": asked_by[0]}
    if "service_tier" in written:
        asked = msgspec.json.decode(written.pop("service_tier"))
        tier = _TIERS.get(asked) if isinstance(asked, str) else None
        if tier is None:
            policy.out_of_range(facts, "service_tier", limit=", ".join(_TIERS), used="auto")
        written["service_tier"] = tier or "auto"
    return written


def _tool(tool: Tool) -> Json:
    written: Json = {"name": tool.name}
    if tool.description:
        written["description"] = tool.description
    written["input_schema"] = _schema(tool.parameters)
    if tool.is_strict is not None:
        written["strict"] = tool.is_strict
    return kept(written, tool.cache_ttl)


def _schema(parameters: bytes) -> Json | msgspec.Raw:
    """Return a schema with the member that the provider demands and others let out."""
    if not parameters:
        return {"type": "object", "properties": {}}
    fields = table(raw_table(parameters))
    return msgspec.Raw(parameters) if "type" in fields else {"type": "object", **fields}
