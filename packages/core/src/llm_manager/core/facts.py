"""What one provider kind does differently, as data: `provider_facts/<kind>.toml`, each with its source and date.

Adding an OpenAI-compatible provider is one TOML file. A quirk that data cannot say is a hook of the dialect, and the
facts name it. A pointer is a dotted path into a JSON document, for example `usage.prompt_tokens_details.cached_tokens`;
of several pointers the first that finds something wins.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Literal

import msgspec

Dialect = Literal["openai_chat", "ollama_chat"]
# Where requests go: over HTTP to `base_url`, or to the demo inside of the worker.
Transport = Literal["http", "echo"]
Operation = Literal["chat", "embeddings", "models"]
Capability = Literal[
    "streaming", "tools", "parallel_tools", "json_object", "json_schema", "images", "audio", "documents", "reasoning",
    "logprobs", "several_choices", "seed", "embedding_dimensions",
]  # fmt: skip
# "error" is a failure of the provider: the attempt fails, no client ever sees a finish.
FinishMeaning = Literal["stop", "length", "tool_calls", "function_call", "content_filter", "error"]
ResetFormat = Literal["none", "seconds", "duration", "iso_time", "epoch_ms"]


class FactsError(Exception):
    """A facts file is wrong; the message names the file and the key."""


class _Facts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a facts file. Unknown keys are refused."""


class Auth(_Facts, frozen=True, kw_only=True):
    """How the credential travels: `header: scheme credential`; an empty scheme sends the credential alone."""

    header: str = "authorization"
    scheme: str = "Bearer"


class Paths(_Facts, frozen=True, kw_only=True):
    """Paths below the base URL; empty where the provider has none."""

    chat: str = "/chat/completions"
    embeddings: str = "/embeddings"
    models: str = "/models"


class Parameters(_Facts, frozen=True, kw_only=True):
    """Names of request parameters, seen from OpenAI's names.

    Args:
        max_tokens: what the provider calls the largest number of tokens of an answer.
        renamed: OpenAI's name to the provider's.
        unsupported: OpenAI's names that the provider refuses or ignores. Asking for one is refused by the worker,
            except with the value in `harmless`, which means the same as not asking.
        harmless: name to the value that may be left out.
        embeddings_unsupported: the same as unsupported, for embeddings.
        extension: parameters beyond the neutral vocabulary that the provider knows; `*` means that whatever the
            client sends goes through and the provider decides.
        options: of those, the names that a dialect puts in a table of their own (Ollama's `options`).
        reasoning_input: name under which reasoning of earlier turns goes back; empty means that it is left out,
            because the provider neither needs nor accepts it.
    """

    max_tokens: str = "max_tokens"
    renamed: Mapping[str, str] = {}
    unsupported: tuple[str, ...] = ()
    harmless: Mapping[str, bool | int | float | str] = {}
    embeddings_unsupported: tuple[str, ...] = ()
    extension: tuple[str, ...] = ("*",)
    options: tuple[str, ...] = ()
    reasoning_input: str = ""


class Stream(_Facts, frozen=True, kw_only=True):
    """How streams behave; `asks_usage` says that `stream_options.include_usage` is understood."""

    asks_usage: bool = True


class UsagePointers(_Facts, frozen=True, kw_only=True):
    """Where counts stand. `reports` and `cost` point into the answer, the rest into the report.

    Args:
        rest_of_total_is_reasoning: total minus input minus output is hidden reasoning (Gemini's OpenAI endpoint).
    """

    reports: tuple[str, ...] = ("usage",)
    input: tuple[str, ...] = ("prompt_tokens",)
    output: tuple[str, ...] = ("completion_tokens",)
    total: tuple[str, ...] = ("total_tokens",)
    cache_read: tuple[str, ...] = ()
    cache_write: tuple[str, ...] = ()
    input_audio: tuple[str, ...] = ()
    input_image: tuple[str, ...] = ()
    reasoning: tuple[str, ...] = ()
    output_audio: tuple[str, ...] = ()
    output_image: tuple[str, ...] = ()
    cost: tuple[str, ...] = ()
    rest_of_total_is_reasoning: bool = False


