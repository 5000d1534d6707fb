"""Legacy completions as chats."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.core.messages import ChatInput, Message, Sampling, Text
from llm_manager.gateway.ingress.openai.completions_request import chat_of_completion


def _body(**members: Any) -> bytes:
    return json.dumps({"model": "m", "prompt": "Once", **members}).encode()


def test_a_prompt_is_what_a_user_says() -> None:
    body = _body(
        max_tokens=5, temperature=0, top_p=1, presence_penalty=-1, frequency_penalty=0.5, seed=3, stop=["\n"], n=2,
        user="ann", stream=True, logit_bias={"50256": -100},
    )  # fmt: skip
    assert chat_of_completion(body) == ChatInput(
        messages=(Message(role="user", parts=(Text(text="Once"),)),),
        sampling=Sampling(
            max_tokens=5, temperature=0, top_p=1, presence_penalty=-1, frequency_penalty=0.5, seed=3, stop=("\n",), n=2
        ),
        extension=b'{"user":"ann","logit_bias":{"50256": -100}}',
    )  # fmt: skip


def test_what_asks_for_nothing_is_left_out() -> None:
    # as LangChain and LiteLLM send it
    body = _body(prompt=["Once"], best_of=1, echo=False, logprobs=None, suffix="", logit_bias={}, max_tokens=None)
    assert chat_of_completion(body) == ChatInput(messages=(Message(role="user", parts=(Text(text="Once"),)),))
    assert chat_of_completion(_body(n=3, best_of=3)).sampling == Sampling(n=3)


@pytest.mark.requirement("B-14", "P-18")
@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": [[1, 2]]}, "prompt"),
        ({"best_of": 3}, "best_of"),
        ({"echo": True}, "echo"),
        ({"logprobs": 0}, "logprobs"),
        ({"suffix": "}"}, "suffix"),
    ],
)
def test_what_only_models_that_complete_texts_can_do_is_refused(members: dict[str, Any], param: str) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        chat_of_completion(_body(**members))
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("members", "param"),
    [({"prompt": None}, "prompt"), ({"prompt": []}, "prompt"), ({"n": 0}, "n"), ({"logprobs": True}, "logprobs")],
)
def test_a_wrong_value_is_refused_by_name(members: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        chat_of_completion(_body(**members))
    assert caught.value.param == param
