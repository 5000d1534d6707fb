"""Rerank at OpenAI-compatible servers: the recordings, the forms that differ, and what is sent."""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec
import pytest

from llm_manager.core.deltas import RerankResult
from llm_manager.core.errors import UnsupportedParameter, UpstreamProtocolError, UpstreamRefused, UpstreamUnavailable
from llm_manager.core.facts import load_facts
from llm_manager.core.messages import RerankInput
from llm_manager.core.usage import Usage, UsageReport, UsageSource
from llm_manager.providers.dialects.openai_chat.dialect import OpenAiChat
from llm_manager.providers.dialects.openai_chat.rerank import OrderReader
from llm_manager.providers.dialects.policy import Policy
from llm_manager.providers.dialects.port import NativeReranks, Pieces, Reranks
from llm_manager.providers.dialects.upstream_errors import error_of_answer
from llm_manager.testing.recordings import Recording, load, why_absent

RECORDED = [
    *load(providers=("openai_compatible",), operations=("rerank",)),
    *load(providers=("together",), operations=("rerank",), part="reconstructed"),
]
_HOSTS = {"openrouter.ai": "openrouter", "llamacpp.local": "llamacpp"}
on_recordings = pytest.mark.skipif(why_absent() is not None, reason=why_absent() or "")


def dialect(kind: str) -> OpenAiChat:
    return OpenAiChat(load_facts()[kind], new_id=lambda: "made-up")


def kinds_of(recording: Recording) -> Sequence[str]:
    if recording.provider == "together":
        return ("together", "custom")
    own = next((kind for host, kind in _HOSTS.items() if host in recording.url), None)
    return ("custom",) if own is None else (own, "custom")


def read(reader: OrderReader, body: bytes) -> Pieces:
    for at in range(0, len(body), 7):
        assert not reader.feed(body[at : at + 7])
    return reader.finish()


@on_recordings
@pytest.mark.requirement("S20", "P-10")
@pytest.mark.parametrize("recording", [r for r in RECORDED if r.status == 200], ids=lambda r: r.id)
def test_recorded_order_comes_out_in_both_forms(recording: Recording) -> None:
    expected = recording.expected
    for kind in kinds_of(recording):
        neutral, native = dialect(kind).rerank_reader(), dialect(kind).native_rerank_reader()
        places = read(neutral, recording.body).rerank
        (body,) = read(native, recording.body).native

        assert places == [RerankResult(index=r["index"], score=r["relevance_score"]) for r in expected["results"]]
        document = json.loads(recording.body)
        assert json.loads(body) == {name: value for name, value in document.items() if name != "usage"}
        for reader in (neutral, native):
            report = reader.usage()
            assert report is not None
            assert (json.loads(report.raw), report.source) == (expected["usage_raw"], UsageSource.PROVIDER)
            assert reader.response_model == document["model"]
            raw = expected["usage_raw"]
            assert report.usage == Usage(
                input_uncached=raw.get("total_tokens", 0), search_units=raw.get("search_units", 0)
            )
            cost = raw.get("cost")
            assert report.reported_cost_usd == (None if cost is None else f"{cost:.8f}".rstrip("0"))


@on_recordings
@pytest.mark.requirement("L-28")
@pytest.mark.parametrize("recording", [r for r in RECORDED if r.status != 200], ids=lambda r: r.id)
def test_recorded_refusal_of_an_order_is_an_error(recording: Recording) -> None:
    error = error_of_answer(
        load_facts()["custom"], status=recording.status, body=recording.body, headers=recording.headers
    )

    assert isinstance(error, UpstreamRefused if recording.status < 500 else UpstreamUnavailable)
    assert recording.expected["error"]["message"] in str(error)


@pytest.mark.parametrize(
    "body",
    [
        b'{"results":[{"index":0,"relevance_score":0.2},{"index":2,"relevance_score":0.9}]}',
        b'{"data":[{"index":2,"relevance_score":0.9,"document":"c"},{"index":0,"relevance_score":0.2}],"object":"list"}',
        b'[{"index":0,"score":0.2},{"index":2,"score":0.9}]',
    ],
    ids=["unordered", "voyage", "tei"],
)
def test_order_is_read_in_each_of_its_forms_best_first(body: bytes) -> None:
    reader = dialect("custom").rerank_reader()

    assert read(reader, body).rerank == [RerankResult(index=2, score=0.9), RerankResult(index=0, score=0.2)]
    assert (reader.error, reader.usage(), reader.written.text) == (None, None, {})


