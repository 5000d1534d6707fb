"""The words of a chat request in OpenAI's dialect, as far as another dialect can say them.

Source: openai-python 3.54 `types/chat/completion_create_params.py`, read on 2026-11-24.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw

from llm_manager.gateway.ingress.decoding import ModelName


class Lenient(msgspec.Struct, frozen=True):
    """Takes unknown fields; what they mean is decided elsewhere."""


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An unknown field is an error: it could not be passed on, and dropping it in silence would be a lie."""


class StreamOptions(Lenient, frozen=True):
    """Options of a stream; `include_obfuscation` and later ones pass through where the provider knows them."""

    include_usage: bool | None = None


class ChatHead(Lenient, frozen=True):
    """What the gateway itself reads of every chat request."""

    model: ModelName
    messages: Annotated[list[Raw], Meta(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None
    safety_identifier: str | None = None
    functions: Raw = Raw()

    @property
    def calls_functions(self) -> bool:
        """Whether the client speaks of functions, as before there were tools, and wants answers that do the same."""
        return bytes(self.functions) not in (b"", b"null")


class CacheControl(Strict, frozen=True):
    """How long to keep the prompt up to here; Anthropic's words, as clients of LiteLLM and OpenRouter send them."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


class TextPart(Strict, frozen=True, tag="text"):
    """Text."""

    text: str
    cache_control: CacheControl | None = None


class ImageUrl(Strict, frozen=True):
    """Address or data: URL of a picture."""

    url: str
    detail: str | None = None


class ImagePart(Strict, frozen=True, tag="image_url"):
    """Picture."""

    image_url: ImageUrl
    cache_control: CacheControl | None = None


class AudioData(Strict, frozen=True):
    """Audio in base64."""

    data: str
    format: str


class AudioPart(Strict, frozen=True, tag="input_audio"):
    """Audio."""

    input_audio: AudioData
    cache_control: CacheControl | None = None


class FileData(Strict, frozen=True):
    """A stored file, or a data: URL of one."""

    file_id: str | None = None
    file_data: str | None = None
    filename: str | None = None


class FilePart(Strict, frozen=True, tag="file"):
    """Document."""

    file: FileData
    cache_control: CacheControl | None = None


class RefusalPart(Strict, frozen=True, tag="refusal"):
    """Refusal of an earlier turn."""

    refusal: str


UserPart = TextPart | ImagePart | AudioPart | FilePart


class CalledFunction(Strict, frozen=True):
    """A call that the assistant made; `parsed_arguments` is what OpenAI's SDK made of the arguments."""

    name: str
    arguments: str
    parsed_arguments: Raw = Raw()


class CalledTool(Strict, frozen=True, tag="function"):
    """A call that the assistant made, with its id."""

    id: str
    function: CalledFunction
    index: int | None = None


class SystemMessage(Strict, frozen=True, tag_field="role", tag="system"):
    """Instructions."""

    content: str | list[TextPart]
    name: str | None = None
    cache_control: CacheControl | None = None


class DeveloperMessage(Strict, frozen=True, tag_field="role", tag="developer"):
    """Instructions, by their newer name."""

    content: str | list[TextPart]
    name: str | None = None
    cache_control: CacheControl | None = None


class UserMessage(Strict, frozen=True, tag_field="role", tag="user"):
    """What the person said."""

    content: str | list[UserPart]
    name: str | None = None
    cache_control: CacheControl | None = None


class ProviderBlock(Strict, frozen=True):
    """A block of a provider's own that came with an answer; see `extras`."""

    dialect: str
    block: Raw
    index: int | None = None


class AssistantMessage(Strict, frozen=True, tag_field="role", tag="assistant"):
    """What the model said; clients send our answers back whole, so empty extras are accepted.

    `parsed` is what OpenAI's SDK made of the content; its helpers for streams and for structured output set it.
    """

    content: str | list[TextPart | RefusalPart] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[CalledTool] | None = None
    name: str | None = None
    audio: None = None
    function_call: CalledFunction | None = None
    annotations: list[Raw] | None = None
    provider_blocks: list[ProviderBlock] | None = None
    parsed: Raw = Raw()
    cache_control: CacheControl | None = None


class ToolMessage(Strict, frozen=True, tag_field="role", tag="tool"):
    """What a tool answered."""

    content: str | list[TextPart | ImagePart | FilePart]
    tool_call_id: str
    name: str | None = None
    cache_control: CacheControl | None = None


class FunctionMessage(Strict, frozen=True, tag_field="role", tag="function"):
    """What a function answered, as before there were tools."""

    content: str | None
    name: str


AnyMessage = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage


class Function(Strict, frozen=True):
    """A function that the model may call."""

    name: str
    description: str | None = None
    parameters: Raw = Raw()
    strict: bool | None = None
    cache_control: CacheControl | None = None


class FunctionTool(Strict, frozen=True, tag="function"):
    """A tool that is a function."""

    function: Function
    cache_control: CacheControl | None = None


class CustomTool(Lenient, frozen=True, tag="custom"):
    """A tool that takes any text; only OpenAI has it."""


class NamedFunction(Strict, frozen=True):
    """Name of a function."""

    name: str


class NamedToolChoice(Strict, frozen=True, tag="function"):
    """The one tool to call."""

    function: NamedFunction


class AllowedTools(Strict, frozen=True):
    """The tools that may be called now."""

    mode: Literal["auto", "required"]
    tools: Annotated[list[NamedToolChoice], Meta(min_length=1)]


class AllowedToolChoice(Strict, frozen=True, tag="allowed_tools"):
    """Some of the tools, so that the list of all may stay the same and cached."""

    allowed_tools: AllowedTools


AnyToolChoice = Literal["auto", "none", "required"] | NamedToolChoice | AllowedToolChoice


class JsonSchema(Strict, frozen=True):
    """Schema that the answer follows."""

    name: str
    schema: Raw = Raw()
    description: str | None = None
    strict: bool | None = None


class TextFormat(Strict, frozen=True, tag="text"):
    """Any text."""


class JsonObjectFormat(Strict, frozen=True, tag="json_object"):
    """Any JSON object."""


class JsonSchemaFormat(Strict, frozen=True, tag="json_schema"):
    """JSON after a schema."""

    json_schema: JsonSchema


Natural = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Positive = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class ReasoningOptions(Strict, frozen=True):
    """Reasoning in OpenRouter's words. Source: https://openrouter.ai/docs/use-cases/reasoning-tokens, 2026-11-24."""

    effort: str | None = None
    max_tokens: Natural | None = None
    exclude: bool | None = None
    enabled: bool | None = None


class Thinking(Strict, frozen=True):
    """Reasoning in Anthropic's words, as clients of LiteLLM send them, or in Cohere's, which say `token_budget`."""

    type: Literal["enabled", "disabled", "adaptive"]
    budget_tokens: Positive | None = None
    token_budget: Positive | None = None
    display: Literal["summarized", "omitted"] | None = None


class ChatParameters(Lenient, frozen=True, kw_only=True):
    """Every parameter that the neutral vocabulary has a word for."""

    tools: list[FunctionTool | CustomTool] | None = None
    tool_choice: AnyToolChoice | None = None
    parallel_tool_calls: bool | None = None
    functions: list[Function] | None = None
    function_call: Literal["auto", "none"] | NamedFunction | None = None
    response_format: TextFormat | JsonObjectFormat | JsonSchemaFormat | None = None
    max_tokens: Positive | None = None
    max_completion_tokens: Positive | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: Natural | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: str | list[str] | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    reasoning_effort: str | None = None
    reasoning: ReasoningOptions | None = None
    include_reasoning: bool | None = None
    thinking: Thinking | None = None


class ChatRequest(ChatParameters, frozen=True, kw_only=True):
    """Everything that the neutral vocabulary has a word for; the rest goes into its extension."""

    messages: Annotated[list[AnyMessage], Meta(min_length=1)]
