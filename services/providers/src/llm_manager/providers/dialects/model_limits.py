"""Keeps a chat within what its model takes, where that is less than what the provider's other models take."""

from __future__ import annotations

from typing import Any

import msgspec

from llm_manager.core.facts import Facts
from llm_manager.core.messages import ChatInput
from llm_manager.providers.dialects.policy import Policy

_EFFORT = "reasoning_effort"


def within(facts: Facts, chat: ChatInput, policy: Policy) -> ChatInput:
    """Return the chat as its model takes it.

    What a dialect writes under a name that `unsupported` of the facts holds, it meets itself. Thoughts have many names
    and are met here.

    Raises:
        UnsupportedParameter: more is asked for, and the policy refuses.
    """
    asked, limits = chat.sampling, facts.parameters
    changes: dict[str, Any] = {}
    if limits.most_tokens and (asked.max_tokens or 0) > limits.most_tokens:
        policy.out_of_range(facts, "max_tokens", limit=f"at most {limits.most_tokens}", used=limits.most_tokens)
        changes["max_tokens"] = limits.most_tokens
    if _EFFORT in limits.unsupported and (asked.reasoning_effort or asked.reasoning_budget is not None):
        budget = asked.reasoning_budget
        is_wanted = budget > 0 if budget is not None else asked.reasoning_effort != "none"
        if is_wanted:
            name = _EFFORT if asked.reasoning_effort else "reasoning_budget"
            policy.unsupported(facts, name, hint="this model does not think; remove it or choose one that does")
        changes |= {_EFFORT: "", "reasoning_budget": None}
    if not changes:
        return chat
    return msgspec.structs.replace(chat, sampling=msgspec.structs.replace(asked, **changes))
