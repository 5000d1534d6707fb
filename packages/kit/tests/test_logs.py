import errno
import io
import json
import logging
import warnings
from collections.abc import Generator
from typing import Any

import pytest
import structlog
from prometheus_client import REGISTRY

from llm_manager.kit import logs, telemetry
from llm_manager.kit.secrets import Secret

CANARY = "sk-canary0123456789abcdef"


@pytest.fixture(autouse=True)
def _restored() -> Generator[None]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield
    root.handlers[:], root.level = before
    logging.captureWarnings(False)
    logs.unbind_all()
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def set_up(log_format: str = "json", level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    logs.setup("sample", level=level, log_format=log_format, stream=stream)
    return stream


def test_an_event_is_one_json_object_with_service_level_and_time() -> None:
    stream = set_up()

    structlog.stdlib.get_logger("test").info("usage_recorded", cost_picousd=12, is_cached=False, model=None)

    [line] = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "usage_recorded", "level": "info", "service": "sample",
        "cost_picousd": 12, "is_cached": False, "model": None,
    }  # fmt: skip


def test_a_line_of_every_request_follows_the_set_up_and_what_is_bound() -> None:
    first = set_up()
    logs.line("answered", status=200)
    second = set_up(level="info")
    logs.bind(request_id="r1")
    logs.line("answered", authorization="Bearer lm_live_abcdefgh")

    assert [line["status"] for line in lines(first)] == [200]
    [line] = lines(second)
    assert (line["request_id"], line["level"], line["authorization"]) == ("r1", "info", "***")
    quiet = set_up(level="warning")
    logs.line("answered")
    assert lines(quiet) == []
    structlog.reset_defaults()
    with structlog.testing.capture_logs() as captured:
        logs.line("answered", status=1)
    assert [line["status"] for line in captured] == [1]


def test_bound_fields_are_on_every_line_of_the_task() -> None:
    stream = set_up()

    logs.bind(request_id="r1", app_id="a1")
    structlog.stdlib.get_logger("test").info("one")
    logging.getLogger("uvicorn.error").warning("two %d", 2)
    logs.unbind_all()
    structlog.stdlib.get_logger("test").info("three")

    assert [(line["event"], line.get("request_id"), line.get("app_id")) for line in lines(stream)] == [
        ("one", "r1", "a1"),
        ("two 2", "r1", "a1"),
        ("three", None, None),
    ]


def test_lines_inside_a_trace_name_it() -> None:
    stream = set_up()
    parent = telemetry.extract({"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})

    with telemetry.span("work", context=parent):
        structlog.stdlib.get_logger("test").info("one")

    [line] = lines(stream)
    assert line["trace_id"] == "0af7651916cd43dd8448eb211c80319c"


def test_levels_below_the_threshold_are_dropped() -> None:
    stream = set_up(level="warning")

    structlog.stdlib.get_logger("test").info("one")
    logging.getLogger("nats").info("two")
    structlog.stdlib.get_logger("test").warning("three")

    assert [line["event"] for line in lines(stream)] == ["three"]


def log_the_canary_everywhere(canary: str) -> None:
    log = structlog.stdlib.get_logger("test")
    log.info(f"key {canary} was refused", key=canary, nested={"headers": [{"x": f"a {canary} b"}]}, raw=canary.encode())
    log.info("called", **{"authorization": canary, f"field {canary}": 1, "object": ValueError(canary)})
    log.info("key %s was refused", canary)
    try:
        try:
            raise ValueError(f"bad key {canary}")  # noqa: TRY301
        except ValueError as error:
            raise RuntimeError(f"failed with {canary}") from error
    except RuntimeError as error:
        log.exception("request_failed")
        log.error("request_failed", exc_info=error)  # noqa: TRY400
        logging.getLogger("sqlalchemy").exception("statement failed for %s", canary)
        extra = {"url": f"nats://user:{canary}@host"}
        logging.getLogger("nats").error("connect failed", exc_info=error, extra=extra)  # noqa: TRY400
    warnings.warn(f"key {canary} is deprecated", stacklevel=1)


@pytest.mark.requirement("S207")
@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize(
    "canary",
    [
        CANARY,
        "lm_live_0123456789ab_0123456789abcdefghij0123456789abcdefghij012345",
        "sk-ant-api03-canary_0123456789-abcdef",
        "gsk_canary0123456789abcdef",
        "AIzaSyCanary0123456789abcdefghijklmnopqr",
        "Bearer canary-without-any-shape",
    ],
)
@pytest.mark.filterwarnings("always")
def test_a_key_is_in_no_message_field_or_exception(canary: str, log_format: str) -> None:
    stream = set_up(log_format)

    log_the_canary_everywhere(canary)

    output = stream.getvalue()
    assert canary.removeprefix("Bearer ") not in output
    assert output.count("***") >= 10


@pytest.mark.requirement("S207")
@pytest.mark.filterwarnings("always")
def test_a_living_secret_without_any_shape_is_masked_too() -> None:
    stream = set_up()
    secret = Secret("7f9c2ba4e88f827d616045507605853e")

    log_the_canary_everywhere(secret.reveal())

    assert secret.reveal() not in stream.getvalue()


def test_the_console_form_has_one_line_an_event_and_no_colours_in_a_file() -> None:
    stream = set_up("console")

    structlog.stdlib.get_logger("test").info("usage_recorded", app_id="a")

    assert stream.getvalue().count("\n") == 1
    assert "usage_recorded" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_setting_up_twice_logs_once() -> None:
    set_up()
    stream = set_up()

    logging.getLogger("nats").warning("one")

    assert len(lines(stream)) == 1


class _FullDisk(io.StringIO):
    def write(self, text: str, /) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_line_that_cannot_be_written_is_counted_and_stops_no_work() -> None:
    def lost() -> float:
        return REGISTRY.get_sample_value("llm_manager_log_lines_lost_total") or 0.0

    before = lost()
    logs.setup("sample", stream=_FullDisk())

    structlog.stdlib.get_logger("test").info("one")
    logging.getLogger("uvicorn.error").warning("two")

    assert lost() - before == 2


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (2**70, 2**70),
        ("half \ud83d of a pair", "half \ud83d of a pair"),
        ("ä\u2028\n", "ä\u2028\n"),
        ({"a": [1]}, {"a": [1]}),
    ],
)
def test_whatever_a_field_holds_becomes_one_line(value: object, shown: object) -> None:
    stream = set_up()

    structlog.stdlib.get_logger("test").info("one", field=value)

    assert stream.getvalue().count("\n") == 1
    assert json.loads(stream.getvalue())["field"] == shown


def test_a_key_among_harmless_fields_is_masked_wherever_it_stands() -> None:
    stream = set_up()
    secret = Secret("plain words that nobody would take for a key")

    structlog.stdlib.get_logger("test").info(
        "one", status=200, path=CANARY, note=f"a {secret.reveal()} b", password="x"
    )

    [line] = lines(stream)
    assert (line["status"], line["path"], line["note"], line["password"]) == (200, "***", "a *** b", "***")
