"""What the supervisor says, to the terminal and to the `up` that waits; nobody who fails to listen holds it up.

A write to a terminal that is gone fails, and one to a full pipe that nobody reads never returns. So a thread of its
own writes; the supervisor only hands lines over, and lines that cannot be handed over are dropped.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from dataclasses import dataclass, field, replace
from typing import Any, Literal

_MOST_WAITING_LINES = 1_000
_LAST_WORDS_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Report:
    """One line of the channel to the `up --detach` that waits: progress, the end of a start, or its failure."""

    kind: Literal["progress", "ready", "failed", "busy"]
    text: str = ""
    exit_code: int = 0


class Output:
    """Writes lines to standard output and standard error, in order, for as long as somebody takes them."""

    def __init__(self, *, stdout: int | None = None, stderr: int | None = None) -> None:
        self._stdout = sys.stdout.fileno() if stdout is None else stdout
        self._stderr = sys.stderr.fileno() if stderr is None else stderr
        self._lines: queue.Queue[tuple[int, bytes] | None] = queue.Queue(_MOST_WAITING_LINES)
        # a daemon: a write that never returns must not keep the process from ending
        self._thread = threading.Thread(target=self._write_all, name="output", daemon=True)
        self._thread.start()

    def out(self, text: str) -> None:
        """Say what was asked for."""
        self._hand_over(self._stdout, text)

    def note(self, text: str) -> None:
        """Say what happens."""
        self._hand_over(self._stderr, text)

    def close(self, *, within_seconds: float = _LAST_WORDS_SECONDS) -> None:
        """Write what waits, if it is taken in time."""
        try:
            self._lines.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(within_seconds)

    def _hand_over(self, descriptor: int, text: str) -> None:
        try:
            self._lines.put_nowait((descriptor, f"{text}\n".encode(errors="replace")))
        except queue.Full:
            return

    def _write_all(self) -> None:
        while (line := self._lines.get()) is not None:
            descriptor, left = line
            try:
                while left:
                    left = left[os.write(descriptor, left) :]
            except OSError:
                # closed, hung up, or a log on a full disk; the next line may fare better
                continue


@dataclass
class Reporter:
    """Tells what happens: to the terminal in the foreground, or over a pipe to the `up` that waits."""

    channel: int | None = None
    output: Output = field(default_factory=Output)
    _is_open: bool = True

    def __post_init__(self) -> None:
        if self.channel is not None:
            os.set_blocking(self.channel, False)

    def say(self, text: str) -> None:
        """Report progress, or what happened to a child."""
        self.output.note(f"  {text}")
        self.send(Report("progress", text))

    def send(self, report: Report) -> None:
        """Write one report to the channel, if somebody still listens."""
        if self.channel is None or not self._is_open:
            return
        line = json.dumps({"kind": report.kind, "text": report.text, "exit_code": report.exit_code}) + "\n"
        try:
            os.write(self.channel, line.encode())
        except OSError:
            self.close()

    def close(self) -> None:
        """Let the `up` that waits go."""
        if self.channel is not None and self._is_open:
            os.close(self.channel)
        self._is_open = False


def parse_report(line: str) -> Report:
    """Read one line of the channel back."""
    raw: dict[str, Any] = json.loads(line)
    return replace(Report(raw["kind"]), text=raw["text"], exit_code=raw["exit_code"])
