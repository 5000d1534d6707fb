"""Typed settings from the environment. A key that nobody reads stops the start instead of being ignored."""

from __future__ import annotations

import difflib
import os
import re
import typing
from collections.abc import Mapping
from pathlib import Path
from types import NoneType
from typing import ClassVar, TypeVar

from pydantic import AfterValidator, Field, PrivateAttr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from llm_manager.kit.secrets import MASK, Secret

_FILE_SUFFIX = "_FILE"
_SHORTEST, _LEAST_DIFFERENT = 16, 8
_PLACEHOLDER = re.compile(r"change.?(me|this|it)|placeholder|example|your.?(token|secret|key|password)|^<.*>$", re.I)

LogLevel = typing.Literal["debug", "info", "warning", "error"]
LogFormat = typing.Literal["json", "console"]


class SettingsError(Exception):
    """The settings are wrong; the message names the variable and the remedy and holds no value of a secret."""


def _unguessable(value: Secret | None) -> Secret | None:
    """Refuse what stands in examples, and what somebody could try out.

    Raises:
        ValueError: it does; the message repeats none of it.
    """
    text = value.reveal() if value is not None else ""
    if text and (len(text) < _SHORTEST or len(set(text)) < _LEAST_DIFFERENT or _PLACEHOLDER.search(text)):
        raise ValueError(
            f"it can be guessed; take {_SHORTEST} random characters or more, such as `openssl rand -hex 32` prints"
        )
    return value


# What services show each other.
Token = typing.Annotated[Secret | None, AfterValidator(_unguessable)]


