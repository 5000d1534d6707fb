"""What the exit code of `llm-manager` says. The table in the docs is generated from here."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command; programs may rely on them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_RUNNING = 3
    BUSY = 4
    SETTINGS = 78
    INTERRUPTED = 130


MEANING: dict[ExitCode, str] = {
    ExitCode.OK: "done; for `up` also: it was running already",
    ExitCode.FAILED: "failed; the last line says why and what to do",
    ExitCode.USAGE: "the command line is wrong",
    ExitCode.NOT_RUNNING: "LLM Manager does not run in this data directory; start it with `llm-manager up`",
    ExitCode.BUSY: "another `up` or `down` is at work in this data directory",
    ExitCode.SETTINGS: "a setting is wrong or unknown (EX_CONFIG of sysexits.h); the last line names it",
    ExitCode.INTERRUPTED: "interrupted by Ctrl-C before the work was done",
}


class CommandError(Exception):
    """A command cannot do its work. `str(error)` says what happened and what to do."""

    def __init__(self, message: str, *, exit_code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code
