"""One attempt as the worker sees it: what to do, for whom, and how it went."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec
import structlog
from msgspec.structs import replace

from llm_manager.core.errors import LlmManagerError, RequestCancelled, UpstreamTimeout, UpstreamUnreachable
from llm_manager.core.messages import ChatInput, CountTokensInput, EmbeddingsInput, RerankInput
from llm_manager.core.prices import Cost, CostState, PriceBook
from llm_manager.core.usage import AttemptState, Usage, UsageReport, UsageSource
from llm_manager.providers.dialects.estimate import completed, estimated_report
from llm_manager.providers.dialects.port import AnswerReader, Pieces
from llm_manager.providers.identity import Identity, identity_of

# Code of an `UpstreamFailure`: the request had gone out when the connection broke, so it may have been worked on.
CONNECTION_LOST: Final = "connection_lost"

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

Operation = Literal["chat", "embeddings", "rerank", "count_tokens", "models", "test"]


class NativeBody(msgspec.Struct, frozen=True):
    """A client's own body, in a dialect, and those of its headers that belong to it (lower-case names)."""

    dialect: str
    body: bytes
    headers: Mapping[str, str] = {}


JobInput = NativeBody | ChatInput | EmbeddingsInput | RerankInput | CountTokensInput | None


class Target(msgspec.Struct, frozen=True):
    """Where to send it; see proto inference/v1/infer.proto. Timeouts in seconds, by name, where they differ.

    Args:
        sealed_headers: more headers, as an encrypted envelope; empty when there are none.
        paths: by their names in `core.facts.Paths`, where they differ from the facts'; an empty one means the facts'.
        is_trusted: the base URL was given by whoever runs the platform, so it may lead to private addresses.
    """

    provider: str
    kind: str
    base_url: str
    credential: bytes
    upstream_model: str
    headers: Mapping[str, str] = {}
    timeouts: Mapping[str, float] = {}
    sealed_headers: bytes = b""
    paths: Mapping[str, str] = {}
    is_trusted: bool = False

    def __repr__(self) -> str:
        return f"Target({self.provider}, {self.kind}, {self.upstream_model})"


class Job(msgspec.Struct, frozen=True):
    """One attempt to make. `input` is None exactly for the operations `models` and `test`.

    Args:
        adapts_parameters: the configuration allows to leave out or change what the provider does not take.
    """

    operation: Operation
    target: Target
    input: JobInput
    is_stream: bool
    timeout_seconds: float
    adapts_parameters: bool = False

    @property
    def is_native(self) -> bool:
        """True when the client speaks the provider's dialect."""
        return isinstance(self.input, NativeBody)


def _no_prompt() -> int:
    return 0


class Outcome(msgspec.Struct):
    """How an attempt went; filled while it runs, so that a cancelled one can be accounted for too."""

    started_at: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))
    started: float = msgspec.field(default_factory=time.monotonic)
    state: AttemptState = AttemptState.OK
    error: LlmManagerError | None = None
    status: int = 0
    upstream_request_id: str = ""
    upstream_headers: dict[str, str] = {}
    warnings: list[str] = []
    dropped: list[str] = []
    identity: Identity | None = None
    first_token_seconds: float | None = None
    duration_seconds: float = 0.0
    reader: AnswerReader | None = None
    prompt: Callable[[], int] = _no_prompt
    request_bytes: int = 0
    is_calling: bool = False

    def note_identity(self, pieces: Pieces) -> None:
        """Take what the provider says about its answer as a whole, from its first piece."""
        if self.identity is None:
            self.identity = identity_of(pieces)

    def note_first_token(self) -> None:
        """Take the time of the first content."""
        if self.first_token_seconds is None:
            self.first_token_seconds = time.monotonic() - self.started

    def fail(self, error: LlmManagerError) -> None:
        """End with an error; a withdrawn request is cancelled, not failed."""
        self.error = error
        self.state = AttemptState.CANCELLED if isinstance(error, RequestCancelled) else AttemptState.ERROR

    def end(self) -> None:
        """Take the time of the end."""
        self.duration_seconds = time.monotonic() - self.started

    def report(self) -> UsageReport:
        """Return what was used: the provider's word, an estimate where it gave none, or that nobody knows."""
        if not self._was_sent():
            return UsageReport(Usage(), UsageSource.NONE)
        if self.reader is None or not 200 <= self.status < 300:
            return UsageReport(Usage(), UsageSource.UNKNOWN)
        written = self.reader.written
        report = self._told(self.reader)
        if report is not None:
            if report.source is UsageSource.ESTIMATED:
                report = completed(report, self._prompt_characters(), written)
        elif written or self.state is not AttemptState.ERROR:
            report = estimated_report(self._prompt_characters(), written)
        else:
            # It failed before it said anything: some bill the prompt then and some do not.
            report = UsageReport(Usage(), UsageSource.UNKNOWN)
        one = Usage(requests=1)
        billed = None if report.billed is None else report.billed + one
        return replace(report, usage=report.usage + one, billed=billed)

    def cost(self, book: PriceBook, target: Target, report: UsageReport) -> Cost:
        """Return what it cost, by the model that was asked for, never by a name that came back (known-failures L-2).

        What nobody counted has no price: unknown is not zero.
        """
        if report.source is UsageSource.UNKNOWN and report.reported_cost_usd is None:
            return Cost(CostState.UNPRICED, None, (), book.version)
        return book.cost_of(
            report.usage if report.billed is None else report.billed,
            kind=target.kind,
            model=target.upstream_model,
            at=self.started_at,
            reported_cost_usd=report.reported_cost_usd,
        )

    def _told(self, reader: AnswerReader) -> UsageReport | None:
        """Return the provider's own report; None where there is none, or none that can be read."""
        try:
            return reader.usage()
        except Exception:  # whatever stands in a report, the attempt must become a row
            log.exception("usage_report_unreadable")
            return None

    def _prompt_characters(self) -> int:
        try:
            return self.prompt()
        except Exception:  # as above: the prompt is a client's, and the answer has been paid for
            log.exception("prompt_uncountable", request_bytes=self.request_bytes)
            # what was sent, braces and names included: more than the prompt, and the best that is known
            return self.request_bytes

    def _was_sent(self) -> bool:
        """Return whether the provider may have worked: a refusal, and what never reached it, cost nothing."""
        if self.status:
            return self.status < 300
        if self.state is AttemptState.OK:
            return True
        if isinstance(self.error, UpstreamTimeout):
            return self.error.upstream is None or self.error.upstream.code != "timeout_connect"
        if isinstance(self.error, UpstreamUnreachable):
            return self.error.upstream is not None and self.error.upstream.code == CONNECTION_LOST
        return self.reader is not None and self.is_calling
