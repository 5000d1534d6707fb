from __future__ import annotations

from configparser import ConfigParser

from tree import ROOT


def _contracts() -> ConfigParser:
    parser = ConfigParser()
    parser.read(ROOT / ".importlinter")
    return parser


def test_import_rules_cover_every_package_and_service() -> None:
    folders = [*ROOT.glob("packages/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")]
    wanted = {f"llm_manager.{file.parent.name.replace('-', '_')}" for file in folders}
    assert set(_contracts()["importlinter"]["root_packages"].split()) == wanted


def test_every_service_is_kept_apart_from_every_other() -> None:
    services = {f"llm_manager.{file.parent.name.replace('-', '_')}" for file in ROOT.glob("services/*/pyproject.toml")}
    assert set(_contracts()["importlinter:contract:services"]["modules"].split()) == services
