"""Settings of the workers, from LLM_MANAGER_PROVIDERS_*."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from llm_manager.core.facts import Facts, FactsError, load_facts
from llm_manager.kit.master_keys import MasterKeySettings
from llm_manager.kit.outbound import Networks
from llm_manager.kit.settings import SettingsError

ALL = "all"


class ProvidersSettings(MasterKeySettings):
    """What the workers can be told."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(env_prefix="LLM_MANAGER_PROVIDERS_")

    kinds: str = Field(ALL, description="Provider kinds to serve, separated by commas; all for every kind known.")
    max_in_flight: int = Field(1000, ge=1, description="Attempts at the same time; more are refused.")

    facts_dir: Path | None = Field(
        None, description="Folder with provider kinds of your own, <kind>.toml each; the same name replaces ours."
    )
    private_networks: str = Field(
        "",
        description="Networks, separated by commas, that providers may lead to although they are not public and the "
        "base URL was not given by whoever runs the platform, for example 10.0.0.0/8; empty: none.",
    )

    @field_validator("private_networks")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        Networks.parse(value)
        return value

    def allowed_networks(self) -> Networks:
        """Return where base URLs that are not trusted may lead although it is not public."""
        return Networks.parse(self.private_networks)

    def known_facts(self) -> Mapping[str, Facts]:
        """Return the facts of every kind.

        Raises:
            SettingsError: a file in the folder is wrong; the message names it and the key.
        """
        try:
            return load_facts(self.facts_dir)
        except FactsError as error:
            raise SettingsError(str(error)) from error

    def chosen(self, known: Mapping[str, Facts]) -> dict[str, Facts]:
        """Return the facts of the kinds to serve; those that have a worker of their own are left to it.

        Raises:
            SettingsError: a kind is not known.
        """
        known = {name: facts for name, facts in known.items() if facts.transport != "worker"}
        names = [name.strip() for name in self.kinds.split(",") if name.strip()]
        if ALL in names:
            return dict(known)
        unknown = sorted(set(names) - set(known))
        if unknown or not names:
            raise SettingsError(
                f"LLM_MANAGER_PROVIDERS_KINDS: unknown {', '.join(unknown) or '(none given)'}; "
                f"known are {', '.join(known)}, or {ALL}."
            )
        return {name: known[name] for name in names}
