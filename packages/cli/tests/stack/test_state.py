from __future__ import annotations

from pathlib import Path

from llm_manager.cli.data_dir import DataDir
from llm_manager.cli.stack import state
from llm_manager.cli.stack.state import ChildState, RunLock, RunState


def _data(tmp_path: Path) -> DataDir:
    data = DataDir(tmp_path)
    data.prepare()
    return data


def test_what_was_written_is_read_back_whole(tmp_path: Path) -> None:
    data = _data(tmp_path)
    written = RunState(
        phase="ready",
        pid=1,
        started="boot:1",
        base_url="http://127.0.0.1:8080/v1",
        grpc="127.0.0.1:8081",
        nats_url="nats://127.0.0.1:4222",
        children={"gateway": ChildState(pid=2, started="boot:2", restarts=3, is_ready=True)},
    )
    state.write(data, written)
    assert state.read(data) == written
    assert (data.run / "state.json").stat().st_mode & 0o077 == 0
    state.clear(data)
    assert state.read(data) is None


def test_a_state_of_another_version_says_nothing(tmp_path: Path) -> None:
    data = _data(tmp_path)
    (data.run / "state.json").write_text('{"phase": "ready", "children": {}, "colour": "red"}')
    assert state.read(data) is None


def test_only_one_supervisor_holds_a_data_directory(tmp_path: Path) -> None:
    data = _data(tmp_path)
    assert not state.is_held(data)
    first, second = RunLock(data), RunLock(data)
    assert first.acquire()
    assert state.is_held(data)
    assert not second.acquire()
    first.release()
    assert second.acquire()
    second.release()
