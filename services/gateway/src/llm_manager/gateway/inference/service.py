"""The use case of every ingress: what a provider can do, and the call to it."""

from __future__ import annotations

import time
from collections.abc import Callable

from llm_manager.core.errors import InvalidRequest
from llm_manager.core.facts import Capability, Facts
from llm_manager.core.messages import ChatInput
from llm_manager.gateway.inference.client import WorkerClient
from llm_manager.gateway.inference.events import InferenceEvents, LostAttempts
from llm_manager.gateway.inference.profile import check_capabilities, check_size, may_lack
from llm_manager.gateway.inference.rules import Call, NativeBody, Operation, Target
from llm_manager.gateway.inference.run import Run, Teller


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

    def check_profile(self, call: Call, chat: Callable[[], ChatInput], *, prompt_tokens: Callable[[], int]) -> None:
        """Refuse a chat that its model cannot do or hold, before any provider is asked.

        Args:
            chat: the chat in neutral words; asked only where a limit is known that it might break.
            prompt_tokens: an estimate of the prompt; asked only when a context window is known.

        Raises:
            UnsupportedParameter, InvalidRequest.
        """
        profile, facts = call.target.profile, self._facts(call.target.kind)
        known = profile.capabilities or (frozenset(facts.capabilities) if facts else None)
        if known is not None and self._is_worth_checking(call, known):
            check_capabilities(chat(), known, model=call.requested_model, is_stream=call.is_stream)
        if profile.max_output_tokens is not None or profile.context_window is not None:
            max_tokens = chat().sampling.max_tokens
            check_size(profile, model=call.requested_model, max_tokens=max_tokens, prompt_tokens=prompt_tokens)

    @staticmethod
    def _is_worth_checking(call: Call, capabilities: frozenset[Capability]) -> bool:
        asked = call.input
        if not isinstance(asked, NativeBody) or call.target.profile.capabilities is not None:
            return True
        # OpenAI's dialect is spoken by providers that lack much of it; of the others each is its own dialect's master
        return asked.dialect == "openai_chat" and may_lack(asked.body, capabilities)

    def run(self, call: Call, *, input_characters: Callable[[], int]) -> Run:
        """Return the call as what to enter: entering makes it, leaving early cancels it at the worker.

        Args:
            input_characters: counts the prompt; asked only when an attempt was lost.

        Raises:
            InvalidRequest: the provider has no such operation.
        """
        self.check_operation(call)
        return Run(call, self._client, self._teller, input_characters=input_characters)
