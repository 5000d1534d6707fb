from __future__ import annotations

import json
from typing import Any

from fake_gateway import as_json, events, serving

from llm_manager.cli.data_dir import DataDir
from llm_manager.cli.exit_codes import CommandError, ExitCode

_PATH = "POST /v1/chat/completions"


def _delta(**delta: Any) -> str:
    return json.dumps({"choices": [{"index": 0, "delta": delta}]})


def test_an_answer_is_streamed_with_the_first_key_of_the_data_directory(invoke: Any, data: DataDir) -> None:
    stream = events(_delta(role="assistant", content="Hel"), _delta(content="lo"), '{"choices": []}', "[DONE]")
    with serving({_PATH: (200, stream)}) as gateway:
        done = invoke("chat", "-m", "echo", "--system", "Be kind.", "--url", gateway.url, "Hello")
    assert (done.exit_code, done.stdout) == (0, "Hello\n")
    assert gateway.seen[0].authorization == f"Bearer {data.read_secret('api-key')}"
    assert gateway.seen[0].body == {
        "model": "echo",
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_tool_calls_are_printed_whole_at_the_end(invoke: Any) -> None:
    first = {"index": 0, "function": {"name": "add", "arguments": '{"a":'}}
    rest = {"index": 0, "function": {"arguments": "1}"}}
    stream = events(_delta(tool_calls=[first]), _delta(tool_calls=[rest]), "[DONE]")
    with serving({_PATH: (200, stream)}) as gateway:
        done = invoke("chat", "-m", "m", "--url", gateway.url, "--api-key", "lm_mine", "-", text="1 + 1?")
    assert json.loads(done.stdout) == {"tool_call": {"name": "add", "arguments": '{"a":1}'}}
    assert gateway.seen[0].authorization == "Bearer lm_mine"
    assert gateway.seen[0].body["messages"] == [{"role": "user", "content": "1 + 1?"}]


def test_json_prints_the_whole_answer(invoke: Any) -> None:
    answer = {"choices": [{"message": {"content": "Hello"}}], "usage": {"cost": "0"}}
    with serving({_PATH: (200, as_json(answer))}) as gateway:
        done = invoke("chat", "-m", "m", "--json", "--url", f"{gateway.url}/v1/", "Hello")
    assert json.loads(done.stdout) == answer
    assert "stream" not in gateway.seen[0].body


def test_a_refusal_shows_the_gateways_own_words(invoke: Any) -> None:
    error = {"error": {"message": "There is no model 'x'.", "code": "model_not_found"}}
    with serving({_PATH: (404, as_json(error))}) as gateway:
        done = invoke("chat", "-m", "x", "--url", gateway.url, "Hello")
    assert isinstance(done.exception, CommandError)
    assert done.exception.message == "The gateway answered 404: There is no model 'x'. (model_not_found)"


def test_an_error_inside_the_stream_is_a_failure(invoke: Any) -> None:
    failed = json.dumps({"error": {"message": "The worker was lost.", "code": "worker_lost"}})
    with serving({_PATH: (200, events(_delta(content="Hel"), failed))}) as gateway:
        done = invoke("chat", "-m", "x", "--url", gateway.url, "Hello")
    assert isinstance(done.exception, CommandError)
    assert done.exception.message == "The answer failed on its way: The worker was lost. (worker_lost)"


def test_a_stream_that_is_cut_off_is_a_failure(invoke: Any) -> None:
    with serving({_PATH: (200, events(_delta(content="Hel")))}) as gateway:
        done = invoke("chat", "-m", "x", "--url", gateway.url, "Hello")
    assert isinstance(done.exception, CommandError)
    assert "cut off" in done.exception.message


def test_nobody_there_is_exit_code_3(invoke: Any) -> None:
    unreachable = invoke("chat", "-m", "x", "--url", "http://127.0.0.1:9", "Hello")
    not_running = invoke("chat", "-m", "x", "Hello")
    codes = [done.exception.exit_code for done in (unreachable, not_running)]
    assert codes == [ExitCode.NOT_RUNNING, ExitCode.NOT_RUNNING]
