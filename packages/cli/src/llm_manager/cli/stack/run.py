"""The supervisor's process: `python -m llm_manager.cli.stack.run`, started by `llm-manager up`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from llm_manager.cli.data_dir import DataDir, locate
from llm_manager.cli.exit_codes import CommandError, ExitCode

from . import health, leftovers, plan, processes, state
from .child import StartError
from .disk import Disk
from .greeting import Greeting, does_persist
from .guard import NatsGuard
from .origins import providers_at
from .ports import PortKeeper
from .reporter import Report, Reporter
from .state import ChildState, Phase, RunLock, RunState
from .supervisor import Supervisor
from .variables import digests


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
    variables: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.variables = digests(self.data, self.environ)

    async def run(self, *, lifeline: int, as_json: bool) -> None:
        """Start, announce, keep alive, and drain on SIGINT, SIGTERM or SIGHUP.

        A second SIGINT (Ctrl-C again) or a SIGQUIT kills; a second SIGTERM or SIGHUP changes nothing, for neither
        says that somebody has lost patience: a closed terminal sends two, two `down` at once send two.


        Raises:
            StartError: a process did not become ready.
        """
        pipes = plan.Pipes(lifeline=lifeline, guard=self.guard.held_open)
        self.supervisor = Supervisor(
            plan.stages(plan.Wiring(self.data, self.ports, pipes, self.environ)),
            say=self.reporter.say,
            on_change=self.save,
            on_spawn=self._spawned,
            disk=Disk(self.data.path),
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
        """Write what runs now, for `status`, `down` and the next `up`; a full disk stops neither work nor drain."""
        try:
            state.write(self.data, self._now())
        except OSError as error:
            self.reporter.say(f"what runs cannot be written to {self.data.run}: {error.strerror}")

    def _now(self) -> RunState:
        me = processes.identify(os.getpid())
        children = self.supervisor.children.values() if self.supervisor else ()
        host = plan.reachable(plan.api_host(self.environ))
        return RunState(
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
                    drain_seconds=child.spec.drain_seconds,
                    why_not_ready=child.why_not_ready or "",
                )
                for child in children
                if child.process is not None
            },
            variables=self.variables,
        )

    async def _announce(self, *, as_json: bool) -> None:
        self.phase = "ready"
        self.save()
        self.reporter.send(Report("ready"))
        if self.reporter.channel is None:
            greeting = await greet(self.data, environ=self.environ)
            text = json.dumps(greeting.as_json()) if as_json else greeting.as_text(is_detached=False)
            self.reporter.output.out(text)
        self.reporter.close()

    def _spawned(self, name: str, pid: int) -> None:
        if name == plan.NATS:
            self.guard.watch(pid)

    def _handle_signals(self, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()

        def drain() -> None:
            if stop.is_set():
                return
            # first of all: nothing that fails below may keep the drain from beginning
            stop.set()
            self.phase = "stopping"
            self.reporter.say("draining: gateway, providers, usage, nats (Ctrl-C again to kill)")
            self.save()

        def kill() -> None:
            stop.set()
            self.reporter.say("killing everything")
            if self.supervisor is not None:
                self.supervisor.kill()

        loop.add_signal_handler(signal.SIGINT, lambda: kill() if stop.is_set() else drain())
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, drain)
        loop.add_signal_handler(signal.SIGQUIT, kill)


async def greet(data: DataDir, *, environ: Mapping[str, str] | None = None, already_running: bool = False) -> Greeting:
    """Return the greeting of what runs in a data directory.

    Raises:
        CommandError: nothing runs there.
    """
    running = state.read(data)
    if running is None:
        raise CommandError(f"Nothing runs in {data.path}.", exit_code=ExitCode.NOT_RUNNING)
    password = plan.secret_in_use(data, "admin-password", "ADMIN_PASSWORD", environ)
    replies = await health.ask(running)
    return Greeting(
        state=running,
        not_ready={name: reply.why_not_ready for name, reply in replies.items() if reply.why_not_ready},
        data_dir=data.path,
        api_key=plan.secret_in_use(data, "api-key", "BOOTSTRAP_API_KEY", environ),
        admin_password=password,
        persists=does_persist(data.path),
        already_running=already_running,
        providers=await providers_at(running.base_url, user=plan.ADMIN_USER, password=password),
    )


def start(data: DataDir, *, port: int | None, reporter: Reporter, as_json: bool) -> ExitCode:
    """Run the stack in this process until it is stopped.

    Raises:
        CommandError: the data directory is in use or cannot be written, or there is no free port.
    """
    environ = dict(os.environ)
    # for every child too: databases, streams and logs hold what only their owner may read
    os.umask(0o077)
    made = data.prepare()
    if made:
        reporter.say(f"made {', '.join(made)} in {data.secrets}")
    lock = RunLock(data)
    if not lock.acquire():
        raise CommandError(f"LLM Manager is already at work in {data.path}.", exit_code=ExitCode.BUSY)
    keeper = PortKeeper()
    lifeline_read, lifeline_write = os.pipe()
    try:
        data.close_to_others()
        _await_leftovers(data, reporter)
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


def _await_leftovers(data: DataDir, reporter: Reporter) -> None:
    """Let what a killed supervisor left finish its work; nothing of it is asked or cut."""
    old = state.read(data)
    if old is None:
        return
    alive = leftovers.alive(old)
    if alive:
        reporter.say(f"the last run was cut off; waiting until it has drained: {', '.join(alive)}")
    for name in leftovers.let_drain(old):
        reporter.say(f"{name} of the last run did not drain in time and was killed")
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
        reporter.output.note(f"llm-manager up: {error.message}")
        kind = "busy" if error.exit_code is ExitCode.BUSY else "failed"
        reporter.send(Report(kind, error.message, error.exit_code))
        return error.exit_code
    finally:
        reporter.output.close()


if __name__ == "__main__":
    sys.exit(main())
