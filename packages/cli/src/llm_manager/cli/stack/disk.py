"""Whether the disk of the data directory is full: what is refused then, and what must be started anew after."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

# nats-server and ClickHouse write in pieces of a MiB and more; below this some of them fail, above that none does.
FULL_BYTES, FREE_BYTES = 16 * 1024**2, 64 * 1024**2


class Turn(Enum):
    """What a look at the disk found to be new."""

    FILLED = auto()
    FREED = auto()


@dataclass
class Disk:
    """The disk that a folder is on."""

    folder: Path
    is_full: bool = False

    def look(self) -> Turn | None:
        """Return what has changed since the last look, None when nothing has."""
        try:
            seen = os.statvfs(self.folder)
        except OSError:
            return None
        free = seen.f_bavail * seen.f_frsize
        if self.is_full and free >= FREE_BYTES:
            self.is_full = False
            return Turn.FREED
        if not self.is_full and free < FULL_BYTES:
            self.is_full = True
            return Turn.FILLED
        return None
