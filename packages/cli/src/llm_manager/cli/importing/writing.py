"""Writing a plan through the admin API: new ones are made, equal ones left, different ones left or replaced."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from llm_manager.cli.exit_codes import CommandError
from llm_manager.cli.importing.document import clip
from llm_manager.cli.importing.plan import Plan, PlannedAlias, PlannedConfiguration, PlannedProvider
from llm_manager.core.facts import Facts
from llm_manager.kit.secrets import Secret

if TYPE_CHECKING:
    from llm_manager.client.admin import Admin

_MASK = "***"

# Any: a row of the admin API
Row = Mapping[str, Any]


class Written(StrEnum):
    """What became of one planned resource."""

    MADE = "made"
    REPLACED = "replaced"
    UNCHANGED = "unchanged"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Result:
    """One planned resource and what became of it."""

    resource: str
    name: str
    written: Written
    why: str = ""


@dataclass(slots=True)
class Writing:
    """Writes a plan. `results` says what was done, also after it broke off.

    Args:
        facts: provider kinds, for addresses that a plan leaves to them.
        replaces: whether different ones of the same name are changed.
    """

    admin: Admin
    facts: Mapping[str, Facts]
    replaces: bool
    results: list[Result] = field(default_factory=list[Result])

    def write(self, plan: Plan) -> None:
        """Write everything, providers first.

        Raises:
            CommandError: the gateway refused one; those before it stay, and a second run continues.
        """
        broken: set[str] = set()
        held = {row["name"]: row for row in self.admin.providers.each()} if plan.providers else {}
        for provider in plan.providers:
            if not self._guarded("provider", provider.name, lambda p=provider: self._provider(p, held.get(p.name))):
                broken.add(provider.name)
        held = {row["name"]: row for row in self.admin.configurations.each()} if plan.configurations else {}
        missing: set[str] = set()
        for configuration in plan.configurations:
            if configuration.provider in broken:
                # else its calls would go where another provider of the same name leads
                self._conflict(
                    "configuration", configuration.name, f"its provider {clip(configuration.provider)} is one"
                )
                is_there = False
            else:
                is_there = self._guarded(
                    "configuration",
                    configuration.name,
                    lambda c=configuration: self._configuration(c, held.get(c.name)),
                )
            if not is_there:
                missing.add(configuration.name)
        held = {row["name"]: row for row in self.admin.aliases.each()} if plan.aliases else {}
        for alias in plan.aliases:
            if alias.configuration in missing:
                self._conflict("alias", alias.name, f"its configuration {clip(alias.configuration)} is one")
            else:
                self._guarded("alias", alias.name, lambda a=alias: self._alias(a, held.get(a.name)))

    def counts(self) -> dict[str, int]:
        """Return how many resources had each outcome."""
        return {written.value: sum(result.written is written for result in self.results) for written in Written}

    def _guarded(self, resource: str, name: str, write: Callable[[], Result]) -> bool:
        try:
            result = write()
        except CommandError as error:
            raise CommandError(
                f"The {resource} {clip(name)} could not be written: {error.message} "
                f"Before it were written: {self._done()}. Running the same command again continues.",
                exit_code=error.exit_code,
            ) from None
        self.results.append(result)
        return result.written is not Written.CONFLICT

    def _done(self) -> str:
        done = [f"{r.resource} {clip(r.name)}" for r in self.results if r.written in (Written.MADE, Written.REPLACED)]
        more = f" and {len(done) - 20} more" if len(done) > 20 else ""
        return ", ".join(done[:20]) + more if done else "none"

    def _conflict(self, resource: str, name: str, why: str) -> None:
        self.results.append(Result(resource, name, Written.CONFLICT, why))

    def _provider(self, planned: PlannedProvider, held: Row | None) -> Result:
        headers = {name: value.reveal() for name, value in planned.headers.items()}
        body: dict[str, Any] = {"base_url": planned.base_url, "headers": headers}
        body |= {"paths": dict(planned.paths), "timeouts": dict(planned.timeouts)}
        if held is None:
            self.admin.providers.create(name=planned.name, kind=planned.kind, **body)
            self._add_key(planned)
            return Result("provider", planned.name, Written.MADE)
        if held["kind"] != planned.kind:
            why = f"there is one of the kind {held['kind']}, which cannot become {planned.kind}; rename it"
            return Result("provider", planned.name, Written.CONFLICT, why)
        different = self._different(planned, held)
        if not different and planned.key is not None and not held["api_keys"]:
            self._add_key(planned)
            return Result("provider", planned.name, Written.REPLACED, "it had no key")
        if not different:
            return Result("provider", planned.name, Written.UNCHANGED)
        if not self.replaces:
            return Result("provider", planned.name, Written.CONFLICT, _other(different))
        gone = {name: None for name in held["headers"] if name not in headers}
        body |= {"headers": {**headers, **gone}, "base_url": planned.base_url or None}
        if planned.key is not None:
            body["api_key"] = planned.key.reveal()
        self.admin.providers.change(planned.name, **body)
        return Result("provider", planned.name, Written.REPLACED, _other(different))

    def _add_key(self, planned: PlannedProvider) -> None:
        if planned.key is not None:
            self.admin.providers.create_key(planned.name, name=planned.key_name, api_key=planned.key.reveal())

    def _different(self, planned: PlannedProvider, held: Row) -> list[str]:
        kind = self.facts.get(planned.kind)
        base_url = planned.base_url or (kind.base_url if kind else "")
        shown = {name: value for name, value in held["headers"].items() if value != _MASK}
        wanted = {name: value.reveal() for name, value in planned.headers.items()}
        # the gateway hides values of headers that are called like secrets, so those are told by their names only
        is_same = wanted.keys() == held["headers"].keys() and all(wanted[name] == shown[name] for name in shown)
        found = {
            "base_url": base_url.rstrip("/") == held["base_url"].rstrip("/"),
            "headers": is_same,
            "paths": dict(planned.paths) == held["paths"],
            "timeouts": dict(planned.timeouts) == held["timeouts"],
            "api_key": planned.key is None or not held["api_keys"] or _has_key(planned.key, held["api_keys"]),
        }
        return [name for name, same in found.items() if not same]

    def _configuration(self, planned: PlannedConfiguration, held: Row | None) -> Result:
        body = {name: value for name, value in planned.body.items() if value is not None}
        if held is None:
            self.admin.configurations.create(**body)
            return Result("configuration", planned.name, Written.MADE)
        different = [name for name, value in planned.body.items() if held.get(name) != value]
        if not different:
            return Result("configuration", planned.name, Written.UNCHANGED)
        if not self.replaces:
            return Result("configuration", planned.name, Written.CONFLICT, _other(different))
        changed = {name: planned.body[name] for name in different}
        self.admin.configurations.change(planned.name, **changed)
        return Result("configuration", planned.name, Written.REPLACED, _other(different))

    def _alias(self, planned: PlannedAlias, held: Row | None) -> Result:
        if held is None:
            self.admin.aliases.create(name=planned.name, configuration=planned.configuration)
            return Result("alias", planned.name, Written.MADE)
        if held["configuration"] == planned.configuration:
            return Result("alias", planned.name, Written.UNCHANGED)
        if not self.replaces:
            return Result("alias", planned.name, Written.CONFLICT, _other(["configuration"]))
        self.admin.aliases.change(planned.name, configuration=planned.configuration)
        return Result("alias", planned.name, Written.REPLACED, _other(["configuration"]))


def _has_key(key: Secret, held: Sequence[Row]) -> bool:
    """Compare with what the gateway shows of keys; of short ones it shows nothing, and they count as the same."""
    ends = [str(row["fingerprint"]).lstrip("…") for row in held]
    return any(key.reveal().endswith(end) for end in ends)


def _other(names: list[str]) -> str:
    return f"there is one with another {', '.join(names)}"
