from __future__ import annotations

import base64
from pathlib import Path

import pytest

from llm_manager.cli.data_dir import DataDir, locate
from llm_manager.cli.exit_codes import CommandError, ExitCode
from llm_manager.core.ids import parse_api_key

_NATS = ["nats-gateway", "nats-operator", "nats-providers", "nats-usage"]
_SECRETS = ["admin-password", "api-key", "master-key", *_NATS, "rpc-token"]


def test_secrets_are_made_once_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    data = DataDir(tmp_path / "data")
    assert sorted(data.prepare()) == _SECRETS
    first = {name: data.read_secret(name) for name in _SECRETS}
    assert data.prepare() == []
    assert {name: data.read_secret(name) for name in _SECRETS} == first
    modes = {file.stat().st_mode & 0o777 for file in data.secrets.iterdir()}
    assert (modes, data.path.stat().st_mode & 0o777) == ({0o600}, 0o700)


def test_secrets_have_the_forms_that_the_services_expect(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    data.prepare()
    assert len(base64.urlsafe_b64decode(data.read_secret("master-key"))) == 32
    assert all(data.read_secret(name).isalnum() for name in (*_NATS, "rpc-token", "admin-password"))
    assert parse_api_key(data.read_secret("api-key")) is not None


def test_a_directory_that_others_can_read_is_closed(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    data.prepare()
    data.path.chmod(0o755)
    data.secret_file("api-key").chmod(0o644)
    data.prepare()
    assert (data.path.stat().st_mode & 0o777, data.secret_file("api-key").stat().st_mode & 0o777) == (0o700, 0o600)


def test_a_directory_of_an_earlier_version_gets_the_secrets_that_are_new(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    data.prepare()
    kept = {name: data.read_secret(name) for name in _SECRETS if name not in _NATS}
    for name in _NATS:
        data.secret_file(name).unlink()
    data.secret_file("nats-token").write_text("of everybody")
    assert sorted(data.prepare()) == _NATS
    assert {name: data.read_secret(name) for name in kept} == kept


def test_an_empty_secret_is_never_replaced_in_silence(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    data.prepare()
    data.secret_file("master-key").write_text("")
    with pytest.raises(CommandError, match="backup"):
        data.prepare()


def test_a_secret_of_a_directory_that_never_ran_says_how_to_start(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="llm-manager up") as failure:
        DataDir(tmp_path).read_secret("api-key")
    assert failure.value.exit_code is ExitCode.NOT_RUNNING


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match="LLM_MANAGER_DATA_DIR"):
        DataDir(tmp_path / "file" / "data").prepare()


def test_the_place_is_the_option_then_the_variable_then_xdg_then_home(tmp_path: Path) -> None:
    both = {"LLM_MANAGER_DATA_DIR": str(tmp_path / "variable"), "XDG_DATA_HOME": str(tmp_path / "xdg")}
    assert locate(tmp_path / "option", both).path == tmp_path / "option"
    assert locate(None, both).path == tmp_path / "variable"
    assert locate(None, {"XDG_DATA_HOME": str(tmp_path / "xdg")}).path == tmp_path / "xdg" / "llm-manager"
    assert locate(None, {}).path == (Path.home() / ".local/share/llm-manager").resolve()
