"""Legacy completions: every recording of them, whatever its form, and what is sent for them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any  # JSON documents

import pytest
from openai.types import Completion

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter, UpstreamRefused, UpstreamUnavailable
from llm_manager.core.estimates import size_of
from llm_manager.core.facts import Facts, load_facts
from llm_manager.core.usage import Usage, UsageSource
from llm_manager.providers.dialects.openai_completions.dialect import OpenAiCompletions
from llm_manager.providers.dialects.policy import Policy
from llm_manager.providers.dialects.port import AnswerReader, NativeChats, Pieces
from llm_manager.testing.answers import answer_of_reading, differences, usage_differences
from llm_manager.testing.cuts import on_every_cut, pieces_of
from llm_manager.testing.recordings import Recording, load, oracle, why_absent
from llm_manager.testing.upstream import sse

PROVIDERS = ("openai", "mistral", "together", "openai_compatible")
TEXTS = [r for r in load(providers=PROVIDERS, operations=("completions",)) if r.status == 200]
on_recordings = pytest.mark.skipif(why_absent() is not None, reason=why_absent() or "")


def facts_of(recording: Recording) -> Facts:
    return load_facts()["custom" if recording.provider == "openai_compatible" else recording.provider]


def dialect(facts: Facts) -> NativeChats:
    numbers = itertools.count()
    return OpenAiCompletions(facts, new_id=lambda: f"made-up-{next(numbers)}")


def reader(kind: str = "custom", *, stream: bool = True) -> AnswerReader:
    return dialect(load_facts()[kind]).native_chat_reader(is_stream=stream)


def read(into: AnswerReader, pieces: Iterator[bytes]) -> Pieces:
    answer = Pieces()
    for piece in pieces:
        answer.extend(into.feed(piece))
    answer.extend(into.finish())
    return answer


def said(*events: object, kind: str = "custom") -> tuple[AnswerReader, list[dict[str, Any]]]:
    into = reader(kind)
    return into, [json.loads(chunk) for chunk in read(into, iter(sse(*events))).native]


def chunk(text: str | None = "", *, finish: str | None = None, index: int = 0, **fields: object) -> dict[str, Any]:
    choice = {"text": text, "index": index, "logprobs": None, "finish_reason": finish}
    return {"id": "c1", "object": "text_completion", "created": 5, "model": "m", "choices": [choice], **fields}


@on_recordings
@pytest.mark.requirement("S27", "P-4", "P-9", "P-10", "L-5")
@pytest.mark.parametrize("recording", TEXTS, ids=lambda r: r.id)
@on_every_cut
def test_recorded_completion_comes_out_well_formed_and_as_expected(recording: Recording, cut: str) -> None:
    expected = recording.expected
    into = dialect(facts_of(recording)).native_chat_reader(is_stream=recording.is_stream)
    documents = read(into, pieces_of(recording, cut)).native

    assert into.error is None
    parsed: list[dict[str, Any]] = [json.loads(document) for document in documents]
    assert {(p["id"], p["object"], p["model"]) for p in parsed} == {
        (expected["id"], "text_completion", expected["model"])
    }
    assert len({p["created"] for p in parsed}) == 1
    assert all("usage" not in p and p["choices"] for p in parsed)
    body = documents[0]
    if recording.is_stream:
        body = b"".join(b"data: %b\n\n" % document for document in documents) + b"data: [DONE]\n\n"
        finishes = [choice for p in parsed for choice in p["choices"] if choice["finish_reason"]]
        assert [choice["index"] for choice in finishes] == list(range(expected["n_choices"]))
        assert parsed[-1]["choices"] == finishes[-1:]
    for p in parsed:
        assert all(isinstance(choice["text"], str) for choice in p["choices"])
        if not recording.is_stream:
            Completion.model_validate(p, strict=True)
    _, reading = oracle().read("openai", "openai.completions", 200, body)
    assert differences(answer_of_reading(reading), expected) == []
    assert_usage(recording, into)
    assert (into.response_model, into.native_finish_reason) == (expected["model"], expected["finish_reason"])
    assert sum(into.written.text.values()) == sum(map(size_of, expected.get("choices_text") or [expected["text"]]))


def assert_usage(recording: Recording, into: AnswerReader) -> None:
    report = into.usage()
    expected = recording.expected
    if expected["usage_raw"] is None:
        assert report is None
        return
    assert report is not None
    assert usage_differences(report.usage, expected) == []
    # one of them leaves out the zero of an empty text
    assert (json.loads(report.raw), report.source) == (expected["usage_raw"], UsageSource.PROVIDER)
    assert report.usage.output_total == (expected["output_tokens"] or 0)


@on_recordings
def test_chunks_that_need_no_repair_pass_byte_for_byte() -> None:
    (recording,) = [r for r in TEXTS if r.id == "openai-completions-211ae22f2d"]
    events = [json.loads(data) for _, data, _ in oracle().sse_events(recording.body) if data != "[DONE]"]
    into = dialect(load_facts()["openai"]).native_chat_reader(is_stream=True)
    chunks = read(into, iter([recording.body])).native

    assert all(b"data: " + document + b"\n\n" in recording.body for document in chunks[:-2])
    assert [json.loads(document) for document in chunks[:-2]] == events[:-1]


def test_texts_of_several_choices_keep_their_places_and_finishes_come_last() -> None:
    into, chunks = said(
        chunk("a"),
        chunk("b", index=1, finish="length"),
        chunk("c", finish="eos"),
        {**chunk(), "choices": []},
        "[DONE]",
        kind="together",
    )

    assert [(c["index"], c["text"], c["finish_reason"]) for one in chunks for c in one["choices"]] == [
        (0, "a", None),
        (1, "b", None),
        (0, "c", None),
        (0, "", "stop"),
        (1, "", "length"),
    ]
    assert chunks[3]["choices"][0]["native_finish_reason"] == "eos"
    assert (into.error, into.finish_reason, into.native_finish_reason) == (None, "stop", "eos")


@pytest.mark.requirement("L-5", "L-29")
def test_text_is_never_null_and_no_chunk_changes_who_it_is() -> None:
    _, chunks = said(
        chunk("a", id="x", usage=None, seed=7),
        chunk(None, finish="stop", id="y", created=9, model="other"),
        {"id": "z", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}},
        "[DONE]",
    )

    head = {"id": "x", "object": "text_completion", "created": 5, "model": "m"}
    choice = {"index": 0, "logprobs": None}
    assert chunks == [
        {**head, "seed": 7, "choices": [{**choice, "text": "a", "finish_reason": None}]},
        {**head, "choices": [{**choice, "text": "", "finish_reason": "stop"}]},
    ]


def test_together_s_chunks_with_a_delta_beside_the_text_are_read_once() -> None:
    event = chunk("a")
    event["object"] = "completion.chunk"
    event["choices"][0]["delta"] = {"role": "assistant", "content": "a", "token_id": 3}
    into, chunks = said(event, chunk("b", finish="stop"), "[DONE]", kind="together")

    assert [c["text"] for one in chunks for c in one["choices"]] == ["a", "b", ""]
    assert all("delta" not in c for one in chunks for c in one["choices"])
    assert into.written.text == {0: 2}


def test_log_probabilities_stay_as_they_came() -> None:
    event = chunk("a", finish="length")
    event["choices"][0]["logprobs"] = {"tokens": ["a"], "token_logprobs": [-0.25], "text_offset": [0]}
    _, chunks = said(event, "[DONE]")

    assert [c["logprobs"] for one in chunks for c in one["choices"]] == [event["choices"][0]["logprobs"], None]


def test_done_without_a_finish_ends_well_and_a_cut_does_not() -> None:
    good, chunks = said(chunk("a"), "[DONE]")
    cut, _ = said(chunk("a"))

    assert good.error is None
    assert chunks[-1] == {**chunk(finish="stop")}
    assert isinstance(cut.error, Exception)


@pytest.mark.requirement("L-26", "L-30", "P-3")
def test_failures_are_errors_and_never_finishes() -> None:
    broken, chunks = said(chunk("a"), {"error": {"message": "full", "code": 503}})
    failed, _ = said(chunk("a"), chunk(finish="abort"), "[DONE]")
    whole = reader(stream=False)
    plain = read(whole, iter([b'{"error":{"message":"no","type":"invalid_request_error"}}']))

    assert isinstance(broken.error, UpstreamUnavailable)
    assert [c["finish_reason"] for one in chunks for c in one["choices"]] == [None]
    assert isinstance(failed.error, UpstreamUnavailable)
    assert (plain.native, type(whole.error)) == ([], UpstreamRefused)


def test_whole_answer_where_a_stream_was_asked_becomes_its_chunks() -> None:
    into = reader()
    body = json.dumps({**chunk("all", finish="stop"), "usage": {"prompt_tokens": 2, "completion_tokens": 1}}).encode()
    chunks = [json.loads(document) for document in read(into, iter([body])).native]

    assert [(c["text"], c["finish_reason"]) for one in chunks for c in one["choices"]] == [("all", None), ("", "stop")]
    report = into.usage()
    assert report is not None
    assert report.usage == Usage(input_uncached=2, output_text=1)


def test_everything_of_a_completion_reaches_the_provider() -> None:
    body = {
        "model": "nice", "prompt": [[1, 2], [3]], "suffix": "end", "echo": True, "logprobs": 0, "best_of": 3, "n": 2,
        "logit_bias": {"1": 1}, "stop": ["x"], "stream": True, "stream_options": {"include_usage": False}, "future": 1,
    }  # fmt: skip
    together, openai = dialect(load_facts()["together"]), dialect(load_facts()["openai"])
    raw = json.dumps(body).encode()
    streamed = openai.native_chat(raw, model="m", is_stream=True, policy=Policy())
    whole = together.native_chat(raw, model="m", is_stream=False, policy=Policy())

    assert (streamed.method, streamed.path, whole.path) == ("POST", "/completions", "/completions")
    assert json.loads(streamed.body) == {**body, "model": "m", "stream_options": {"include_usage": True}}
    unasked = {name: value for name, value in body.items() if name not in {"stream", "stream_options"}}
    assert json.loads(whole.body) == {**unasked, "model": "m"}
    # three tokens, and three characters
    assert streamed.prompt() == 3 * 4 + 3


@pytest.mark.parametrize(
    ("prompt", "characters"), [('"abcd"', 4), ('["ab","c"]', 3), ("[5,6]", 8), ("[]", 0), ("null", 0), ('""', 0)]
)
def test_prompt_is_measured_in_each_of_its_forms(prompt: str, characters: int) -> None:
    raw = f'{{"prompt":{prompt}}}'.encode()
    call = dialect(load_facts()["openai"]).native_chat(raw, model="m", is_stream=False, policy=Policy())

    assert call.prompt() == characters


@pytest.mark.requirement("B-14", "P-18")
def test_parameter_that_a_provider_lacks_is_refused_or_left_out_with_a_warning() -> None:
    mistral, raw = dialect(load_facts()["mistral"]), b'{"prompt":"a","suffix":"b","seed":1,"logit_bias":{"1":1}}'
    adapting = Policy(adapts=True)
    with pytest.raises(UnsupportedParameter) as raised:
        mistral.native_chat(raw, model="m", is_stream=False, policy=Policy())
    call = mistral.native_chat(raw, model="m", is_stream=False, policy=adapting)

    assert raised.value.param == "logit_bias"
    assert (call.path, json.loads(call.body)) == (
        "/fim/completions",
        {"prompt": "a", "suffix": "b", "random_seed": 1, "model": "m"},
    )
    assert adapting.warnings == ["left out logit_bias"]
    with pytest.raises(InvalidRequest):
        mistral.native_chat(b"[]", model="m", is_stream=False, policy=Policy())
