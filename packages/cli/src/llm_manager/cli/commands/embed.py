"""`llm-manager embed`: texts as vectors, to see that a model for them works."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llm_manager.cli.output import print_table

PATH = "/v1/embeddings"
_SHOWN_NUMBERS, _SHOWN_TEXT = 4, 40


# Any: an answer in OpenAI's form
def print_vectors(texts: list[str], answer: dict[str, Any]) -> None:
    """Print how each vector begins, and the tokens that the provider counted."""
    rows: list[Sequence[object]] = []
    for item in answer["data"]:
        numbers: list[float] = item["embedding"]
        text: str = texts[int(item["index"])]
        shown = ", ".join(f"{number:.4f}" for number in numbers[:_SHOWN_NUMBERS])
        more = ", …" if len(numbers) > _SHOWN_NUMBERS else ""
        rows.append((_brief(text), len(numbers), f"[{shown}{more}]"))
    print_table(("text", "dimensions", "vector"), rows, right=frozenset({"dimensions"}))
    usage: dict[str, int] = answer.get("usage") or {}
    tokens = usage.get("prompt_tokens")
    print(f"{answer['model']}: {'an unknown number of' if tokens is None else tokens} tokens.")


def _brief(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_TEXT else f"{line[: _SHOWN_TEXT - 1]}…"
