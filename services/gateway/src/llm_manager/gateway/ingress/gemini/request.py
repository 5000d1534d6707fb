"""The words of a request in Gemini's dialect, but for what its turns hold (`parts`).

Source: google-genai 3.4.0 `types.py` and the recordings, read on 2026-11-26.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from llm_manager.gateway.ingress.gemini.reading import Lenient, Strict

Natural = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Positive = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class Head(msgspec.Struct, frozen=True):
    """What the gateway itself reads of every request for an answer."""

    contents: Annotated[list[Raw], Meta(min_length=1)] | dict[str, Raw]


class Prompt(Lenient, frozen=True):
    """Everything that the neutral vocabulary has a word for; the rest goes into its extension.

    `model` repeats the address, which decides.
    """

    contents: Raw
    model: str = ""
    system_instruction: Raw = Raw()
    tools: Raw = Raw()
    tool_config: Raw = Raw()
    generation_config: Raw = Raw()


class CountBody(Lenient, frozen=True):
    """A prompt to be counted may stand in one field as a whole request."""

    generate_content_request: Raw = Raw()
    contents: Raw = Raw()


class Content(Strict, frozen=True):
    """One turn."""

    parts: Raw = Raw()
    role: str = ""


class GenerationConfig(Lenient, frozen=True):
    """How to answer, as far as there are neutral words for it."""

    max_output_tokens: Positive | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: Natural | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stop_sequences: list[str] | None = None
    candidate_count: Positive | None = None
    response_mime_type: str = ""
    response_schema: Raw = Raw()
    response_json_schema: Raw = Raw()
    response_logprobs: bool | None = None
    logprobs: Natural | None = None
    thinking_config: Raw = Raw()


class ThinkingConfig(Strict, frozen=True):
    """How much to think; a budget of -1 leaves it to the model."""

    include_thoughts: bool | None = None
    thinking_budget: Annotated[int, Meta(ge=-1, le=2**31 - 1)] | None = None
    thinking_level: str = ""


class Tool(Lenient, frozen=True):
    """Functions of the client; whatever else is in it, the provider runs itself."""

    function_declarations: Raw = Raw()


class FunctionDeclaration(Strict, frozen=True):
    """A function that the client runs."""

    name: Annotated[str, Meta(min_length=1)]
    description: str = ""
    parameters: Raw = Raw()
    parameters_json_schema: Raw = Raw()
    response: Raw = Raw()
    response_json_schema: Raw = Raw()
    behavior: str = ""


class ToolConfig(Strict, frozen=True):
    """Which tools to call."""

    function_calling_config: Raw = Raw()
    include_server_side_tool_invocations: bool = False


class FunctionCallingConfig(Strict, frozen=True):
    """Which functions to call."""

    mode: str = ""
    allowed_function_names: tuple[str, ...] = ()
    stream_function_call_arguments: bool = False
