"""Which dialect writes a request: the client's own, the one that a model answers only in, or the main one."""

from __future__ import annotations

import json
from typing import Any  # JSON bodies

import pytest
from msgspec.structs import replace

from llm_manager.core.deltas import Finish, TextDelta, TokenCount
from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.core.facts import load_facts, parse_facts
from llm_manager.core.messages import (
    ChatInput,
    CountTokensInput,
    EmbeddingsInput,
    Message,
    RerankInput,
    Sampling,
    Text,
)
from llm_manager.providers.dialects.policy import Policy
from llm_manager.providers.dialects.port import Pieces
from llm_manager.providers.job import Job, JobInput, NativeBody, Operation, Target
from llm_manager.providers.translator import Translated, Translator, Translators, with_model

Json = dict[str, Any]
CHAT = ChatInput(messages=(Message(role="user", parts=(Text(text="Hello"),)),))
COUNT = CountTokensInput(chat=CHAT)
EMBED = EmbeddingsInput(texts=("Hello",))
RERANK = RerankInput(query="q", documents=("d",))
OWN_KIND = """
kind = "mine"
title = "Mine"
source = ["https://mine.example/docs"]
checked_on = 2026-11-24
also = ["openai_responses"]
responses_models = ["thinker-*"]
operations = ["chat"]
[finish_reasons]
stop = "stop"
[paths]
responses = "/v2/responses"
"""
RESPONSE: Json = {
    "id": "resp_1",
    "model": "m-1",
    "status": "completed",
    "output": [{"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}],
}


def translated(
    asked: JobInput, *, model: str = "gpt-4o", operation: Operation = "chat", kind: str = "openai", stream: bool = False
) -> Translated:
    target = Target(provider=kind, kind=kind, base_url="", credential=b"", upstream_model=model)
    return Translator(load_facts()[kind]).translated(Job(operation, target, asked, stream, 10.0), Policy())


def native(dialect: str, body: bytes = b'{"model":"alias","input":"Hello"}') -> NativeBody:
    return NativeBody(dialect=dialect, body=body)


def read(answer: Translated, body: bytes) -> Pieces:
    _, reader = answer
    pieces = reader.feed(body)
    pieces.extend(reader.finish())
    assert reader.error is None
    return pieces


@pytest.mark.requirement("S17")
@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("o3-pro", "/responses"),
        ("gpt-5.3-codex", "/responses"),
        ("gpt-5.5-pro-2026-04-23", "/responses"),
        ("o3", "/chat/completions"),
        ("gpt-4o", "/chat/completions"),
    ],
)
def test_model_that_answers_only_in_responses_is_asked_there(model: str, path: str, is_stream: bool) -> None:
    call, _ = translated(CHAT, model=model, stream=is_stream)

    body = json.loads(call.body)
    assert (call.method, call.path, body["model"]) == ("POST", path, model)
    assert body.get("stream", False) is is_stream
    assert ("input" in body, "messages" in body) == (path == "/responses", path != "/responses")


@pytest.mark.requirement("S17")
@pytest.mark.parametrize("is_stream", [False, True])
def test_answer_of_such_a_model_is_read_in_neutral_words(is_stream: bool) -> None:
    event = {"type": "response.completed", "response": RESPONSE}
    body = f"data: {json.dumps(event)}\n\n" if is_stream else json.dumps(RESPONSE)
    pieces = read(translated(CHAT, model="o3-pro", stream=is_stream), body.encode())

    assert pieces.deltas == [TextDelta(text="Hi"), Finish(reason="stop", native_reason="completed")]
    assert pieces.native == []


def test_patterns_of_models_are_those_of_the_kind_and_mind_case() -> None:
    translator = Translator(parse_facts(OWN_KIND, name="mine"))
    paths: list[str] = []
    for model in ("thinker-1", "Thinker-1", "a-thinker-1", "o3-pro"):
        target = Target(provider="mine", kind="mine", base_url="", credential=b"", upstream_model=model)
        call, _ = translator.translated(Job("chat", target, CHAT, is_stream=False, timeout_seconds=1.0), Policy())
        paths.append(call.path)

    assert paths == ["/v2/responses", *["/chat/completions"] * 3]


@pytest.mark.requirement("S17", "B-17")
@pytest.mark.parametrize("kind", ["openai", "openrouter", "groq", "custom"])
@pytest.mark.parametrize("model", ["gpt-4o", "o3-pro"])
def test_client_that_speaks_responses_is_passed_through_whatever_the_model(kind: str, model: str) -> None:
    answer = translated(native("openai_responses"), model=model, kind=kind)
    call, _ = answer

    assert (call.method, call.path) == ("POST", "/responses")
    assert json.loads(call.body) == {"model": model, "input": "Hello"}
    body = json.dumps(RESPONSE).encode()
    assert read(answer, body) == Pieces(native=[body])


