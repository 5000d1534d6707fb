"""`llm-manager secrets`: the master keys under which the platform keeps its secrets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from llm_manager.cli.data_dir import locate, new_master_key, write_private
from llm_manager.cli.exit_codes import CommandError
from llm_manager.cli.options import DataDirOption, JsonOption, UrlOption
from llm_manager.kit.secrets import key_id_of

from .admin_calls import Row, admin_at, show, show_list

if TYPE_CHECKING:
    from llm_manager.client.admin.secrets import Secrets

secrets_app = typer.Typer(help="Show and rotate the master keys that secrets are sealed under.", no_args_is_help=True)
_COLUMNS = ("master key", "use", "secrets")


@secrets_app.command("show")
def show_master_keys(*, as_json: JsonOption = False, url: UrlOption = None, data_dir: DataDirOption = None) -> None:
    """List the master keys by their ids, with how many secrets are under each."""
    rows = admin_at(url, data_dir).secrets.list()["data"]
    show_list(rows, _COLUMNS, [(row["id"], _use(row), row["envelopes"]) for row in rows], as_json=as_json)


@secrets_app.command("rotate")
def rotate(*, as_json: JsonOption = False, url: UrlOption = None, data_dir: DataDirOption = None) -> None:
    """Take a new master key and seal everything anew while the platform serves.

    API keys, sessions and stored credentials stay valid. Where the gateway does not read the master key of this data
    directory, nothing but the sealing is done: give it the new key yourself, in front of the one of before.
    """
    calls = admin_at(url, data_dir).secrets
    before = _active(calls.list()["data"])
    file = _KeyFile(locate(data_dir).secret_file("master-key"))
    kept = file.read()
    is_ours = file.ids()[:1] == [before]
    if is_ours and len(kept) == 1:
        file.write([new_master_key(), *kept])
        if _active(calls.list()["data"]) == before:
            file.write(kept)
            raise CommandError(
                f"The gateway does not read {file.path}, though it has the same key. Give it a new one where it has "
                "that from, in front of the one of before, and rotate again; nothing was changed."
            )
    resealed, rows = _seal_all(calls)
    left = sum(row["envelopes"] for row in rows if row["is_known"] and not row["is_active"])
    if is_ours and not left:
        file.write(file.read()[:1])
    said = {"active_key_id": _active(rows), "resealed": resealed, "left_under_older_keys": left}
    show(said, as_json=as_json, text=_told(said, file.path if is_ours else None))


def _seal_all(calls: Secrets) -> tuple[int, Sequence[Row]]:
    """Ask until everything was looked at; return how much was sealed anew, and the keys then.

    Raises:
        CommandError: there are secrets that no master key opens.
    """
    resealed, unreadable, is_done = 0, set[str](), False
    rows: Sequence[Row] = []
    while not is_done:
        answer = calls.rotate()
        resealed, rows, is_done = resealed + answer["resealed"], answer["data"], answer["is_done"]
        unreadable.update(answer["unreadable"])
    if unreadable:
        raise CommandError(
            f"{resealed} secrets were sealed anew, but no master key opens {', '.join(sorted(unreadable))}. "
            "Put the key that they were sealed under behind the others and rotate again, or set them anew; until then "
            "all keys stay where they are."
        )
    return resealed, rows


def _told(said: dict[str, Any], file: Path | None) -> str:
    done = f"{said['resealed']} secrets were sealed anew; the master key is {said['active_key_id']}."
    if said["left_under_older_keys"]:
        return f"{done} {said['left_under_older_keys']} came under an older key meanwhile: rotate again."
    if file is None:
        return f"{done} Keys behind it may be taken out of LLM_MANAGER_GATEWAY_MASTER_KEY and …PROVIDERS_MASTER_KEY."
    return f"{done} Back {file} up; backups of the database made before need the key of before."


def _active(rows: Sequence[Row]) -> str:
    return next(row["id"] for row in rows if row["is_active"])


def _use(row: Row) -> str:
    if row["is_active"]:
        return "seals"
    return "opens" if row["is_known"] else "unknown"


@dataclass(frozen=True, slots=True)
class _KeyFile:
    """Master keys in a file, one a line; the first seals."""

    path: Path

    def read(self) -> list[str]:
        """Return them; none where there is no file of ours."""
        try:
            return self.path.read_text(encoding="utf-8").split()
        except OSError:
            return []

    def ids(self) -> list[str]:
        """Return their ids.

        Raises:
            CommandError: something else is in the file.
        """
        from llm_manager.kit.master_keys import parse  # pydantic, which other commands need not wait for

        words = self.read()
        try:
            return [key_id_of(key) for key in parse(" ".join(words))] if words else []
        except ValueError as error:
            raise CommandError(f"{self.path} holds no master keys: {error}.") from error

    def write(self, keys: list[str]) -> None:
        """Replace them, whole or not at all."""
        write_private(self.path, "".join(f"{key}\n" for key in keys))
