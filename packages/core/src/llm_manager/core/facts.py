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
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import msgspec

from llm_manager.core.error_facts import ErrorPointers
from llm_manager.core.fact_tables import FactTable, fits
from llm_manager.core.families import Capability, Family, family_of
from llm_manager.core.http_headers import may_be_named, passing

Dialect = Literal[
    "openai_chat", "openai_responses", "openai_completions", "anthropic_messages", "gemini_generate", "cohere_v2",
    "ollama_chat", "ollama_generate",
]  # fmt: skip
# Where requests go: over HTTP to `base_url`, to the demo inside of our worker, or to a worker of somebody else, which
# is asked in neutral words only.
Transport = Literal["http", "echo", "worker"]
Operation = Literal["chat", "embeddings", "rerank", "count_tokens", "models"]
# "error" is a failure of the provider: the attempt fails, no client ever sees a finish.
FinishMeaning = Literal["stop", "length", "tool_calls", "function_call", "content_filter", "error"]
ResetFormat = Literal["none", "seconds", "duration", "iso_time", "epoch_ms"]


class FactsError(Exception):
    """A facts file is wrong; the message names the file and the key."""


class Auth(FactTable, frozen=True, kw_only=True):
    """How the credential travels: `header: scheme credential`; an empty scheme sends the credential alone."""

    header: str = "authorization"
    scheme: str = "Bearer"


class Paths(FactTable, frozen=True, kw_only=True):
    """Paths below the base URL; empty where the provider has none. `{model}` stands for the upstream model.

    Args:
        chat_stream: where streams are asked; empty means at `chat`.
        embeddings_batch: where several texts are embedded at once; empty means at `embeddings`.
    """

    chat: str = "/chat/completions"
    chat_stream: str = ""
    completions: str = ""
    responses: str = ""
    generate: str = ""
    embeddings: str = "/embeddings"
    embeddings_batch: str = ""
    rerank: str = ""
    count_tokens: str = ""
    models: str = "/models"


