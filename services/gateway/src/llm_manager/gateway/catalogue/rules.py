"""Records of the catalogue, the snapshot that serves requests, and what a model's name means; pure."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar, get_args

import msgspec

from llm_manager.core.errors import ModelNotFound
from llm_manager.core.facts import Dialect
from llm_manager.core.families import Capability
from llm_manager.gateway.catalogue.layers import Layers
from llm_manager.gateway.inference.profile import ModelProfile
from llm_manager.gateway.inference.rules import Target

_HINTS, _HINT_CANDIDATES = 3, 2_000
_SHOWN_NAME = 100
_MOST_FOUND = 1_000
# NATS KV keys take only these; a dot separates tokens, so it may stand neither at an end nor twice.
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row as it travels. `revision` grows with every change of the row; the higher one is the newer.

    Args:
        prefix: first token of its keys in the bucket.
        collection: field of `Snapshot` that holds it.
    """

    prefix: ClassVar[str]
    collection: ClassVar[str]
    id: str
    revision: int
    is_enabled: bool = True

    @property
    def handle(self) -> str:
        """By what it is found."""
        return self.id


class NamedRecord(Record, frozen=True, kw_only=True):
    """One that is found by its name, which is unique."""

    name: str

    @property
    def handle(self) -> str:
        """By what it is found."""
        return self.name


class AppRecord(Record, frozen=True, kw_only=True):
    """A client application."""

    prefix: ClassVar[str] = "app"
    collection: ClassVar[str] = "apps"
    name: str


class KeyRecord(Record, frozen=True, kw_only=True):
    """An API key; `hash` is keyed by the platform's pepper."""

    prefix: ClassVar[str] = "key"
    collection: ClassVar[str] = "keys"
    app_id: str
    name: str
    hash: str


class SealedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A credential of a provider.

    Args:
        envelope: sealed; only workers open it.
        fingerprint: what may be shown of it, empty for what an earlier version sealed.
    """

    name: str
    envelope: bytes
    fingerprint: str = ""
    is_enabled: bool = True


class ProviderProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What was found out about a server whose kind leaves it open.

    Args:
        base_url: where it was asked; at another address the profile says nothing.
        dialects: that it speaks.
        capabilities: by upstream model, for those that were asked.
    """

    base_url: str
    dialects: tuple[Dialect, ...]
    capabilities: dict[str, tuple[Capability, ...]]
    probed_at: datetime


class ProviderRecord(NamedRecord, frozen=True, kw_only=True):
    """An upstream.

    Args:
        credentials: those in use, sealed; empty when it needs none.
        headers: a sealed JSON object, empty where there are none.
        paths: by operation, where they differ from the kind's.
        timeouts: milliseconds by the name of the limit, where they differ from the kind's.
        is_trusted: whoever runs the platform gave the base URL, so that it may lead to a private address.
    """

    prefix: ClassVar[str] = "provider"
    collection: ClassVar[str] = "providers"
    kind: str
    base_url: str = ""
    credentials: tuple[bytes, ...] = ()
    headers: bytes = b""
    paths: dict[str, str] = {}
    timeouts: dict[str, int] = {}
    is_trusted: bool = False
    profile: ProviderProfile | None = None

    @property
    def known_profile(self) -> ProviderProfile | None:
        """The profile, unless it is that of another address."""
        return self.profile if self.profile is not None and self.profile.base_url == self.base_url else None


class ConfigurationRecord(NamedRecord, frozen=True, kw_only=True):
    """A named model ready to use; `created` in Unix seconds.

    Args:
        adapts_parameters: what the provider does not take is left out or brought into range, with a warning, instead
            of refused.
        capabilities, context_window, max_output_tokens: see `inference.profile.ModelProfile`.
    """

    prefix: ClassVar[str] = "configuration"
    collection: ClassVar[str] = "configurations"
    provider: str
    upstream_model: str
    created: int = 0
    tags: dict[str, str] = {}
    adapts_parameters: bool = False
    capabilities: tuple[Capability, ...] | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None


class AliasRecord(NamedRecord, frozen=True, kw_only=True):
    """Another name of a configuration; `created` in Unix seconds."""

    prefix: ClassVar[str] = "alias"
    collection: ClassVar[str] = "aliases"
    configuration: str
    created: int = 0


AnyRecord = AppRecord | KeyRecord | ProviderRecord | ConfigurationRecord | AliasRecord
_BY_PREFIX: Mapping[str, type[AnyRecord]] = {record.prefix: record for record in get_args(AnyRecord)}


def kv_key(record: AnyRecord) -> str:
    """Return the key of a record in the bucket."""
    return kv_key_of(type(record), record.handle)


def kv_key_of(record: type[AnyRecord], handle: str) -> str:
    """Return the key of the record with a handle; characters that NATS refuses become =XX of their UTF-8."""
    return f"{record.prefix}.{handle if _PLAIN.fullmatch(handle) else _escaped(handle)}"


def kind_of(key: str) -> type[AnyRecord] | None:
    """Return which record a key of the bucket holds; None when it belongs to somebody else."""
    return _BY_PREFIX.get(key.partition(".")[0])


