"""`llm-manager up`: become the supervisor, or start one in the background and wait until it is ready."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from llm_manager.cli.data_dir import DataDir
from llm_manager.cli.exit_codes import CommandError, ExitCode
from llm_manager.cli.stack import logs, state, variables
from llm_manager.cli.stack.greeting import Greeting
from llm_manager.cli.stack.reporter import parse_report
from llm_manager.cli.stack.run import greet

from .settings import known_facts

_SUPERVISOR = "llm_manager.cli.stack.run"
# Another `up` may be in the middle of its start; children get 60 s each (child.py), nats-server before the rest.
_OTHER_START_SECONDS = 130.0


def foreground(data: DataDir, *, port: int | None, as_json: bool) -> NoReturn:
    """Replace this process by the supervisor, which is light; never returns."""
    os.execv(sys.executable, _command(data, port=port, as_json=as_json))  # noqa: S606 no shell is wanted


def detached(data: DataDir, *, port: int | None) -> Greeting:
    """Start a supervisor in a session of its own and return when everything is ready.

    Raises:
        CommandError: it did not become ready; nothing is left running.
    """
    data.prepare()
    read, write = os.pipe()
    os.set_inheritable(write, True)
    supervisor = _spawn([*_command(data, port=port), "--channel", str(write)], log=supervisor_log(data))
    os.close(write)
    try:
        with os.fdopen(read) as channel:
            outcome = _follow(channel)
    except KeyboardInterrupt:
        os.kill(supervisor, signal.SIGTERM)
        os.waitpid(supervisor, 0)
        raise
    if outcome != ExitCode.OK:
        os.waitpid(supervisor, 0)
    if outcome == ExitCode.BUSY:
        return already_running(data)
    if outcome != ExitCode.OK:
        raise CommandError("LLM Manager did not start; see above.", exit_code=outcome)
    return asyncio.run(greet(data))


def already_running(data: DataDir) -> Greeting:
    """Return the greeting of the stack that another `up` started, when it is ready.

    Raises:
        CommandError: it is stopping, or did not become ready.
    """
    deadline = time.monotonic() + _OTHER_START_SECONDS
    while state.is_held(data) and time.monotonic() < deadline:
        running = state.read(data)
        if running is not None and running.phase == "ready":
            greeting = asyncio.run(greet(data, already_running=True))
            return replace(greeting, changed_variables=_changed(data, running))
        if running is not None and running.phase == "stopping":
            break
        time.sleep(0.1)
    raise CommandError(
        f"Another 'up' or 'down' is at work in {data.path}: wait until it is done, then try again.",
        exit_code=ExitCode.BUSY,
    )


def _changed(data: DataDir, running: state.RunState) -> tuple[str, ...]:
    """Return the variables of this shell that the running stack has not seen."""
    facts = known_facts(data)
    providers = {name for fact in facts.values() for name in (fact.credential_env, fact.base_url_env)}
    return tuple(variables.changed(data, running.variables, os.environ, providers=providers))


def _follow(channel: Iterable[str]) -> ExitCode:
    """Show the progress that comes over the channel; return how the start ended."""
    for line in channel:
        report = parse_report(line)
        if report.kind == "progress":
            print(f"  {report.text}", file=sys.stderr, flush=True)
        elif report.kind == "ready":
            return ExitCode.OK
        else:
            if report.kind == "failed":
                print(f"llm-manager up: {report.text}", file=sys.stderr, flush=True)
            return ExitCode(report.exit_code)
    return ExitCode.FAILED  # it closed without a word: it was killed


def _spawn(command: list[str], *, log: Path) -> int:
    """Start a process in a session of its own that outlives this one; return its id."""
    output = logs.open_log(log)
    try:
        # not Popen: its object would have to live as long as the process, or warn
        return os.posix_spawn(
            command[0],
            command,
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, output, 1),
                (os.POSIX_SPAWN_DUP2, output, 2),
            ],
            setsid=True,
        )
    finally:
        os.close(output)


def _command(data: DataDir, *, port: int | None, as_json: bool = False) -> list[str]:
    command = [sys.executable, "-m", _SUPERVISOR, "--data-dir", str(data.path)]
    if port is not None:
        command += ["--port", str(port)]
    if as_json:
        command.append("--json")
    return command


def supervisor_log(data: DataDir) -> Path:
    """Return the file in which a supervisor in the background writes what it says."""
    return data.logs / "supervisor.log"
