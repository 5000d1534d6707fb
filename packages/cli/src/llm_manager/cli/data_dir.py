"""The data directory: everything that one installation keeps, its secrets included."""

from __future__ import annotations

import base64
import os
import secrets
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from llm_manager.core.ids import new_api_key
from llm_manager.kit.bus.permissions import PERMISSIONS

from .exit_codes import CommandError, ExitCode

ENVIRONMENT_KEY = "LLM_MANAGER_DATA_DIR"


def new_master_key() -> str:
    """Return 32 random bytes as the platform takes them."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


# How each secret is made. Made once and never again: whoever loses the master key loses the provider credentials.
_MAKERS: dict[str, Callable[[], str]] = {
    "master-key": new_master_key,
    # hexadecimal: one base64 text of 64 begins with a dash, and programs take that for an option
    **{f"nats-{user}": lambda: secrets.token_hex(32) for user in PERMISSIONS},
    "rpc-token": lambda: secrets.token_hex(32),
    "admin-password": lambda: secrets.token_hex(15),
    "api-key": lambda: new_api_key().token,
}


@dataclass(frozen=True, slots=True)
class DataDir:
    """Paths below one data directory, readable by its owner only."""

    path: Path

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def run(self) -> Path:
        return self.path / "run"

    @property
    def nats(self) -> Path:
        return self.path / "nats"

    @property
    def provider_facts(self) -> Path:
        """Provider kinds of the owner's making; the owner makes the folder too."""
        return self.path / "provider_facts"

    @property
    def secrets(self) -> Path:
        return self.path / "secrets"

    def secret_file(self, name: str) -> Path:
        """Return the path of a secret; the file exists after `prepare`."""
        return self.secrets / name

    def read_secret(self, name: str) -> str:
        """Return a secret.

        Raises:
            CommandError: nothing was ever started in this directory, or the file is not ours to read.
        """
        file = self.secret_file(name)
        try:
            return file.read_text().strip()
        except FileNotFoundError as error:
            raise CommandError(
                f"There is no {file}: nothing was started in this data directory yet. Run 'llm-manager up', "
                f"or name another directory with --data-dir or {ENVIRONMENT_KEY}.",
                exit_code=ExitCode.NOT_RUNNING,
            ) from error
        except OSError as error:
            raise CommandError(f"Cannot read {file}: {error.strerror}. Run as the user that owns it.") from error

    def prepare(self) -> list[str]:
        """Make the directory and the secrets that are missing; return the names of the new secrets.

        Raises:
            CommandError: the directory cannot be written, or a secret is empty.
        """
        try:
            for folder in (self.path, self.logs, self.run, self.nats, self.secrets):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                # mkdir leaves an existing folder as it is, and one that others can read would show the keys
                if folder.stat().st_mode & 0o077:
                    folder.chmod(0o700)
            return [name for name, make in _MAKERS.items() if self._ensure_secret(name, make)]
        except OSError as error:
            raise CommandError(
                f"Cannot write the data directory {self.path}: {error.strerror}. "
                f"Name another one with --data-dir or {ENVIRONMENT_KEY}, or make this one yours."
            ) from error

    def close_to_others(self) -> None:
        """Take from everybody else what earlier versions left open to them."""
        for folder, folders, files in os.walk(self.path):
            for name in (*folders, *files):
                path = Path(folder, name)
                # a file may go while the last run still drains; a link's target is not ours
                with suppress(FileNotFoundError, PermissionError):
                    mode = path.lstat().st_mode
                    if mode & 0o077 and not stat.S_ISLNK(mode):
                        path.chmod(stat.S_IMODE(mode) & 0o700)

    def _ensure_secret(self, name: str, make: Callable[[], str]) -> bool:
        file = self.secret_file(name)
        if file.exists():
            if not file.read_text().strip():
                raise CommandError(f"{file} is empty. Restore it from a backup, or delete it to get a new one.")
            if file.stat().st_mode & 0o077:
                file.chmod(0o600)
            return False
        write_private(file, make() + "\n")
        return True


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all, also when the machine stops in between."""
    part = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    part.replace(file)


def locate(explicit: Path | None = None, environ: Mapping[str, str] | None = None) -> DataDir:
    """Return the data directory: the option, LLM_MANAGER_DATA_DIR, or the place of the XDG base directories."""
    env = os.environ if environ is None else environ
    if explicit is not None:
        chosen = explicit
    elif env.get(ENVIRONMENT_KEY):
        chosen = Path(env[ENVIRONMENT_KEY])
    else:
        data_home = env.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
        chosen = Path(data_home) / "llm-manager"
    return DataDir(chosen.expanduser().resolve())
