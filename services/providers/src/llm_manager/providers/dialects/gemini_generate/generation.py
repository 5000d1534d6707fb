"""Writes how to answer: `generationConfig` and `toolConfig`."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from llm_manager.core.facts import Facts
from llm_manager.core.messages import ChatInput, ResponseFormat, Sampling, ToolChoice
from llm_manager.providers.dialects.parameters import adapted, sampling_table, warn_of_binding
from llm_manager.providers.dialects.policy import Policy

# Any: JSON documents are built here
Json = dict[str, Any]
# Larger seeds are refused: "Invalid value at 'generation_config.seed' (TYPE_INT32)".
_INT32 = 2**31 - 1
# Words of ThinkingLevel in google-genai 3.4; not every model takes every one, and the provider says so itself.
_LEVELS: Mapping[str, str] = {
    "minimal": "minimal",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
}
# What stands for the words that are no level. Every model that takes levels takes `low` and `high`; Pro models and
# 3.7 Flash refuse `minimal` (ai.google.dev/gemini-api/docs/thinking, read 2026-11-29).
_NEAREST_LEVEL: Mapping[str, str] = {"none": "low", "max": "high"}
# Tokens for a level, for the models before: low, medium and high are 1K, 8K and 24K on Google's own OpenAI-compatible
# endpoint (its announcement of April 2025), and 24576 is also the most that Flash takes. The rest is our reading.
_BUDGETS: Mapping[str, int] = {
    "none": 0,
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 24576,
    "max": 24576,
}
# Budget and level in one request are refused by the provider.
_HOW_MUCH = frozenset({"thinkingbudget", "thinkinglevel"})
_THINKING = "thinkingConfig"
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MODES: Mapping[str, str] = {"auto": "AUTO", "none": "NONE", "required": "ANY", "named": "ANY"}


def takes_levels(facts: Facts, model: str) -> bool:
    """Return whether a model is told how hard to think, as all since the third generation are."""
    return not any(fnmatchcase(model, pattern) for pattern in facts.parameters.reasoning_budget_models)


def generation_config(
    facts: Facts, request: ChatInput, extension: Mapping[str, msgspec.Raw], *, model: str, policy: Policy
) -> Json:
    """Write `generationConfig`.

    Args:
        extension: fields of it that the client named itself, in Gemini's names.

    Raises:
        UnsupportedParameter: the provider cannot do what is asked, and the policy refuses.
    """
    sampling = request.sampling
    table = sampling_table(sampling)
    table.pop("reasoning_effort", None)
    if sampling.max_tokens is not None:
        table[facts.parameters.max_tokens] = sampling.max_tokens
    config = adapted(facts, table, unsupported=facts.parameters.unsupported, policy=policy)
    # OpenAI's `logprobs` is Gemini's `responseLogprobs`, and OpenAI's `top_logprobs` is Gemini's `logprobs`.
    if config.pop("logprobs", False):
        config["responseLogprobs"] = True
    if (count := config.pop("top_logprobs", None)) is not None:
        config["logprobs"] = count
    seed = sampling.seed
    if seed is not None and not -_INT32 <= seed <= _INT32:
        config["seed"] = seed & _INT32
        policy.out_of_range(facts, "seed", limit="32 bits", used=config["seed"])
    if request.response_format is not None:
        warn_of_binding(request.response_format, policy)
        config.update(_form(request.response_format))
    thinking = _thinking(facts, sampling, model=model, policy=policy)
    if thinking and (own := extension.get(_THINKING)) is not None:
        return {**config, **extension, _THINKING: _with_own_words(thinking, own)}
    if thinking:
        config[_THINKING] = thinking
    return {**config, **extension}


def tool_config(facts: Facts, choice: ToolChoice, *, is_strict: bool, policy: Policy) -> Json:
    """Write `toolConfig`.

    Args:
        is_strict: a tool's arguments must fit its schema. There is no word for one tool alone, so that all must.
    """
    if choice.parallel is not None:
        adapted(
            facts,
            {"parallel_tool_calls": choice.parallel},
            unsupported=facts.parameters.unsupported,
            policy=policy,
        )
    allowed = [choice.name] if choice.mode == "named" else list(choice.allowed)
    config: Json = {"mode": _MODES[choice.mode]}
    if choice.mode == "auto" and (allowed or is_strict):
        # AUTO takes no list of names and promises nothing of arguments; VALIDATED is "text, or a call of one of these
        # that fits". ANY promises it too (ai.google.dev/gemini-api/docs/function-calling, modes; read 2026-11-28).
        config["mode"] = "VALIDATED"
    if allowed and choice.mode != "none":
        config["allowedFunctionNames"] = allowed
    return {"functionCallingConfig": config}


def _form(form: ResponseFormat) -> Json:
    if form.kind == "text":
        return {}
    config: Json = {"responseMimeType": "application/json"}
    if form.kind == "json_schema" and form.schema:
        # responseSchema is a subset of OpenAPI; this one takes JSON Schema (google-genai 3.4, GenerationConfig).
        config["responseJsonSchema"] = msgspec.Raw(form.schema)
    return config


def _with_own_words(thinking: Json, own: msgspec.Raw) -> Json | msgspec.Raw:
    """Return what is said of thinking in both words; of two words for one thing the client's own is meant."""
    try:
        said = _OBJECT.decode(own)
    except msgspec.DecodeError:
        return own
    # Google's JSON takes both ways of writing a name
    names = {name.replace("_", "").lower() for name in said}
    if not names.isdisjoint(_HOW_MUCH):
        names |= _HOW_MUCH
    return {**{name: value for name, value in thinking.items() if name.lower() not in names}, **said}


def _thinking(facts: Facts, sampling: Sampling, *, model: str, policy: Policy) -> Json:
    config: Json = {}
    effort = sampling.reasoning_effort
    if sampling.reasoning_budget == 0 and takes_levels(facts, model):
        level = config["thinkingLevel"] = _NEAREST_LEVEL["none"]
        policy.out_of_range(facts, "reasoning_budget", limit="at least 1", used=f"level {level}")
    elif sampling.reasoning_budget is not None:
        # Of budget and level the number says more. Gemini 3 still takes it (recordings, gemini-3-pro-preview with
        # 6400); a later model that does not answers for itself.
        budget, least = sampling.reasoning_budget, facts.parameters.always_thinks
        if 0 <= budget < least:
            policy.out_of_range(facts, "reasoning_budget", limit=f"at least {least}", used=least)
            budget = least
        config["thinkingBudget"] = budget
    elif effort and takes_levels(facts, model):
        config["thinkingLevel"] = _level(facts, effort, policy=policy)
    elif effort:
        config["thinkingBudget"] = _budget(facts, effort, policy=policy)
    if sampling.shows_reasoning is not None:
        config["includeThoughts"] = sampling.shows_reasoning
    return config


def _level(facts: Facts, effort: str, *, policy: Policy) -> str:
    if effort in _LEVELS:
        return _LEVELS[effort]
    level = _NEAREST_LEVEL.get(effort, "medium")
    policy.out_of_range(facts, "reasoning_effort", limit=", ".join(_LEVELS), used=level)
    return level


def _budget(facts: Facts, effort: str, *, policy: Policy) -> int:
    least = facts.parameters.always_thinks
    taken = [word for word, budget in _BUDGETS.items() if budget >= least]
    if effort in taken:
        return _BUDGETS[effort]
    used = max(_BUDGETS.get(effort, _BUDGETS["medium"]), least)
    policy.out_of_range(facts, "reasoning_effort", limit=", ".join(taken), used=used)
    return used
