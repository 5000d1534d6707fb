"""One request at a worker, from its first frame to its terminal one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

import msgspec
import structlog

from llm_manager.core.errors import (
    BusUnavailable,
    DeadlineExceeded,
    InternalError,
    LlmManagerError,
    RequestCancelled,
    WorkerLost,
)
from llm_manager.kit.bus.claim_check import ClaimStore
from llm_manager.kit.bus.discovery import EndpointCounts
from llm_manager.kit.bus.frame_sink import FrameSink
from llm_manager.kit.bus.names import CLAIM_CHECK

# What a handler may take after its cancellation to record what was used.
ACCOUNTING_SECONDS = 5.0
# How long a caller that may be gone has to say so before the work begins.
_DOUBT_SECONDS = 0.5

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class IncomingRequest(msgspec.Struct):
    """One request at a worker.

    Args:
        subject: where it arrived; the last token is the kind.
        payload: the business message, fetched from the object store if it was large.
        request_id: as the caller sent it.
        deadline: loop time at which the answer must be complete.
        headers: all headers, for example `traceparent`.
        cancel_reason: None until the handler is cancelled; then `client_disconnected`, `requester_gone`,
            `deadline_exceeded`, `slow_reader`, `worker_lost`, `shutdown`, or what the caller gave.
        is_settling: the handler sets it when the work is over and only its accounting is left: a cancellation is too
            late then, and only bounds the time for that.
    """

    subject: str
    payload: bytes
    request_id: str
    deadline: float
    headers: Mapping[str, str]
    cancel_reason: str | None = None
    is_settling: bool = False


# Returns the payload of the done frame, or raises an LlmManagerError (with `detail` set if something is known in spite
# of it). On cancellation it gets CancelledError and five seconds to finish its accounting, then raises RequestCancelled
# with `detail`; anything awaited in those seconds is not cancelled a second time.
Handler = Callable[[IncomingRequest, FrameSink], Awaitable[bytes]]


class Serving:
    """Runs the handler of one request in a task of its own and ends the answer exactly once."""

    def __init__(
        self, request: IncomingRequest, sink: FrameSink, claims: ClaimStore, counts: EndpointCounts, *, inbox: str
    ) -> None:
        self.request = request
        self.sink = sink
        self.inbox = inbox
        self.task: asyncio.Task[None] | None = None
        self._claims = claims
        self._counts = counts
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._is_running = self._is_in_doubt = False
        self._is_sealed = False
        self._rescue: asyncio.Task[None] | None = None

    def start(self, handler: Handler, on_end: Callable[[], object], *, is_in_doubt: bool = False) -> None:
        """Start answering; `on_end` is called when the terminal frame is out.

        `is_in_doubt` says that the caller may have given up: it is asked, and costs nothing if it has.
        """
        self._is_in_doubt = is_in_doubt
        self._timer = self._loop.call_at(self.request.deadline, self.cancel, "deadline_exceeded")
        self.task = self._loop.create_task(self._run(handler), name=f"bus-request-{self.request.request_id}")
        self.task.add_done_callback(lambda _: on_end())

    def cancel(self, reason: str) -> None:
        """Cancel the handler; the first reason counts, later ones are ignored."""
        if self._is_sealed or self.request.cancel_reason is not None or self.task is None:
            return
        self.request.cancel_reason = reason
        self._set_timer(ACCOUNTING_SECONDS, self._overrun)
        if self._is_running and not self.request.is_settling:
            # A task that is cancelled before its first step never runs, and would send no terminal frame.
            self.task.cancel()

    def _set_timer(self, seconds: float, action: Callable[[], object]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, action)

    def _overrun(self) -> None:
        # The handler used up its time for accounting: its caller gets the terminal frame now, whatever it does.
        if self._is_sealed or self.task is None:
            return
        log.error("bus_accounting_overran", request_id=self.request.request_id, reason=self.request.cancel_reason)
        self._rescue = self._loop.create_task(self.sink.end(self._cancelled(b"")))
        self.task.cancel()

    async def _run(self, handler: Handler) -> None:
        started = time.perf_counter_ns()
        outcome = await self._outcome(handler)
        self._is_sealed = True
        if self._timer is not None:
            self._timer.cancel()
        await self.sink.end(outcome)
        if self._rescue is not None:
            await self._rescue
        self._counts.requests += 1
        self._counts.processing_ns += time.perf_counter_ns() - started
        if isinstance(outcome, LlmManagerError):
            self._counts.errors += 1
            self._counts.last_error = outcome.code

    async def _outcome(self, handler: Handler) -> bytes | LlmManagerError:
        self._is_running = True
        if self.request.cancel_reason is not None:
            return self._cancelled(b"")
        try:
            await self.sink.accept()
            if self._is_in_doubt:
                # the accepted frame is a probe: a reader that is gone answers it with a cancellation
                await asyncio.sleep(_DOUBT_SECONDS)
            claim = self.request.headers.get(CLAIM_CHECK)
            if claim is not None:
                self.request.payload = await self._claims.redeem(claim)
            return await handler(self.request, self.sink)
        except asyncio.CancelledError:
            return self._cancelled(b"")
        except RequestCancelled as error:
            if self.request.cancel_reason is None:
                return error
            return self._cancelled(error.detail)
        except BusUnavailable as error:
            log.warning("bus_answer_cut_off", request_id=self.request.request_id, error=str(error))
            return error
        except LlmManagerError as error:
            return error
        except Exception:  # whatever a handler raises, its caller gets a terminal frame
            log.exception("bus_handler_failed", request_id=self.request.request_id, subject=self.request.subject)
            return InternalError(
                f"A worker failed on request {self.request.request_id!r} for a reason of its own; its log says more."
            )

    def _cancelled(self, detail: bytes) -> LlmManagerError:
        error: LlmManagerError
        match self.request.cancel_reason:
            case "deadline_exceeded":
                error = DeadlineExceeded("The time for the whole request was over; the worker stopped.")
            case "shutdown":
                error = WorkerLost("The worker shut down before the answer was complete; retry.")
            case "requester_gone":
                # Whoever reads this is there after all, and must not take it for a wish of his client.
                error = WorkerLost("The worker took its caller for gone and gave the answer up; retry.")
            case None:
                error = InternalError("The worker's own code cancelled the request; its log says more.")
            case reason:
                error = RequestCancelled(f"The request was cancelled ({reason}).")
        error.detail = detail
        return error
