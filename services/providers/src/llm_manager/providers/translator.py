"""Chooses which of a kind's dialects writes a request and reads its answer, by the facts that hold for its model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import quote

import structlog
from msgspec.structs import replace

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.core.facts import Dialect as DialectName
from llm_manager.core.facts import Facts, Paths
from llm_manager.core.families import Family
from llm_manager.core.messages import ChatInput, CountTokensInput, EmbeddingsInput, RerankInput
from llm_manager.providers.dialects.model_limits import within
from llm_manager.providers.dialects.policy import Policy
from llm_manager.providers.dialects.port import (
    AnswerReader,
    CountsTokens,
    Dialect,
    Embeds,
    ListsModels,
    NativeChats,
    NativeCountsTokens,
    NativeEmbeds,
    NativeReranks,
    Reranks,
    UpstreamCall,
)
from llm_manager.providers.dialects.registry import dialects_of
from llm_manager.providers.job import Job, NativeBody, Target

T = TypeVar("T")
Translated = tuple[UpstreamCall, AnswerReader]
_RESPONSES: DialectName = "openai_responses"
_Replaced = tuple[tuple[str, str], ...]
_MOST_KNOWN, _LONGEST_NAME, _LONGEST_PATHS = 1_000, 100, 2_000
_SAME_AS = {"chat_stream": "chat", "embeddings_batch": "embeddings"}

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def _those(ability: type[T], dialects: Mapping[DialectName, object]) -> dict[str, T]:
    return {name: dialect for name, dialect in dialects.items() if isinstance(dialect, ability)}


class Translator:
    """The dialects of one kind. Holds no state between requests."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._dialects = dialects_of(facts)
        # asked once: to look at all methods of a protocol takes 10 us
        self._chats = _those(Dialect, self._dialects)
        self._native_chats = _those(NativeChats, self._dialects)
        self._native_embeds = _those(NativeEmbeds, self._dialects)

    def translated(self, job: Job, policy: Policy) -> Translated:
        """Return the request to send and what reads its answer.

        Raises:
            UnsupportedParameter, InvalidRequest: it cannot be written.
        """
        model = job.target.upstream_model
        match job.input:
            case NativeBody():
                return self._native(job, job.input, policy)
            case ChatInput() as chat:
                dialect = self._for_chat(model)
                call = dialect.chat(
                    within(self._facts, chat, policy), model=model, is_stream=job.is_stream, policy=policy
                )
                return call, dialect.chat_reader(is_stream=job.is_stream)
            case EmbeddingsInput() as embeddings:
                embedder = self._able(Embeds, "embeddings")
                return embedder.embeddings(embeddings, model=model, policy=policy), embedder.embeddings_reader()
            case RerankInput() as rerank:
                reranker = self._able(Reranks, "rerank")
                return reranker.rerank(rerank, model=model, policy=policy), reranker.rerank_reader()
            case CountTokensInput(chat=chat):
                counter = self._able(CountsTokens, "count_tokens")
                return counter.count_tokens(chat, model=model, policy=policy), counter.count_tokens_reader()
            case None:
                lister = self._able(ListsModels, "models")
                return lister.models(), lister.models_reader()

    def _native(self, job: Job, native: NativeBody, policy: Policy) -> Translated:
        name, model, body = native.dialect, job.target.upstream_model, native.body
        dialect: object = next((d for known, d in self._dialects.items() if known == name), None)
        match job.operation:
            case "chat" if (chats := self._native_chats.get(name)) is not None:
                call = chats.native_chat(body, model=model, is_stream=job.is_stream, policy=policy)
                return call, chats.native_chat_reader(is_stream=job.is_stream)
            case "embeddings" if (embeds := self._native_embeds.get(name)) is not None:
                call = embeds.native_embeddings(body, model=model, policy=policy)
                return call, embeds.native_embeddings_reader(body)
            case "rerank" if isinstance(dialect, NativeReranks):
                return dialect.native_rerank(body, model=model, policy=policy), dialect.native_rerank_reader()
            case "count_tokens" if isinstance(dialect, NativeCountsTokens):
                return (
                    dialect.native_count_tokens(body, model=model, policy=policy),
                    dialect.native_count_tokens_reader(),
                )
            case _:
                spoken = ", ".join(self._dialects)
                raise InvalidRequest(
                    f"{self._facts.title} does not take {job.operation} in {native.dialect[:50]!r}; it speaks {spoken}."
                )

    def _for_chat(self, model: str) -> Dialect:
        dialect = self._chats.get(_RESPONSES if self._facts.needs_responses(model) else self._facts.dialect)
        if dialect is None:
            raise UnsupportedParameter(f"{self._facts.title} does not offer chat.", param="model")
        return dialect

    def _able(self, ability: type[T], operation: str) -> T:
        """Return the first dialect, the main one first, that can do something."""
        for dialect in self._dialects.values():
            if isinstance(dialect, ability):
                return dialect
        raise UnsupportedParameter(f"{self._facts.title} does not offer {operation}.", param="model")


