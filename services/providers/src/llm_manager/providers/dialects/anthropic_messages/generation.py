"""Writes how to answer: sampling, form, tools and which of them to call."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

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


def unsupported_by(facts: Facts, model: str) -> tuple[str, ...]:
    """Return the names that a model refuses, beside those that no model takes."""
    by_model = facts.parameters.unsupported_by_model
    refused = [name for pattern, names in by_model.items() if fnmatchcase(model, pattern) for name in names]
    return (*facts.parameters.unsupported, *refused)


def sampling_of(facts: Facts, sampling: Sampling, *, model: str, policy: Policy) -> Json:
    """Write how to sample, without thoughts and without the largest number of tokens.

    Raises:
        UnsupportedParameter: the provider cannot do what is asked, and the policy refuses.
    """
    asked = sampling_table(sampling)
    asked.pop("reasoning_effort", None)
    written = adapted(facts, asked, unsupported=unsupported_by(facts, model), policy=policy)
    if written.get("temperature", 0.0) > _WARMEST:
        policy.out_of_range(facts, "temperature", limit=f"at most {_WARMEST}", used=_WARMEST)
        written["temperature"] = _WARMEST
    return written


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


def extension_of(facts: Facts, extension: Mapping[str, msgspec.Raw], *, model: str, policy: Policy) -> Json:
    """Write what is beyond the neutral vocabulary.

    Raises:
        UnsupportedParameter: the provider cannot do what is asked, and the policy refuses.
    """
    written = adapted(facts, extension, unsupported=unsupported_by(facts, model), policy=policy)
    if "user" in written:
        written["metadata"] = {"user_id": written.pop("user")}
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