def test_client_that_speaks_chats_is_passed_through_to_chats() -> None:
    call, _ = translated(native("openai_chat", b'{"model":"alias","messages":[]}'))

    assert (call.path, json.loads(call.body)) == ("/chat/completions", {"model": "gpt-4o", "messages": []})


@pytest.mark.requirement("S17")
def test_prompts_are_counted_by_the_dialect_that_can() -> None:
    neutral = translated(COUNT, operation="count_tokens")
    own = translated(native("openai_responses"), operation="count_tokens")
    answer = b'{"object":"response.input_tokens","input_tokens":7}'

    assert [call.path for call, _ in (neutral, own)] == ["/responses/input_tokens"] * 2
    assert [json.loads(call.body) for call, _ in (neutral, own)] == [
        {"model": "gpt-4o", "input": [{"role": "user", "content": "Hello"}]},
        {"model": "gpt-4o", "input": "Hello"},
    ]
    assert read(neutral, answer) == Pieces(token_count=TokenCount(input_tokens=7))
    assert read(own, answer) == Pieces(native=[answer])


@pytest.mark.parametrize(
    ("asked", "operation", "kind", "path"),
    [
        (EMBED, "embeddings", "openai", "/embeddings"),
        (native("openai_chat"), "embeddings", "openai", "/embeddings"),
        (None, "models", "openai", "/models"),
        (RERANK, "rerank", "cohere", load_facts()["cohere"].paths.rerank),
    ],
)
def test_other_operations_go_to_the_first_dialect_that_can(
    asked: JobInput, operation: Operation, kind: str, path: str
) -> None:
    call, _ = translated(asked, operation=operation, kind=kind)

    assert call.path == path


@pytest.mark.parametrize(
    ("dialect", "operation", "kind"),
    [
        ("openai_responses", "chat", "gemini"),
        ("cohere_v2", "chat", "openai"),
        ("openai_responses", "embeddings", "openai"),
        ("openai_chat", "count_tokens", "openai"),
    ],
)
def test_body_in_a_dialect_that_cannot_do_it_is_refused_with_those_that_are_spoken(
    dialect: str, operation: Operation, kind: str
) -> None:
    with pytest.raises(InvalidRequest) as raised:
        translated(native(dialect), operation=operation, kind=kind)

    facts = load_facts()[kind]
    spoken = ", ".join((facts.dialect, *facts.also))
    assert str(raised.value).endswith(f"does not take {operation} in {dialect!r}; it speaks {spoken}.")


@pytest.mark.parametrize(("asked", "operation"), [(RERANK, "rerank"), (COUNT, "count_tokens")])
def test_operation_that_no_dialect_of_a_kind_can_do_is_refused(asked: JobInput, operation: Operation) -> None:
    with pytest.raises(UnsupportedParameter, match=f"does not offer {operation}"):
        translated(asked, operation=operation, kind="ollama")


def test_policy_of_the_attempt_reaches_the_dialect() -> None:
    chat = ChatInput(messages=CHAT.messages, sampling=Sampling(seed=7))
    target = Target(provider="openai", kind="openai", base_url="", credential=b"", upstream_model="o3-pro")
    job, policy = Job("chat", target, chat, is_stream=False, timeout_seconds=1.0), Policy(adapts=True)
    call, _ = Translator(load_facts()["openai"]).translated(job, policy)

    assert "seed" not in json.loads(call.body)
    assert policy.warnings == ["left out seed"]
    with pytest.raises(UnsupportedParameter):
        translated(chat, model="o3-pro")


def target(*, kind: str = "openai", model: str = "gpt-4o", **paths: str) -> Target:
    return Target(
        provider=kind, kind=kind, base_url="https://mine.example", credential=b"", upstream_model=model, paths=paths
    )


def path_of(
    translators: Translators, of: Target, asked: JobInput, operation: Operation = "chat", *, is_stream: bool = False
) -> str:
    call, _ = translators.of(of).translated(Job(operation, of, asked, is_stream, timeout_seconds=1.0), Policy())
    return with_model(call.path, of)


def test_paths_of_a_target_replace_those_of_the_facts_one_by_one() -> None:
    translators = Translators(load_facts())
    mine = target(chat="/mine?v=1", embeddings="")

    assert path_of(translators, mine, CHAT) == "/mine?v=1"
    assert path_of(translators, mine, EMBED, "embeddings") == "/embeddings"
    assert path_of(translators, mine, None, "models") == "/models"
    assert path_of(translators, target(), CHAT) == "/chat/completions"
    assert path_of(translators, target(chat="/other"), CHAT) == "/other"


