"""As whom commands ask the admin API, when somebody else than the admin of the data directory types them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .exit_codes import CommandError, ExitCode

_PREFIX = "LLM_MANAGER_ADMIN_"
MEANING_OF_VARIABLES = (
    f"Commands of the admin API log in as the admin of the data directory, unless {_PREFIX}USER and {_PREFIX}PASSWORD "
    f"(or {_PREFIX}PASSWORD_FILE) name another user, or {_PREFIX}KEY (or {_PREFIX}KEY_FILE) holds an API key whose "
    "scopes are permissions."
)


@dataclass(frozen=True, slots=True)
class Login:
    """What the variables say; empty where they say nothing."""

    user: str = ""
    password: str = field(default="", repr=False)
    key: str = field(default="", repr=False)


def of(environ: Mapping[str, str]) -> Login:
    """Read the variables.

    Raises:
        CommandError: they contradict each other, a user has no password, or a file cannot be read (exit code 78).
    """
    login = Login(environ.get(f"{_PREFIX}USER", ""), _secret("PASSWORD", environ), _secret("KEY", environ))
    if login.key and (login.user or login.password):
        raise _wrong(f"{_PREFIX}KEY and {_PREFIX}USER or {_PREFIX}PASSWORD are both set; unset one of the two.")
    if login.user and not login.password:
        raise _wrong(f"{_PREFIX}USER is set without {_PREFIX}PASSWORD or {_PREFIX}PASSWORD_FILE; set one of them.")
    return login


def _secret(name: str, environ: Mapping[str, str]) -> str:
    key = f"{_PREFIX}{name}"
    value, file = environ.get(key, ""), environ.get(f"{key}_FILE", "")
    if value or not file:
        return value
    try:
        secret = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise _wrong(f"{key}_FILE cannot be read: {why}.") from None
    if not secret:
        raise _wrong(f"{key}_FILE is empty.")
    return secret


def _wrong(message: str) -> CommandError:
    return CommandError(message, exit_code=ExitCode.SETTINGS)
