"""What counts as read and as written, in any dialect."""

from __future__ import annotations

import json

import pytest

from llm_manager.gateway.ingress.prompt import answer_characters, prompt_characters

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


EVENTS: list[tuple[str, object, int]] = [
    ("openai_chat", {"choices": [{"delta": {"content": "not the way these are counted"}}]}, 0),
    ("anthropic_text", {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "abc"}}, 3),
    ("anthropic_thinking", {"delta": {"type": "thinking_delta", "thinking": "ab"}}, 2),
    ("anthropic_call", {"delta": {"type": "input_json_delta", "partial_json": '{"a"'}}, 4),
    ("anthropic_start", {"type": "message_start", "message": {"id": "m", "content": [], "model": "m"}}, 0),
    ("gemini", {"candidates": [{"content": {"role": "model", "parts": [{"text": "abc"}, {"text": "d"}]}}]}, 4),
    ("gemini_call", {"candidates": [{"content": {"parts": [{"functionCall": {"args": {"text": "ab"}}}]}}]}, 2),
    ("responses", {"type": "response.output_text.delta", "item_id": "i", "delta": "abc"}, 3),
    ("cohere", {"type": "content-delta", "delta": {"message": {"content": {"text": "abc"}}}}, 3),
    ("cohere_plan", {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "ab"}}}, 2),
    ("ollama", {"message": {"role": "assistant", "content": "ab", "thinking": "c"}, "done": False}, 3),
]


@pytest.mark.requirement("L-25")
@pytest.mark.parametrize(("event", "wanted"), [item[1:] for item in EVENTS], ids=[item[0] for item in EVENTS])
def test_what_a_model_wrote_is_counted_and_nothing_else(event: object, wanted: int) -> None:
    assert answer_characters(json.dumps(event).encode()) == wanted


def test_an_event_that_is_no_json_adds_nothing() -> None:
    assert answer_characters(b"{x") == 0
    assert answer_characters(b'"\xff"') == 0
