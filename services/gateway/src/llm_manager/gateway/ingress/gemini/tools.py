"""Tools of requests, and which of them to call."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.core.messages import OpaqueBlock, Tool, ToolChoice, ToolChoiceMode
from llm_manager.gateway.ingress.gemini import request as wire
from llm_manager.gateway.ingress.gemini.contents import DIALECT
from llm_manager.gateway.ingress.gemini.reading import is_nothing, items, members, read
from llm_manager.gateway.ingress.gemini.schema import json_schema

_FUNCTIONS = "functionDeclarations"
_CONFIG = "toolConfig.functionCallingConfig"
_NAMES = f"{_CONFIG}.allowedFunctionNames"
# VALIDATED is "text, or a call that fits": what AUTO is for everybody else.
_MODES: dict[str, ToolChoiceMode] = {"AUTO": "auto", "VALIDATED": "auto", "ANY": "required", "NONE": "none"}
_UNSPECIFIED = ("", "MODE_UNSPECIFIED")
# A client that does not wait for the answer exists in live sessions only.
_BEHAVIORS = ("", "UNSPECIFIED", "BLOCKING")


def tools_of(raw: Raw) -> tuple[tuple[Tool, ...], tuple[OpaqueBlock, ...]]:
    """Translate the tools: functions of the client, and those that Gemini runs itself, as its own blocks.

    Raises:
        InvalidRequest: a tool is wrong.
        UnsupportedParameter: a function is described by what has no neutral words.
    """
    tools: list[Tool] = []
    native: list[OpaqueBlock] = []
    for number, item in enumerate([] if is_nothing(raw) else items(raw, path="tools")):
        path = f"tools[{number}]"
        said = dict(members(item, known=frozenset({_FUNCTIONS}), path=path))
        declarations = said.pop(_FUNCTIONS, Raw())
        if not is_nothing(declarations):
            where = f"{path}.{_FUNCTIONS}"
            listed = enumerate(items(declarations, path=where))
            tools += [_tool(one, f"{where}[{place}]") for place, one in listed]
        if said:
            rest = bytes(item) if is_nothing(declarations) else msgspec.json.encode(said)
            native.append(OpaqueBlock(dialect=DIALECT, json=rest))
    return tuple(tools), tuple(native)


def _tool(raw: Raw, path: str) -> Tool:
    function = read(raw, wire.FunctionDeclaration, path=path)
    if function.behavior not in _BEHAVIORS:
        raise UnsupportedParameter(
            f"{path}.behavior: this model waits for its functions; leave it out.", param=f"{path}.behavior"
        )
    parameters = schema_of(
        function.parameters, function.parameters_json_schema, path=f"{path}.parameters", other="parametersJsonSchema"
    )
    result = schema_of(
        function.response, function.response_json_schema, path=f"{path}.response", other="responseJsonSchema"
    )
    description = function.description
    if result:
        # other dialects have no field for it, and the model reads both
        description = f"{description}\n\nJSON Schema of the result: {result.decode()}".lstrip()
    return Tool(name=function.name, description=description, parameters=parameters)


def schema_of(google: Raw, plain: Raw, *, path: str, other: str) -> bytes:
    """Return a JSON Schema from the one of two fields that is there; empty when none is.

    Args:
        google: in Google's own form; its place is `path`.
        plain: in JSON Schema; the field is called `other`.

    Raises:
        InvalidRequest: both are there, or the one is no object.
    """
    if not is_nothing(google) and not is_nothing(plain):
        raise InvalidRequest(f"{path} and {other} say the same; send one.", param=path)
    if not is_nothing(google):
        return json_schema(google, path=path)
    schema = b"" if is_nothing(plain) else bytes(plain).strip()
    if schema and not schema.startswith(b"{"):
        place = f"{path.rpartition('.')[0]}.{other}".lstrip(".")
        raise InvalidRequest(f"{place} is not an object.", param=place)
    return schema


def chosen(raw: Raw, tools: Sequence[Tool]) -> tuple[tuple[Tool, ...], ToolChoice | None]:
    """Return the functions that may be called, and whether one must be.

    Where only some may, the others are left out, because most providers have no other word for it: then every
    provider keeps to it.

    Raises:
        InvalidRequest: a function is allowed that is not declared, or the mode is none that there is.
        UnsupportedParameter: something is asked beyond that.
    """
    if is_nothing(raw):
        return tuple(tools), None
    whole = read(raw, wire.ToolConfig, path="toolConfig")
    if whole.include_server_side_tool_invocations:
        where = "toolConfig.includeServerSideToolInvocations"
        raise UnsupportedParameter(f"{where}: this model runs no tools of its own; leave it out.", param=where)
    said = whole.function_calling_config
    if is_nothing(said):
        return tuple(tools), None
    config = read(said, wire.FunctionCallingConfig, path=_CONFIG)
    if config.stream_function_call_arguments:
        where = f"{_CONFIG}.streamFunctionCallArguments"
        raise UnsupportedParameter(f"{where}: calls come whole; leave it out.", param=where)
    mode, allowed = config.mode.upper(), config.allowed_function_names
    if mode in _UNSPECIFIED:
        return tuple(tools), None
    if mode not in _MODES:
        raise InvalidRequest(
            f"{_CONFIG}.mode is {config.mode[:100]!r}; it is one of {', '.join(_MODES)}.", param=f"{_CONFIG}.mode"
        )
    if not allowed or mode == "NONE":
        return tuple(tools), ToolChoice(mode=_MODES[mode])
    return _narrowed(tools, allowed, _MODES[mode])


def _narrowed(
    tools: Sequence[Tool], allowed: Sequence[str], mode: ToolChoiceMode
) -> tuple[tuple[Tool, ...], ToolChoice]:
    known = {tool.name for tool in tools}
    for number, name in enumerate(allowed):
        if name not in known:
            where = f"{_NAMES}[{number}]"
            raise InvalidRequest(f"{where} is {name[:100]!r}, which is not among the functions.", param=where)
    if mode == "required" and len(set(allowed)) == 1:
        return tuple(tools), ToolChoice(mode="named", name=allowed[0])
    return tuple(tool for tool in tools if tool.name in allowed), ToolChoice(mode=mode)
