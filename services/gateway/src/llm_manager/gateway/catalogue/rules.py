"""The snapshot of the catalogue that serves requests, and what a model's name means to who asks; pure."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from llm_manager.core.errors import ConfigurationInactive, ModelNotFound, PermissionRefused
from llm_manager.gateway.catalogue.layers import Layers
from llm_manager.gateway.catalogue.records import (
    AliasRecord,
    AnyRecord,
    AppRecord,
    ConfigurationRecord,
    HashSecretRecord,
    KeyRecord,
    OverrideRecord,
    ProviderRecord,
)
from llm_manager.gateway.inference.profile import ModelProfile
from llm_manager.gateway.inference.rules import Caller, Target
from llm_manager.gateway.parameters.rules import effective

# The model of who asks for none.
DEFAULT = "default"
_HINTS, _HINT_CANDIDATES = 3, 2_000
_SHOWN_NAME = 100
_MOST_FOUND = 4_000


def is_allowed(patterns: Sequence[str] | None, names: Sequence[str]) -> bool:
    """Return whether one of the names is among those allowed; None allows all. `*` ends a pattern that begins names."""
    if patterns is None:
        return True
    return any(
        name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
        for pattern in patterns
        for name in names
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
    overrides: Layers[OverrideRecord] = field(default_factory=Layers[OverrideRecord])
    hash_secrets: Layers[HashSecretRecord] = field(default_factory=Layers[HashSecretRecord])
    is_complete: bool = False
    # targets that were asked for, by who asks, the model's name and the context; made anew with every snapshot
    _found: dict[tuple[str, str, str, str], Target] = field(
        default_factory=dict[tuple[str, str, str, str], Target], init=False, repr=False, compare=False
    )
    # overrides by app, in ascending order of priority; made when they are first asked for
    _of_apps: dict[str, list[OverrideRecord]] = field(
        default_factory=dict[str, list[OverrideRecord]], init=False, repr=False, compare=False
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

    def resolve(self, model: str, caller: Caller, context: str = "") -> Target:
        """Return where a model's name leads: a configuration, an alias, `default`, or `<provider>/<upstream model>`.

        Args:
            context: what the call is about, for overrides that are meant for it.

        Raises:
            ModelNotFound: none of them; the message offers the nearest names.
            ConfigurationInactive: it is switched off.
            PermissionRefused: it is another app's, or not among those that app and key may ask for.
        """
        key = self.keys.get(caller.api_key_id)
        is_narrowed = key is not None and key.allowed_models is not None
        if context and all(one.context != context for one in self.overrides_of(caller.app_id)):
            context = ""
        asked = caller.app_id, caller.api_key_id if is_narrowed else "", model, context
        found = self._found.get(asked)
        if found is None:
            found = self._resolve(model, caller, context)
            # clients make names of upstream models up: few are kept, and none that is long
            if len(self._found) >= _MOST_FOUND:
                self._found.clear()
            if len(model) <= _SHOWN_NAME:
                self._found[asked] = found
        return found

    def _resolve(self, model: str, caller: Caller, context: str) -> Target:
        configuration = self._configuration(model, caller)
        if configuration is not None and (provider := self.providers.get(configuration.provider)) is not None:
            self._check(model, configuration, caller)
            target = _configured(provider, configuration)
            return self._with_parameters(target, caller, context, configuration)
        name, separator, upstream_model = model.partition("/")
        provider = self.providers.get(name)
        if provider is not None and separator and upstream_model:
            if not self.is_open(caller, model):
                raise self._refused(model, caller)
            return self._with_parameters(target_of(provider, upstream_model), caller, context, None)
        raise self.not_found(model, caller)

    def _with_parameters(
        self, target: Target, caller: Caller, context: str, configuration: ConfigurationRecord | None
    ) -> Target:
        configuration_id = "" if configuration is None else configuration.id
        meant = [
            (one.strategy, one.parameters)
            for one in self.overrides_of(caller.app_id)
            if one.configuration_id in ("", configuration_id) and one.context in ("", context)
        ]
        parameters = effective({} if configuration is None else configuration.default_parameters, meant)
        return msgspec.structs.replace(target, parameters=parameters) if parameters else target

    def overrides_of(self, app_id: str) -> Sequence[OverrideRecord]:
        """Return the overrides of an app, those of a higher priority later; of one priority the newer later."""
        if not self._of_apps:
            for one in sorted(self.overrides.values(), key=lambda one: (one.priority, one.id)):
                self._of_apps.setdefault(one.app_id, []).append(one)
        return self._of_apps.get(app_id, ())

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

    def _is_usable(self, name: str, caller: Caller) -> bool:
        found = self._configuration(name, caller)
        return found is not None and self.is_owned(found, caller) and self.is_open(caller, name, found.name)

    def _refused(self, model: str, caller: Caller) -> PermissionRefused:
        app = self.apps.get(caller.app_id)
        return PermissionRefused(
            f"The app {app.name[:_SHOWN_NAME] if app else caller.app_id!r} or its key may not use the model "
            f"{model[:_SHOWN_NAME]!r}; GET /v1/models lists those that it may.",
            param="model",
        )

    def not_found(self, model: str, caller: Caller) -> ModelNotFound:
        """Make the error for a name that leads nowhere. It offers only what the caller may use."""
        # bounded, because comparing with every name of a large catalogue would cost more than the request
        names = itertools.islice(itertools.chain(self.configurations, self.aliases), _HINT_CANDIDATES)
        shown = model[:_SHOWN_NAME]
        near = difflib.get_close_matches(shown, [name for name in names if self._is_usable(name, caller)], n=_HINTS)
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