class ServiceSettings(BaseSettings):
    """What every service can be told. A service adds its own fields and states its prefix:

    `model_config = SettingsConfigDict(env_prefix="LLM_MANAGER_GATEWAY_")`

    Building one directly takes the given values and reads no environment; only `load` does.
    """

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_prefix="LLM_MANAGER_", extra="forbid", frozen=True, validate_default=True
    )

    nats_url: str = Field(default="nats://127.0.0.1:4222", description="Address of NATS, or several with commas.")
    nats_user: str = Field(default="", pattern=r"^[A-Za-z0-9_-]*$", description="User of NATS; empty: none.")
    nats_token: Token = Field(
        default=None, description="Token that NATS asks for, the user's password where there is one; empty: none."
    )
    ops_host: str = Field(default="127.0.0.1", description="Address on which /healthz, /readyz and /metrics answer.")
    ops_port: int = Field(default=0, ge=0, le=65535, description="Port of the same; 0 switches them off.")
    log_level: LogLevel = Field(default="info", description="Least level logged.")
    log_format: LogFormat = Field(default="json", description="One JSON object a line, or a form for people.")
    otlp_endpoint: str = Field(default="", description="Base URL of an OTLP/HTTP collector; empty: no traces.")
    drain_seconds: float = Field(default=20.0, ge=0, description="Time that work in flight has to finish at a stop.")

    _files: Mapping[str, Path] = PrivateAttr(default_factory=dict[str, Path])

    def file_of(self, field: str) -> Path | None:
        """Return the file that a secret was read from; None where its variable held it."""
        return self._files.get(field)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 (the signature is pydantic's)
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from the call only: pydantic's own readers would ignore unknown variables."""
        return (init_settings,)


S = TypeVar("S", bound=ServiceSettings)


def load(cls: type[S], environ: Mapping[str, str] | None = None) -> S:
    """Read the settings of a service from environment variables.

    Every secret X can come as X_FILE, the path of a file that holds it. An empty variable of an optional field
    means "not set".

    Raises:
        SettingsError: an unknown variable of this service, a wrong or missing value, an unreadable file.
    """
    environ = os.environ if environ is None else environ
    prefix = _prefix(cls)
    values: dict[str, str] = {}
    files: dict[str, Path] = {}
    for variable in sorted(name for name in environ if name.startswith(prefix)):
        field, value, file = _read(cls, variable, environ[variable])
        if field in values:
            raise SettingsError(f"{prefix}{field.upper()} and its {_FILE_SUFFIX} are both set; keep one.")
        if value or not _is_optional(cls.model_fields[field]):
            values[field] = value
        if file is not None:
            files[field] = file
    try:
        settings = cls(**typing.cast("dict[str, typing.Any]", values))  # texts; pydantic turns them into the types
    except ValidationError as error:
        # no input, no chain: pydantic's own text repeats the values, and some of them are secrets
        details = error.errors(include_url=False, include_input=False, include_context=False)
        raise SettingsError("\n".join(_explain(prefix, detail) for detail in details)) from None
    settings._files = files  # pyright: ignore[reportPrivateUsage] (same module)
    return settings


def variables(cls: type[ServiceSettings]) -> tuple[str, ...]:
    """Return every environment variable that `load` accepts for a class, sorted."""
    names: list[str] = []
    for name, field in cls.model_fields.items():
        variable = _prefix(cls) + name.upper()
        names.append(variable)
        if _is_secret(field):
            names.append(variable + _FILE_SUFFIX)
    return tuple(sorted(names))


def describe(cls: type[ServiceSettings]) -> str:
    """Return the settings of a class as a Markdown table, one row a variable, in the order of the class."""
    rows = ["| variable | type | default | meaning |", "|---|---|---|---|"]
    for name, field in cls.model_fields.items():
        variable = f"`{_prefix(cls)}{name.upper()}`"
        if _is_secret(field):
            variable += f" or `…{_FILE_SUFFIX}`"
        rows.append(f"| {variable} | {_type_name(field)} | {_default(field)} | {field.description or ''} |")
    return "\n".join(rows) + "\n"


def _prefix(cls: type[ServiceSettings]) -> str:
    return cls.model_config.get("env_prefix", "")


def _read(cls: type[ServiceSettings], variable: str, value: str) -> tuple[str, str, Path | None]:
    """Return the field that a variable sets, its value, and the file that held it."""
    name = variable.removeprefix(_prefix(cls))
    if name.lower() in cls.model_fields and name == name.upper():
        return name.lower(), value, None
    field = name.removesuffix(_FILE_SUFFIX).lower()
    if name.endswith(_FILE_SUFFIX) and field in cls.model_fields and _is_secret(cls.model_fields[field]):
        try:
            return field, Path(value).read_text(encoding="utf-8").rstrip("\r\n"), Path(value)
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise SettingsError(f"{variable} names {value!r}, which cannot be read: {reason}.") from error
    nearest = difflib.get_close_matches(variable.upper(), variables(cls), n=1, cutoff=0.0)
    raise SettingsError(f"{variable} is not a setting. Did you mean {nearest[0]}? Remove or correct it.")


def _explain(prefix: str, detail: ErrorDetails) -> str:
    variable = prefix + str(detail["loc"][0]).upper() if detail["loc"] else "The settings"
    if detail["type"] == "missing":
        return f"{variable} is not set, and there is no default."
    return f"{variable} is wrong: {detail['msg']}."


def _choices(field: FieldInfo) -> tuple[object, ...]:
    return typing.get_args(field.annotation) or (field.annotation,)


def _is_secret(field: FieldInfo) -> bool:
    return Secret in _choices(field)


def _is_optional(field: FieldInfo) -> bool:
    return NoneType in _choices(field)


def _type_name(field: FieldInfo) -> str:
    if typing.get_origin(field.annotation) is typing.Literal:
        return ", ".join(f"`{choice}`" for choice in _choices(field))
    names = [getattr(choice, "__name__", str(choice)) for choice in _choices(field) if choice is not NoneType]
    return " or ".join(name.lower() for name in names)


def _default(field: FieldInfo) -> str:
    default: object = field.get_default(call_default_factory=False)
    if default is PydanticUndefined:
        return "required"
    if default is None or default == "":
        return "empty"
    if isinstance(default, Secret):
        return MASK
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"
