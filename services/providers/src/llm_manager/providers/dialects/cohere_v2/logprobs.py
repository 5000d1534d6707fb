"""Log probabilities, from Cohere's list into OpenAI's shape."""

from __future__ import annotations

from decimal import Decimal

from llm_manager.providers.dialects.json_values import Json, items, table
from llm_manager.providers.dialects.pointers import EXACT_DECODER, EXACT_ENCODER


def openai_logprobs(raw: bytes) -> bytes:
    """Return `{"content": [...], "refusal": null}`; empty when nothing is named.

    Args:
        raw: one `{text, token_ids, logprobs}`, or a list of them. A stretch of text may be several tokens, whose own
            texts are not told: its probability is their product, so their logarithms are added.
    """
    document: object = EXACT_DECODER.decode(raw)
    found = [entry for item in (items(document) or [document]) if (entry := _entry(table(item))) is not None]
    return EXACT_ENCODER.encode({"content": found, "refusal": None}) if found else b""


def _entry(item: Json) -> Json | None:
    text, logprobs = item.get("text"), items(item.get("logprobs"))
    numbers = [value for value in logprobs if isinstance(value, int | Decimal)]
    if not isinstance(text, str) or not numbers:
        return None
    return {"token": text, "logprob": sum(numbers), "bytes": list(text.encode()), "top_logprobs": []}