class Translators:
    """The translators of some kinds: one for each kind, at its own address or elsewhere, and for each model family.

    Targets with paths of their own get translators of their own.
    """

    def __init__(self, facts: Mapping[str, Facts]) -> None:
        self._facts = facts
        self._made: dict[tuple[str, bool, Family | None, Paths], Translator] = {}
        # by kind, address, model and paths, so that no pattern is matched twice; clients make models up: few are kept
        self._known: dict[tuple[str, str, str, _Replaced], Translator] = {}

    def of(self, target: Target) -> Translator:
        """Return what translates for a target, whose kind is among those served."""
        replaced = tuple(sorted(target.paths.items())) if target.paths else ()
        key = target.kind, target.base_url, target.upstream_model, replaced
        found = self._known.get(key)
        if found is None:
            found = self._find(target)
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            if len(target.upstream_model) <= _LONGEST_NAME and _are_short(target.paths):
                self._known[key] = found
        return found

    def _find(self, target: Target) -> Translator:
        facts = self._facts[target.kind]
        is_home, here = facts.is_at_home(target.base_url), facts.at(target.base_url)
        family = here.family_of(target.upstream_model)
        paths = _paths(here, target) if target.paths else here.paths
        key = target.kind, is_home, family, paths
        made = self._made.get(key)
        if made is None:
            here = here if family is None else here.narrowed(family)
            made = Translator(here if paths == here.paths else replace(here, paths=paths))
            if len(self._made) >= _MOST_KNOWN:
                self._made.clear()
            if _are_short(target.paths):
                self._made[key] = made
        return made


def _are_short(paths: Mapping[str, str]) -> bool:
    return sum(len(name) + len(path) for name, path in paths.items()) <= _LONGEST_PATHS


def with_model(path: str, target: Target) -> str:
    """Put the model into a path of the target's own; dialects whose facts have no `{model}` leave it there."""
    return path.replace("{model}", quote(target.upstream_model, safe=""))


def _paths(facts: Facts, target: Target) -> Paths:
    """Return the facts' paths with the target's in their places.

    A name that is not known may be one of a newer gateway, and what it is for is not asked of this worker.
    """
    own = facts.paths
    if facts.transport != "http":
        return own  # nobody there reads a path but our demo, and it knows its own only
    unknown = sorted(name[:_LONGEST_NAME] for name in target.paths if name not in Paths.__struct_fields__)
    if unknown:
        log.warning("paths_unknown", kind=facts.kind, provider=target.provider, names=unknown[:10])
    # the slash keeps `@elsewhere` or `.elsewhere` from becoming a part of the host
    given = {
        name: path if path.startswith("/") else f"/{path}"
        for name, path in target.paths.items()
        if path and name in Paths.__struct_fields__
    }
    for name, other in _SAME_AS.items():
        # who moves a path moves what the kind asks at the same one, unless that has a place of its own
        if other in given and getattr(own, name) == getattr(own, other):
            given.setdefault(name, given[other])
    return replace(own, **given)
