"""Log files of the children: appended by the child itself, kept small by the supervisor.

A child writes straight into its file, so that nothing it says is lost when the supervisor dies. The file is cut by
copying it away and emptying it in place; lines written between those two steps are lost, some microseconds' worth.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

MAX_SIZE_BYTES = 10_000_000
KEPT_FILES = 3


def rotate(log: Path, *, max_size_bytes: int = MAX_SIZE_BYTES) -> bool:
    """Move the contents to `<name>.1` when the file is over the limit; tell whether that was so."""
    try:
        if log.stat().st_size <= max_size_bytes:
            return False
    except FileNotFoundError:
        return False
    for number in range(KEPT_FILES - 1, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number + 1}"))
    copy = log.with_name(f"{log.name}.1")
    shutil.copyfile(log, copy)
    copy.chmod(0o600)
    os.truncate(log, 0)
    return True


def open_log(log: Path) -> int:
    """Open a log for a child to append to; only its owner can read it."""
    return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def size(log: Path) -> int:
    """Return how many bytes the log holds now."""
    return log.stat().st_size if log.exists() else 0


def last_lines(log: Path, *, since_bytes: int = 0, count: int = 12) -> list[str]:
    """Return the last lines that were written after an offset, at most 64 KiB of them."""
    try:
        with log.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            # a log that was cut since is shorter than the offset
            file.seek(max(since_bytes if since_bytes <= end else 0, end - 65_536))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return [line for line in lines if line.strip()][-count:]


def in_short(line: str, *, width: int = 300) -> str:
    """Return a line as a person reads it: of a record its event, its reason and the last line of its trace."""
    try:
        record: dict[str, object] = json.loads(line)
        trace = str(record.get("exception", "")).strip().splitlines()[-1:]
        parts = [
            str(record["event"]),
            *(str(record[key]) for key in ("reason", "message", "error") if key in record),
            *trace,
        ]
        line = ": ".join(parts)
    except (ValueError, KeyError, TypeError, AttributeError):
        pass  # not a record of ours, but as good
    return line if len(line) <= width else line[: width - 1] + "…"
