"""Where a deployment of LiteLLM leads and with which key: the provider that it needs; pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from llm_manager.cli.importing.addresses import address_of, address_of_azure, is_of, why_unusable
from llm_manager.cli.importing.document import ImportRefused, below, clip
from llm_manager.cli.importing.plan import PlannedProvider
from llm_manager.cli.importing.prefixes import Meant, Prefix
from llm_manager.cli.importing.report import Report
from llm_manager.cli.importing.shapes import Table, Variables, number, table, text
from llm_manager.kit.secrets import Secret

FIELDS = frozenset(
    {
        *("api_key", "api_base", "base_url", "api_version", "organization", "extra_headers", "headers"),
        *("default_headers", "timeout", "stream_timeout"),
    }
)
# Kinds whose facts have no address (tests/importing compares).
_WITHOUT_ADDRESS = frozenset({"azure", "custom", "vllm", "llamacpp"})
# Of the admin API's ProviderBody.timeouts.
_SHORTEST, _LONGEST = 0.1, 3_600.0
_HEADER_NAME, _HEADER_VALUE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}"), re.compile(r"[\x20-\x7e]{1,4000}")
# Of the connection, not of the request: the admin API refuses them.
_NOT_OURS = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "content-type", "te", "trailer", "upgrade"}
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The provider of a deployment, and the name that it would like to have."""

    wanted_name: str
    provider: PlannedProvider


class Unusable(Exception):
    """The deployment cannot be served here. `str(error)` says why, for its line of the report."""


