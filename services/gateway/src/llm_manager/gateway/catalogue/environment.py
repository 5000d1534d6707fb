"""Which rows the environment asks for; pure. The variables are the ones that the facts name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from llm_manager.core.facts import Facts

DEFAULT_APP, DEFAULT_ALIAS = "default", "default"
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class WantedProvider:
    """A provider that the environment asks for, named like its kind."""

    kind: str
    base_url: str
    credential: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class WantedConfiguration:
    """A configuration of one of them."""

    name: str
    provider: str
    upstream_model: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Everything that the environment asks for."""

    providers: tuple[WantedProvider, ...]
    configurations: tuple[WantedConfiguration, ...]
    aliases: Mapping[str, str]


def local_addresses(facts: Mapping[str, Facts], environ: Mapping[str, str]) -> dict[str, tuple[str, int]]:
    """Return host and port to try, for every kind that runs on the same machine and was not configured."""
    found: dict[str, tuple[str, int]] = {}
    for kind, fact in facts.items():
        if not fact.is_local or environ.get(fact.base_url_env) or environ.get(fact.credential_env):
            continue
        parts = urlsplit(fact.base_url)
        if parts.hostname:
            found[kind] = (parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme, 80))
    return found


def wanted(facts: Mapping[str, Facts], environ: Mapping[str, str], *, answering: frozenset[str]) -> Wanted:
    """Return the rows to have.

    A plain model name that two providers share goes to hosted providers before local ones, then by the alphabet of
    their kinds; the others stay reachable as `<provider>/<model>`. A name that begins with a provider's own name and
    a slash gets no configuration, because it means that provider already.

    Args:
        answering: local kinds whose port answers.
    """
    order = sorted(facts.values(), key=lambda fact: (_is_builtin(fact), fact.is_local, fact.kind))
    providers = [_provider(fact, environ) for fact in order if _is_wanted(fact, environ, answering)]
    configurations: dict[str, WantedConfiguration] = {}
    for provider in providers:
        for model in facts[provider.kind].models:
            if model.partition("/")[0] not in facts or "/" not in model:
                configurations.setdefault(model, WantedConfiguration(model, provider.kind, model))
    return Wanted(tuple(providers), tuple(configurations.values()), _aliases(order, configurations))


def _aliases(order: Sequence[Facts], configurations: Mapping[str, WantedConfiguration]) -> dict[str, str]:
    """`default` works without any account, so it is the first model of what needs none."""
    builtin = next((model for fact in order if _is_builtin(fact) for model in fact.models), None)
    return {DEFAULT_ALIAS: builtin} if builtin is not None and builtin in configurations else {}


def _is_builtin(fact: Facts) -> bool:
    return not (fact.needs_credential or fact.base_url or fact.base_url_env)


def _is_wanted(fact: Facts, environ: Mapping[str, str], answering: frozenset[str]) -> bool:
    base_url = environ.get(fact.base_url_env) or fact.base_url
    if _is_builtin(fact):
        return True
    if fact.credential_env and environ.get(fact.credential_env):
        return bool(base_url)
    if fact.needs_credential:
        return False
    return bool(environ.get(fact.base_url_env)) or fact.kind in answering


def _provider(fact: Facts, environ: Mapping[str, str]) -> WantedProvider:
    return WantedProvider(
        kind=fact.kind,
        # empty means the base URL of the facts, which may change with a release
        base_url=environ.get(fact.base_url_env, ""),
        credential=environ.get(fact.credential_env, ""),
    )
