"""What counts as read and as written, in any dialect."""

from __future__ import annotations

import json

import pytest

from llm_manager.gateway.ingress.prompt import prompt_characters

PICTURE = "A" * 1000
PROMPTS: list[tuple[str, object, int]] = [
    (
        "openai_chat",
        {
            "model": "not counted",
            "messages": [
                {"role": "user", "content": "12345"},
                {"role": "user", "content": [{"type": "text", "text": "678"}, {"image_url": {"url": PICTURE}}]},
                {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]},
            ],
        },
        8,
    ),
    ("openai_tools", {"tools": [{"type": "function", "function": {"name": "ab", "description": "cde"}}]}, 5),
    (
        "anthropic_messages",
        {
            "system": [{"type": "text", "text": "123", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {"role": "user", "content": [{"type": "image", "source": {"data": PICTURE}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "4567"}]},
                {"role": "assistant", "content": [{"type": "thinking", "thinking": "89", "signature": PICTURE}]},
            ],
        },
        9,
    ),
    (
        "gemini_generate",
        {
            "systemInstruction": {"parts": [{"text": "12"}]},
            "contents": [{"role": "user", "parts": [{"text": "345"}, {"inlineData": {"data": PICTURE}}]}],
        },
        5,
    ),
    ("gemini_count", {"generateContentRequest": {"contents": [{"parts": [{"text": "123"}]}]}}, 3),
    ("responses", {"instructions": "12", "input": [{"role": "user", "content": [{"text": "345"}]}]}, 5),
    ("rerank", {"query": "12", "documents": ["345", {"text": "67"}], "top_n": 3}, 7),
    ("embeddings", {"input": ["ab", "cde"]}, 5),
    ("token_numbers", {"input": [[1, 2], [3]]}, 12),
    ("completions", {"prompt": "abc", "suffix": "de", "max_tokens": 7, "echo": True}, 5),
    ("nothing", {"messages": None, "input": True}, 0),
]


@pytest.mark.requirement("L-25")
@pytest.mark.parametrize(("body", "wanted"), [item[1:] for item in PROMPTS], ids=[item[0] for item in PROMPTS])
def test_texts_of_a_prompt_are_counted_and_nothing_else(body: object, wanted: int) -> None:
    assert prompt_characters(json.dumps(body).encode()) == wanted


def test_a_body_that_is_no_json_counts_by_its_length() -> None:
    assert prompt_characters(b"{x") == 2
    assert prompt_characters(b'"\xff"') == 3
