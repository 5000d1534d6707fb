"""One supervised process: started, watched, started again when it dies, stopped."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from . import damage, logs
from .probes import DEADLINE_SECONDS, Probe, Reply
from .processes import Process, identify

HEALTHY_SECONDS = 30.0
# Probes in a row without an answer after which a process counts as frozen; each is one deadline after the other.
SILENT_PROBES = 3
_PROBE_EVERY_SECONDS = 0.05
_EX_CONFIG = 78
_SHOWN_LINES = 4


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How one child is started and asked.

    Args:
        name: name of the service; also that of its log.
        probe: asked until the child is ready, and every two seconds from then on.
        drain_seconds: time from SIGTERM to SIGKILL.
        pass_descriptors: stay open in the child.
        remedy: what a person does when it cannot start.
        store: without which it cannot start.
        stumbles_over_full_disk: writes no more after a disk was full, until it is started anew.
    """

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    log: Path
    probe: Probe
    drain_seconds: float = 25.0
    start_seconds: float = 60.0
    pass_descriptors: tuple[int, ...] = ()
    address: str = ""
    ops_url: str = ""
    remedy: str = "'llm-manager doctor' looks for the cause."
    store: damage.Store | None = None
    stumbles_over_full_disk: bool = False


class StartError(Exception):
    """A child did not become ready. `str(error)` names the step, what was seen, the log and the remedy."""

    def __init__(self, message: str, *, is_settings: bool = False) -> None:
        super().__init__(message)
        self.is_settings = is_settings


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits before each start again: none, 0.5 s, then twice as long each time up to 10 s."""

    first_seconds: float = 0.5
    most_seconds: float = 10.0

    def before(self, restart: int) -> float:
        """Return the wait before the given restart; the first is number 1."""
        if restart <= 1:
            return 0.0
        return min(self.most_seconds, self.first_seconds * 2.0 ** min(restart - 2, 30))


@dataclass
class Child:
    """A child of the supervisor.

    Args:
        say: takes one line about what happened to the child.
        on_change: called when the process or its readiness changed.
        on_spawn: called with the pid of each new process, before it is ready.
    """

    spec: ChildSpec
    say: Callable[[str], None]
    on_change: Callable[[], None] = lambda: None
    on_spawn: Callable[[int], None] = lambda _pid: None
    backoff: Backoff = field(default_factory=Backoff)
    healthy_seconds: float = HEALTHY_SECONDS
    restarts: int = 0
    why_not_ready: str | None = "is starting"
    process: Process | None = None
    _failures: int = 0
    _is_stopping: bool = False
    _is_restarted: bool = False
    _running: asyncio.subprocess.Process | None = None
    _log_offset: int = 0

    @property
    def is_ready(self) -> bool:
        """Whether its latest probe said so."""
        return self.why_not_ready is None

    async def start(self, *, attempts: int = 3) -> None:
        """Start the process and wait until it is ready.

        Raises:
            StartError: it ended `attempts` times, ended because of its settings, or was not ready in time.
        """
        for attempt in range(1, attempts + 1):
            await self._spawn()
            code = await self._until_ready_or_ended(self.spec.start_seconds)
            if code is None:
                return
            if code == _EX_CONFIG or attempt == attempts or self._is_store_damaged():
                raise StartError(self._explain(_describe(code)), is_settings=code == _EX_CONFIG)
            self.say(f"{self.spec.name} {_describe(code)} before it was ready; trying again")

    async def keep_alive(self) -> None:
        """Start the process again whenever it dies, until `stop`."""
        while not self._is_stopping:
            running = self._running
            if running is None:
                return
            code = await self._watch(running)
            if self._is_stopping:
                return
            self.why_not_ready = _describe(code)
            self._failures += 1
            wait = self.backoff.before(self._failures)
            when = f"in {wait:g} s" if wait else "at once"
            self.say(f"{self.spec.name} {_describe(code)}; starting it again {when} (log: {self.spec.log})")
            self.on_change()
            await asyncio.sleep(wait)
            if self._is_stopping:
                return
            self.restarts += 1
            self._is_restarted = True
            await self._spawn()

    async def stop(self) -> None:
        """Ask the process to drain, wait, kill it when it takes too long."""
        self._is_stopping = True
        self.why_not_ready = "is stopping"
        running = self._running
        if running is None or running.returncode is not None:
            return
        with suppress(ProcessLookupError):
            running.terminate()
        try:
            async with asyncio.timeout(self.spec.drain_seconds):
                await running.wait()
        except TimeoutError:
            self.say(f"{self.spec.name} did not stop within {self.spec.drain_seconds:g} s and was killed")
            self.kill()
            await running.wait()

    def kill(self) -> None:
        """End the process at once, with everything that it started."""
        self._is_stopping = True
        self._kill_process()

    def restart(self) -> None:
        """End the process as it stands; `keep_alive` starts it again."""
        self._kill_process()

    def _kill_process(self) -> None:
        if self._running is not None and self._running.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._running.pid, signal.SIGKILL)

    async def _spawn(self) -> None:
        self._log_offset = logs.size(self.spec.log)
        log = logs.open_log(self.spec.log)
        try:
            self._running = await asyncio.create_subprocess_exec(
                *self.spec.command,
                env=self.spec.environ,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=self.spec.pass_descriptors,
                # a group of its own: Ctrl-C in the terminal reaches the supervisor only, which stops all in order
                start_new_session=True,
            )
        except OSError as error:
            raise StartError(f"{self.spec.name} cannot be started: {error}. {self.spec.remedy}") from error
        finally:
            os.close(log)
        self.process = identify(self._running.pid) or Process(self._running.pid, "ended")
        self.on_spawn(self._running.pid)
        self.on_change()

    async def _until_ready_or_ended(self, seconds: float) -> int | None:
        """Return None when the process is ready, else its exit code; raise StartError when it takes too long."""
        running = self._running
        if running is None:
            raise StartError(f"{self.spec.name} was not started")
        why: str | None = "was not asked yet"
        deadline = asyncio.get_running_loop().time() + seconds
        while running.returncode is None:
            why = (await self.spec.probe()).why_not_ready
            if why is None:
                self.why_not_ready = None
                self.on_change()
                return None
            if asyncio.get_running_loop().time() > deadline:
                raise StartError(self._explain(f"was not ready within {seconds:g} s: {why}"))
            with suppress(TimeoutError):
                async with asyncio.timeout(_PROBE_EVERY_SECONDS):
                    await running.wait()
        return running.returncode

    async def _watch(self, running: asyncio.subprocess.Process) -> int:
        """Return the exit code; until then follow the readiness, and end a process that has fallen silent."""
        loop = asyncio.get_running_loop()
        ended = asyncio.create_task(running.wait())
        watched_since, has_answered, silent = loop.time(), self.is_ready, 0
        try:
            while not ended.done():
                asked_at = loop.time()
                reply = await self.spec.probe()
                if self._is_stopping or ended.done():
                    break
                has_answered |= reply.is_alive
                silent = 0 if reply.is_alive else silent + 1
                self._note(reply)
                is_late = not has_answered and asked_at - watched_since > self.spec.start_seconds
                if is_late or (has_answered and silent >= SILENT_PROBES):
                    self.say(f"{self.spec.name} {reply.why_not_ready}, {silent} times in a row; killing it")
                    self._kill_process()
                    break
                if self.is_ready and asked_at - watched_since > self.healthy_seconds:
                    self._failures = 0
                # silence is measured in whole deadlines, however fast a closed port answers
                pause = DEADLINE_SECONDS if self.is_ready or (silent and has_answered) else _PROBE_EVERY_SECONDS * 2
                await asyncio.wait({ended}, timeout=max(0.0, asked_at + pause - loop.time()))
            return await ended
        finally:
            ended.cancel()

    def _note(self, reply: Reply) -> None:
        if reply.why_not_ready == self.why_not_ready:
            return
        if reply.why_not_ready is None and self._is_restarted:
            self._is_restarted = False
            self.say(f"{self.spec.name} is ready again (restart {self.restarts})")
        self.why_not_ready = reply.why_not_ready
        self.on_change()

    def _explain(self, what: str) -> str:
        store = self.spec.store
        if store is not None and self._is_store_damaged():
            return (
                f"{self.spec.name} {what}: {store.path} is damaged. What to do: {store.remedy}. "
                f"The trace is in {self.spec.log}."
            )
        tail = [logs.in_short(line) for line in self._tail()[-_SHOWN_LINES:]]
        shown = "".join(f"\n    {line}" for line in tail) or " (empty)"
        return f"{self.spec.name} {what}.\n  Last lines of {self.spec.log}:{shown}\n  What to do: {self.spec.remedy}"

    def _is_store_damaged(self) -> bool:
        store = self.spec.store
        return store is not None and any(store.symptom.search(line) for line in self._tail())

    def _tail(self) -> list[str]:
        return logs.last_lines(self.spec.log, since_bytes=self._log_offset, count=100)


def _describe(code: int) -> str:
    if code < 0:
        try:
            return f"was ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"was ended by signal {-code}"
    return f"ended with exit code {code}"
