"""A thread with a bounded queue, for a synchronous library that wants one thread of its own."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from llm_manager.core.errors import DeadlineExceeded, StoreUnavailable

T = TypeVar("T")
# The queue mixes calls of all result types; each future is typed where it is made.
_Job = tuple[Callable[[], Any], "Future[Any]"]

_STOP_SECONDS = 10.0


class DedicatedThread:
    """Runs calls one after another on one thread.

    Args:
        max_queue: calls that may wait; one more is refused at once, because it would wait longer than it is worth.
    """

    def __init__(self, name: str, *, max_queue: int) -> None:
        self._name = name
        self._jobs: queue.Queue[_Job | None] = queue.Queue(max_queue)
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._is_open = False

    def start(self) -> None:
        """Start the thread. It is a daemon: a call that hangs in the library does not keep the process alive."""
        self._thread.start()
        self._is_open = True

    async def run(self, call: Callable[[], T], *, deadline_seconds: float) -> T:
        """Run a call on the thread and return its result.

        A call that still waits when its deadline passes, or when its task is cancelled, is never started; one that
        runs is left to end by itself.

        Raises:
            StoreUnavailable: the queue is full, or the thread is stopped.
            DeadlineExceeded: no result within the deadline.
        """
        if not self._is_open:
            raise StoreUnavailable(f"The thread {self._name!r} is stopped.")
        future: Future[T] = Future()
        try:
            self._jobs.put_nowait((call, future))
        except queue.Full as error:
            raise StoreUnavailable(f"{self._jobs.maxsize} calls already wait for {self._name!r}.") from error
        try:
            async with asyncio.timeout(deadline_seconds):
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            if future.done() and not future.cancelled():
                raise  # the library's own
            raise DeadlineExceeded(f"{self._name!r} did not answer within {deadline_seconds:g} s.") from error

    async def stop(self, *, last: Callable[[], None] | None = None) -> None:
        """Let waiting calls finish, run `last`, end the thread; after ten seconds leave it to the process's end."""
        if not self._is_open:
            return
        self._is_open = False
        await asyncio.to_thread(self._stop, last)

    def _stop(self, last: Callable[[], None] | None) -> None:
        try:
            if last is not None:
                self._jobs.put((last, Future()), timeout=_STOP_SECONDS)
            self._jobs.put(None, timeout=_STOP_SECONDS)
        except queue.Full:
            return
        self._thread.join(_STOP_SECONDS)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            call, future = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 (the caller gets it; the thread serves the next call)
                future.set_exception(error)
