"""Records of the catalogue, the snapshot that serves requests, and what a model's name means; pure."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar, get_args

import msgspec

from llm_manager.core.errors import ConfigurationInactive, ModelNotFound, PermissionRefused
from llm_manager.core.facts import Dialect
from llm_manager.core.families import Capability
from llm_manager.gateway.catalogue.layers import Layers
from llm_manager.gateway.inference.profile import ModelProfile
from llm_manager.gateway.inference.rules import Caller, Target

# The model of who asks for none.
DEFAULT = "default"
_HINTS, _HINT_CANDIDATES = 3, 2_000
_SHOWN_NAME = 100
_MOST_FOUND = 4_000
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
    """A client application.

    Args:
        allowed_models: see `is_allowed`.
    """

    prefix: ClassVar[str] = "app"
    collection: ClassVar[str] = "apps"
    name: str
    allowed_models: tuple[str, ...] | None = None


class KeyRecord(Record, frozen=True, kw_only=True):
    """An API key; `hash` is keyed by the platform's pepper.

    Args:
        scopes: what it may do: `inference`, or permissions by their names.
        expires_at: from then on it opens nothing; None for never.
        allowed_addresses: networks that it may come from, None for anywhere.
        allowed_models: names or patterns, None for what its app may use.
    """

    prefix: ClassVar[str] = "key"
    collection: ClassVar[str] = "keys"
    app_id: str
    name: str
    hash: str
    scopes: tuple[str, ...] = ("inference",)
    expires_at: datetime | None = None
    allowed_addresses: tuple[str, ...] | None = None
    allowed_models: tuple[str, ...] | None = None


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
        app_id: of the one app that may use it; empty for all.
        is_active: False while it is switched off: requests are told so.
        is_default: it is what the model `default` means, to its app or to all.
        adapts_parameters: what the provider does not take is left out or brought into range, with a warning, instead
            of refused.
        capabilities, context_window, max_output_tokens: see `inference.profile.ModelProfile`.
    """

    prefix: ClassVar[str] = "configuration"
    collection: ClassVar[str] = "configurations"
    provider: str
    upstream_model: str
    app_id: str = ""
    is_active: bool = True
    is_default: bool = False
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


def is_allowed(patterns: Sequence[str] | None, names: Sequence[str]) -> bool:
    """Return whether one of the names is among those allowed; None allows all. `*` ends a pattern that begins names."""
    if patterns is None:
        return True
    return any(
        name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
        for pattern in patterns
        for name in names
    )


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
    # targets that were asked for, by who asks and the model's name; made anew with every snapshot
    _found: dict[tuple[str, str, str], Target] = field(
        default_factory=dict[tuple[str, str, str], Target], init=False, repr=False, compare=False
    )

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

    def resolve(self, model: str, caller: Caller) -> Target:
        """Return where a model's name leads: a configuration, an alias, `default`, or `<provider>/<upstream model>`.

        Raises:
            ModelNotFound: none of them; the message offers the nearest names.
            ConfigurationInactive: it is switched off.
            PermissionRefused: it is another app's, or not among those that app and key may ask for.
        """
        key = self.keys.get(caller.api_key_id)
        is_narrowed = key is not None and key.allowed_models is not None
        asked = caller.app_id, caller.api_key_id if is_narrowed else "", model
        found = self._found.get(asked)
        if found is None:
            found = self._resolve(model, caller)
            # clients make names of upstream models up: few are kept, and none that is long
            if len(self._found) >= _MOST_FOUND:
                self._found.clear()
            if len(model) <= _SHOWN_NAME:
                self._found[asked] = found
        return found

    def _resolve(self, model: str, caller: Caller) -> Target:
        configuration = self._configuration(model, caller)
        if configuration is not None and (provider := self.providers.get(configuration.provider)) is not None:
            self._check(model, configuration, caller)
            return _configured(provider, configuration)
        name, separator, upstream_model = model.partition("/")
        provider = self.providers.get(name)
        if provider is not None and separator and upstream_model:
            if not self.is_open(caller, model):
                raise self._refused(model, caller)
            return target_of(provider, upstream_model)
        raise self.not_found(model)

    def _configuration(self, model: str, caller: Caller) -> ConfigurationRecord | None:
        if (configuration := self.configurations.get(model)) is not None:
            return configuration
        if model == DEFAULT and (chosen := self.default_of(caller.app_id)) is not None:
            return chosen
        alias = self.aliases.get(model)
        return self.configurations.get(alias.configuration) if alias is not None else None

    def default_of(self, app_id: str) -> ConfigurationRecord | None:
        """Return the configuration that an app's `default` means: its own, else that of all."""
        chosen = [one for one in self.configurations.values() if one.is_default and one.app_id in (app_id, "")]
        return max(chosen, key=lambda one: one.app_id, default=None)

    def _check(self, model: str, configuration: ConfigurationRecord, caller: Caller) -> None:
        if not (self.is_owned(configuration, caller) and self.is_open(caller, model, configuration.name)):
            raise self._refused(model, caller)
        if not configuration.is_active:
            why = "is switched off" if configuration.upstream_model else "has no model yet"
            raise ConfigurationInactive(
                f"The configuration {configuration.name[:_SHOWN_NAME]!r} {why}; whoever manages models can change it.",
                param="model",
            )

    @staticmethod
    def is_owned(configuration: ConfigurationRecord, caller: Caller) -> bool:
        """Return whether a configuration belongs to the caller's app or to all."""
        return configuration.app_id in ("", caller.app_id)

    def is_open(self, caller: Caller, *names: str) -> bool:
        """Return whether app and key may ask for what has these names."""
        app, key = self.apps.get(caller.app_id), self.keys.get(caller.api_key_id)
        return is_allowed(app and app.allowed_models, names) and is_allowed(key and key.allowed_models, names)

    def _refused(self, model: str, caller: Caller) -> PermissionRefused:
        app = self.apps.get(caller.app_id)
        return PermissionRefused(
            f"The app {app.name[:_SHOWN_NAME] if app else caller.app_id!r} or its key may not use the model "
            f"{model[:_SHOWN_NAME]!r}; GET /v1/models lists those that it may.",
            param="model",
        )

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
