"""Writes how to answer: sampling, reasoning, the form of the text, tools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from llm_manager.core.errors import InvalidRequest
from llm_manager.core.facts import Facts
from llm_manager.core.messages import ChatInput, ResponseFormat, Sampling, Tool, ToolChoice
from llm_manager.providers.dialects.openai_responses.blocks import DIALECT
from llm_manager.providers.dialects.parameters import adapted, extension_table, sampling_table
from llm_manager.providers.dialects.pointers import raw_table
from llm_manager.providers.dialects.policy import Policy

# Any: JSON documents are built here
Json = dict[str, Any]
# What chats have and responses do not, by their names in chats (openai 3.54, response_create_params.py).
_UNSUPPORTED = (
    "n", "stop", "seed", "presence_penalty", "frequency_penalty", "logit_bias", "top_k", "prediction", "modalities",
    "audio", "web_search_options",
)  # fmt: skip
# Values that mean the same as not asking.
_HARMLESS: Mapping[str, int] = {"n": 1, "presence_penalty": 0, "frequency_penalty": 0}
_ENCRYPTED, _LOGPROBS = "reasoning.encrypted_content", "message.output_text.logprobs"
# The most tokens that a level of thinking stands for: 1K, 8K and 24K are Google's on its OpenAI-compatible endpoint
# (announcement of April 2025); OpenAI itself gives no numbers.
_LEVELS = ((1024, "low"), (8192, "medium"))
# A function without parameters: `strict` demands an object that allows nothing else.
_NO_PARAMETERS: Json = {"type": "object", "properties": {}, "additionalProperties": False}


def options_of(facts: Facts, request: ChatInput, *, policy: Policy) -> Json:
    """Return everything of a body but model, input and stream.

    The answer is not to be stored, and reasoning comes back encrypted, so that it can be sent again in the next turn
    (known-failures B-17, T-14); whoever asks for the provider's store by name gets it.

    Raises:
        UnsupportedParameter: the provider cannot do what is asked, and the policy refuses.
        InvalidRequest: `include` is no list of texts, `text` no object, or something is said in both words.
    """
    sampling = request.sampling
    unsupported = (*_UNSUPPORTED, *facts.parameters.unsupported)
    extension = adapted(
        facts, extension_table(facts, request.extension, policy=policy), unsupported=unsupported, policy=policy
    )
    said = sampling_table(sampling)
    for name in ("reasoning_effort", "logprobs"):
        said.pop(name, None)
    table = {name: value for name, value in said.items() if name not in _HARMLESS or value != _HARMLESS[name]}
    options = adapted(facts, table, unsupported=unsupported, policy=policy)
    if sampling.max_tokens is not None:
        options["max_output_tokens"] = sampling.max_tokens
    if "input" in extension:
        raise InvalidRequest("The conversation is in 'messages', and 'input' would replace it.", param="input")
    options |= prompt_options(facts, request, policy=policy, verbosity=extension.pop("verbosity", None))
    options |= _with_own_text(options.get("text", {}), extension.pop("text", None))
    options["include"] = _include(sampling, extension.pop("include", None))
    return {"store": False, **options, **extension}


def prompt_options(facts: Facts, request: ChatInput, *, policy: Policy, verbosity: msgspec.Raw | None = None) -> Json:
    """Return those options that have a part in the prompt, and so in its size.

    Raises:
        UnsupportedParameter: see `options_of`.
    """
    options: Json = {}
    if tools := _tools(facts, request, policy):
        options["tools"] = tools
    choice = request.tool_choice
    if choice is not None and (tools or choice.mode in ("required", "named")):
        options["tool_choice"] = _tool_choice(choice)
    if choice is not None and choice.parallel is not None:
        options["parallel_tool_calls"] = choice.parallel
    text: Json = {} if request.response_format is None else {"format": _format(request.response_format)}
    if verbosity is not None:
        text["verbosity"] = verbosity
    if text:
        options["text"] = text
    if reasoning := _reasoning(facts, request.sampling, policy):
        options["reasoning"] = reasoning
    return options


def _with_own_text(text: Json, own: msgspec.Raw | None) -> Json:
    """Return `text` with what the client says in the words of responses themselves: neither replaces the other."""
    try:
        named = {} if own is None else raw_table(own)
    except msgspec.DecodeError as error:
        raise InvalidRequest("'text' is no object.", param="text") from error
    if twice := sorted(text.keys() & named.keys()):
        raise InvalidRequest(f"'text.{twice[0]}' is said in two ways; send one of them.", param="text")
    return {"text": {**text, **named}} if text or named else {}


def _include(sampling: Sampling, asked: msgspec.Raw | None) -> list[str]:
    wanted = [_ENCRYPTED]
    if sampling.logprobs or sampling.top_logprobs:
        wanted.append(_LOGPROBS)
    try:
        named = [] if asked is None else msgspec.json.decode(asked, type=list[str])
    except msgspec.ValidationError as error:
        raise InvalidRequest("'include' is no list of names.", param="include") from error
    return list(dict.fromkeys([*wanted, *named]))


def _reasoning(facts: Facts, sampling: Sampling, policy: Policy) -> Json:
    reasoning: Json = {"effort": sampling.reasoning_effort} if sampling.reasoning_effort else {}
    budget = sampling.reasoning_budget
    if budget == 0 and not reasoning:
        reasoning["effort"] = "none"
    elif budget is not None:
        effort = sampling.reasoning_effort or next((word for most, word in _LEVELS if budget <= most), "high")
        policy.out_of_range(facts, "reasoning_budget", limit="levels of effort", used=f"effort {effort}")
        reasoning["effort"] = effort
    if sampling.shows_reasoning:
        reasoning["summary"] = "auto"
    return reasoning


def _format(form: ResponseFormat) -> Json:
    if form.kind != "json_schema":
        return {"type": form.kind}
    schema = msgspec.Raw(form.schema or b"{}")
    return {"type": form.kind, "name": form.name or "answer", "schema": schema, "strict": bool(form.is_strict)}


def _tools(facts: Facts, request: ChatInput, policy: Policy) -> list[Json | msgspec.Raw]:
    """Return the functions, and the tools that the provider runs itself as its own clients write them."""
    tools: list[Json | msgspec.Raw] = [_function(tool) for tool in request.tools]
    for block in request.native_tools:
        if block.dialect == DIALECT:
            tools.append(msgspec.Raw(block.json))
        else:
            policy.unsupported(facts, "tools", hint="its own tools are web_search, code_interpreter and the like")
    return tools


def _function(tool: Tool) -> Json:
    function: Json = {"type": "function", "name": tool.name}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = msgspec.Raw(tool.parameters) if tool.parameters else _NO_PARAMETERS
    # A function is strict here unless it says otherwise, in chats it is the other way round: `strict` was left out and
    # came back as true (recordings, openai-responses-0a702ad83d).
    function["strict"] = bool(tool.is_strict)
    return function


def _tool_choice(choice: ToolChoice) -> str | Json:
    if choice.mode == "named":
        return {"type": "function", "name": choice.name}
    if choice.allowed and choice.mode != "none":
        allowed = [{"type": "function", "name": name} for name in choice.allowed]
        return {"type": "allowed_tools", "mode": choice.mode, "tools": allowed}
    return choice.mode