class ErrorPointers(_Facts, frozen=True, kw_only=True):
    """Where an error body keeps its parts; `status` is for errors inside a stream that answered 200."""

    message: tuple[str, ...] = ("error.message", "message", "detail", "error")
    code: tuple[str, ...] = ("error.code", "code")
    type: tuple[str, ...] = ("error.type", "type")
    param: tuple[str, ...] = ("error.param", "param")
    status: tuple[str, ...] = ("error.status_code", "error.code", "raw_status_code")


class Headers(_Facts, frozen=True, kw_only=True):
    """Response headers, lower-case.

    Args:
        request_id: headers that may hold the provider's request id.
        forward: prefixes of headers that clients may want to see.
        reset: headers that say when a limit resets, in `reset_format`; read on 408, 409 and 429 only, because
            Together and Anthropic send retry-after with 200 too (recordings, quirk 33).
        send: headers that every request carries.
    """

    request_id: tuple[str, ...] = ("x-request-id",)
    forward: tuple[str, ...] = ("x-ratelimit-",)
    reset: tuple[str, ...] = ()
    reset_format: ResetFormat = "none"
    send: Mapping[str, str] = {}


class TimeoutDefaults(_Facts, frozen=True, kw_only=True):
    """Limits on waiting, in seconds; see proto inference/v1/infer.proto."""

    connect: float = 10.0
    headers: float = 300.0
    first_token: float = 300.0
    idle: float = 120.0
    total: float = 600.0


class Facts(_Facts, frozen=True, kw_only=True):
    """Everything about one provider kind that is not code.

    Args:
        source: pages and recordings that the facts were read from.
        checked_on: when.
        base_url_env, credential_env: variables of the environment that bring base URL and credential at bootstrap.
        is_local: runs on the same machine; its port is probed at bootstrap.
        models: names that are known without asking, embedding models included.
        embedding_models: those of `models` that make vectors.
        finish_reasons: the provider's word to its meaning, total for what is known.
    """

    kind: str
    title: str
    source: tuple[str, ...]
    checked_on: date
    dialect: Dialect
    transport: Transport = "http"
    base_url: str = ""
    base_url_env: str = ""
    credential_env: str = ""
    needs_credential: bool = True
    is_local: bool = False
    operations: tuple[Operation, ...]
    capabilities: tuple[Capability, ...] = ()
    models: tuple[str, ...] = ()
    embedding_models: tuple[str, ...] = ()
    finish_reasons: Mapping[str, FinishMeaning]
    auth: Auth = Auth()
    paths: Paths = Paths()
    parameters: Parameters = Parameters()
    stream: Stream = Stream()
    usage: UsagePointers = UsagePointers()
    errors: ErrorPointers = ErrorPointers()
    headers: Headers = Headers()
    timeouts: TimeoutDefaults = TimeoutDefaults()


def parse_facts(text: str, *, name: str) -> Facts:
    """Read one facts file; `name` is the file's name without `.toml` and must equal its kind.

    Raises:
        FactsError: not TOML, an unknown or missing key, a wrong value.
    """
    try:
        facts = msgspec.convert(tomllib.loads(text), Facts, strict=False)
    except tomllib.TOMLDecodeError as error:
        raise FactsError(f"provider_facts/{name}.toml is not TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise FactsError(f"provider_facts/{name}.toml: {error}") from error
    if facts.kind != name:
        raise FactsError(f"provider_facts/{name}.toml: kind is {facts.kind!r}, but the file is named {name!r}")
    strangers = set(facts.embedding_models) - set(facts.models)
    if strangers:
        raise FactsError(f"provider_facts/{name}.toml: embedding_models not among models: {sorted(strangers)}")
    if not facts.source:
        raise FactsError(f"provider_facts/{name}.toml: source is empty; say where the facts were read")
    return facts


@cache
def load_facts() -> Mapping[str, Facts]:
    """Return the facts of every kind, by kind, in alphabetical order. Read once per process."""
    folder: Traversable = files("llm_manager.core") / "provider_facts"
    entries = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda e: e.name)
    names = [entry.name.removesuffix(".toml") for entry in entries]
    loaded = {
        name: parse_facts(entry.read_text("utf-8"), name=name) for name, entry in zip(names, entries, strict=True)
    }
    return MappingProxyType(loaded)