class Parameters(FactTable, frozen=True, kw_only=True):
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
        default_max_tokens: sent where the provider demands a number and the client gave none; 0 means that none is
            demanded.
        least_reasoning_budget: the smallest number of tokens for reasoning that the provider takes.
        rerank_unsupported: the same as unsupported, for rerank.
        reasoning_budget_models: patterns (`*` stands for anything) of models that are told how many tokens they may
            think, where the provider's other models are told how hard (Gemini before its third generation).
        reasoning_effort_models: those of them that take either, so that each client is heard in its own words.
        unsupported_at_home: of `unsupported`, the names that only the provider's own servers are known to refuse: a
            server of somebody else behind another base URL decides for itself.
        most_tokens, always_thinks: see `Family`, which says them; 0 where it does not.
    """

    max_tokens: str = "max_tokens"
    renamed: Mapping[str, str] = {}
    unsupported: tuple[str, ...] = ()
    harmless: Mapping[str, bool | int | float | str] = {}
    embeddings_unsupported: tuple[str, ...] = ()
    extension: tuple[str, ...] = ("*",)
    options: tuple[str, ...] = ()
    reasoning_input: str = ""
    default_max_tokens: int = 0
    least_reasoning_budget: int = 0
    rerank_unsupported: tuple[str, ...] = ()
    reasoning_budget_models: tuple[str, ...] = ()
    reasoning_effort_models: tuple[str, ...] = ()
    unsupported_at_home: tuple[str, ...] = ()
    most_tokens: int = 0
    always_thinks: int = 0


class Stream(FactTable, frozen=True, kw_only=True):
    """How answers behave.

    Args:
        asks_usage: `stream_options.include_usage` is understood.
        calls_end_as_stop: some servers of this kind say `stop` behind calls of tools, and mean `tool_calls`; OpenAI's
            own `stop` behind a forced call stays.
    """

    asks_usage: bool = True
    calls_end_as_stop: bool = False


class UsagePointers(FactTable, frozen=True, kw_only=True):
    """Where counts stand. `reports` and `cost` point into the answer, the rest into the report.

    Args:
        beside_input: counts that the provider keeps beside its input count (Anthropic's cache, Gemini's tool use): they
            are added, so that every other pointer is a part of the sum, except where the total says that they are in
            it (Mistral's audio).
        beside_output: the same for the output (Gemini's thoughts), except where the total says that they are in it.
        cache_write_1h: of what `cache_write` finds, the tokens that were written for an hour.
        billed_input, billed_output: what is charged, where that differs from what was counted (Cohere).
        search_units: what rerank is charged by.
        cost_unit: dollars that the number at `cost` counts, as text.
        rest_is_reasoning: what the total counts beyond input and output are thoughts that nothing else counts (Gemini
            behind its OpenAI-compatible endpoint); they are billed as output.
    """

    reports: tuple[str, ...] = ("usage",)
    input: tuple[str, ...] = ("prompt_tokens",)
    output: tuple[str, ...] = ("completion_tokens",)
    total: tuple[str, ...] = ("total_tokens",)
    cache_read: tuple[str, ...] = ()
    cache_write: tuple[str, ...] = ()
    cache_write_1h: tuple[str, ...] = ()
    beside_input: tuple[str, ...] = ()
    beside_output: tuple[str, ...] = ()
    billed_input: tuple[str, ...] = ()
    billed_output: tuple[str, ...] = ()
    search_units: tuple[str, ...] = ()
    input_audio: tuple[str, ...] = ()
    input_image: tuple[str, ...] = ()
    reasoning: tuple[str, ...] = ()
    output_audio: tuple[str, ...] = ()
    output_image: tuple[str, ...] = ()
    cost: tuple[str, ...] = ()
    cost_unit: str = "1"
    rest_is_reasoning: bool = False


class Headers(FactTable, frozen=True, kw_only=True):
    """Headers, lower-case. What never passes (`http_headers`) cannot be named in `forward` and `accept`.

    Args:
        request_id: headers that may hold the provider's request id.
        forward: prefixes of headers of answers and errors that clients get.
        reset: headers that say when a limit resets, in `reset_format`; read on refusals only, because
            Together and Anthropic send retry-after with 200 too (recordings, quirk 33).
        send: headers that every request carries.
        accept: headers of the client that go through when it speaks the provider's own dialect.
        should_retry: header by which the provider itself says `true` or `false` to a retry; it decides, and clients
            get it. Whoever does not send it says nothing.
    """

    request_id: tuple[str, ...] = ("x-request-id",)
    forward: tuple[str, ...] = ("x-ratelimit-",)
    reset: tuple[str, ...] = ()
    reset_format: ResetFormat = "none"
    send: Mapping[str, str] = {}
    accept: tuple[str, ...] = ()
    should_retry: str = "x-should-retry"

    def __post_init__(self) -> None:
        wrong = [name for name in (*self.forward, *self.accept) if not may_be_named(name)]
        if wrong:
            raise ValueError(f"forward and accept name what never passes: {wrong}")

    def forwarded(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return those of an answer that its client gets."""
        return passing(headers, is_wanted=lambda name: name.startswith(self.forward))

    def accepted(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return those of a client that its provider gets."""
        return passing(headers, is_wanted=lambda name: name in self.accept)


class TimeoutDefaults(FactTable, frozen=True, kw_only=True):
    """Limits on waiting, in seconds; see proto inference/v1/infer.proto."""

    connect: float = 10.0
    headers: float = 300.0
    first_token: float = 300.0
    idle: float = 120.0
    total: float = 600.0


class Facts(FactTable, frozen=True, kw_only=True):
    """Everything about one provider kind that is not code.

    Args:
        source: pages and recordings that the facts were read from.
        checked_on: when.
        base_url_env, credential_env: variables of the environment that bring base URL and credential at bootstrap.
        also: dialects that the provider speaks beside its main one: clients of these are passed through.
        responses_models: patterns (`*` stands for anything) of models that answer only in `openai_responses`.
        completions_models: patterns of models that complete texts, where `openai_completions` is spoken.
        is_local: runs on the same machine; its port is probed at bootstrap.
        is_probed: what a server of this kind can do differs from one to the next: the gateway asks each one once.
        models: names that are known without asking, embedding models included.
        embedding_models, rerank_models: those of `models` that make vectors, or order documents.
        finish_reasons: the provider's word to its meaning, total for what is known.
        families: models that cannot do what others of the kind can; the first one that fits counts.
    """

    kind: str
    title: str
    source: tuple[str, ...]
    checked_on: date
    dialect: Dialect = "openai_chat"
    also: tuple[Dialect, ...] = ()
    responses_models: tuple[str, ...] = ()
    completions_models: tuple[str, ...] = ("*",)
    transport: Transport = "http"
    base_url: str = ""
    base_url_env: str = ""
    credential_env: str = ""
    needs_credential: bool = True
    is_local: bool = False
    is_probed: bool = False
    operations: tuple[Operation, ...]
    capabilities: tuple[Capability, ...] = ()
    models: tuple[str, ...] = ()
    embedding_models: tuple[str, ...] = ()
    rerank_models: tuple[str, ...] = ()
    finish_reasons: Mapping[str, FinishMeaning]
    auth: Auth = Auth()
    paths: Paths = Paths()
    parameters: Parameters = Parameters()
    stream: Stream = Stream()
    usage: UsagePointers = UsagePointers()
    errors: ErrorPointers = ErrorPointers()
    headers: Headers = Headers()
    timeouts: TimeoutDefaults = TimeoutDefaults()
    families: tuple[Family, ...] = ()

    def speaks(self, dialect: str, *, model: str = "") -> bool:
        """Return whether clients of a dialect can be passed through to this provider, for one of its models."""
        if self.transport == "worker" or (self.needs_responses(model) and dialect != "openai_responses"):
            return False
        if dialect == "openai_completions" and not fits(model, self.completions_models):
            return False
        return dialect == self.dialect or dialect in self.also

    def is_at_home(self, base_url: str) -> bool:
        """Whether all facts hold at a base URL; where it is empty the kind's own is meant."""
        return not self.parameters.unsupported_at_home or base_url.rstrip("/") in ("", self.base_url.rstrip("/"))

    def at(self, base_url: str) -> Facts:
        """Return the facts of a server that speaks like this kind at a base URL, which may be its own.

        Somebody else's server may give names of the kind to models of its own, so nothing is known of families.
        """
        if self.is_at_home(base_url):
            return self
        parameters = self.parameters
        unsupported = tuple(name for name in parameters.unsupported if name not in parameters.unsupported_at_home)
        parameters = msgspec.structs.replace(parameters, unsupported=unsupported)
        return msgspec.structs.replace(self, parameters=parameters, families=())

    def family_of(self, model: str) -> Family | None:
        """Return what is known of a model beyond its kind."""
        return family_of(model, self.families)

    def narrowed(self, family: Family) -> Facts:
        """Return the facts as they hold for the models of a family."""
        parameters, most = self.parameters, family.max_output_tokens or 0
        default = min(parameters.default_max_tokens, most) if most else parameters.default_max_tokens
        parameters = msgspec.structs.replace(
            parameters,
            unsupported=(*parameters.unsupported, *family.refused),
            harmless={**family.harmless, **parameters.harmless},
            default_max_tokens=default,
            most_tokens=most,
            always_thinks=family.always_thinks,
        )
        capabilities = tuple(capability for capability in self.capabilities if capability not in family.lacks)
        return msgspec.structs.replace(self, parameters=parameters, capabilities=capabilities, families=())

    def needs_responses(self, model: str) -> bool:
        """Return whether a model answers only in `openai_responses`."""
        return fits(model, self.responses_models)


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
    strangers = {*facts.embedding_models, *facts.rerank_models} - set(facts.models)
    if strangers:
        raise FactsError(
            f"provider_facts/{name}.toml: embedding_models or rerank_models not among models: {sorted(strangers)}"
        )
    if facts.responses_models and "openai_responses" not in (facts.dialect, *facts.also):
        raise FactsError(f"provider_facts/{name}.toml: responses_models need openai_responses in also")
    if not facts.source:
        raise FactsError(f"provider_facts/{name}.toml: source is empty; say where the facts were read")
    return facts


@cache
def load_facts(folder: Path | None = None) -> Mapping[str, Facts]:
    """Return the facts of every kind, by kind, in alphabetical order. Read once per process.

    Args:
        folder: facts files beside ours; a kind of the same name replaces ours. None means only ours.

    Raises:
        FactsError: a file is wrong, or the folder cannot be read.
    """
    ours: Traversable = files("llm_manager.core") / "provider_facts"
    entries = {entry.name: entry for entry in ours.iterdir() if entry.name.endswith(".toml")}
    if folder is not None:
        try:
            entries |= {path.name: path for path in folder.iterdir() if path.suffix == ".toml"}
        except OSError as error:
            raise FactsError(f"The folder of facts {str(folder)!r} cannot be read: {error}") from error
    loaded = {
        name.removesuffix(".toml"): parse_facts(entries[name].read_text("utf-8"), name=name.removesuffix(".toml"))
        for name in sorted(entries)
    }
    return MappingProxyType(loaded)
