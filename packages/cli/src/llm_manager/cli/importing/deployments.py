"""One entry of LiteLLM's `model_list` as a configuration of a provider; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from llm_manager.cli.importing import endpoints
from llm_manager.cli.importing.document import below, clip
from llm_manager.cli.importing.endpoints import Endpoints, Unusable
from llm_manager.cli.importing.plan import PlannedConfiguration
from llm_manager.cli.importing.prefixes import Meant, Prefix, meant, row_of
from llm_manager.cli.importing.report import Report
from llm_manager.cli.importing.shapes import Table, Variables, count, flag, many, plain_parameter, table, text
from llm_manager.cli.importing.words import words_for
from llm_manager.core.facts import Facts

# OpenAI's parameters of chats, with those of its ecosystem that the gateway knows. Source: litellm 1.110.2,
# constants.py OPENAI_CHAT_COMPLETION_PARAMS; our ChatParameters (tests/importing compares the two).
PARAMETERS = frozenset(
    {
        *("temperature", "top_p", "top_k", "n", "stop", "max_tokens", "max_completion_tokens", "seed"),
        *("presence_penalty", "frequency_penalty", "logit_bias", "response_format", "tools", "tool_choice"),
        *("parallel_tool_calls", "functions", "function_call", "logprobs", "top_logprobs", "reasoning_effort"),
        *("reasoning", "include_reasoning", "thinking", "modalities", "prediction", "audio", "verbosity"),
        *("web_search_options", "service_tier", "store", "prompt_cache_key", "prompt_cache_retention"),
    }
)
# LiteLLM's `mode` (types/utils.py) -> our operation; the others are not served.
_OPERATIONS = {"chat": "chat", "completion": "chat", "responses": "chat", "embedding": "embeddings", "rerank": "rerank"}
_LONGEST_TAG, _LONGEST_TAG_VALUE, _MOST_TAGS, _LONGEST_NAME = 100, 200, 50, 512


@dataclass(slots=True)
class Deployments:
    """Reads entries of `model_list` one after the other.

    Args:
        credentials: of `credential_list`, by their names.
        drops_params: `litellm_settings.drop_params`.
        reserved: model names of the whole file, which no second deployment may get.
    """

    facts: Mapping[str, Facts]
    variables: Variables
    report: Report
    credentials: Mapping[str, Table]
    drops_params: bool
    reserved: frozenset[str]
    endpoints: Endpoints = field(init=False)
    configurations: list[PlannedConfiguration] = field(default_factory=list[PlannedConfiguration])
    _names: set[str] = field(default_factory=set[str])

    def __post_init__(self) -> None:
        self.endpoints = Endpoints(self.variables, self.report)

    def read(self, value: object, path: str) -> None:
        """Plan one entry, and say of each of its keys what became of it.

        Raises:
            ImportRefused: a value is of a wrong type.
        """
        entry = table(value, path)
        start = len(self.report.lines)
        name = text(entry.get("model_name"), below(path, "model_name"))
        at = below(path, "litellm_params")
        params = table(entry.get("litellm_params"), at)
        if params.get("model") is None:
            # LiteLLM's own examples hold such entries, and LiteLLM serves nothing for them
            self.report.left(path, f"{clip(name)}: it has no litellm_params.model")
            return
        found = self.variables.found(text(params["model"], below(at, "model")))
        params, key_name = self._with_credential(params, at)
        if found.value is None:
            self.report.left(path, f"model comes from {clip(found.variable)}, which is not set here")
            return
        stated = params.get("custom_llm_provider")
        means = meant(found.value, text(stated, below(at, "custom_llm_provider")) if stated is not None else "")
        why, row = self._why_not(entry, name, means, path)
        if why:
            self.report.left(path, f"{clip(name)}: {why}")
            return
        try:
            provider = self.endpoints.name_of(params, at, meant=means, row=row, key_name=key_name)
        except Unusable as error:
            # what was said of its single keys before is void
            del self.report.lines[start:]
            self.report.left(path, f"{clip(name)}: {error}")
            return
        self._plan(_Read(entry, params, path, start, name, means, row, provider))

    def _with_credential(self, params: Table, at: str) -> tuple[Table, str]:
        if params.get("litellm_credential_name") is None:
            return params, ""
        place = below(at, "litellm_credential_name")
        name = text(params["litellm_credential_name"], place)
        values = self.credentials.get(name)
        if values is None:
            self.report.left(place, "credential_list has none of this name")
            return params, ""
        self.report.taken(place, f"the credential {clip(name)} is in its provider")
        return {**values, **params}, clip(name)

    def _why_not(self, entry: Table, name: str, means: Meant, path: str) -> tuple[str, Prefix]:
        row = row_of(means.prefix)
        if not means.prefix:
            return "its model names no provider (<provider>/<model>), and none is known by that name", row
        if not row.kind:
            return f"{clip(means.prefix)}/: {row.why}", row
        if row.kind not in self.facts:
            return f"this version knows no provider kind {row.kind}", row
        if len(name) > _LONGEST_NAME or len(means.model) > _LONGEST_NAME or not (name + means.model).isprintable():
            return "its names are longer than 512 characters, or hold what cannot be printed", row
        if not means.model:
            return "its model names a provider, but no model", row
        info = table(entry.get("model_info"), below(path, "model_info"))
        if info.get("mode") is None:
            return "", row
        mode = text(info["mode"], below(path, "model_info.mode"))
        operation = _OPERATIONS.get(mode)
        if operation is None or operation not in self.facts[row.kind].operations:
            return f"models of the mode {clip(mode)} are not served by {row.kind} here", row
        return "", row

    def _plan(self, read: _Read) -> None:
        at = below(read.path, "litellm_params")
        if "*" in read.means.model or "*" in read.name:
            self._wildcard(read)
            self._rest(read, is_wildcard=True)
            return
        name = self._free_name(read)
        body: dict[str, Any] = {"name": name, "provider": read.provider, "upstream_model": read.means.model}
        note = f"configuration {clip(name)} of the provider {clip(read.provider)}"
        if said := " and ".join(part for part in (read.row.differs, _of_route(read.means)) if part):
            self.report.differs(below(at, "model"), f"{note}; {said}")
        else:
            self.report.taken(below(at, "model"), note)
        body["default_parameters"] = self._parameters(read.params, at)
        body["adapts_parameters"] = self._adapts(read.params, at)
        body["tags"] = self._tags(read.params, at)
        body |= self._limits(read)
        self.configurations.append(PlannedConfiguration(name, read.provider, body))
        self._rest(read, is_wildcard=False)

    def _free_name(self, read: _Read) -> str:
        at = below(read.path, "model_name")
        if read.name not in self._names:
            self._names.add(read.name)
            self.report.taken(at, "name of its configuration")
            return read.name
        n = 2
        while (name := f"{read.name}-{n}") in self.reserved or name in self._names:
            n += 1
        self._names.add(name)
        self.report.differs(
            at,
            f"a further deployment of {clip(read.name)}, made as {clip(name)}: the first one serves the name, and "
            "routing between them comes later (issue 17)",
        )
        return name

    def _wildcard(self, read: _Read) -> None:
        at, meant_at = below(read.path, "model_name"), below(read.path, "litellm_params.model")
        written = f"{read.provider}/*"
        if read.means.model == "*" and read.name == written:
            self.report.taken(at, f"{clip(written)} works without a configuration")
        else:
            self.report.differs(at, f"clients write {clip(read.provider)}/<model>; other patterns are not served")
        self.report.taken(meant_at, f"the provider {clip(read.provider)} serves every model of its own")

    def _parameters(self, params: Table, at: str) -> Table:
        made: Table = {}
        for name, value in params.items():
            if name in PARAMETERS and value is not None:
                plain_parameter(value, below(at, name))
                made[name] = value
                self.report.taken(below(at, name), "default parameter of its configuration")
        return made

    def _adapts(self, params: Table, at: str) -> bool:
        adapts = self.drops_params
        if params.get("drop_params") is not None:
            adapts = flag(params["drop_params"], below(at, "drop_params"))
            self.report.taken(below(at, "drop_params"), "adapts_parameters of its configuration")
        if many(params.get("additional_drop_params"), below(at, "additional_drop_params")):
            adapts = True
            self.report.differs(
                below(at, "additional_drop_params"),
                "adapts_parameters leaves out what the provider does not take, not what a list names",
            )
        return adapts

    def _tags(self, params: Table, at: str) -> dict[str, str]:
        made: dict[str, str] = {}
        at = below(at, "tags")
        for i, value in enumerate(many(params.get("tags"), at)):
            key, _, said = text(value, f"{at}[{i}]").partition(":")
            key = key.strip()
            if not 0 < len(key) <= _LONGEST_TAG or len(said) > _LONGEST_TAG_VALUE or len(made) >= _MOST_TAGS:
                self.report.left(f"{at}[{i}]", "tags have up to 100 characters and values up to 200, and 50 there are")
                continue
            made[key] = said.strip() or "true"
        if params.get("tags") is not None:
            self.report.differs(at, "tags of its configuration: they go into the ledger, and choose no deployment")
        return made

    def _limits(self, read: _Read) -> dict[str, Any]:
        info_at, params_at = below(read.path, "model_info"), below(read.path, "litellm_params")
        info = table(read.entry.get("model_info"), info_at)
        most_out = "max_output_tokens" if info.get("max_output_tokens") is not None else "max_tokens"
        made: dict[str, Any] = {}
        # LiteLLM looks for rates in three places, in this order (litellm 1.110.2, router_strategy/lowest_cost.py)
        rates = ((read.entry, read.path), (read.params, params_at), (info, info_at))
        for key, target, places in (
            ("rpm", "requests_per_minute", rates),
            ("tpm", "tokens_per_minute", rates),
            ("max_input_tokens", "context_window", ((info, info_at),)),
            (most_out, "max_output_tokens", ((info, info_at),)),
        ):
            made[target] = None
            source, at = next(((one, at) for one, at in places if one.get(key) is not None), places[-1])
            place, found = below(at, key), self.variables.found(source.get(key))
            if found.value is not None:
                made[target] = count(found.value, place)
                self.report.taken(place, f"{target} of its configuration")
            elif found.variable:
                self.report.left(place, f"{clip(found.variable)} is not set here; set it and run again with --replace")
        blocked = flag(info.get("blocked"), below(info_at, "blocked"))
        made["is_enabled"] = not blocked
        if "blocked" in info:
            self.report.taken(below(info_at, "blocked"), "whether its configuration is on")
        return made

    def _rest(self, read: _Read, *, is_wildcard: bool) -> None:
        """Say something of every key that nothing was said of."""
        said = {line.path for line in self.report.lines[read.start :]}
        info = table(read.entry.get("model_info"), below(read.path, "model_info"))
        for key in _unsaid(read.entry, read.path, said):
            if key not in ("litellm_params", "model_info"):
                misplaced = key in PARAMETERS or key in endpoints.FIELDS
                why = "it belongs into litellm_params, and was without effect" if misplaced else words_for(key)
                self.report.left(below(read.path, key), why)
        for key in _unsaid(read.params, below(read.path, "litellm_params"), said):
            place = below(read.path, f"litellm_params.{clip(key)}")
            is_ours = key in PARAMETERS or key in endpoints.FIELDS or key in ("rpm", "tpm", "drop_params")
            if key == "custom_llm_provider":
                self.report.taken(place, "which provider its model is of")
            elif read.params[key] is None:
                self.report.taken(place, "empty")
            elif is_wildcard and is_ours:
                self.report.left(
                    place, "only configurations have it, and a wildcard needs none; make one where it counts"
                )
            else:
                self.report.left(place, words_for(key))
        for key in _unsaid(info, below(read.path, "model_info"), said):
            place = below(read.path, f"model_info.{clip(key)}")
            if key == "mode":
                self.report.taken(place, "known from the model and its provider")
            elif info[key] is None:
                self.report.taken(place, "empty")
            else:
                self.report.left(place, words_for(key))


@dataclass(frozen=True, slots=True)
class _Read:
    """An entry that a provider was found for. Its lines of the report begin at `start`."""

    entry: Table
    params: Table
    path: str
    start: int
    name: str
    means: Meant
    row: Prefix
    provider: str


def _of_route(means: Meant) -> str:
    return f"{means.route} is not needed: the API is chosen by the model" if means.route else ""


def _unsaid(source: Iterable[str], path: str, said: set[str]) -> list[str]:
    return [key for key in source if below(path, key) not in said]
