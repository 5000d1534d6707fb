"""The use case of every ingress: what a provider can do, and the call to it."""

from __future__ import annotations

import time
from collections.abc import Callable

from llm_manager.core.errors import InvalidRequest
from llm_manager.core.facts import Facts
from llm_manager.core.families import Capability
from llm_manager.core.messages import ChatInput
from llm_manager.gateway.inference.client import WorkerClient
from llm_manager.gateway.inference.events import InferenceEvents, LostAttempts
from llm_manager.gateway.inference.profile import (
    ModelProfile,
    check_capabilities,
    check_output,
    check_prompt,
    max_tokens_in,
    may_lack,
)
from llm_manager.gateway.inference.rules import Call, NativeBody, Operation, Target
from llm_manager.gateway.inference.run import Run, Teller

_UNKNOWN = ModelProfile()
_MOST_TOLD, _LONGEST_NAME = 1_000, 100


class Inference:
    """The use case of every ingress."""

    def __init__(
        self,
        client: WorkerClient,
        events: InferenceEvents,
        lost: LostAttempts,
        *,
        facts: Callable[[str], Facts | None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._teller = Teller(events, lost, clock)
        self._facts = facts
        self._told: dict[tuple[str, str, str], ModelProfile] = {}

    def speaks(self, target: Target, dialect: str) -> bool:
        """Whether a provider speaks a dialect itself for a model, so that bodies go through unchanged."""
        if target.dialects is not None:
            return dialect in target.dialects
        facts = self._facts(target.kind)
        return facts is not None and facts.speaks(dialect, model=target.upstream_model)

    def accepted_headers(self, target: Target) -> tuple[str, ...]:
        """Return names of headers of clients that a provider gets beside a body in its own dialect."""
        facts = self._facts(target.kind)
        return facts.headers.accept if facts is not None else ()

    def offers(self, kind: str, operation: Operation) -> bool:
        """Whether a provider kind has an operation; a kind that is not known here is asked."""
        facts = self._facts(kind)
        return facts is None or operation in facts.operations

    def check_operation(self, call: Call) -> None:
        """Raise InvalidRequest when the provider has no such operation."""
        if not self.offers(call.target.kind, call.operation):
            title = facts.title if (facts := self._facts(call.target.kind)) else call.target.kind
            raise InvalidRequest(f"{title} has no {call.operation}; choose a model of another provider.", param="model")

    def check_profile(
        self, call: Call, chat: Callable[[], ChatInput], *, size: int, characters: Callable[[], int]
    ) -> None:
        """Refuse a chat that its model cannot do or hold, before any provider is asked.

        Args:
            chat: the chat in neutral words; asked only where a limit is known that it might break.
            size: bytes of the request.
            characters: of the prompt's texts; asked only where it may be longer than the model takes.

        Raises:
            UnsupportedParameter, InvalidRequest, ContextLengthExceeded.
        """
        target, model = call.target, call.requested_model
        profile = self._profile_of(target)
        if profile.capabilities is not None and _is_worth_checking(call, profile.capabilities):
            check_capabilities(chat(), profile.capabilities, model=model, is_stream=call.is_stream)
        if profile.max_output_tokens is not None:
            check_output(profile, model=model, max_tokens=_max_tokens(call, chat))
        check_prompt(profile, model=model, size=size, characters=characters)

    def _profile_of(self, target: Target) -> ModelProfile:
        """Return what is known of a model: what a person said of it, what was found out, what the facts say."""
        key = target.kind, target.base_url, target.upstream_model
        told = self._told.get(key)
        if told is None:
            facts = self._facts(target.kind)
            told = _UNKNOWN if facts is None else ModelProfile.told_by(facts.at(target.base_url), target.upstream_model)
            # clients make names of upstream models up: few are kept, and none that is long
            if len(self._told) >= _MOST_TOLD:
                self._told.clear()
            if len(target.upstream_model) <= _LONGEST_NAME:
                self._told[key] = told
        return told if target.profile == _UNKNOWN else target.profile.over(told)

    def run(self, call: Call, *, input_characters: Callable[[], int]) -> Run:
        """Return the call as what to enter: entering makes it, leaving early cancels it at the worker.

        Args:
            input_characters: counts the prompt; asked only when an attempt was lost.

        Raises:
            InvalidRequest: the provider has no such operation.
        """
        self.check_operation(call)
        return Run(call, self._client, self._teller, input_characters=input_characters)


def _is_worth_checking(call: Call, capabilities: frozenset[Capability]) -> bool:
    asked = call.input
    if not isinstance(asked, NativeBody) or call.target.profile.capabilities is not None:
        return True
    # OpenAI's dialect is spoken by providers that lack much of it; of the others each is its own dialect's master
    return asked.dialect == "openai_chat" and may_lack(asked.body, capabilities)


def _max_tokens(call: Call, chat: Callable[[], ChatInput]) -> int | None:
    """Return how many tokens are asked for, None where that is for somebody else to look at."""
    asked, target = call.input, call.target
    if target.profile.max_output_tokens is None:
        # only the facts know a limit
        if isinstance(asked, NativeBody):
            return max_tokens_in(asked.body) if asked.dialect == "openai_chat" else None
        if target.adapts_parameters:
            # the worker brings it into range
            return None
    return chat().sampling.max_tokens