@pytest.mark.parametrize(
    ("report", "usage"),
    [
        (b'"usage":{"total_tokens":7}', Usage(input_uncached=7)),
        (b'"usage":{"prompt_tokens":6,"total_tokens":6}', Usage(input_uncached=6)),
        (
            b'"meta":{"billed_units":{"search_units":2},"tokens":{"input_tokens":5}}',
            Usage(input_uncached=5, search_units=2),
        ),
        (b'"usage":null,"meta":{"billed_units":{"search_units":1}}', Usage(search_units=1)),
    ],
    ids=["vllm", "llama.cpp", "meta", "units"],
)  # fmt: skip
def test_counts_are_read_wherever_a_server_puts_them(report: bytes, usage: Usage) -> None:
    reader = dialect("custom").rerank_reader()
    read(reader, b'{"results":[],' + report + b"}")
    raw = report.split(b'":', 1)[1] if b"null" not in report else report.split(b'"meta":', 1)[1]

    assert reader.usage() == UsageReport(usage, UsageSource.PROVIDER, raw)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"17", b"{}", b'{"results":null}', b'{"results":[{"index":0}]}', b'{"results":[{"score":1}]}',
     b'{"results":[{"index":-1,"score":1}]}', b'{"results":[7]}'],
)  # fmt: skip
def test_answer_without_an_order_is_an_error(body: bytes) -> None:
    for reader in (dialect("custom").rerank_reader(), dialect("custom").native_rerank_reader()):
        assert not read(reader, body)
        assert isinstance(reader.error, UpstreamProtocolError)


@pytest.mark.requirement("L-26")
def test_error_in_place_of_an_order_is_that_error() -> None:
    reader = dialect("custom").native_rerank_reader()

    assert not read(reader, b'{"error":{"message":"no such model","code":404}}')
    assert isinstance(reader.error, UpstreamRefused)
    assert reader.error.http_status == 404


def test_request_for_an_order_is_written_from_neutral_words() -> None:
    made = dialect("together")
    assert isinstance(made, Reranks)
    request = RerankInput(query="what", documents=("ab", "c"), top_n=1, extension=b'{"rank_fields":["a"]}')
    call = made.rerank(request, model="m", policy=Policy())

    assert (call.method, call.path) == ("POST", "/rerank")
    assert json.loads(call.body) == {
        "model": "m", "query": "what", "documents": ["ab", "c"], "top_n": 1, "rank_fields": ["a"],
    }  # fmt: skip
    assert call.prompt() == 7
    assert "top_n" not in json.loads(
        made.rerank(RerankInput(query="q", documents=("a",)), model="m", policy=Policy()).body
    )


@pytest.mark.requirement("B-14")
def test_client_s_own_request_for_an_order_keeps_its_fields() -> None:
    made = dialect("openrouter")
    assert isinstance(made, NativeReranks)
    raw = b'{"model":"nice","query":"q","documents":[{"text":"a"},"bc"],"return_documents":true,"future":1e400}'
    call = made.native_rerank(raw, model="cohere/rerank-v3.5", policy=Policy())

    assert b'"future":1e400' in call.body
    assert b'"model":"cohere/rerank-v3.5"' in call.body
    assert b'"documents":[{"text":"a"},"bc"]' in call.body
    assert call.prompt() == 4


def test_parameter_that_a_kind_lacks_is_refused_by_name() -> None:
    facts = load_facts()["custom"]
    parameters = type(facts.parameters)(rerank_unsupported=("max_tokens_per_doc",))
    lacking = msgspec.structs.replace(facts, parameters=parameters)
    made = OpenAiChat(lacking, new_id=lambda: "x")
    adapting = Policy(adapts=True)

    with pytest.raises(UnsupportedParameter) as raised:
        made.native_rerank(b'{"query":"q","max_tokens_per_doc":9}', model="m", policy=Policy())
    call = made.native_rerank(b'{"query":"q","max_tokens_per_doc":9}', model="m", policy=adapting)

    assert raised.value.param == "max_tokens_per_doc"
    assert (json.loads(call.body), adapting.warnings) == ({"query": "q", "model": "m"}, ["left out max_tokens_per_doc"])
