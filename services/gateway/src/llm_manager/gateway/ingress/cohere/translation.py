"""A chat in Cohere's dialect into neutral words, by way of OpenAI's: most of the words are the same."""

from __future__ import annotations

from collections.abc import Mapping

from llm_manager.core.errors import InvalidRequest
from llm_manager.core.messages import ChatInput
from llm_manager.gateway.ingress.cohere import request as wire
from llm_manager.gateway.ingress.cohere.extension import extension_of
from llm_manager.gateway.ingress.cohere.turns import messages_of
from llm_manager.gateway.ingress.decoding import decode
from llm_manager.gateway.ingress.openai import chat_request as openai
from llm_manager.gateway.ingress.openai.translation import chat_of

_KNOWN = frozenset(wire.ChatRequest.__struct_fields__)
# How much `enabled` alone means: Cohere names no number.
_EFFORT = "medium"
_CHOICES: Mapping[str, openai.AnyToolChoice] = {"REQUIRED": "required", "NONE": "none"}


def chat_input(body: bytes) -> ChatInput:
    """Translate a request body.

    Raises:
        InvalidRequest: a field has the wrong type or value; `param` names it.
        UnsupportedParameter: neutral words cannot say what `param` asks.
    """
    request = decode(body, wire.ChatRequest)
    return chat_of(
        messages_of(request.messages, body),
        _parameters(request),
        extension=extension_of(body, known=_KNOWN),
    )


def _parameters(request: wire.ChatRequest) -> openai.ChatParameters:
    thinking = request.thinking
    return openai.ChatParameters(
        tools=None if request.tools is None else [_tool(tool, request) for tool in request.tools],
        tool_choice=None if request.tool_choice is None else _CHOICES[request.tool_choice],
        response_format=_response_format(request.response_format),
        max_tokens=request.max_tokens,
        temperature=request.temperature,
        # 0 switches it off, as leaving it out does
        top_k=request.k or None,
        top_p=request.p,
        presence_penalty=request.presence_penalty,
        frequency_penalty=request.frequency_penalty,
        seed=request.seed,
        stop=request.stop_sequences,
        logprobs=request.logprobs or None,
        reasoning_effort=_effort(thinking),
        thinking=_budget(thinking),
    )


def _tool(tool: wire.Tool, request: wire.ChatRequest) -> openai.FunctionTool:
    function = tool.function
    return openai.FunctionTool(
        function=openai.Function(
            name=function.name,
            description=function.description,
            parameters=function.parameters,
            strict=request.strict_tools or None,
        )
    )


def _response_format(
    form: wire.TextFormat | wire.JsonFormat | None,
) -> openai.TextFormat | openai.JsonObjectFormat | openai.JsonSchemaFormat | None:
    match form:
        case None:
            return None
        case wire.TextFormat():
            return openai.TextFormat()
        case wire.JsonFormat():
            given = [schema for schema in (form.json_schema, form.schema) if bytes(schema) not in (b"", b"null")]
    if len(given) > 1:
        raise InvalidRequest(
            "response_format.schema is the old name of json_schema; send only one.", param="response_format.schema"
        )
    if not given:
        return openai.JsonObjectFormat()
    return openai.JsonSchemaFormat(json_schema=openai.JsonSchema(name="", schema=given[0]))


def _effort(thinking: wire.Thinking | None) -> str | None:
    if thinking is None or thinking.type == "disabled" or thinking.token_budget is not None:
        return None
    return _EFFORT


def _budget(thinking: wire.Thinking | None) -> openai.Thinking | None:
    if thinking is None or _effort(thinking) is not None:
        return None
    return openai.Thinking(type=thinking.type, budget_tokens=thinking.token_budget)
