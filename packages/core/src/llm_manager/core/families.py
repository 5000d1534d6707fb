"""What some models of a provider cannot do that its others can, and how much they take; part of the facts."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from llm_manager.core.fact_tables import FactTable, fits

Capability = Literal[
    "streaming", "tools", "parallel_tools", "json_object", "json_schema", "images", "audio", "documents", "reasoning",
    "logprobs", "several_choices", "seed", "embedding_dimensions", "citations",
]  # fmt: skip

# What asks for a capability by a parameter alone, in OpenAI's names, each with the value that asks for nothing.
_ASKED_BY: Mapping[Capability, Mapping[str, bool | int | float | str | None]] = {
    "parallel_tools": {"parallel_tool_calls": False},
    "reasoning": {"reasoning_effort": "none"},
    "logprobs": {"logprobs": False, "top_logprobs": 0},
    "several_choices": {"n": 1},
    "seed": {"seed": None},
}


class Family(FactTable, frozen=True, kw_only=True):
    """Models that differ from the rest of their kind in the same way. What a family does not say is not known.

    Args:
        models: patterns (`*` stands for anything) of their names.
        lacks: of the capabilities of the kind, those that these models do not have.
        unsupported: names of parameters that only these models refuse.
        context_window: tokens of prompt and answer together, in the widest form that the provider sells.
        max_output_tokens: tokens of one answer.
        always_thinks: tokens that they think at least, because they cannot be told not to; 0 where they can.
    """

    models: tuple[str, ...]
    lacks: tuple[Capability, ...] = ()
    unsupported: tuple[str, ...] = ()
    context_window: int | None = None
    max_output_tokens: int | None = None
    always_thinks: int = 0

    @property
    def refused(self) -> tuple[str, ...]:
        """Parameters that these models do not take: those of `unsupported`, and those of what they lack."""
        return (*self.unsupported, *(name for lacked in self.lacks for name in _ASKED_BY.get(lacked, ())))

    @property
    def harmless(self) -> Mapping[str, bool | int | float | str]:
        """Values of them that ask for nothing."""
        asked = {name: value for lacked in self.lacks for name, value in _ASKED_BY.get(lacked, {}).items()}
        return MappingProxyType({name: value for name, value in asked.items() if value is not None})


def family_of(model: str, families: tuple[Family, ...]) -> Family | None:
    """Return the first family that a model belongs to, None where it is like the rest or not known."""
    return next((family for family in families if fits(model, family.models)), None)
