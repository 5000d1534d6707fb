"""Parameters of a chat in OpenAI's dialect, and those of its ecosystem, into neutral words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, assert_never

import msgspec
from msgspec import Raw

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.core.messages import CacheTtl, ResponseFormat, Sampling, Tool, ToolChoice
from llm_manager.gateway.ingress.openai import chat_request as wire

T = TypeVar("T")

# What `reasoning: {"enabled": true}` alone means. Source: https://openrouter.ai/docs/use-cases/reasoning-tokens,
# read on 2026-11-24.
_DEFAULT_EFFORT = "medium"
_DEFAULT_TTL: CacheTtl = "5m"


# They say what is asked, of whom and how it comes, not how it is answered.
_NOT_PARAMETERS = frozenset({"model", "messages", "stream", "stream_options", "user", "safety_identifier", "metadata"})
_LARGEST = 65_536


# Any: JSON of any shape
def check_parameters(parameters: Mapping[str, Any], *, param: str) -> None:
    """Check parameters that somebody sets for the calls of others.

    Args:
        param: the field that holds them.

    Raises:
        InvalidRequest: one is out of its range, or is none; `param` names it.
    """
    for name, value in parameters.items():
        if name in _NOT_PARAMETERS:
            raise InvalidRequest(f"{param}.{name}: each call says this itself; leave it out.", param=f"{param}.{name}")
        try:
            msgspec.convert({name: value}, wire.ChatParameters)
        except msgspec.ValidationError as error:
            said = str(error).partition(" - at")[0]
            raise InvalidRequest(f"{param}.{name}: {said}.", param=f"{param}.{name}") from error
    if len(msgspec.json.encode(parameters)) > _LARGEST:
        raise InvalidRequest(f"{param}: at most {_LARGEST} bytes of JSON.", param=param)


def cache_ttl(*controls: wire.CacheControl | None) -> CacheTtl:
    """Return the hint of the first control that is there; empty when none is."""
    for control in controls:
        if control is not None:
            return control.ttl or _DEFAULT_TTL
    return ""


def tools_of(request: wire.ChatParameters) -> tuple[Tool, ...]:
    """Translate the tools, or the functions of the time before there were tools.

    Raises:
        InvalidRequest: both are given.
        UnsupportedParameter: a tool is no function.
    """
    if request.functions is None:
        return tuple(_tool(tool, f"tools[{i}]") for i, tool in enumerate(request.tools or ()))
    if request.tools:
        raise InvalidRequest("functions is the old name of tools; send only tools.", param="functions")
    return tuple(map(_function, request.functions))


def _tool(tool: wire.FunctionTool | wire.CustomTool, path: str) -> Tool:
    if isinstance(tool, wire.CustomTool):
        raise UnsupportedParameter(
            f"{path} is a custom tool, and this model calls functions only; describe it as a function.",
            param=f"{path}.type",
        )
    return _function(tool.function, tool.cache_control)


def _function(function: wire.Function, control: wire.CacheControl | None = None) -> Tool:
    return Tool(
        name=function.name,
        description=function.description or "",
        parameters=_json(function.parameters),
        is_strict=function.strict,
        cache_ttl=cache_ttl(control, function.cache_control),
    )


def _json(raw: Raw) -> bytes:
    return b"" if bytes(raw) == b"null" else bytes(raw)


def tool_choice_of(request: wire.ChatParameters) -> ToolChoice | None:
    """Translate which tool to call; None when nothing is said.

    Raises:
        InvalidRequest: a tool is allowed that is not among the tools.
    """
    parallel = request.parallel_tool_calls
    match choice := _choice(request):
        case None:
            return None if parallel is None else ToolChoice(parallel=parallel)
        case wire.NamedToolChoice():
            return ToolChoice(mode="named", name=choice.function.name, parallel=parallel)
        case wire.NamedFunction():
            return ToolChoice(mode="named", name=choice.name, parallel=parallel)
        case wire.AllowedToolChoice():
            names = tuple(tool.function.name for tool in choice.allowed_tools.tools)
            _check_known(names, request)
            return ToolChoice(mode=choice.allowed_tools.mode, parallel=parallel, allowed=names)
        case _:
            return ToolChoice(mode=choice, parallel=parallel)


def _choice(request: wire.ChatParameters) -> wire.AnyToolChoice | wire.NamedFunction | None:
    if request.function_call is None:
        return request.tool_choice
    if request.tool_choice is not None:
        raise InvalidRequest("function_call is the old name of tool_choice; send only one.", param="function_call")
    return request.function_call


def _check_known(allowed: tuple[str, ...], request: wire.ChatParameters) -> None:
    known = {tool.function.name for tool in request.tools or () if isinstance(tool, wire.FunctionTool)}
    for number, name in enumerate(allowed):
        if name not in known:
            raise InvalidRequest(
                f"tool_choice allows {name[:100]!r}, which is not among the tools.",
                param=f"tool_choice.allowed_tools.tools[{number}].function.name",
            )


def response_format_of(request: wire.ChatParameters) -> ResponseFormat | None:
    """Translate the form of the answer; None when nothing is said."""
    match form := request.response_format:
        case None:
            return None
        case wire.TextFormat():
            return ResponseFormat(kind="text")
        case wire.JsonObjectFormat():
            return ResponseFormat(kind="json_object")
        case wire.JsonSchemaFormat():
            schema = form.json_schema
            return ResponseFormat(
                kind="json_schema", name=schema.name, schema=_described(schema), is_strict=schema.strict
            )
        case _:
            assert_never(form)


def _described(form: wire.JsonSchema) -> bytes:
    """The schema, with the description where JSON Schema itself has a word for it."""
    schema, path = _json(form.schema), "response_format.json_schema.schema"
    if not schema:
        raise InvalidRequest(f"{path} is missing; it is required.", param=path)
    if form.description is None:
        return schema
    try:
        members = msgspec.json.decode(schema, type=dict[str, Raw])
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"{path} is not an object.", param=path) from error
    members.setdefault("description", Raw(msgspec.json.encode(form.description)))
    return msgspec.json.encode(members)


def sampling_of(request: wire.ChatParameters) -> Sampling:
    """Translate how to sample and how much to think.

    Raises:
        InvalidRequest: two names of one parameter disagree.
    """
    reasoning = request.reasoning or wire.ReasoningOptions()
    return Sampling(
        max_tokens=_agreed(
            ("max_completion_tokens", request.max_completion_tokens),
            ("max_tokens", request.max_tokens),
        ),
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=request.top_k,
        presence_penalty=request.presence_penalty,
        frequency_penalty=request.frequency_penalty,
        seed=request.seed,
        stop=stop_of(request.stop),
        n=request.n,
        logprobs=request.logprobs,
        top_logprobs=request.top_logprobs,
        reasoning_effort=_agreed(
            ("reasoning_effort", request.reasoning_effort),
            ("reasoning.effort", reasoning.effort or _effort_of(reasoning)),
        )
        or "",
        reasoning_budget=_agreed(
            ("thinking.budget_tokens", _budget_of(request.thinking)), ("reasoning.max_tokens", reasoning.max_tokens)
        ),
        shows_reasoning=_agreed(
            ("include_reasoning", request.include_reasoning),
            ("reasoning.exclude", None if reasoning.exclude is None else not reasoning.exclude),
            ("thinking.display", _is_shown(request.thinking)),
        ),
    )


def stop_of(stop: str | list[str] | None) -> tuple[str, ...]:
    """Translate one text or several that end the answer."""
    return (stop,) if isinstance(stop, str) else tuple(stop or ())


def _effort_of(reasoning: wire.ReasoningOptions) -> str | None:
    if reasoning.enabled is None or reasoning.max_tokens is not None:
        return None
    return _DEFAULT_EFFORT if reasoning.enabled else "none"


def _budget_of(thinking: wire.Thinking | None) -> int | None:
    if thinking is None:
        return None
    budget = _agreed(
        ("thinking.budget_tokens", thinking.budget_tokens), ("thinking.token_budget", thinking.token_budget)
    )
    if thinking.type == "enabled" and budget is None:
        raise InvalidRequest("thinking.budget_tokens is missing; it is required.", param="thinking.budget_tokens")
    return 0 if thinking.type == "disabled" else budget


def _is_shown(thinking: wire.Thinking | None) -> bool | None:
    if thinking is None or thinking.display is None:
        return None
    return thinking.display == "summarized"


def _agreed(*named: tuple[str, T | None]) -> T | None:
    """Return the one value that is given; several names of one thing must agree."""
    given = [(name, value) for name, value in named if value is not None]
    for name, value in given[1:]:
        if value != given[0][1]:
            raise InvalidRequest(f"{name} and {given[0][0]} differ; send only {given[0][0]}.", param=name)
    return given[0][1] if given else None
