from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any  # JSON of the demo

import pytest

from llm_manager.core.errors import UnsupportedParameter, UpstreamRefused
from llm_manager.core.facts import load_facts
from llm_manager.core.messages import ChatInput, EmbeddingsInput, Message, Sampling, Text
from llm_manager.kit.secrets import SecretBox
from llm_manager.providers.credentials import Credentials
from llm_manager.providers.dialects.port import Pieces
from llm_manager.providers.echo import EchoUpstream
from llm_manager.providers.job import Job, JobInput, Operation, Outcome, Target
from llm_manager.providers.service import Inference
from llm_manager.testing.answers import answer_of_deltas

FACTS = load_facts()["echo"]
INFERENCE = Inference({"echo": FACTS}, {"echo": EchoUpstream(FACTS)}, Credentials(SecretBox(b"k" * 32)))
TARGET = Target(provider="echo", kind="echo", base_url="", credential=b"", upstream_model="echo")


async def ask(operation: Operation, asked: JobInput, *, stream: bool = False) -> tuple[Pieces, Outcome]:
    answer, outcome = Pieces(), Outcome()

    async def emit(pieces: Pieces) -> None:
        answer.extend(pieces)

    await INFERENCE.run(Job(operation, TARGET, asked, stream, 10.0), outcome, emit)
    return answer, outcome


def dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def chat(text: str, **sampling: Any) -> ChatInput:
    return ChatInput(messages=(Message(role="user", parts=(Text(text=text),)),), sampling=Sampling(**sampling))


@pytest.mark.requirement("S22")
async def test_echo_is_deterministic_and_counts_words() -> None:
    streamed, first = await ask("chat", chat("one two"), stream=True)
    whole, second = await ask("chat", chat("one two"))

    assert answer_of_deltas(streamed.deltas) == answer_of_deltas(whole.deltas)
    assert answer_of_deltas(whole.deltas).text == "Echo (demo): one two"
    assert first.report().usage == second.report().usage
    assert (first.report().usage.input_total, first.report().usage.output_total) == (2, 4)


async def test_echo_obeys_the_largest_number_of_tokens_and_stop() -> None:
    short, outcome = await ask("chat", chat("one two three", max_tokens=3))
    stopped, _ = await ask("chat", chat("one two three", stop=("two",)))
    nothing, _ = await ask("chat", chat("one", max_tokens=0))

    assert answer_of_deltas(short.deltas).text == "Echo (demo): one"
    assert answer_of_deltas(short.deltas).finish_reason == "length"
    assert outcome.reader is not None
    assert outcome.reader.native_finish_reason == "length"
    assert answer_of_deltas(stopped.deltas).text == "Echo (demo): one "
    assert answer_of_deltas(nothing.deltas).text == ""


async def test_echo_refuses_what_it_cannot_do() -> None:
    with pytest.raises(UnsupportedParameter) as raised:
        await ask("chat", chat("x", n=2))

    assert raised.value.param == "n"


async def test_vectors_are_deterministic_units_and_closer_for_texts_that_share_words() -> None:
    texts = EmbeddingsInput(texts=("the red house", "the red barn", "quantum physics", ""))
    answer, outcome = await ask("embeddings", texts)
    again, _ = await ask("embeddings", texts)
    house, barn, physics, _ = answer.embeddings

    assert answer.embeddings == again.embeddings
    assert all(math.isclose(math.hypot(*vector), 1.0, abs_tol=1e-6) for vector in answer.embeddings)
    assert dot(house, barn) > dot(house, physics)
    assert outcome.report().usage.input_total == 8


@pytest.mark.parametrize(("dimensions", "length"), [(None, 256), (7, 7), (4096, 4096)])
async def test_vectors_have_the_length_that_was_asked(dimensions: int | None, length: int) -> None:
    answer, _ = await ask("embeddings", EmbeddingsInput(texts=("x",), dimensions=dimensions))

    assert len(answer.embeddings[0]) == length


async def test_vectors_of_a_senseless_length_are_refused() -> None:
    with pytest.raises(UpstreamRefused, match="dimensions"):
        await ask("embeddings", EmbeddingsInput(texts=("x",), dimensions=100_000))


async def test_echo_lists_its_models() -> None:
    answer, _ = await ask("models", None)

    assert [model.id for model in answer.models] == ["echo", "echo-embedding"]
    assert all(json.loads(model.native) for model in answer.models)
