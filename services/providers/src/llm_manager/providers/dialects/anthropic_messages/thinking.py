"""Writes how much to think: a number of tokens for some models, an effort for the others, either for a few."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

import msgspec

from llm_manager.core.facts import Facts
from llm_manager.core.messages import Sampling
from llm_manager.providers.dialects.json_values import Json
from llm_manager.providers.dialects.pointers import raw_table
from llm_manager.providers.dialects.policy import Policy

_EFFORTS = ("low", "medium", "high", "xhigh", "max")
# Tokens for an effort, for the models that take none. The provider leaves the numbers to its clients: 1024 is its
# least, and above 32K it advises against waiting for an answer.
_BUDGETS: Mapping[str, int] = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 24576,
    "xhigh": 32000,
    "max": 32000,
}
_OFF: Json = {"type": "disabled"}
_FORCING = ("any", "tool")
_LEAST_TOP_P = 0.95


class Thinking:
    """What a request says about thoughts.

    Args:
        table: `thinking`, empty when nothing is said.
        effort: of `output_config`, empty when none is said.
        max_tokens: thoughts and answer share it, so it makes room for the thoughts where the client gave no number.
    """

    __slots__ = ("effort", "max_tokens", "table")

    def __init__(self, table: Json, *, effort: str = "", max_tokens: int) -> None:
        self.table = table
        self.effort = effort
        self.max_tokens = max_tokens


def thinking_of(facts: Facts, sampling: Sampling, *, model: str, policy: Policy) -> Thinking:
    """Return what to say about thoughts, and the largest number of tokens.

    Raises:
        UnsupportedParameter: the model cannot think as it is asked to, and the policy refuses.
    """
    limits = facts.parameters
    takes_budget = _is_among(model, limits.reasoning_budget_models)
    takes_effort = not takes_budget or _is_among(model, limits.reasoning_effort_models)
    budget, effort = sampling.reasoning_budget, sampling.reasoning_effort
    if budget is not None and budget > 0 and not takes_budget:
        policy.unsupported(facts, "reasoning_budget", hint=f"{model} decides that itself; say reasoning_effort instead")
        budget, effort = None, effort or "medium"
    max_tokens = sampling.max_tokens or limits.default_max_tokens
    # The number says more than the word, where a client says both.
    if budget == 0 or (budget is None and effort == "none"):
        return Thinking(_OFF, max_tokens=max_tokens)
    if budget is not None:
        return _with_budget(facts, sampling, budget, policy=policy)
    if takes_effort:
        said = "" if not effort else _effort(facts, effort, policy)
        if not effort and sampling.shows_reasoning is None:
            return Thinking({}, max_tokens=max_tokens)
        room = 0 if sampling.max_tokens else _BUDGETS[said or "medium"]
        return Thinking(_shown({"type": "adaptive"}, sampling), effort=said, max_tokens=max_tokens + room)
    if not effort:
        # without thoughts there are none to show
        return Thinking({}, max_tokens=max_tokens)
    return _with_effort_in_tokens(facts, sampling, effort, policy=policy)


def unless_forced(facts: Facts, thinking: Thinking, sampling: Sampling, choice: Json, *, policy: Policy) -> Thinking:
    """Return the thoughts that a choice of tools allows: with a number of tokens, none where a call is forced.

    Effort is not concerned (recording anthropic-chat-3d65243baa). A client that forces a call reads nothing else, so a
    policy that adapts lets the thoughts go.

    Raises:
        UnsupportedParameter: both are asked for, and the policy refuses.
    """
    if thinking.table.get("type") != "enabled" or choice.get("type") not in _FORCING:
        return thinking
    name = "reasoning_effort" if sampling.reasoning_budget is None else "reasoning_budget"
    policy.unsupported(facts, name, hint="a forced call leaves no room for thoughts; let tool_choice be 'auto'")
    return Thinking(_OFF, max_tokens=thinking.max_tokens)


def sampled_beside(facts: Facts, thinking: object, written: Json, *, policy: Policy) -> Json:
    """Return how to sample beside thoughts: "Thinking isn't compatible with temperature or top_k modifications", and
    `top_p` may be from 0.95 to 1 (docs.claude.com, extended thinking, feature compatibility; read 2026-11).

    Args:
        thinking: as it is sent, a table or its JSON.

    Raises:
        UnsupportedParameter: anything else is asked for, and the policy refuses.
    """
    if _kind_of(thinking) not in (b'"enabled"', b'"adaptive"'):
        return written
    adapted = dict(written)
    if written.get("temperature", 1) != 1:
        policy.out_of_range(facts, "temperature", limit="1 beside thoughts", used=1)
        adapted["temperature"] = 1
    if written.get("top_p", 1) < _LEAST_TOP_P:
        policy.out_of_range(facts, "top_p", limit=f"at least {_LEAST_TOP_P} beside thoughts", used=_LEAST_TOP_P)
        adapted["top_p"] = _LEAST_TOP_P
    if adapted.pop("top_k", None) is not None:
        policy.unsupported(facts, "top_k", hint="it has no place beside thoughts; remove one of them")
    return adapted


def _kind_of(thinking: object) -> bytes:
    try:
        return bytes(raw_table(msgspec.json.encode(thinking)).get("type", b""))
    except msgspec.DecodeError:
        # an extension that is no table is refused in the provider's own words
        return b""


def _with_budget(facts: Facts, sampling: Sampling, budget: int, *, policy: Policy) -> Thinking:
    least = facts.parameters.least_reasoning_budget
    if budget < least:
        policy.out_of_range(facts, "reasoning_budget", limit=f"at least {least} tokens", used=least)
        budget = least
    if sampling.max_tokens is None:
        return _enabled(sampling, budget, max_tokens=budget + facts.parameters.default_max_tokens)
    if budget >= sampling.max_tokens:
        used = sampling.max_tokens - 1 if sampling.max_tokens > least else 0
        policy.out_of_range(facts, "reasoning_budget", limit="fewer tokens than max_tokens", used=used)
        if not used:
            return Thinking(_OFF, max_tokens=sampling.max_tokens)
        budget = used
    return _enabled(sampling, budget, max_tokens=sampling.max_tokens)


def _with_effort_in_tokens(facts: Facts, sampling: Sampling, effort: str, *, policy: Policy) -> Thinking:
    """An effort is no promise of a number, so it fits itself into the tokens that the client allows."""
    if effort not in _BUDGETS:
        policy.out_of_range(facts, "reasoning_effort", limit=", ".join(_BUDGETS), used="medium")
    budget, least = _BUDGETS.get(effort, _BUDGETS["medium"]), facts.parameters.least_reasoning_budget
    if sampling.max_tokens is None:
        return _enabled(sampling, budget, max_tokens=budget + facts.parameters.default_max_tokens)
    if sampling.max_tokens <= least:
        policy.out_of_range(
            facts, "reasoning_effort", limit=f"'none' where max_tokens is not above {least}", used="none"
        )
        return Thinking(_OFF, max_tokens=sampling.max_tokens)
    budget = max(least, min(budget, sampling.max_tokens // 2))
    return _enabled(sampling, budget, max_tokens=sampling.max_tokens)


def _enabled(sampling: Sampling, budget: int, *, max_tokens: int) -> Thinking:
    return Thinking(_shown({"type": "enabled", "budget_tokens": budget}, sampling), max_tokens=max_tokens)


def _shown(table: Json, sampling: Sampling) -> Json:
    if sampling.shows_reasoning is None:
        return table
    return {**table, "display": "summarized" if sampling.shows_reasoning else "omitted"}


def _effort(facts: Facts, effort: str, policy: Policy) -> str:
    if effort in _EFFORTS:
        return effort
    nearest = "low" if effort == "minimal" else "medium"
    policy.out_of_range(facts, "reasoning_effort", limit=", ".join(_EFFORTS), used=nearest)
    return nearest


def _is_among(model: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(model, pattern) for pattern in patterns)
