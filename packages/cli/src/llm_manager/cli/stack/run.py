"""The supervisor's process: `python -m llm_manager.cli.stack.run`, started by `llm-manager up`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from llm_manager.cli.data_dir import DataDir, locate
from llm_manager.cli.exit_codes import CommandError, ExitCode

from . import plan, processes, state
from .child import StartError
from .greeting import Greeting, does_persist
from .guard import NatsGuard
from .ports import PortKeeper
from .state import ChildState, Phase, RunLock, RunState
from .supervisor import Supervisor

# A drain of the last run may still be going on when its supervisor was killed.
_LEFTOVER_GRACE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Report:
    """One line of the channel to the `up --detach` that waits: progress, the end of a start, or its failure."""

    kind: Literal["progress", "ready", "failed", "busy"]
    text: str = ""
    exit_code: int = 0


@dataclass
class Reporter:
    """Tells what happens: to the terminal in the foreground, or over a pipe to the `up` that waits."""

    channel: int | None = None
    _is_open: bool = True

    def say(self, text: str) -> None:
        """Report progress, or what happened to a child."""
        print(f"  {text}", file=sys.stderr, flush=True)
        self.send(Report("progress", text))

    def send(self, report: Report) -> None:
        """Write one report to the channel, if somebody still listens."""
        if self.channel is None or not self._is_open:
            return
        line = json.dumps({"kind": report.kind, "text": report.text, "exit_code": report.exit_code}) + "\n"
        try:
            os.write(self.channel, line.encode())
        except OSError:
            self._is_open = False

    def close(self) -> None:
        """Let the `up` that waits go."""
        if self.channel is not None and self._is_open:
            os.close(self.channel)
        self._is_open = False


@dataclass
class Stack:
    """One run in one data directory, from the first port to the last process."""

    data: DataDir
    ports: plan.Ports
    reporter: Reporter
    environ: Mapping[str, str]
    guard: NatsGuard = field(default_factory=NatsGuard)
    phase: Phase = "starting"
    supervisor: Supervisor | None = None

    async def run(self, *, lifeline: int, as_json: bool) -> None:
        """Start, announce, keep alive, and drain on SIGINT or SIGTERM; the second signal kills.

        Raises:
            StartError: a process did not become ready.
        """
        pipes = plan.Pipes(lifeline=lifeline, guard=self.guard.held_open)
        self.supervisor = Supervisor(
            plan.stages(plan.Wiring(self.data, self.ports, pipes, self.environ)),
            say=self.reporter.say,
            on_change=self.save,
            on_spawn=self._spawned,
        )
        stop = asyncio.Event()
        self._handle_signals(stop)
        self.save()
        try:
            await self.supervisor.run(stop, on_ready=lambda: self._announce(as_json=as_json))
        finally:
            self.guard.close()
            state.clear(self.data)

    def save(self) -> None:
        """Write what runs now, for `status`, `down` and the next `up`."""
        me = processes.identify(os.getpid())
        children = self.supervisor.children.values() if self.supervisor else ()
        host = plan.reachable(plan.api_host(self.environ))
        state.write(
            self.data,
            RunState(
                phase=self.phase,
                pid=os.getpid(),
                started=me.started if me else "",
                base_url=f"http://{host}:{self.ports.api}/v1",
                grpc=f"{host}:{self.ports.grpc}",
                nats_url=f"nats://127.0.0.1:{self.ports.nats}",
                children={
                    child.spec.name: ChildState(
                        pid=child.process.pid,
                        started=child.process.started,
                        restarts=child.restarts,
                        is_ready=child.is_ready,
                        ops_url=child.spec.ops_url,
                    )
                    for child in children
                    if child.process is not None
                },
            ),
        )

    def _announce(self, *, as_json: bool) -> None:
        self.phase = "ready"
        self.save()
        self.reporter.send(Report("ready"))
        if self.reporter.channel is None:
            greeting = greet(self.data, environ=self.environ)
            text = json.dumps(greeting.as_json()) if as_json else greeting.as_text(is_detached=False)
            print(text, flush=True)
        self.reporter.close()

    def _spawned(self, name: str, pid: int) -> None:
        if name == plan.NATS:
            self.guard.watch(pid)

    def _handle_signals(self, stop: asyncio.Event) -> None:
        def on_signal() -> None:
            if stop.is_set():
                self.reporter.say("killing everything")
                if self.supervisor is not None:
                    self.supervisor.kill()
                return
            self.reporter.say("draining: gateway, providers, usage, nats (again to kill)")
            self.phase = "stopping"
            self.save()
            stop.set()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, on_signal)


def greet(data: DataDir, *, environ: Mapping[str, str] | None = None, already_running: bool = False) -> Greeting:
    """Return the greeting of what runs in a data directory.

    Raises:
        CommandError: nothing runs there.
    """
    running = state.read(data)
    if running is None:
        raise CommandError(f"Nothing runs in {data.path}.", exit_code=ExitCode.NOT_RUNNING)
    return Greeting(
        state=running,
        data_dir=data.path,
        api_key=plan.secret_in_use(data, "api-key", "BOOTSTRAP_API_KEY", environ),
        admin_password=plan.secret_in_use(data, "admin-password", "ADMIN_PASSWORD", environ),
        persists=does_persist(data.path),
        already_running=already_running,
    )


def start(data: DataDir, *, port: int | None, reporter: Reporter, as_json: bool) -> ExitCode:
    """Run the stack in this process until it is stopped.

    Raises:
        CommandError: the data directory is in use or cannot be written, or there is no free port.
    """
    environ = dict(os.environ)
    made = data.prepare()
    if made:
        reporter.say(f"made {', '.join(made)} in {data.secrets}")
    lock = RunLock(data)
    if not lock.acquire():
        raise CommandError(f"LLM Manager is already at work in {data.path}.", exit_code=ExitCode.BUSY)
    keeper = PortKeeper()
    lifeline_read, lifeline_write = os.pipe()
    try:
        _end_leftovers(data, reporter)
        wanted = plan.wanted_port(port, environ)
        ports = plan.choose_ports(keeper, wanted=wanted, host=plan.api_host(environ), seed=str(data.path))
        if wanted and ports.api != wanted:
            reporter.say(f"port {wanted} is taken by another program; the API is on port {ports.api}")
        reporter.say("starting nats, usage, providers, gateway")
        stack = Stack(data, ports, reporter, environ)
        asyncio.run(stack.run(lifeline=lifeline_read, as_json=as_json))
    except StartError as error:
        code = ExitCode.SETTINGS if error.is_settings else ExitCode.FAILED
        raise CommandError(str(error), exit_code=code) from error
    finally:
        os.close(lifeline_write)
        os.close(lifeline_read)
        keeper.close()
        lock.release()
    reporter.say("stopped")
    return ExitCode.OK


def _end_leftovers(data: DataDir, reporter: Reporter) -> None:
    """End what a killed supervisor left; services first, so that they can still say goodbye to the bus."""
    old = state.read(data)
    if old is None:
        return
    children = {name: child.process for name, child in old.children.items()}
    alive = [name for name, process in children.items() if processes.is_alive(process)]
    if alive:
        reporter.say(f"ending what the last run left: {', '.join(alive)}")
    bus = children.pop(plan.NATS, None)
    processes.end(children.values(), grace_seconds=_LEFTOVER_GRACE_SECONDS)
    processes.end([bus] if bus else [], grace_seconds=_LEFTOVER_GRACE_SECONDS)
    state.clear(data)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the supervisor; return its exit code."""
    parser = argparse.ArgumentParser(prog="llm-manager up")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--port", type=int)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--channel", type=int)
    options = parser.parse_args(argv)
    reporter = Reporter(channel=options.channel)
    try:
        return start(locate(options.data_dir), port=options.port, reporter=reporter, as_json=options.json)
    except CommandError as error:
        print(f"llm-manager up: {error.message}", file=sys.stderr, flush=True)
        kind = "busy" if error.exit_code is ExitCode.BUSY else "failed"
        reporter.send(Report(kind, error.message, error.exit_code))
        return error.exit_code


def parse_report(line: str) -> Report:
    """Read one line of the channel back."""
    raw: dict[str, Any] = json.loads(line)
    return replace(Report(raw["kind"]), text=raw["text"], exit_code=raw["exit_code"])


if __name__ == "__main__":
    sys.exit(main())
