"""Structured logs on stderr: one JSON object a line, or a form for people. What looks like a key is masked."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import TextIO, cast

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from llm_manager.kit import telemetry
from llm_manager.kit import telemetry_names as names
from llm_manager.kit.masking import mask_event

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
# of methods that are named otherwise
_LEVEL_OF = {"exception": "error", "warn": "warning"}
_encode = msgspec.json.Encoder(enc_hook=str).encode
# They say at INFO what our own events say better, or repeat addresses with their query.
_QUIET = ("aiosqlite", "alembic", "asyncio", "httpx2", "httpcore2", "uvicorn.access", "sqlalchemy.engine", "urllib3")


def setup(service: str, *, level: str = "info", log_format: str = "json", stream: TextIO | None = None) -> None:
    """Send structlog and the standard library's logging (uvicorn, nats, sqlalchemy) the same way. Idempotent.

    Args:
        service: put into every line.
        log_format: `json` or `console`.
        stream: where to; stderr when None.
    """
    output = _Unfailing(sys.stderr if stream is None else stream)
    threshold = _LEVELS[level]
    renderer = _renderers(log_format, is_terminal=output.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _stamp(service),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[*shared, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        # structlog and logging ask for no more of a stream than this one has
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", output)),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(cast("TextIO", output))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))
    # the exporter warns at every try while a collector is away; that a batch was lost is enough
    logging.getLogger("opentelemetry").setLevel(logging.ERROR)
    logging.captureWarnings(True)


class _Lines:
    """Keeps a logger that is bound to a set-up: binding it for each line takes a third of the line's time."""

    def __init__(self) -> None:
        self._log: structlog.typing.FilteringBoundLogger | None = None
        self._processors: object = None

    def log(self) -> structlog.typing.FilteringBoundLogger:
        """Return the logger; a new one where somebody has set structlog up otherwise, as tests do."""
        processors, log = structlog.get_config()["processors"], self._log
        if log is None or processors is not self._processors:
            log = self._log = structlog.get_logger().bind()
            self._processors = processors
        return log


_lines = _Lines()


def line(event: str, **fields: object) -> None:
    """Log at level info what every request logs; all else has a logger of its own."""
    _lines.log().info(event, **fields)


class _Unfailing:
    """A stream whose failures cost lines, never the work that logs them: a full disk, a closed terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what can be written."""
        try:
            return self._stream.write(text)
        except (OSError, ValueError):
            names.LOG_LINES_LOST.inc()
            return len(text)

    def flush(self) -> None:
        """Flush what can be flushed; the stream keeps the rest and tries again with the next line."""
        with suppress(OSError, ValueError):
            self._stream.flush()

    def isatty(self) -> bool:
        """Whether a person reads it."""
        return self._stream.isatty()


def bind(**fields: str) -> None:
    """Put fields (request_id, app_id …) on every line that the current task logs from here on."""
    structlog.contextvars.bind_contextvars(**fields)


def unbind_all() -> None:
    """Forget what `bind` put; call it where one task serves several requests."""
    structlog.contextvars.clear_contextvars()


def _stamp(service: str) -> Processor:
    def stamp(_: WrappedLogger, method: str, event: EventDict) -> EventDict:
        # what structlog's own do in three steps, at a third of the time
        event["level"] = _LEVEL_OF.get(method, method)
        event["service"] = service
        event["timestamp"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        ids = telemetry.current_trace()
        if ids is not None:
            event["trace_id"], event["span_id"] = ids
        return event

    return stamp


def _renderers(log_format: str, *, is_terminal: bool) -> list[Processor]:
    if log_format == "console":
        # exceptions become text first, so that the mask sees them
        return [structlog.processors.format_exc_info, mask_event, structlog.dev.ConsoleRenderer(colors=is_terminal)]
    return [
        structlog.processors.format_exc_info,
        mask_event,
        _json_line,
    ]


def _json_line(_: WrappedLogger, __: str, event: EventDict) -> str:
    try:
        return _encode(event).decode()
    except (OverflowError, UnicodeEncodeError):
        # numbers of more than 64 bits, halves of surrogate pairs
        return json.dumps(event, default=str)
