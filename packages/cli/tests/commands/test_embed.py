"""`llm-manager embed`: what is asked, and what is shown of the vectors."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fake_gateway import as_json, serving

from llm_manager.cli.data_dir import DataDir
from llm_manager.cli.exit_codes import CommandError

_PATH = "POST /v1/embeddings"
_ANSWER: dict[str, Any] = {
    "object": "list",
    "model": "small",
    "data": [
        {"object": "embedding", "index": 0, "embedding": [0.5, -0.25]},
        {"object": "embedding", "index": 1, "embedding": [1.0, 2.0, 3.0, 4.0, 5.0]},
    ],
    "usage": {"prompt_tokens": 7, "total_tokens": 7},
}


def test_each_text_is_shown_with_how_its_vector_begins(invoke: Any, data: DataDir) -> None:
    long = "word " * 20
    with serving({_PATH: (200, as_json(_ANSWER))}) as server:
        done = invoke("embed", "-m", "m", "--dimensions", "5", "--url", server.url, "a\nb", "-", text=long)
    assert server.seen[0].body == {"model": "m", "input": ["a\nb", long], "dimensions": 5}
    assert server.seen[0].authorization == f"Bearer {data.read_secret('api-key')}"
    assert [" ".join(line.split()) for line in done.stdout.splitlines()][1:] == [
        "a b 2 [0.5000, -0.2500]",
        "word word word word word word word word… 5 [1.0000, 2.0000, 3.0000, 4.0000, …]",
        "small: 7 tokens.",
    ]


def test_programs_get_the_whole_answer_and_what_is_unknown_is_not_zero(invoke: Any) -> None:
    answer = {key: value for key, value in _ANSWER.items() if key != "usage"}
    with serving({_PATH: (200, as_json(answer))}) as server:
        raw = invoke("embed", "-m", "m", "--json", "--url", server.url, "a", "b")
        shown = invoke("embed", "-m", "m", "--url", server.url, "a", "b")
    assert json.loads(raw.stdout) == answer
    assert shown.stdout.endswith("small: an unknown number of tokens.\n")


@pytest.mark.parametrize("arguments", [("-m", "m"), ("-m", "m", "--dimensions", "0", "a"), ("a",)])
def test_what_is_missing_is_said_before_anybody_is_asked(invoke: Any, arguments: tuple[str, ...]) -> None:
    assert invoke("embed", *arguments, "--url", "http://127.0.0.1:9").exit_code == 2


def test_a_refusal_is_the_gateway_s_own_sentence(invoke: Any) -> None:
    error = {"error": {"message": "There is no model 'm'.", "code": "model_not_found", "type": "x", "param": None}}
    with serving({_PATH: (404, as_json(error))}) as server:
        refused = invoke("embed", "-m", "m", "--url", server.url, "a")
    assert isinstance(refused.exception, CommandError)
    assert "There is no model 'm'. (model_not_found)" in str(refused.exception)
