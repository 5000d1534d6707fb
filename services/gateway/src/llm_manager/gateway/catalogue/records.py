"""Records of the catalogue: rows as they travel to every gateway; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, get_args

import msgspec

from llm_manager.core.facts import Dialect
from llm_manager.core.families import Capability
from llm_manager.gateway.parameters.rules import Strategy

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
        default_parameters: what calls get unless they say otherwise, in OpenAI's names.
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
    # Any: JSON of any shape
    default_parameters: dict[str, Any] = {}
    capabilities: tuple[Capability, ...] | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None


class AliasRecord(NamedRecord, frozen=True, kw_only=True):
    """Another name of a configuration; `created` in Unix seconds."""

    prefix: ClassVar[str] = "alias"
    collection: ClassVar[str] = "aliases"
    configuration: str
    created: int = 0


class OverrideRecord(Record, frozen=True, kw_only=True):
    """Parameters that calls of an app get, in OpenAI's names.

    Args:
        configuration_id: only calls of this configuration; empty for all calls.
        context: only calls that name it; empty for all.
    """

    prefix: ClassVar[str] = "override"
    collection: ClassVar[str] = "overrides"
    app_id: str
    strategy: Strategy
    configuration_id: str = ""
    context: str = ""
    priority: int = 0
    # Any: JSON of any shape
    parameters: dict[str, Any] = {}


class HashSecretRecord(NamedRecord, frozen=True, kw_only=True):
    """What hashes are keyed by; `envelope` is sealed."""

    prefix: ClassVar[str] = "hash_secret"
    collection: ClassVar[str] = "hash_secrets"
    envelope: bytes


AnyRecord = (
    AppRecord | KeyRecord | ProviderRecord | ConfigurationRecord | AliasRecord | OverrideRecord | HashSecretRecord
)
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