def _escaped(name: str) -> str:
    last = len(name) - 1
    return "".join(
        character
        if _PLAIN.match(character) or (character == "." and 0 < i < last and name[i - 1] != ".")
        else "".join(f"={byte:02X}" for byte in character.encode())
        for i, character in enumerate(name)
    )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The catalogue at one moment, which never changes; `changed` makes the next one. Only what is enabled is in it.

    Args:
        is_complete: False until a store has been read, so that an unknown key proves nothing yet.
    """

    apps: Layers[AppRecord] = field(default_factory=Layers[AppRecord])
    keys: Layers[KeyRecord] = field(default_factory=Layers[KeyRecord])
    providers: Layers[ProviderRecord] = field(default_factory=Layers[ProviderRecord])
    configurations: Layers[ConfigurationRecord] = field(default_factory=Layers[ConfigurationRecord])
    aliases: Layers[AliasRecord] = field(default_factory=Layers[AliasRecord])
    is_complete: bool = False
    # targets that were asked for, by the model's name; made anew with every snapshot
    _found: dict[str, Target] = field(default_factory=dict[str, Target], init=False, repr=False, compare=False)

    @staticmethod
    def of(records: Iterable[AnyRecord], *, is_complete: bool) -> Snapshot:
        """Build a snapshot from every record."""
        snapshot = Snapshot(is_complete=is_complete)
        for record in records:
            snapshot = snapshot.changed(record)
        return snapshot

    def changed(self, record: AnyRecord) -> Snapshot:
        """Return the snapshot after one record came or changed; one that is disabled is taken out."""
        return self._with(record, record if record.is_enabled else None)

    def without(self, record: AnyRecord) -> Snapshot:
        """Return the snapshot after one record went."""
        return self._with(record, None)

    def _with(self, record: AnyRecord, value: AnyRecord | None) -> Snapshot:
        collection: Layers[AnyRecord] = getattr(self, record.collection)
        if value is None and record.handle not in collection:
            return self
        return replace(self, **{record.collection: collection.changed(record.handle, value)})

    def resolve(self, model: str) -> Target:
        """Return where a model's name leads: a configuration, an alias, or `<provider>/<upstream model>`.

        Raises:
            ModelNotFound: none of them; the message offers the nearest names.
        """
        found = self._found.get(model)
        if found is None:
            found = self._resolve(model)
            # clients make names of upstream models up: few are kept, and none that is long
            if len(self._found) >= _MOST_FOUND:
                self._found.clear()
            if len(model) <= _SHOWN_NAME:
                self._found[model] = found
        return found

    def _resolve(self, model: str) -> Target:
        alias = self.aliases.get(model)
        configuration = self.configurations.get(model) or (alias and self.configurations.get(alias.configuration))
        if configuration is not None:
            provider = self.providers.get(configuration.provider)
            if provider is not None:
                return _configured(provider, configuration)
        name, separator, upstream_model = model.partition("/")
        provider = self.providers.get(name)
        if provider is not None and separator and upstream_model:
            return target_of(provider, upstream_model)
        raise self.not_found(model)

    def not_found(self, model: str) -> ModelNotFound:
        """Make the error for a name that leads nowhere."""
        # bounded, because comparing with every name of a large catalogue would cost more than the request
        names = itertools.islice(itertools.chain(self.configurations, self.aliases), _HINT_CANDIDATES)
        shown = model[:_SHOWN_NAME]
        near = difflib.get_close_matches(shown, list(names), n=_HINTS)
        hint = f"Did you mean {' or '.join(near)}?" if near else "GET /v1/models lists what there is."
        return ModelNotFound(f"The model {shown!r} does not exist or your app may not use it. {hint}", param="model")


def target_of(provider: ProviderRecord, upstream_model: str) -> Target:
    """Return where a call to a model of a provider goes, without a configuration."""
    known = provider.known_profile
    probed = known.capabilities.get(upstream_model) if known is not None else None
    return Target(
        provider=provider.name,
        kind=provider.kind,
        upstream_model=upstream_model,
        base_url=provider.base_url,
        credentials=provider.credentials,
        headers=provider.headers,
        paths=provider.paths,
        timeouts=provider.timeouts,
        is_trusted=provider.is_trusted,
        dialects=known.dialects if known is not None else None,
        profile=ModelProfile(capabilities=None if probed is None else frozenset(probed)),
    )


def _configured(provider: ProviderRecord, configuration: ConfigurationRecord) -> Target:
    target = target_of(provider, configuration.upstream_model)
    # what a person says about a model counts more than what was found out
    abilities = target.profile.capabilities
    if configuration.capabilities is not None:
        abilities = frozenset(configuration.capabilities)
    return msgspec.structs.replace(
        target,
        configuration=configuration.name,
        tags=configuration.tags,
        adapts_parameters=configuration.adapts_parameters,
        profile=ModelProfile(
            capabilities=abilities,
            context_window=configuration.context_window,
            max_output_tokens=configuration.max_output_tokens,
        ),
    )
