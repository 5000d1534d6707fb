"""Starts the children in order, keeps them alive, stops them in the opposite order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from . import logs
from .child import Child, ChildSpec
from .disk import Disk, Turn

_ROTATE_EVERY_SECONDS = 5.0
_LOOK_AT_DISK_EVERY_SECONDS = 1.0


@dataclass
class Supervisor:
    """The children of one stack.

    Args:
        stages: started one stage after the other, the children of a stage together; stopped child by child, last first.
        say: takes one line about what happened.
        on_change: called when a process or its readiness changed.
        on_spawn: called with name and pid of each new process.
        disk: that of what the children write; None when nobody looks at it.
    """

    stages: Sequence[Sequence[ChildSpec]]
    say: Callable[[str], None]
    on_change: Callable[[], None] = lambda: None
    on_spawn: Callable[[str, int], None] = lambda _name, _pid: None
    disk: Disk | None = None
    children: dict[str, Child] = field(default_factory=dict[str, Child])

    def __post_init__(self) -> None:
        for stage in self.stages:
            for spec in stage:
                self.children[spec.name] = Child(spec, self.say, self.on_change, self._spawned(spec.name))

    async def run(self, stop: asyncio.Event, *, on_ready: Callable[[], Awaitable[None]]) -> None:
        """Start everything, call `on_ready`, keep everything alive until `stop` is set, then drain.

        Raises:
            StartError: a child did not become ready; the others are stopped first.
        """
        started = asyncio.create_task(self._start())
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({started, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if started.done():
                started.result()
                await on_ready()
                await self._keep_alive(stopped)
        finally:
            started.cancel()
            stopped.cancel()
            await asyncio.gather(started, stopped, return_exceptions=True)
            await self._stop()

    def kill(self) -> None:
        """End every child at once."""
        for child in self.children.values():
            child.kill()

    async def _start(self) -> None:
        for stage in self.stages:
            try:
                async with asyncio.TaskGroup() as group:
                    for spec in stage:
                        group.create_task(self._start_child(self.children[spec.name]))
            except BaseExceptionGroup as failures:
                # the first one is the cause; the rest were cancelled or failed because of it
                raise failures.exceptions[0] from None

    async def _start_child(self, child: Child) -> None:
        begun = time.monotonic()
        await child.start()
        address = f" ({child.spec.address})" if child.spec.address else ""
        self.say(f"{child.spec.name} is ready after {time.monotonic() - begun:.1f} s{address}")

    async def _keep_alive(self, stopped: asyncio.Task[bool]) -> None:
        keepers = [asyncio.create_task(child.keep_alive()) for child in self.children.values()]
        keepers += [asyncio.create_task(self._rotate()), asyncio.create_task(self._watch_disk())]
        try:
            # a keeper ends before `stop` only by a failure of its own, which must not go unnoticed
            await asyncio.wait({stopped, *keepers}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in keepers:
                task.cancel()
            results = await asyncio.gather(*keepers, return_exceptions=True)
        failures = [result for result in results if isinstance(result, Exception)]
        if failures:
            raise failures[0]

    async def _rotate(self) -> None:
        while True:
            await asyncio.sleep(_ROTATE_EVERY_SECONDS)
            for child in self.children.values():
                try:
                    logs.rotate(child.spec.log)
                except OSError as error:
                    self.say(f"the log of {child.spec.name} cannot be rotated: {error}")

    async def _watch_disk(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_AT_DISK_EVERY_SECONDS)
            if self.disk is None:
                continue
            match self.disk.look():
                case Turn.FILLED:
                    self.say(f"the disk of {self.disk.folder} is full; new work is refused until there is space again")
                case Turn.FREED:
                    self.say(f"the disk of {self.disk.folder} has space again")
                    for child in self.children.values():
                        if child.spec.stumbles_over_full_disk:
                            child.restart()
                case None:
                    pass

    async def _stop(self) -> None:
        for spec in reversed([spec for stage in self.stages for spec in stage]):
            child = self.children[spec.name]
            if child.process is not None:
                await child.stop()

    def _spawned(self, name: str) -> Callable[[int], None]:
        return lambda pid: self.on_spawn(name, pid)
