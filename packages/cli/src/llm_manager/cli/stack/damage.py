"""What a store that cannot be read any more means: what is lost, and the command to go on without it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from llm_manager.cli.data_dir import DataDir


@dataclass(frozen=True, slots=True)
class Store:
    """One store of the data directory.

    Args:
        symptom: what the log of its owner holds when it cannot be read; no word of a full disk or a lock.
    """

    owner: str
    path: Path
    lost: str
    symptom: re.Pattern[str]

    @property
    def remedy(self) -> str:
        """Say how to go on."""
        names = f"{self.path}*" if self.path.suffix == ".db" else str(self.path)
        aside = self.path.parent / "damaged"
        command = f"mkdir -p {aside} && mv {names} {aside}/ && llm-manager up"
        return f"restore a backup, or go on without ({self.lost}): {command}"


def database(data: DataDir) -> Store:
    """The control plane."""
    return Store(
        "gateway",
        data.path / "control-plane.db",
        "apps, API keys but the first, kept providers and stored responses are lost; the ledger is not",
        re.compile("file is not a database|database disk image is malformed"),
    )


def bus(data: DataDir) -> Store:
    """The streams."""
    return Store(
        "nats",
        data.nats,
        "events on their way to the ledger are lost; the ledger, keys and providers are not",
        re.compile("Can't start JetStream|could not create storage directory|not a directory"),
    )


def ledger(data: DataDir) -> Store:
    """The usage and cost of the past."""
    return Store(
        "usage",
        data.path / "clickhouse",
        "the usage and cost of the past are lost; keys and providers are not",
        re.compile(
            r"\((SYNTAX_ERROR|FILE_ALREADY_EXISTS|CORRUPTED_DATA|CHECKSUM_DOESNT_MATCH|CANNOT_READ_ALL_DATA|CANNOT_PARSE_\w+"
            r"|UNKNOWN_FORMAT_VERSION|ASYNC_LOAD_WAIT_FAILED|NO_FILE_IN_DATA_PART|FILE_DOESNT_EXIST|UNEXPECTED_END_OF_FILE"
            r"|INCORRECT_FILE_NAME|ATTEMPT_TO_READ_AFTER_EOF|BAD_DATA_PART_NAME)\)"
        ),
    )


def of(name: str, data: DataDir) -> Store:
    """Return the store that a child cannot start without."""
    return {"gateway": database, "nats": bus, "usage": ledger}[name](data)
