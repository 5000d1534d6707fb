from __future__ import annotations

import json
import socket
import threading
from typing import Any

import pytest
from fake_gateway import as_json, events, serving

from llm_manager.cli import gateway
from llm_manager.cli.data_dir import DataDir
from llm_manager.cli.exit_codes import CommandError, ExitCode

_PATH = "POST /v1/chat/completions"


def _delta(**delta: Any) -> str:
    return json.dumps({"choices": [{"index": 0, "delta": delta}]})


def test_an_answer_is_streamed_with_the_first_key_of_the_data_directory(invoke: Any, data: DataDir) -> None:
    stream = events(_delta(role="assistant", content="Hel"), _delta(content="lo"), '{"choices": []}', "[DONE]")
    with serving({_PATH: (200, stream)}) as server:
        done = invoke("chat", "-m", "echo", "--system", "Be kind.", "--url", server.url, "Hello")
    assert (done.exit_code, done.stdout) == (0, "Hello\n")
    assert server.seen[0].authorization == f"Bearer {data.read_secret('api-key')}"
    assert server.seen[0].body == {
        "model": "echo",
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_text_with_the_line_ends_of_unicode_arrives_whole(invoke: Any) -> None:
    text = "a\u2028b\u2029c\u0085d"
    event = json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]}, ensure_ascii=False)
    with serving({_PATH: (200, events(event, "[DONE]"))}) as server:
        done = invoke("chat", "-m", "echo", "--url", server.url, "Hello")
    assert (done.exit_code, done.stdout) == (0, f"{text}\n")


def test_tool_calls_are_printed_whole_at_the_end(invoke: Any) -> None:
    first = {"index": 0, "function": {"name": "add", "arguments": '{"a":'}}
    rest = {"index": 0, "function": {"arguments": "1}"}}
    stream = events(_delta(tool_calls=[first]), _delta(tool_calls=[rest]), "[DONE]")
    with serving({_PATH: (200, stream)}) as server:
        done = invoke("chat", "-m", "m", "--url", server.url, "--api-key", "lm_mine", "-", text="1 + 1?")
    assert json.loads(done.stdout) == {"tool_call": {"name": "add", "arguments": '{"a":1}'}}
    assert server.seen[0].authorization == "Bearer lm_mine"
    assert server.seen[0].body["messages"] == [{"role": "user", "content": "1 + 1?"}]


def test_json_prints_the_whole_answer(invoke: Any) -> None:
    answer = {"choices": [{"message": {"content": "Hello"}}], "usage": {"cost": "0"}}
    with serving({_PATH: (200, as_json(answer))}) as server:
        done = invoke("chat", "-m", "m", "--json", "--url", f"{server.url}/v1/", "Hello")
    assert json.loads(done.stdout) == answer
    assert "stream" not in server.seen[0].body


def test_a_refusal_shows_the_gateways_own_words(invoke: Any) -> None:
    error = {"error": {"message": "There is no model 'x'.", "code": "model_not_found"}}
    with serving({_PATH: (404, as_json(error))}) as server:
        done = invoke("chat", "-m", "x", "--url", server.url, "Hello")
    assert isinstance(done.exception, CommandError)
    assert done.exception.message == "The gateway answered 404: There is no model 'x'. (model_not_found)"


def test_an_error_inside_the_stream_is_a_failure(invoke: Any) -> None:
    failed = json.dumps({"error": {"message": "The worker was lost.", "code": "worker_lost"}})
    with serving({_PATH: (200, events(_delta(content="Hel"), failed))}) as server:
        done = invoke("chat", "-m", "x", "--url", server.url, "Hello")
    assert isinstance(done.exception, CommandError)
    assert done.exception.message == "The answer failed on its way: The worker was lost. (worker_lost)"


def test_a_stream_that_is_cut_off_is_a_failure(invoke: Any) -> None:
    with serving({_PATH: (200, events(_delta(content="Hel")))}) as server:
        done = invoke("chat", "-m", "x", "--url", server.url, "Hello")
    assert isinstance(done.exception, CommandError)
    assert "cut off" in done.exception.message


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--url", "nonsense"], "must be an address"),
        (["--url", "http://127.0.0.1:9", "--api-key", "two words"], "API key is empty, or holds spaces"),
    ],
    ids=["address", "key"],
)
def test_what_can_be_no_request_is_a_wrong_command_line(invoke: Any, arguments: list[str], says: str) -> None:
    done = invoke("chat", "-m", "x", *arguments, "Hello")
    assert isinstance(done.exception, CommandError)
    assert (done.exception.exit_code, says in done.exception.message) == (ExitCode.USAGE, True)


@pytest.mark.parametrize(
    ("is_silent", "says"), [(True, "took too long to answer"), (False, "'llm-manager status' shows what runs")]
)
def test_a_gateway_that_says_nothing_is_a_failure(
    is_silent: bool, says: str, invoke: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "_MODEL_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def take() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1)
                while is_silent and connection.recv(10_000):
                    pass

        thread = threading.Thread(target=take)
        thread.start()
        done = invoke("chat", "-m", "x", "--url", f"http://127.0.0.1:{listener.getsockname()[1]}", "Hello")
        thread.join()
    assert isinstance(done.exception, CommandError)
    assert (done.exception.exit_code, says in done.exception.message) == (ExitCode.FAILED, True)


def test_nobody_there_is_exit_code_3(invoke: Any) -> None:
    unreachable = invoke("chat", "-m", "x", "--url", "http://127.0.0.1:9", "Hello")
    not_running = invoke("chat", "-m", "x", "Hello")
    codes = [done.exception.exit_code for done in (unreachable, not_running)]
    assert codes == [ExitCode.NOT_RUNNING, ExitCode.NOT_RUNNING]
