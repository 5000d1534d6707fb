"""Log probabilities of tokens, from Gemini's lists into OpenAI's shape."""

from __future__ import annotations

from itertools import zip_longest

from llm_manager.providers.dialects.json_values import Json, table, tables
from llm_manager.providers.dialects.pointers import EXACT_DECODER, EXACT_ENCODER


def openai_logprobs(result: bytes) -> bytes:
    """Return `logprobsResult` as `{"content": [...], "refusal": null}`; empty when it names no token."""
    fields = table(EXACT_DECODER.decode(result))
    chosen, top = tables(fields.get("chosenCandidates")), tables(fields.get("topCandidates"))
    content = [
        {**_token(token), "top_logprobs": [_token(other) for other in tables(table(step).get("candidates"))]}
        for token, step in zip_longest(chosen, top[: len(chosen)])
    ]
    return EXACT_ENCODER.encode({"content": content, "refusal": None}) if content else b""


def _token(token: Json) -> Json:
    text = str(token.get("token") or "")
    return {"token": text, "logprob": token.get("logProbability", 0.0), "bytes": list(text.encode())}
