"""A request in Gemini's dialect into neutral words."""

from __future__ import annotations

from llm_manager.core.errors import InvalidRequest
from llm_manager.core.messages import ChatInput, CountTokensInput, Message
from llm_manager.gateway.ingress.gemini import request as wire
from llm_manager.gateway.ingress.gemini.contents import Turns
from llm_manager.gateway.ingress.gemini.generation import config_of, extension_of, form_of, sampling_of
from llm_manager.gateway.ingress.gemini.reading import is_nothing, items, read
from llm_manager.gateway.ingress.gemini.tools import chosen, tools_of


def chat_input(body: bytes) -> ChatInput:
    """Translate a request for an answer.

    Raises:
        InvalidRequest: a field has the wrong type or value; `param` names it.
        UnsupportedParameter: neutral words cannot say what `param` asks.
    """
    request = read(body, wire.Prompt)
    declared, native_tools = tools_of(request.tools)
    tools, choice = chosen(request.tool_config, declared)
    config = config_of(request.generation_config)
    return ChatInput(
        messages=_messages(request),
        tools=tools,
        native_tools=native_tools,
        tool_choice=choice,
        response_format=form_of(config),
        sampling=sampling_of(config),
        extension=extension_of(body, request.generation_config),
    )


def count_input(body: bytes) -> CountTokensInput:
    """Translate a request for the size of a prompt; the errors are those of `chat_input`."""
    request = read(body, wire.CountBody)
    whole = request.generate_content_request
    if is_nothing(whole):
        return CountTokensInput(chat=chat_input(body))
    if not is_nothing(request.contents):
        raise InvalidRequest("contents and generateContentRequest say the same; send one.", param="contents")
    return CountTokensInput(chat=chat_input(bytes(whole)))


def _messages(request: wire.Prompt) -> tuple[Message, ...]:
    turns = Turns()
    system = request.system_instruction
    messages: list[Message] = [] if is_nothing(system) else turns.system(system, "systemInstruction")
    contents = items(request.contents, path="contents")
    if not contents:
        raise InvalidRequest("contents is empty; send at least one turn.", param="contents")
    return (*messages, *turns.messages(contents, "contents"))
