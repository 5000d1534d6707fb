"""The words of a call. Each `with_…` returns a new object and changes nothing, so that any of them can be shared and
branched: what was said is kept as text, which nobody can change behind its back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from .wire import Outgoing, json_bytes

# What other words say.
_NOT_PARAMETERS: Mapping[str, str] = {
    "model": "with_model",
    "messages": "with_messages",
    "input": "embed",
    "stream": "stream",
    "stream_options": "stream",
    "user": "with_user",
}
# The name of the configuration that is the default of an app, else of all.
DEFAULT_MODEL = "default"
AskingT = TypeVar("AskingT", bound="Asking")


@dataclass(frozen=True, slots=True)
class Asking:
    """What every call of a model can say. Immutable."""

    model: str = DEFAULT_MODEL
    # names, and values as JSON
    parameters: tuple[tuple[str, str], ...] = ()
    context: str = ""
    user: str = ""
    idempotency_key: str = ""
    seconds: float | None = None

    def with_model(self: AskingT, model: str) -> AskingT:
        """Ask this configuration, alias, or `<provider>/<model>`; `default` unless said."""
        return replace(self, model=model)

    def with_parameters(self: AskingT, **parameters: Any) -> AskingT:
        """Set parameters by OpenAI's names (temperature, max_tokens, tools, dimensions …), beside those said before.

        They count before those of the configuration and of overrides. None takes one back.

        Raises:
            ValueError: another word says it.
            TypeError: a value is no JSON.
        """
        said = dict(self.parameters)
        for name, value in parameters.items():
            if word := _NOT_PARAMETERS.get(name):
                raise ValueError(f"{name} is no parameter here; use {word}.")
            if value is None:
                said.pop(name, None)
            else:
                said[name] = json_bytes(value).decode()
        return replace(self, parameters=tuple(said.items()))

    def with_context(self: AskingT, context: str) -> AskingT:
        """Say what the call is about; overrides of this context then hold for it."""
        # a line end would be another header
        if not context.isascii() or not context.isprintable():
            raise ValueError("A context is printable ASCII, because it travels in a header.")
        return replace(self, context=context)

    def with_user(self: AskingT, user: str) -> AskingT:
        """Name the end user for whom this is; kept in the ledger."""
        return replace(self, user=user)

    def with_idempotency_key(self: AskingT, key: str) -> AskingT:
        """Let this client send the call again when nobody could take it (429, 503, no connection).

        Providers that know such keys get it, so that one call is not made twice there.
        """
        if not key or not key.isascii() or not key.isprintable():
            raise ValueError("An idempotency key is printable ASCII and not empty.")
        return replace(self, idempotency_key=key)

    def with_timeout(self: AskingT, seconds: float) -> AskingT:
        """Give up after so many seconds, instead of those of the client."""
        return replace(self, seconds=seconds)

    def outgoing(self, path: str, said: Mapping[str, Any], *, headers: Mapping[str, str] | None = None) -> Outgoing:
        """Write the request; every one is made anew from texts."""
        body: dict[str, Any] = {"model": self.model, **said}
        body |= {name: json.loads(value) for name, value in self.parameters}
        if self.user:
            body["user"] = self.user
        ours = dict(headers or {})
        if self.context:
            ours["x-llm-manager-context"] = self.context
        if self.idempotency_key:
            ours["idempotency-key"] = self.idempotency_key
        return Outgoing("POST", path, content=json_bytes(body), headers=ours, seconds=self.seconds)


@dataclass(frozen=True, slots=True)
class ChatAsking(Asking):
    """What a chat can say. Immutable."""

    system: str = ""
    # each as JSON
    messages: tuple[str, ...] = ()

    def with_system(self: ChatAskingT, text: str) -> ChatAskingT:
        """Say how to answer; it stands before all messages, in the place of what was said so before."""
        return replace(self, system=text)

    def with_messages(self: ChatAskingT, *messages: str | Mapping[str, Any]) -> ChatAskingT:
        """Add messages behind those that are there: texts of the user's, or messages in OpenAI's form.

        Raises:
            TypeError: one is no JSON.
        """
        return replace(self, messages=(*self.messages, *map(_message, messages)))

    def request(self, *, is_stream: bool) -> Outgoing:
        """Write the request."""
        messages = [json.loads(message) for message in self.messages]
        if self.system:
            messages.insert(0, {"role": "system", "content": self.system})
        said: dict[str, Any] = {"messages": messages}
        if not is_stream:
            return self.outgoing("/v1/chat/completions", said)
        said |= {"stream": True, "stream_options": {"include_usage": True}}
        return self.outgoing("/v1/chat/completions", said, headers={"accept": "text/event-stream"})


ChatAskingT = TypeVar("ChatAskingT", bound=ChatAsking)


@dataclass(frozen=True, slots=True)
class EmbedAsking(Asking):
    """What a call for vectors can say. Immutable."""

    texts: tuple[str, ...] = ()

    def request(self) -> Outgoing:
        """Write the request."""
        return self.outgoing("/v1/embeddings", {"input": list(self.texts)})


def texts_of(texts: str | Sequence[str]) -> tuple[str, ...]:
    """Return one text or several as several."""
    return (texts,) if isinstance(texts, str) else tuple(texts)


def _message(message: str | Mapping[str, Any]) -> str:
    said = {"role": "user", "content": message} if isinstance(message, str) else dict(message)
    return json_bytes(said).decode()
