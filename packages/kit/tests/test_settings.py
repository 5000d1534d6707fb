from pathlib import Path
from typing import ClassVar, Literal

import pytest
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from llm_manager.kit.secrets import Secret
from llm_manager.kit.settings import ServiceSettings, SettingsError, describe, load, variables

PREFIX = "LLM_MANAGER_SAMPLE_"
CANARY = "canary-4f1d8a6e2b"


class SampleSettings(ServiceSettings):
    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(env_prefix=PREFIX)

    port: int = Field(default=8080, ge=0, le=65535, description="Port of the API.")
    master_key: Secret = Field(description="Key of all keys.")
    is_strict: bool = Field(default=True, description="Refuses more.")
    mode: Literal["a", "b"] = Field(default="a", description="How.")


def load_sample(**given: str) -> SampleSettings:
    return load(SampleSettings, {PREFIX + key: value for key, value in {"MASTER_KEY": CANARY, **given}.items()})


@pytest.mark.requirement("S204")
@pytest.mark.parametrize(
    "token",
    ["short", "a" * 32, "01" * 16, "changeme-changeme-changeme", "<token of sixteen>", "your_secret_0123456"],
)
def test_a_token_that_can_be_guessed_stops_the_start_without_being_shown(token: str) -> None:
    with pytest.raises(SettingsError, match=r"LLM_MANAGER_SAMPLE_NATS_TOKEN is wrong: .*openssl rand") as raised:
        load_sample(NATS_TOKEN=token)
    assert token not in str(raised.value)


def test_values_come_from_the_environment_and_the_rest_are_defaults() -> None:
    settings = load_sample(PORT="9000", IS_STRICT="false", MODE="b", NATS_TOKEN=CANARY)

    assert (settings.port, settings.is_strict, settings.mode) == (9000, False, "b")
    assert settings.nats_token == Secret(CANARY)
    assert settings.nats_url == "nats://127.0.0.1:4222"
    assert settings.drain_seconds == 20


@pytest.mark.requirement("S204")
def test_an_unknown_key_stops_the_start_and_the_nearest_known_one_is_named() -> None:
    with pytest.raises(SettingsError, match=r"LLM_MANAGER_SAMPLE_PROT is not a setting.*LLM_MANAGER_SAMPLE_PORT\?"):
        load_sample(PROT="1")


def test_a_file_variable_is_for_secrets_only() -> None:
    with pytest.raises(SettingsError, match="LLM_MANAGER_SAMPLE_PORT_FILE is not a setting"):
        load_sample(PORT_FILE="/etc/port")


def test_variables_of_other_services_are_none_of_our_business() -> None:
    environ = {PREFIX + "MASTER_KEY": "k", "LLM_MANAGER_GATEWAY_PROT": "1", "LLM_MANAGER_DATA_DIR": "/d", "HOME": "/"}

    assert load(SampleSettings, environ).port == 8080


def test_a_secret_can_come_from_a_file_and_loses_the_line_end(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("from-file\n")

    settings = load(SampleSettings, {PREFIX + "MASTER_KEY_FILE": str(file)})

    assert settings.master_key.reveal() == "from-file"


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k")

    with pytest.raises(SettingsError, match="LLM_MANAGER_SAMPLE_MASTER_KEY and its _FILE are both set"):
        load_sample(MASTER_KEY_FILE=str(tmp_path / "key"))


def test_an_unreadable_file_is_named() -> None:
    with pytest.raises(SettingsError, match="MASTER_KEY_FILE names '/nowhere/key', which cannot be read: No such file"):
        load(SampleSettings, {PREFIX + "MASTER_KEY_FILE": "/nowhere/key"})


def test_a_missing_value_is_named() -> None:
    with pytest.raises(SettingsError, match="LLM_MANAGER_SAMPLE_MASTER_KEY is not set, and there is no default"):
        load(SampleSettings, {})


def test_an_empty_variable_of_an_optional_field_means_not_set() -> None:
    assert load_sample(NATS_TOKEN="").nats_token is None


def test_every_wrong_value_is_named_and_no_value_is_repeated() -> None:
    with pytest.raises(SettingsError) as caught:
        load_sample(PORT=CANARY, MODE=CANARY)

    assert "LLM_MANAGER_SAMPLE_PORT is wrong" in str(caught.value)
    assert "LLM_MANAGER_SAMPLE_MODE is wrong: Input should be 'a' or 'b'" in str(caught.value)
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None


def test_settings_show_no_secret() -> None:
    settings = load_sample()

    assert CANARY not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


def test_settings_cannot_be_changed_after_the_start() -> None:
    settings = load_sample()

    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1


def test_building_settings_directly_reads_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + "PORT", "1")

    assert SampleSettings(master_key=Secret("k")).port == 8080


@pytest.mark.requirement("S204")
def test_the_description_lists_every_variable_that_load_accepts() -> None:
    table = describe(SampleSettings)

    for variable in variables(SampleSettings):
        assert variable.removesuffix("_FILE") in table
    assert "| `LLM_MANAGER_SAMPLE_MASTER_KEY` or `…_FILE` | secret | required | Key of all keys. |" in table
    assert "| `LLM_MANAGER_SAMPLE_MODE` | `a`, `b` | `a` | How. |" in table
    assert "| `LLM_MANAGER_SAMPLE_IS_STRICT` | bool | `true` | Refuses more. |" in table
    assert table.count("\n") == 2 + len(SampleSettings.model_fields)
