"""Secrets that a person hands to a command: from a file, standard input, a variable, or typed without echo.

Never as an argument: everybody on the machine can read the arguments of every process.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import typer

from .values import wrong


@dataclass(frozen=True, slots=True)
class Source:
    """Where a secret was said to come from.

    Args:
        name: of the option's family: `--api-key` has `--api-key-file`, `--api-key-stdin` …
        prompts: asked for by `--…-prompt`.
    """

    name: str
    file: Path | None = None
    from_stdin: bool = False
    variable: str | None = None
    prompts: bool = False

    def read(self) -> str | None:
        """Return the secret, None when no source was said.

        Raises:
            CommandError: several sources were said, or one cannot be read or is empty (exit code 2).
        """
        said = [self.file is not None, self.from_stdin, self.variable is not None, self.prompts]
        if sum(said) > 1:
            raise wrong(f"The secret comes from one place: say one of the {self.name}-… options.")
        if self.file is not None:
            return self._one(read_file(f"{self.name}-file", self.file))
        if self.from_stdin:
            return self._one(sys.stdin.read())
        if self.variable is not None:
            return self._one(os.environ.get(self.variable, ""))
        return self._one(ask(self.name, may_be_empty=False)) if self.prompts else None

    def read_or_ask(self) -> str:
        """Return the secret, typed by the person at the terminal when no source was said.

        Raises:
            CommandError: as for `read`; also when nobody sits at a terminal.
        """
        found = self.read()
        return ask(self.name, may_be_empty=False) if found is None else found

    def read_or_offer(self) -> str | None:
        """Return the secret as `read_or_ask`; Enter stands for none, and so does an input that is no terminal.

        Raises:
            CommandError: as for `read`.
        """
        found = self.read()
        if found is not None or not is_terminal():
            return found
        return ask(self.name, may_be_empty=True) or None

    def _one(self, text: str) -> str:
        secret = text.rstrip("\r\n")
        if not secret or "\n" in secret:
            raise wrong(f"The secret of the {self.name}-… option is {'not one line' if secret else 'empty'}.")
        return secret


def read_file(option: str, path: Path) -> str:
    """Return the text of a file that holds a secret.

    Raises:
        CommandError: it cannot be read; the message does not show what it holds (exit code 2).
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise wrong(f"{option} {path} cannot be read: {why}.") from None


def is_terminal() -> bool:
    """Return whether a person can be asked."""
    return sys.stdin.isatty()


def ask(name: str, *, may_be_empty: bool) -> str:
    """Ask for a secret without echo; a password twice, for nobody sees what was typed.

    Raises:
        CommandError: nobody sits at a terminal (exit code 2).
    """
    if not is_terminal():
        raise wrong(f"There is no terminal to type the secret at: say {name}-file FILE or {name}-stdin.")
    what = {"--api-key": "API key", "--password": "Password"}.get(name, name.removeprefix("--"))
    typed: str = typer.prompt(
        f"{what} (Enter for none)" if may_be_empty else what,
        default="" if may_be_empty else None,
        show_default=False,
        hide_input=True,
        confirmation_prompt=name == "--password",
        err=True,
    )
    return typed