class Endpoints:
    """Reads providers from deployments, and gives equal ones one name."""

    def __init__(self, variables: Variables, report: Report) -> None:
        self._variables = variables
        self._report = report
        self._named: dict[str, str] = {}
        self.providers: list[PlannedProvider] = []

    def name_of(self, params: Table, path: str, *, meant: Meant, row: Prefix, key_name: str) -> str:
        """Return the name of the provider of a deployment, which is planned when it is a new one.

        Args:
            key_name: what its key is called where the file names it; empty otherwise.

        Raises:
            ImportRefused: a value is of a wrong type.
            Unusable: it leads nowhere that there could be a provider for.
        """
        found = self._endpoint(params, path, meant=meant, row=row, key_name=key_name)
        identity = _identity(found.provider)
        if identity not in self._named:
            name, n = found.wanted_name, 2
            while name in self._named.values():
                name, n = f"{found.wanted_name}-{n}", n + 1
            self._named[identity] = name
            given = found.provider
            self.providers.append(
                PlannedProvider(
                    *(name, given.kind, given.base_url, given.key, given.key_name),
                    *(given.headers, given.paths, given.timeouts),
                )
            )
        return self._named[identity]

    def _endpoint(self, params: Table, path: str, *, meant: Meant, row: Prefix, key_name: str) -> Endpoint:
        base_url, at = self._base_url(params, path, row)
        version = self._version(params, path, row)
        kind, wanted = row.kind, meant.prefix
        if row.home and base_url and not is_of(base_url, row.home):
            # OpenAI's newer names of parameters are not understood by every server that speaks its API
            kind, wanted = "custom", "openai-compatible"
        if not base_url and kind in _WITHOUT_ADDRESS:
            raise Unusable(f"it has no api_base here, and {clip(meant.prefix)}/ has none of its own")
        paths: dict[str, str] = {}
        if base_url:
            is_azure = row.has_versions
            address = address_of_azure(base_url, api_version=version) if is_azure else address_of(kind, base_url)
            base_url, paths = address.base_url, address.paths
            if address.differs:
                self._report.differs(at or below(path, "api_base"), address.differs)
            elif at:
                self._report.taken(at, "base URL of its provider")
        # nobody gave the key of a well-known provider for the other host that a file names, although LiteLLM sends it
        is_elsewhere = bool(at) and row.needs_key and not row.has_versions and not is_of(base_url, row.home)
        key, called = self._key(params, path, row, may_look=not is_elsewhere)
        headers = self._headers(params, path)
        timeouts = self._timeouts(params, path)
        provider = PlannedProvider("", kind, base_url, key, key_name or called, headers, paths, timeouts)
        return Endpoint(wanted, provider)

    def _base_url(self, params: Table, path: str, row: Prefix) -> tuple[str, str]:
        """Return the address, and where it stands in the file; empty where it does not."""
        for field in ("api_base", "base_url"):
            if params.get(field) in (None, ""):
                continue
            at = below(path, field)
            found = self._variables.found(text(params[field], at))
            if found.value is None:
                raise Unusable(
                    f"{field} comes from {clip(found.variable)}, which is not set here; set it and run again"
                )
            if why := why_unusable(found.value):
                raise Unusable(f"{field} cannot be used: {why}")
            return found.value, at
        given = next((value for name in row.address_variables if (value := self._variables.get(name))), "")
        if given and why_unusable(given):
            raise Unusable(f"the address of {' or '.join(row.address_variables)} cannot be used")
        return given or row.address, ""

    def _version(self, params: Table, path: str, row: Prefix) -> str:
        at = below(path, "api_version")
        if params.get("api_version") is None:
            return self._variables.get("AZURE_API_VERSION") or "" if row.has_versions else ""
        found = self._variables.found(text(params["api_version"], at))
        if not row.has_versions:
            self._report.left(at, "only Azure has versions; it was without effect")
            return ""
        if found.value is None:
            raise Unusable(
                f"api_version comes from {clip(found.variable)}, which is not set here; set it and run again"
            )
        self._report.taken(at, "in the paths of its provider, or Azure's v1 API")
        return found.value

    def _key(self, params: Table, path: str, row: Prefix, *, may_look: bool) -> tuple[Secret | None, str]:
        at = below(path, "api_key")
        if params.get("api_key") in (None, ""):
            if not may_look:
                asked = " or ".join(row.key_variables) or "a variable"
                self._report.left(at, f"no key: the file has none, and that of {asked} is not sent to another host")
                return None, "default"
            name = next((name for name in row.key_variables if self._variables.get(name)), "")
            if not name and row.needs_key:
                asked = " or ".join(row.key_variables)
                self._report.left(at, f"no key: the file has none, and {asked} is not set here; set it and run again")
            value = self._variables.get(name) if name else None
            # the same name whether it is set or not: a deployment that names the variable is of the same provider
            called = name or next(iter(row.key_variables), "default")
            return (Secret(value.strip()), called) if value else (None, called)
        found = self._variables.found(text(params["api_key"], at))
        if found.value is None:
            self._report.left(at, f"no key: {clip(found.variable)} is not set here; set it and run again")
            return None, clip(found.variable)
        key = found.value.strip()
        if not key or not key.isascii() or not key.isprintable():
            raise ImportRefused(f"{at}: it holds what no header can carry.")
        called = f"the key {clip(found.variable)}" if found.variable else "the key default"
        self._report.taken(at, f"{called} of its provider")
        return Secret(key), clip(found.variable) or "default"

    def _headers(self, params: Table, path: str) -> Mapping[str, Secret]:
        made: dict[str, Secret] = {}
        if params.get("organization") is not None:
            self._header(made, "openai-organization", params["organization"], below(path, "organization"))
        for field in ("default_headers", "headers", "extra_headers"):
            at = below(path, field)
            for name, value in table(params.get(field), at).items():
                self._header(made, name, value, below(at, name))
            if field in params:
                self._report.taken(at, "headers of its provider")
        return made

    def _header(self, made: dict[str, Secret], name: str, value: object, at: str) -> None:
        found = self._variables.found(text(value, at))
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _NOT_OURS:
            self._report.left(at, "this header cannot be set")
        elif found.value is None:
            self._report.left(at, f"{clip(found.variable)} is not set here; set it and run again with --replace")
        elif not _HEADER_VALUE.fullmatch(found.value):
            raise ImportRefused(f"{at}: write 1 to 4,000 visible ASCII characters.")
        else:
            made[name.lower()] = Secret(found.value)
            self._report.taken(at, f"header {clip(name.lower())} of its provider")

    def _timeouts(self, params: Table, path: str) -> Mapping[str, float]:
        made: dict[str, float] = {}
        for field, limits in (("timeout", ("total",)), ("stream_timeout", ("first_token", "idle"))):
            at = below(path, field)
            if params.get(field) is None:
                continue
            found = self._variables.found(params[field])
            if found.value is None:
                self._report.left(at, f"{clip(found.variable)} is not set here; set it and run again with --replace")
                continue
            seconds = number(found.value, at)
            if not _SHORTEST <= seconds <= _LONGEST:
                self._report.left(at, f"timeouts are of {_SHORTEST:g} to {_LONGEST:,.0f} seconds; the kind's own holds")
                continue
            made |= dict.fromkeys(limits, seconds)
            self._report.differs(
                at, f"timeout {' and '.join(limits)} of its provider, of streams and whole answers alike"
            )
        return made


def _identity(provider: PlannedProvider) -> str:
    """Tell equal providers: a digest, because it is made of secrets."""
    said = {
        "kind": provider.kind,
        "base_url": provider.base_url,
        # keys of two variables stay two, also while neither is set
        "key": [provider.key_name, provider.key.reveal() if provider.key else ""],
        "headers": {name: value.reveal() for name, value in provider.headers.items()},
        "paths": dict(provider.paths),
        "timeouts": dict(provider.timeouts),
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
