"""A request in Anthropic's dialect into neutral words."""

from __future__ import annotations

from llm_manager.core.errors import InvalidRequest
from llm_manager.core.messages import ChatInput, CountTokensInput, Message, ResponseFormat, Sampling
from llm_manager.gateway.ingress.anthropic import request as wire
from llm_manager.gateway.ingress.anthropic.cache import kept
from llm_manager.gateway.ingress.anthropic.tools import extension_of, tool_choice_of, tools_of
from llm_manager.gateway.ingress.anthropic.turns import Turns
from llm_manager.gateway.ingress.decoding import decode

# The gateway acts on these itself.
_CONSUMED = frozenset({"model", "stream", "metadata"})
_KNOWN = frozenset(wire.MessagesRequest.__struct_fields__) | _CONSUMED


def chat_input(body: bytes) -> ChatInput:
    """Translate a request for an answer.

    Raises:
        InvalidRequest: a field has the wrong type or value; `param` names it.
        UnsupportedParameter: neutral words cannot say what `param` asks.
    """
    request = decode(body, wire.MessagesRequest)
    return _chat(request, body, max_tokens=request.max_tokens)


def count_input(body: bytes) -> CountTokensInput:
    """Translate a request for the size of a prompt; the errors are those of `chat_input`."""
    return CountTokensInput(chat=_chat(decode(body, wire.CountRequest), body, max_tokens=None))


def _chat(request: wire.CountRequest, body: bytes, *, max_tokens: int | None) -> ChatInput:
    tools, native_tools = tools_of(request.tools)
    return ChatInput(
        messages=kept(_messages(request), request.cache_control),
        tools=tools,
        native_tools=native_tools,
        tool_choice=tool_choice_of(request.tool_choice),
        response_format=_response_format(request),
        sampling=_sampling(request, max_tokens=max_tokens),
        extension=extension_of(body, known=_KNOWN),
    )


def _messages(request: wire.CountRequest) -> tuple[Message, ...]:
    turns = Turns()
    messages = turns.system(request.system, "system") if request.system is not None else []
    for number, message in enumerate(request.messages):
        messages += turns.messages(message, f"messages[{number}]")
    return tuple(messages)


def _response_format(request: wire.CountRequest) -> ResponseFormat | None:
    config = request.output_config or wire.OutputConfig()
    if config.format is not None and request.output_format is not None:
        raise InvalidRequest(
            "output_format is the old name of output_config.format; send only the new one.", param="output_format"
        )
    form = config.format or request.output_format
    if form is None:
        return None
    return ResponseFormat(kind="json_schema", schema=bytes(form.schema), is_strict=True)


def _sampling(request: wire.CountRequest, *, max_tokens: int | None) -> Sampling:
    thinking, config = request.thinking, request.output_config
    budget, shows = None, None
    match thinking:
        case wire.ThinkingEnabled():
            budget, shows = thinking.budget_tokens, thinking.display != "omitted"
        case wire.ThinkingAdaptive():
            # how much to think is up to the model, as it is when nothing is said
            shows = thinking.display != "omitted"
        case wire.ThinkingDisabled():
            budget = 0
        case None:
            pass
    return Sampling(
        max_tokens=max_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=request.top_k,
        stop=tuple(request.stop_sequences or ()),
        reasoning_effort=(config.effort or "") if config is not None else "",
        reasoning_budget=budget,
        shows_reasoning=shows,
    )
