from __future__ import annotations

import os
from pathlib import Path

from llm_manager.cli.stack import logs


def test_a_log_over_its_limit_is_moved_away_while_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "gateway.log"
    writer = logs.open_log(log)
    for number in range(5):
        os.write(writer, f"line {number}\n".encode())
        assert logs.rotate(log, max_size_bytes=3)
    os.write(writer, b"last\n")
    os.close(writer)
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == ["gateway.log", "gateway.log.1", "gateway.log.2", "gateway.log.3"]
    assert log.read_text() == "last\n"
    assert (tmp_path / "gateway.log.1").read_text() == "line 4\n"
    assert all(file.stat().st_mode & 0o077 == 0 for file in tmp_path.iterdir())


def test_a_small_or_missing_log_stays_as_it_is(tmp_path: Path) -> None:
    log = tmp_path / "usage.log"
    assert not logs.rotate(log)
    log.write_text("short\n")
    assert not logs.rotate(log)
    assert log.read_text() == "short\n"


def test_last_lines_are_those_since_the_start(tmp_path: Path) -> None:
    log = tmp_path / "nats.log"
    assert logs.last_lines(log) == []
    log.write_text("old\n")
    offset = logs.size(log)
    with log.open("a") as file:
        file.write("".join(f"new {number}\n\n" for number in range(20)))
    assert logs.last_lines(log, since_bytes=offset, count=2) == ["new 18", "new 19"]
    log.write_text("cut\n")
    assert logs.last_lines(log, since_bytes=offset + 100) == ["cut"]
