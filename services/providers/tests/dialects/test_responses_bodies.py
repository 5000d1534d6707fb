"""Whole responses that no recording holds: errors with a good status, answers that are not there yet, odd parts."""

from __future__ import annotations

import json
from typing import Any  # JSON documents

import pytest

from llm_manager.core.deltas import Annotation, Finish, OpaqueDelta
from llm_manager.core.errors import LlmManagerError, ProviderRateLimited, UpstreamProtocolError, UpstreamUnavailable
from llm_manager.core.facts import load_facts
from llm_manager.providers.dialects.openai_responses.dialect import OpenAiResponses
from llm_manager.providers.dialects.openai_responses.reader import ResponsesReader
from llm_manager.providers.dialects.port import Pieces
from llm_manager.testing.answers import answer_of_deltas

Json = dict[str, Any]
DIALECT = OpenAiResponses(load_facts()["openai"], new_id=str)


def read_body(body: Json, *, native: bool = False, stream: bool = False) -> tuple[ResponsesReader, Pieces]:
    into = DIALECT.native_chat_reader(is_stream=stream) if native else DIALECT.chat_reader(is_stream=stream)
    answer = into.feed(json.dumps(body).encode())
    answer.extend(into.finish())
    return into, answer


def response(*output: Json, status: str = "completed", **more: Any) -> Json:
    return {"id": "resp_1", "object": "response", "model": "m-1", "status": status, "output": list(output), **more}


def message(text: str, item_id: str = "msg_1", **part: Any) -> Json:
    content: list[Json] = [{"type": "output_text", "text": text, "annotations": [], **part}]
    return {"id": item_id, "type": "message", "role": "assistant", "status": "completed", "content": content}


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("is_native", [False, True])
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"code": "rate_limit_exceeded", "message": "Slow"}}, ProviderRateLimited),
        ({"error": "it broke"}, UpstreamUnavailable),
        ({"id": "resp_1"}, UpstreamProtocolError),
        (response(status="failed", error={"code": "server_error", "message": "x"}), UpstreamUnavailable),
    ],
)
def test_error_in_the_body_of_a_good_status_is_an_error(
    body: Json, kind: type[LlmManagerError], is_native: bool, is_stream: bool
) -> None:
    into, answer = read_body(body, native=is_native, stream=is_stream)

    assert isinstance(into.error, kind)
    assert not answer


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_answer_that_is_not_there_yet_passes_to_its_own_clients_only(status: str) -> None:
    body = response(status=status, usage=None, background=True)
    neutral, nothing = read_body(body)
    own, passed = read_body(body, native=True)

    assert isinstance(neutral.error, UpstreamProtocolError)
    assert not nothing
    assert own.error is None
    assert [json.loads(document) for document in passed.native] == [body]
    assert (own.usage(), own.finish_reason, own.native_finish_reason) == (None, "", status)


def test_tools_that_take_any_text_are_calls_where_the_client_declared_them() -> None:
    call: Json = {"id": "ctc_1", "type": "custom_tool_call", "call_id": "c1", "name": "sh", "input": "ls"}
    declared = response(call, tools=[{"type": "custom", "name": "sh"}])
    foreign = response(call, tools=[{"type": "x_search"}])
    mine, hers = read_body(declared)[1], read_body(foreign)[1]

    (block,) = [delta for delta in hers.deltas if isinstance(delta, OpaqueDelta)]
    assert json.loads(block.block.json) == call
    assert answer_of_deltas(mine.deltas).tool_calls == [("sh", "ls")]
    assert answer_of_deltas(hers.deltas).tool_calls == []
    assert mine.deltas[-1] == Finish(reason="tool_calls", native_reason="completed")
    assert hers.deltas[-1] == Finish(reason="stop", native_reason="completed")


def test_places_of_citations_count_from_the_start_of_the_whole_text() -> None:
    note: Json = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 2}
    mention: Json = {"type": "file_citation", "file_id": "f", "index": 1}
    _, answer = read_body(response(message("Hello"), message("Hi", "msg_2", annotations=[note, mention])))

    (found,) = [delta for delta in answer.deltas if isinstance(delta, Annotation)]
    assert json.loads(found.json) == {
        "type": "url_citation",
        "url_citation": {"url": "u", "title": "t", "start_index": 5, "end_index": 7},
    }
    # what neutral words cannot say of a citation goes back in blocks
    assert sum(isinstance(delta, OpaqueDelta) for delta in answer.deltas) == 2