@pytest.mark.parametrize(
    ("kind", "dialect"),
    [
        ("openai", "openai_chat"),
        ("anthropic", "anthropic_messages"),
        ("cohere", "cohere_v2"),
        ("ollama", "ollama_chat"),
        ("gemini", "gemini_generate"),
    ],
)
@pytest.mark.parametrize("is_native", [False, True])
def test_path_of_chats_is_that_of_streams_where_the_kind_has_one_for_both(
    kind: str, dialect: str, is_native: bool
) -> None:
    translators = Translators(load_facts())
    asked = native(dialect, b'{"messages":[]}') if is_native else CHAT

    def paths(**said: str) -> tuple[str, str]:
        mine = target(kind=kind, model="m", **said)
        plain, streamed = [path_of(translators, mine, asked, is_stream=is_stream) for is_stream in (False, True)]
        return plain, streamed

    own, of_streams = paths()
    # Gemini has two, so that who says one cannot mean the other
    assert (own == of_streams) == (kind != "gemini")
    assert paths(chat="/mine") == ("/mine", of_streams if kind == "gemini" else "/mine")
    assert paths(chat="/mine", chat_stream="/streams") == ("/mine", "/streams")
    assert paths(chat_stream="/streams") == (own, "/streams")


@pytest.mark.parametrize("second", ["", "/vectors", "/many"])
def test_path_of_one_text_is_that_of_several_where_the_kind_has_one_for_both(second: str) -> None:
    facts = load_facts()["gemini"]
    paths = replace(facts.paths, chat="/c", chat_stream="/c", embeddings="/vectors", embeddings_batch=second)
    translators = Translators({"gemini": replace(facts, paths=paths)})
    several = EmbeddingsInput(texts=("Hello", "you"))

    def asked(**said: str) -> list[str]:
        mine = target(kind="gemini", model="m", **said)
        return [path_of(translators, mine, one, "embeddings") for one in (EMBED, several)]

    assert asked() == ["/vectors", second or "/vectors"]
    assert asked(embeddings="/mine") == ["/mine", "/many" if second == "/many" else "/mine"]
    assert asked(embeddings="/mine", embeddings_batch="/ours") == ["/mine", "/ours"]
    moved = target(kind="gemini", model="m", chat="/mine")
    assert [path_of(translators, moved, CHAT, is_stream=stream) for stream in (False, True)] == ["/mine", "/mine"]


def test_name_of_a_path_that_is_not_known_changes_nothing_else() -> None:
    mine = target(chat="/mine", telepathy="/thoughts")

    assert path_of(Translators(load_facts()), mine, CHAT) == "/mine"


@pytest.mark.parametrize(
    ("kind", "model", "path"),
    [
        ("openai", "a/b c", "/deployments/a%2Fb%20c/chat"),
        ("gemini", "models/gemini-3-pro", "/deployments/gemini-3-pro/chat"),
    ],
)
def test_model_in_a_path_of_a_target_is_filled_in(kind: str, model: str, path: str) -> None:
    mine = target(kind=kind, model=model, chat="/deployments/{model}/chat")

    assert path_of(Translators(load_facts()), mine, CHAT) == path


@pytest.mark.parametrize("path", ["@evil.example/x", ".evil.example/x", ":99/x"])
def test_path_cannot_become_a_part_of_the_host(path: str) -> None:
    assert path_of(Translators(load_facts()), target(chat=path), CHAT) == f"/{path}"


def test_translators_are_made_once_for_each_set_of_paths() -> None:
    translators = Translators(load_facts())
    plain, mine = translators.of(target()), translators.of(target(chat="/mine"))

    assert plain is translators.of(target()) is translators.of(target(chat=""))
    assert mine is translators.of(target(chat="/mine"))
    assert mine is translators.of(target(chat="/mine", telepathy="/thoughts"))
    assert mine is not plain


def test_paths_that_are_made_up_do_not_fill_the_memory() -> None:
    translators = Translators({"echo": load_facts()["echo"], "openai": load_facts()["openai"]})
    first = translators.of(target(chat="/0"))
    for number in range(1, 1_001):
        translators.of(target(chat=f"/{number}"))

    assert translators.of(target(chat="/0")) is not first


def test_translators_of_very_long_paths_are_not_kept() -> None:
    translators, long = Translators(load_facts()), target(chat="/" + "x" * 2_000)

    assert translators.of(long) is not translators.of(long)


def test_demo_knows_its_own_paths_only() -> None:
    translators = Translators(load_facts())

    assert path_of(translators, target(kind="echo", chat="/mine"), CHAT) == path_of(
        translators, target(kind="echo"), CHAT
    )
