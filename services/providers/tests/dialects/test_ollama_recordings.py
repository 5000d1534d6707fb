"""Every recorded chat of Ollama, in neutral form: nobody speaks its dialect to us."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

import pytest

from llm_manager.core.errors import UpstreamProtocolError, UpstreamRefused, UpstreamUnavailable
from llm_manager.core.facts import load_facts
from llm_manager.core.usage import UsageSource
from llm_manager.providers.dialects.ollama_chat.answer import OllamaChatReader
from llm_manager.providers.dialects.port import Pieces
from llm_manager.providers.dialects.upstream_errors import error_of_answer
from llm_manager.testing.answers import answer_of_deltas, differences, usage_differences
from llm_manager.testing.recordings import Recording, load, why_absent
from llm_manager.testing.stream_validator import delta_violations

FACTS = load_facts()["ollama"]
CHATS = load(providers=("ollama",), operations=("chat",))
on_recordings = pytest.mark.skipif(why_absent() is not None, reason=why_absent() or "")


def reader() -> OllamaChatReader:
    numbers = itertools.count()
    return OllamaChatReader(FACTS, new_id=lambda: f"made-up-{next(numbers)}")


def read(into: OllamaChatReader, pieces: Iterator[bytes]) -> Pieces:
    answer = Pieces()
    for piece in pieces:
        answer.extend(into.feed(piece))
    answer.extend(into.finish())
    return answer


@on_recordings
@pytest.mark.parametrize("size", [10**9, 4096, 7])
@pytest.mark.parametrize("recording", [r for r in CHATS if r.status == 200], ids=lambda r: r.id)
def test_recorded_chat_comes_out_as_expected(recording: Recording, size: int) -> None:
    body = recording.body
    chat = reader()
    answer = read(chat, (body[at : at + size] for at in range(0, len(body), size)))

    assert chat.error is None
    assert delta_violations(answer.deltas) == []
    assert differences(answer_of_deltas(answer.deltas), recording.expected) == []
    report = chat.usage()
    assert report is not None
    assert usage_differences(report.usage, recording.expected) == []
    assert json.loads(report.raw) == recording.expected["usage_raw"]
    assert answer.info is not None
    assert answer.info.model == recording.expected["model"]
    assert answer.info.created > 1_600_000_000 or b'"1970-01-01' in body


@on_recordings
def test_recorded_refusals_become_errors() -> None:
    (missing,) = [r for r in CHATS if r.status == 404]
    (broken,) = load(providers=("ollama",), part="reconstructed")

    refused = error_of_answer(FACTS, status=404, body=missing.body, headers=missing.headers)
    failed = error_of_answer(FACTS, status=500, body=broken.body, headers=broken.headers)

    assert isinstance(refused, UpstreamRefused)
    assert str(refused) == missing.expected["error"]["message"]
    assert refused.http_status == 404
    assert isinstance(failed, UpstreamUnavailable)
    assert broken.expected["error"]["message"] in str(failed)


@pytest.mark.requirement("L-26")
def test_error_line_in_a_good_stream_is_an_error_and_no_finish() -> None:
    chat = reader()
    answer = read(
        chat,
        iter([b'{"model":"m","message":{"content":"Hal"},"done":false}\n', b'{"error":"an error was encountered"}\n']),
    )

    assert answer_of_deltas(answer.deltas).finish_reason is None
    assert isinstance(chat.error, UpstreamUnavailable)
    assert "an error was encountered" in str(chat.error)
    assert chat.written.text == {0: 3}


def test_stream_that_ends_without_done_is_an_error() -> None:
    chat = reader()
    read(chat, iter([b'{"model":"m","message":{"content":"Hal"},"done":false}\n']))

    assert isinstance(chat.error, UpstreamProtocolError)


def test_missing_prompt_count_is_not_taken_for_zero() -> None:
    chat = reader()
    read(chat, iter([b'{"model":"m","message":{"content":"x"},"done":true,"done_reason":"stop","eval_count":3}']))

    report = chat.usage()
    assert report is not None
    assert report.source is UsageSource.ESTIMATED


@pytest.mark.requirement("L-30")
@pytest.mark.parametrize("reason", ["load", "unload"])
def test_model_that_was_only_loaded_said_nothing(reason: str) -> None:
    chat = reader()
    answer = read(
        chat, iter([b'{"model":"m","message":{"content":""},"done":true,"done_reason":"%b"}' % reason.encode()])
    )

    assert chat.error is not None
    assert not answer.deltas
