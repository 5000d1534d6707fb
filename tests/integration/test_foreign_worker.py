"""A worker of somebody else behind the whole product: one facts file and a program on the bus."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from anthropic import Anthropic
from openai import BadRequestError, OpenAI

from llm_manager.testing.stack import Stack, running_stack

ROOT = Path(__file__).parents[2]
MODEL = "reverse/reverse-1"


def facts_of_the_page() -> str:
    """The facts that docs/provider-sdk.md shows."""
    found = re.search(r'```toml\n(kind = "reverse".*?)```', (ROOT / "docs/provider-sdk.md").read_text(), re.DOTALL)
    assert found is not None
    return found.group(1)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("foreign")
    (folder / "provider_facts").mkdir()
    (folder / "provider_facts" / "reverse.toml").write_text(facts_of_the_page())
    with running_stack(folder) as running:
        yield running


@pytest.fixture
def worker(stack: Stack) -> Iterator[None]:
    password = (stack.data_dir / "secrets" / "nats-providers").read_text().strip()
    login = ["--nats-user", "providers", "--nats-token", password]
    program = ROOT / "examples/worker/worker.py"
    command = [sys.executable, str(program), "--nats-url", stack.status()["nats"], *login]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as child:
        assert child.stdout is not None
        assert "serves reverse" in child.stdout.readline()
        yield
        child.terminate()
        assert child.wait(10) == 0


def test_without_its_worker_the_kind_is_said_to_have_none(stack: Stack) -> None:
    answer = httpx2.post(
        f"{stack.base_url}/chat/completions",
        headers={"authorization": f"Bearer {stack.api_key}"},
        json={"model": MODEL, "messages": [{"role": "user", "content": "a b"}]},
        timeout=30,
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_worker")


@pytest.mark.requirement("S30", "B8")
@pytest.mark.usefixtures("worker")
def test_every_client_reaches_it_and_what_it_used_is_recorded(stack: Stack) -> None:
    openai = OpenAI(base_url=stack.base_url, api_key=stack.api_key, max_retries=0)
    whole = openai.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "one two three"}])
    assert whole.choices[0].message.content == "three two one"
    assert whole.usage is not None
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (3, 3)
    with Anthropic(base_url=stack.origin, api_key=stack.api_key).messages.stream(
        model=MODEL, max_tokens=50, messages=[{"role": "user", "content": "one two three"}]
    ) as stream:
        assert stream.get_final_message().to_dict()["content"] == [{"type": "text", "text": "three two one "}]
    vectors = openai.embeddings.create(model=MODEL, input=["e", "a"])
    assert [item.embedding[:2] for item in vectors.data] == [[0.0, 1.0], [1.0, 0.0]]


@pytest.mark.requirement("S30", "P-18")
@pytest.mark.usefixtures("worker")
def test_what_it_does_not_take_is_refused_by_name(stack: Stack) -> None:
    openai = OpenAI(base_url=stack.base_url, api_key=stack.api_key, max_retries=0)
    with pytest.raises(BadRequestError) as refused:
        openai.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "a"}], extra_body={"mirostat": 2}
        )
    assert (refused.value.code, refused.value.param) == ("unsupported_parameter", "mirostat")
