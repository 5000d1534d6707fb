"""Which rows the environment asks for, now or before; pure. The variables are the ones that the facts name.

What a variable once gave stays when the next start lacks it: a new shell must not make providers vanish.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import unquote, urlsplit

from llm_manager.core.facts import Facts

DEFAULT_APP, DEFAULT_ALIAS = "default", "default"
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Kept:
    """What the environment gave a provider at an earlier start."""

    base_url: str = ""
    has_credential: bool = False


class Origin(StrEnum):
    """Why a provider is there."""

    BUILT_IN = "built-in"
    ENVIRONMENT = "environment"
    KEPT = "kept"
    DETECTED = "detected"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class WantedProvider:
    """A provider that the environment asks for, named like its kind.

    Args:
        authorization: a header that the base URL stood for, by a name and a password in it.
        keeps_credential: the one of an earlier start is used on, for no variable brings another.
    """

    kind: str
    base_url: str
    credential: str = field(default="", repr=False)
    authorization: str = field(default="", repr=False)
    keeps_credential: bool = False


NOTHING_KEPT: Mapping[str, Kept] = {}


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


def without_login(url: str) -> tuple[str, str]:
    """Return a URL without what may be secret in it, and the Authorization that its name and password stand for.

    A query and a fragment are left out: paths are put behind a base URL, so they never meant anything.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return url, ""
    login, _, host = parts.netloc.rpartition("@")
    authorization = f"Basic {base64.b64encode(unquote(login).encode()).decode()}" if login else ""
    return parts._replace(netloc=host, query="", fragment="").geturl(), authorization


def local_addresses(
    facts: Mapping[str, Facts], environ: Mapping[str, str], kept: Mapping[str, Kept] = NOTHING_KEPT
) -> dict[str, tuple[str, int]]:
    """Return host and port to try, for every kind that runs on the same machine and was not configured."""
    found: dict[str, tuple[str, int]] = {}
    for kind, fact in facts.items():
        if not fact.is_local or kind in kept or variables_now(fact, environ):
            continue
        parts = urlsplit(fact.base_url)
        if parts.hostname:
            found[kind] = (parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme, 80))
    return found


def variables_now(fact: Facts, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the variables of a kind that are set now."""
    return tuple(name for name in (fact.credential_env, fact.base_url_env) if name and environ.get(name))


def variables_kept(fact: Facts, environ: Mapping[str, str], kept: Kept) -> tuple[str, ...]:
    """Return the variables of a kind that are not set now and whose value of an earlier start is used."""
    used = ((fact.credential_env, kept.has_credential), (fact.base_url_env, bool(kept.base_url)))
    return tuple(name for name, is_kept in used if name and is_kept and not environ.get(name))


def origin(fact: Facts | None, environ: Mapping[str, str], kept: Kept, *, is_managed: bool) -> Origin:
    """Return why a provider is there.

    Args:
        is_managed: its row is the environment's, not a person's.
    """
    if not is_managed or fact is None:
        return Origin.ADMIN
    if variables_now(fact, environ):
        return Origin.ENVIRONMENT
    if variables_kept(fact, environ, kept):
        return Origin.KEPT
    return Origin.BUILT_IN if _is_builtin(fact) else Origin.DETECTED


def wanted(
    facts: Mapping[str, Facts],
    environ: Mapping[str, str],
    *,
    answering: frozenset[str],
    kept: Mapping[str, Kept] = NOTHING_KEPT,
) -> Wanted:
    """Return the rows to have.

    A plain model name that two providers share goes to hosted providers before local ones, then by the alphabet of
    their kinds; the others stay reachable as `<provider>/<model>`. A name that begins with a provider's own name and
    a slash gets no configuration, because it means that provider already.

    Args:
        answering: local kinds whose port answers.
        kept: by kind, what earlier starts gave; each variable that is set now replaces its part of it.
    """
    order = sorted(facts.values(), key=lambda fact: (_is_builtin(fact), fact.is_local, fact.kind))
    asked = [(fact, _provider(fact, environ, kept.get(fact.kind, Kept()))) for fact in order]
    providers = [provider for fact, provider in asked if _is_wanted(fact, provider, answering)]
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


def _is_wanted(fact: Facts, provider: WantedProvider, answering: frozenset[str]) -> bool:
    if _is_builtin(fact):
        return True
    if provider.credential or provider.keeps_credential:
        return bool(provider.base_url or fact.base_url)
    if fact.needs_credential:
        return False
    return bool(provider.base_url) or fact.kind in answering


def _provider(fact: Facts, environ: Mapping[str, str], kept: Kept) -> WantedProvider:
    credential, said = environ.get(fact.credential_env, ""), environ.get(fact.base_url_env, "")
    # empty means the base URL of the facts, which may change with a release
    base_url, authorization = without_login(said or kept.base_url)
    # A key was given for one address; at another it would be handed to a stranger.
    is_same_address = not said or base_url == (without_login(kept.base_url)[0] or fact.base_url)
    return WantedProvider(
        kind=fact.kind,
        base_url=base_url,
        authorization=authorization,
        credential=credential,
        keeps_credential=kept.has_credential and not credential and is_same_address,
    )
