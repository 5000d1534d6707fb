"""LiteLLM's `config.yaml` as a plan of providers, configurations and aliases; pure.

Source: litellm 1.110.2 (PyPI, MIT; read on 2026-11-30): proxy/_types.py `ConfigYAML`, types/router.py, and the examples
in proxy/example_config_yaml.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_manager.cli.importing.deployments import Deployments
from llm_manager.cli.importing.document import ImportRefused, below, clip
from llm_manager.cli.importing.plan import Plan, PlannedAlias
from llm_manager.cli.importing.report import Report
from llm_manager.cli.importing.shapes import Table, Variables, flag, many, table, text
from llm_manager.cli.importing.words import words_for
from llm_manager.core.facts import Facts

_LONGEST_NAME = 512
_SECTIONS = ("litellm_settings", "router_settings", "general_settings")
_READ = frozenset({"model_list", "environment_variables", "credential_list", *_SECTIONS})


# Any: JSON of any shape
def plan_of(config: Mapping[str, Any], *, environ: Mapping[str, str], facts: Mapping[str, Facts]) -> Plan:
    """Return what an import of a config makes, with a line of the report for each of its keys.

    Args:
        config: as `document.parse` returns it.
        environ: where `os.environ/NAME` is looked up.
        facts: the provider kinds that there are.

    Raises:
        ImportRefused: a value is of a wrong type; the message names its place.
    """
    plan = Plan()
    given = _environment(config, environ)
    variables = Variables({**environ, **given})
    settings = table(config.get("litellm_settings"), "litellm_settings")
    entries = many(config.get("model_list"), "model_list")
    reading = Deployments(
        facts=facts,
        variables=variables,
        report=plan.report,
        credentials=_credentials(config, plan.report),
        drops_params=flag(settings.get("drop_params"), "litellm_settings.drop_params"),
        reserved=_names(entries),
    )
    for i, entry in enumerate(entries):
        reading.read(entry, f"model_list[{i}]")
    plan.providers, plan.configurations = reading.endpoints.providers, reading.configurations
    if "model_list" in config and not entries:
        plan.report.taken("model_list", "empty")
    _settings(config, plan)
    for name in given:
        path = below("environment_variables", name)
        if name in variables.asked:
            plan.report.taken(path, "used for what names it here")
        else:
            plan.report.left(
                path, "set it for whoever needs it; services read their settings from variables of their own"
            )
    if "environment_variables" in config and not given:
        plan.report.taken("environment_variables", "empty")
    for key in config:
        if key not in _READ:
            plan.report.left(clip(key), words_for(key))
    return plan


def _environment(config: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the file sets, which hold before those of the process, as in LiteLLM."""
    said = table(config.get("environment_variables"), "environment_variables")
    outer, made = Variables(environ), dict[str, str]()
    for name, value in said.items():
        if not isinstance(value, str | int | float | None):
            raise ImportRefused(f"{below('environment_variables', name)}: write a text.")
        found = outer.found(value).value
        made[name] = "" if found is None else str(found)
    return made


def _names(entries: list[Any]) -> frozenset[str]:
    found: set[str] = set()
    for i, value in enumerate(entries):
        name = table(value, f"model_list[{i}]").get("model_name")
        if isinstance(name, str):
            found.add(name.strip())
    return frozenset(found)


def _credentials(config: Mapping[str, Any], report: Report) -> dict[str, Table]:
    made: dict[str, Table] = {}
    for i, value in enumerate(many(config.get("credential_list"), "credential_list")):
        path = f"credential_list[{i}]"
        entry = table(value, path)
        name = text(entry.get("credential_name"), below(path, "credential_name"))
        made[name] = table(entry.get("credential_values"), below(path, "credential_values"))
        info = table(entry.get("credential_info"), below(path, "credential_info"))
        if (stated := info.get("custom_llm_provider")) is not None:
            text(stated, below(path, "credential_info.custom_llm_provider"))
        report.taken(path, f"the values of {clip(name)} go into the providers of the models that name it")
        for key in entry:
            if key not in ("credential_name", "credential_values", "credential_info"):
                report.left(below(path, key), words_for(key))
    if config.get("credential_list") == [] or ("credential_list" in config and config["credential_list"] is None):
        report.taken("credential_list", "empty")
    return made


def _settings(config: Mapping[str, Any], plan: Plan) -> None:
    for section in _SECTIONS:
        said = table(config.get(section), section)
        if section in config and not said:
            plan.report.taken(section, "empty")
        for key, value in said.items():
            path = below(section, key)
            match section, key:
                case "litellm_settings", "drop_params":
                    plan.report.taken(path, "adapts_parameters of every configuration")
                case ("router_settings", "model_group_alias") | ("litellm_settings", "model_alias_map"):
                    _aliases(table(value, path), path, plan)
                case _:
                    plan.report.left(path, words_for(key))


def _aliases(said: Table, path: str, plan: Plan) -> None:
    names = {configuration.name for configuration in plan.configurations}
    taken = names | {alias.name for alias in plan.aliases}
    if not said:
        plan.report.taken(path, "empty")
    for name, value in said.items():
        at = below(path, name)
        inner: Table = {"model": value} if isinstance(value, str) else table(value, at)
        is_hidden = flag(inner.get("hidden"), below(at, "hidden"))
        target = text(inner.get("model"), at if isinstance(value, str) else below(at, "model"))
        if target not in names:
            plan.report.left(at, f"its model {clip(target)} is none of the configurations that are made")
        elif name in taken:
            plan.report.left(at, "a configuration or another alias has the name, and answers to it")
        elif not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
            plan.report.left(at, "a name has 1 to 512 characters that can be printed")
        else:
            taken.add(name)
            plan.aliases.append(PlannedAlias(name, target))
            note = f"alias of the configuration {clip(target)}"
            if is_hidden:
                plan.report.differs(at, f"{note}; it is listed too, for nothing is hidden from /v1/models")
            else:
                plan.report.taken(at, note)
