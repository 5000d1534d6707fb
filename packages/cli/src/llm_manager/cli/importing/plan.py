"""What an import will make, before anything is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llm_manager.cli.importing.report import Report
from llm_manager.kit.secrets import Secret


@dataclass(frozen=True, slots=True)
class PlannedProvider:
    """A provider to make.

    Args:
        key_name: what its key is called here.
        headers: some values may be secret, so none is shown.
    """

    name: str
    kind: str
    base_url: str = ""
    key: Secret | None = None
    key_name: str = "default"
    headers: Mapping[str, Secret] = field(default_factory=dict[str, Secret])
    paths: Mapping[str, str] = field(default_factory=dict[str, str])
    timeouts: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True)
class PlannedConfiguration:
    """A configuration to make, as the admin API takes it."""

    name: str
    provider: str
    # Any: JSON of the admin API
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PlannedAlias:
    """An alias to make."""

    name: str
    configuration: str


@dataclass(slots=True)
class Plan:
    """Everything that an import makes, and what it says of every key of the file."""

    providers: list[PlannedProvider] = field(default_factory=list[PlannedProvider])
    configurations: list[PlannedConfiguration] = field(default_factory=list[PlannedConfiguration])
    aliases: list[PlannedAlias] = field(default_factory=list[PlannedAlias])
    report: Report = field(default_factory=Report)
