"""What a person does in the first minutes, with the command that they have."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import httpx2
import openai
import pytest
from counting_provider import MODEL_PLAIN, CountingProvider
from ledger import events_of
from openai.types.chat import ChatCompletionMessageParam

from llm_manager.testing.stack import Stack, wait_until


def _json(stack: Stack, *arguments: str) -> Any:
    done = stack.run(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.requirement("S22")
def test_first_request_needs_no_account(stack: Stack) -> None:
    client = openai.OpenAI(base_url=stack.base_url, api_key=stack.api_key)
    answer = client.chat.completions.create(model="echo", messages=[{"role": "user", "content": "Hello"}])
    again = client.chat.completions.create(model="echo", messages=[{"role": "user", "content": "Hello"}])
    assert answer.choices[0].message.content == again.choices[0].message.content
    assert "Hello" in (answer.choices[0].message.content or "")
    assert answer.created > 1_700_000_000


def test_chat_command_streams_the_answer(stack: Stack) -> None:
    done = stack.run("chat", "-m", "echo", "three little words")
    assert done.returncode == 0, done.stderr
    assert "three little words" in done.stdout


def test_usage_top_shows_tokens_and_exact_cost_of_a_model(stack: Stack) -> None:
    headers = {"authorization": f"Bearer {stack.api_key}", "x-request-id": "counted-once"}
    body = {"model": "echo", "messages": [{"role": "user", "content": "count me"}]}
    answer = httpx2.post(f"{stack.base_url}/chat/completions", headers=headers, json=body, timeout=10)
    (event,) = events_of(stack, "counted-once")
    assert Decimal(event["cost_usd"]) == Decimal(answer.headers["x-llm-manager-cost"])
    rows = _json(stack, "usage", "top", "--by", "model")["data"]
    echo = next(row for row in rows if row["key"] == "echo")
    assert echo["totals"]["usage"]["output_total"] >= event["usage"]["output_total"]
    assert Decimal(echo["totals"]["cost_usd"]) >= Decimal(event["cost_usd"])


@pytest.mark.requirement("L-1", "L-5", "L-11")
def test_streamed_and_whole_answer_cost_the_same_and_say_so(stack: Stack, provider: CountingProvider) -> None:
    client = openai.OpenAI(base_url=stack.base_url, api_key=stack.api_key)
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "words"}]
    whole = client.chat.completions.create(model=MODEL_PLAIN, messages=messages, user="whole")
    *chunks, last = client.chat.completions.create(
        model=MODEL_PLAIN, messages=messages, user="streamed", stream=True, stream_options={"include_usage": True}
    )
    assert {"whole", "streamed"} <= set(provider.finished)
    assert last.choices == []
    assert all(chunk.usage is None for chunk in chunks)
    assert whole.usage is not None
    assert last.usage is not None
    assert last.usage.model_dump() == whole.usage.model_dump()
    assert whole.usage.model_extra is not None
    # gpt-4o-mini: 60 tokens at 0.15, 40 cached at 0.075, 20 at 0.6 USD for a million
    assert Decimal(str(whole.usage.model_extra["cost"])) == Decimal("0.000024")


@pytest.mark.requirement("S37")
def test_revoked_key_is_refused_at_once(stack: Stack) -> None:
    made = _json(stack, "keys", "create", "for-a-moment")
    client = openai.OpenAI(base_url=stack.base_url, api_key=made["api_key"], max_retries=0)
    assert client.models.list().data
    listed = _json(stack, "keys", "list")
    assert made["api_key"] not in json.dumps(listed)
    assert stack.run("keys", "revoke", made["id"]).returncode == 0

    def refused() -> bool:
        try:
            client.models.list()
        except openai.AuthenticationError as error:
            return error.code == "invalid_api_key"
        return False

    assert wait_until(refused, timeout_seconds=3, what="the refusal of a revoked key") < 1.0


def test_second_up_says_that_it_runs_and_changes_nothing(stack: Stack) -> None:
    said = _json(stack, "up", "--detach")
    assert said["already_running"] is True
    assert said["base_url"] == stack.base_url
    assert said["pids"] == stack.pids


@pytest.mark.requirement("T-5", "T-6")
def test_errors_of_the_running_product_are_openai_s(stack: Stack) -> None:
    client = openai.OpenAI(base_url=stack.base_url, api_key=stack.api_key, max_retries=0)
    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="no-such-model", messages=[{"role": "user", "content": "x"}])
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    assert unknown.value.request_id
    with pytest.raises(openai.AuthenticationError) as wrong:
        openai.OpenAI(base_url=stack.base_url, api_key="sk-wrong", max_retries=0).models.list()
    assert wrong.value.code == "invalid_api_key"
