"""Parameters of a Responses request into neutral words; pure."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.core.messages import OpaqueBlock, ResponseFormat, Sampling, Tool, ToolChoice
from llm_manager.gateway.ingress.located import decode_at
from llm_manager.gateway.ingress.openai.extension import extension_of
from llm_manager.gateway.ingress.openai.parameters import cache_ttl
from llm_manager.gateway.ingress.responses import request as wire
from llm_manager.gateway.ingress.responses.turns import DIALECT

# What neutral words say, the gateway does by itself, or what promises nothing to the client: where a prompt is cached
# is up to a provider that has no word for it.
_KNOWN = frozenset(wire.ResponseRequest.__struct_fields__) - {"max_tool_calls", "service_tier"} | {
    *("previous_response_id", "conversation", "prompt_cache_retention", "prompt_cache_options", "generate", "type"),
}
_LOGPROBS, _ENCRYPTED = "message.output_text.logprobs", "reasoning.encrypted_content"
# Details of the provider's own tools, and of what the client itself sent: nothing is asked for where these are not.
# Source: openai-python 3.54 `types/responses/response_includable.py`.
_DETAILS = frozenset(
    {
        *("file_search_call.results", "web_search_call.results", "web_search_call.action.sources"),
        *("message.input_image.image_url", "computer_call_output.output.image_url", "code_interpreter_call.outputs"),
    }
)
_USUAL_TIERS, _USUAL_VERBOSITY = frozenset({"auto", "default"}), "medium"


def tools_of(request: wire.ResponseRequest) -> tuple[Tool, ...]:
    """Translate the functions.

    Raises:
        InvalidRequest, UnsupportedParameter: one is malformed, or says more than neutral words can.
    """
    tools = enumerate(request.tools or ())
    return tuple(_function(raw, f"tools[{n}]") for n, raw in tools if _kind_of_tool(raw, n) == "function")


def native_tools_of(request: wire.ResponseRequest) -> tuple[OpaqueBlock, ...]:
    """Return the tools that only a provider of this dialect has; every other one refuses them.

    Raises:
        InvalidRequest: one has no type.
    """
    others = (raw for n, raw in enumerate(request.tools or ()) if _kind_of_tool(raw, n) != "function")
    return tuple(OpaqueBlock(dialect=DIALECT, json=bytes(raw)) for raw in others)


def _kind_of_tool(raw: Raw, number: int) -> str:
    path = f"tools[{number}]"
    kind = decode_at(raw, wire.ItemKind, path=path).type
    if kind is None:
        raise InvalidRequest(f"{path}.type is missing; it is required.", param=f"{path}.type")
    return kind


def _function(raw: Raw, path: str) -> Tool:
    tool = decode_at(raw, wire.FunctionTool, path=path)
    return Tool(
        name=tool.name,
        description=tool.description or "",
        parameters=bytes(tool.parameters) if wire.is_given(tool.parameters) else b"",
        is_strict=tool.strict,
        cache_ttl=cache_ttl(tool.cache_control),
    )


def tool_choice_of(request: wire.ResponseRequest) -> ToolChoice | None:
    """Translate which tool to call; None when nothing is said.

    Raises:
        InvalidRequest: a tool is allowed that is not among the tools.
    """
    parallel = request.parallel_tool_calls
    match choice := request.tool_choice:
        case None:
            return None if parallel is None else ToolChoice(parallel=parallel)
        case wire.NamedFunction():
            return ToolChoice(mode="named", name=choice.name, parallel=parallel)
        case wire.AllowedTools():
            names = tuple(tool.name for tool in choice.tools)
            _check_known(names, request)
            return ToolChoice(mode=choice.mode, parallel=parallel, allowed=names)
        case _:
            return ToolChoice(mode=choice, parallel=parallel)


def _check_known(allowed: tuple[str, ...], request: wire.ResponseRequest) -> None:
    known = {tool.name for tool in tools_of(request)}
    for number, name in enumerate(allowed):
        if name not in known:
            raise InvalidRequest(
                f"tool_choice allows {name[:100]!r}, which is not among the tools.",
                param=f"tool_choice.tools[{number}].name",
            )


def response_format_of(request: wire.ResponseRequest) -> ResponseFormat | None:
    """Translate the form of the answer; None when nothing is said."""
    match form := request.text.format if request.text is not None else None:
        case None:
            return None
        case wire.TextFormat():
            return ResponseFormat(kind="text")
        case wire.JsonObjectFormat():
            return ResponseFormat(kind="json_object")
        case wire.JsonSchemaFormat():
            schema = _described(form)
            return ResponseFormat(kind="json_schema", name=form.name, schema=schema, is_strict=form.strict)


def _described(form: wire.JsonSchemaFormat) -> bytes:
    """The schema, with the description where JSON Schema itself has a word for it."""
    path = "text.format.schema"
    try:
        members = msgspec.json.decode(form.schema, type=dict[str, Raw])
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"{path} is not an object.", param=path) from error
    if form.description is None:
        return bytes(form.schema)
    members.setdefault("description", Raw(msgspec.json.encode(form.description)))
    return msgspec.json.encode(members)


def sampling_of(request: wire.ResponseRequest) -> Sampling:
    """Translate how to sample and how much to think.

    Raises:
        UnsupportedParameter: which thoughts the model sees is not for others than its provider to choose.
    """
    reasoning = request.reasoning or wire.ReasoningOptions()
    for name, value, usual in (("context", reasoning.context, "auto"), ("mode", reasoning.mode, "standard")):
        if value not in (None, usual):
            raise UnsupportedParameter(
                f"reasoning.{name} other than {usual} works only with a provider that speaks the Responses API itself; "
                "remove it.",
                param=f"reasoning.{name}",
            )
    summary = reasoning.summary or reasoning.generate_summary
    wants_logprobs = bool(request.top_logprobs) or _LOGPROBS in (request.include or ())
    return Sampling(
        max_tokens=request.max_output_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        presence_penalty=request.presence_penalty,
        frequency_penalty=request.frequency_penalty,
        logprobs=True if wants_logprobs else None,
        top_logprobs=request.top_logprobs or None,
        reasoning_effort=reasoning.effort or "",
        shows_reasoning=True if summary else None,
    )


def extension_of_request(request: wire.ResponseRequest, body: bytes, *, has_native_tools: bool) -> bytes:
    """Return what neutral words have no place for, in the words of OpenAI's chats; empty when nothing is left.

    Args:
        has_native_tools: without them, limits and details of the provider's own tools ask for nothing.
    """
    known = _KNOWN
    if request.service_tier in _USUAL_TIERS:
        known |= {"service_tier"}
    if not has_native_tools:
        known |= {"max_tool_calls"}
    rest = extension_of(body, known=known)
    more: dict[str, object] = {}
    verbosity = request.text.verbosity if request.text is not None else None
    if verbosity is not None and verbosity != _USUAL_VERBOSITY:
        more["verbosity"] = verbosity
    wanted = _wanted(request)
    if wanted and has_native_tools:
        more["include"] = wanted
    if not more:
        return rest
    return msgspec.json.encode({**msgspec.json.decode(rest or b"{}", type=dict[str, Raw]), **more})


def _wanted(request: wire.ResponseRequest) -> list[str]:
    wanted = [name for name in request.include or () if name not in (_LOGPROBS, _ENCRYPTED)]
    for number, name in enumerate(request.include or ()):
        if name in wanted and name not in _DETAILS:
            raise UnsupportedParameter(
                f"include[{number}] asks for {name[:100]!r}, which is not known here; leave it out.",
                param=f"include[{number}]",
            )
    return wanted
