"""Tools of requests, and which of them to call."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.core.messages import OpaqueBlock, Tool, ToolChoice, ToolChoiceMode
from llm_manager.gateway.ingress.anthropic import request as wire
from llm_manager.gateway.ingress.anthropic.cache import cache_ttl
from llm_manager.gateway.ingress.anthropic.turns import DIALECT
from llm_manager.gateway.ingress.located import decode_at

_MODES: dict[str, ToolChoiceMode] = {"auto": "auto", "any": "required", "tool": "named", "none": "none"}
_DIRECT = "direct"
# Types of tools that the client runs; saying none means the same.
_CLIENT_TOOLS = frozenset({None, "custom"})


class _Kind(wire.Lenient, frozen=True):
    type: str | None = None


class CustomTool(wire.Strict, frozen=True):
    """A function that the client runs. Source: anthropic 2.12 `types/tool_param.py`, read on 2026-11-24.

    `eager_input_streaming` asks for arguments as soon as they are written, which is how every stream of ours is.
    """

    name: str
    input_schema: Raw
    type: str | None = None
    description: str | None = None
    strict: bool | None = None
    cache_control: wire.CacheControl | None = None
    eager_input_streaming: bool | None = None
    defer_loading: bool | None = None
    allowed_callers: list[str] | None = None
    input_examples: Raw = Raw()


def tools_of(raws: list[Raw] | None) -> tuple[tuple[Tool, ...], tuple[OpaqueBlock, ...]]:
    """Translate the tools: those that the client runs, and those that Anthropic defines, as its own blocks.

    Raises:
        InvalidRequest: a tool is wrong.
        UnsupportedParameter: a tool is to be called from code, or only after a search: nobody but Anthropic can.
    """
    tools: list[Tool] = []
    native: list[OpaqueBlock] = []
    for number, raw in enumerate(raws or ()):
        path = f"tools[{number}]"
        if decode_at(raw, _Kind, path=path).type in _CLIENT_TOOLS:
            tools.append(_tool(decode_at(raw, CustomTool, path=path), path))
        else:
            native.append(OpaqueBlock(dialect=DIALECT, json=bytes(raw)))
    return tuple(tools), tuple(native)


def _tool(tool: CustomTool, path: str) -> Tool:
    if tool.defer_loading:
        raise UnsupportedParameter(
            f"{path}.defer_loading: this model cannot search for tools; leave it out.", param=f"{path}.defer_loading"
        )
    if any(caller != _DIRECT for caller in tool.allowed_callers or ()):
        raise UnsupportedParameter(
            f"{path}.allowed_callers: this model calls tools itself, not from code; leave it out.",
            param=f"{path}.allowed_callers",
        )
    if not bytes(tool.input_schema).startswith(b"{"):
        raise InvalidRequest(f"{path}.input_schema is not an object.", param=f"{path}.input_schema")
    return Tool(
        name=tool.name,
        description=_described(tool),
        parameters=bytes(tool.input_schema),
        is_strict=tool.strict,
        cache_ttl=cache_ttl(tool.cache_control),
    )


def _described(tool: CustomTool) -> str:
    """The description, with the examples that other dialects have no field for: the model reads both."""
    description, examples = tool.description or "", bytes(tool.input_examples)
    if examples in (b"", b"null", b"[]"):
        return description
    return f"{description}\n\nExamples of the input: {examples.decode()}".lstrip()


def tool_choice_of(choice: wire.ToolChoice | None) -> ToolChoice | None:
    """Translate which tool to call; None when nothing is said.

    Raises:
        InvalidRequest: a tool is to be called that has no name.
    """
    if choice is None:
        return None
    if choice.type == "tool" and not choice.name:
        raise InvalidRequest("tool_choice.name is missing; it is required.", param="tool_choice.name")
    parallel = choice.disable_parallel_tool_use
    return ToolChoice(
        mode=_MODES[choice.type],
        name=choice.name or "" if choice.type == "tool" else "",
        parallel=None if parallel is None else not parallel,
    )


# Values that ask for what happens anyway.
_DEFAULTS: Mapping[str, bytes] = {"service_tier": b'"auto"', "speed": b'"standard"'}
# An extension speaks in OpenAI's words.
_WORDS: Mapping[tuple[str, bytes], bytes] = {("service_tier", b'"standard_only"'): b'"default"'}


def extension_of(body: bytes, *, known: frozenset[str]) -> bytes:
    """Return what neutral words have no place for as a JSON object; empty when nothing is left.

    Args:
        known: names that neutral words say, or on which the gateway acts itself.
    """
    rest: dict[str, Raw] = {}
    for name, value in msgspec.json.decode(body, type=dict[str, Raw]).items():
        text = bytes(value)
        if name not in known and text != b"null" and text != _DEFAULTS.get(name):
            rest[name] = Raw(_WORDS.get((name, text), text))
    return msgspec.json.encode(rest) if rest else b""
