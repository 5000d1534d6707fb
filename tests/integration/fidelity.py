"""Does the product's answer over HTTP say what the provider's recording says? Read by the independent reader."""

from __future__ import annotations

import json
from typing import Any

from clients import Client

from llm_manager.testing.answers import answer_of_reading, differences
from llm_manager.testing.recordings import Recording, oracle
from llm_manager.testing.stream_validator import StreamValidator

Json = dict[str, Any]

# wire.md section 3: what a provider's status becomes at our edge; other 4xx stay as they are
_STATUS = {401: {502}, 402: {502}, 408: {504}}
# Refusals of the provider's credential are worded by us: they quote parts of the key, which is not the client's.
_WORDED_BY_US = (401, 402)
# Gemini says with 400 that it does not know a key (gemini-chat-e51f18ac3a).
_OF_THE_KEY = "API key not valid"
_ABSENT_IDS = (None, "", "null")


def chat_differences(recording: Recording, status: int, body: bytes) -> list[str]:
    """Return in what our answer differs from the recording, one line each; empty when in nothing."""
    expected = recording.expected
    _, seen = oracle().read("openai", "openai.chat", status, body)
    if expected["error"]:
        return _error_differences(expected["error"], seen, status)
    if seen.get("error"):
        return _failed(recording, status, seen)
    lines = differences(answer_of_reading(seen), expected)
    is_legacy = "functions" in (recording.request or {})
    for number, (want, have) in enumerate(zip(expected["tool_calls"], seen["tool_calls"], strict=False)):
        # some providers give no id, or the text "null": then ours is made up, but it is there; function_call has none
        if (not have["id"] and not is_legacy) or (want["id"] not in _ABSENT_IDS and want["id"] != have["id"]):
            lines.append(f"id of tool call {number}: {have['id']!r} instead of {want['id']!r}")
    if seen["total_tokens"] != (seen["input_tokens"] or 0) + (seen["output_tokens"] or 0):
        lines.append(f"total_tokens {seen['total_tokens']} is not the sum of its parts")
    pairs = (
        ("input_tokens_total", "input_tokens"),
        ("output_tokens_total", "output_tokens"),
        ("cached_input_tokens", "cached_input_tokens"),
        ("reasoning_tokens", "reasoning_tokens"),
    )
    return lines + [
        f"{theirs}: {seen[ours]} instead of {expected[theirs]}"
        for theirs, ours in pairs
        if expected.get(theirs) is not None and (seen[ours] or 0) != expected[theirs]
    ]


def embeddings_differences(recording: Recording, status: int, body: bytes) -> list[str]:
    """Return in what our vectors differ from the recording."""
    expected = recording.expected
    _, seen = oracle().read("openai", "openai.embeddings", status, body)
    if expected["error"]:
        return _error_differences(expected["error"], seen, status)
    if seen.get("error"):
        return [f"error instead of vectors: {status} {seen['error']}"]
    return [
        f"{name}: {seen[name]} instead of {expected[name]}"
        for name in ("count", "dim", "first5", "input_tokens")
        if expected[name] is not None and seen[name] != expected[name]
    ]


def models_differences(recording: Recording, status: int, body: bytes, *, provider: str) -> list[str]:
    """Return in what our list, where a provider's models stand as `<provider>/<model>`, differs from the recording.

    One provider's failure does not break the list.
    """
    if status != 200:
        return [f"status {status}: {body[:200]!r}"]
    document = json.loads(body)
    listed = document.get("data", document.get("models"))
    mine = {(model.get("id") or model.get("name")).removeprefix("models/") for model in listed}
    if recording.expected["error"]:
        return []
    wanted = [f"{provider}/{name.removeprefix('models/')}" for name in recording.expected["first_ids"]]
    return [f"{name} is missing" for name in wanted if name not in mine]


def _error_differences(expected: Json, seen: Json, status: int) -> list[str]:
    if not seen.get("error"):
        return [f"an answer ({status}) instead of the error {expected}"]
    if seen["error"].get("code") == "unsupported_parameter" and 400 <= (expected.get("status") or 0) < 500:
        # we refuse what the provider would refuse, before it is asked
        return []
    if _OF_THE_KEY in str(expected.get("message")):
        expected = {**expected, "status": 401}
    lines: list[str] = []
    if not expected.get("in_stream"):
        wanted = _STATUS.get(expected["status"], {502, 503, 504} if expected["status"] >= 500 else {expected["status"]})
        if status not in wanted:
            lines.append(f"status {status} instead of {sorted(wanted)}")
    message = expected.get("message")
    if (
        expected.get("status") not in _WORDED_BY_US
        and message
        and str(message).strip()[:200] not in str(seen["error"].get("message"))
    ):
        lines.append(f"error message {seen['error'].get('message')!r} lacks {message!r}")
    return lines


# What the reader finds in an answer that its client would miss if it changed, by kind of answer.
_COMPARED: dict[str, tuple[str, ...]] = {
    "chat": (
        *("id", "text", "reasoning_text", "refusal", "finish_reason", "finish_reason_normalised", "input_tokens"),
        *("output_tokens", "input_tokens_total", "output_tokens_total", "cached_input_tokens", "cache_write_tokens"),
        *("reasoning_tokens", "billed_input_tokens", "billed_output_tokens", "total_tokens", "n_choices"),
        *("choices_text", "n_citations", "tool_plan", "stop_sequence", "prompt_block_reason", "part_kinds"),
        *("server_tool_calls", "redacted_thinking_blocks", "tool_calls"),
    ),
    "embeddings": ("count", "dim", "first5", "input_tokens", "encoding"),
    "rerank": ("results", "billed_search_units"),
    "count_tokens": ("input_tokens",),
}
# words for the finish that only a provider has are said in the dialect's own
_COMPARED["completion"] = tuple(name for name in _COMPARED["chat"] if name != "finish_reason")
# What a provider does not count we estimate, or count as none; whether it says so is what the ledger's tests look at.
_COUNTS = frozenset(name for name in _COMPARED["chat"] if "tokens" in name)


def own_differences(recording: Recording, status: int, body: bytes) -> list[str]:
    """Return in what our answer in the recording's own dialect differs from what the provider sent."""
    expected = recording.expected
    try:
        _, seen = oracle().read(recording.provider, recording.wire, status, body)
    except Exception as error:  # noqa: BLE001 # the reader raises whatever its parsing does; each is a finding
        return [f"unreadable: {type(error).__name__} {error}: {body[:200]!r}"]
    if expected["error"]:
        return _error_differences(expected["error"], seen, status)
    if seen.get("error"):
        return _failed(recording, status, seen)
    return [
        f"{name}: {seen.get(name)!r} instead of {expected[name]!r}"
        for name in _COMPARED[expected["kind"]]
        if name in expected and seen.get(name) != expected[name] and not (name in _COUNTS and expected[name] is None)
    ]


def _failed(recording: Recording, status: int, seen: Json) -> list[str]:
    """An answer that the provider broke off is an error with the provider's reason; every other one is an answer."""
    expected, said = recording.expected, str(seen["error"].get("message"))
    if expected.get("finish_reason_normalised") == "error" and str(expected["finish_reason"]) in said:
        return []
    return [f"error instead of an answer: {status} {seen['error']}"]


def cross_differences(recording: Recording, client: Client, status: int, body: bytes) -> list[str]:
    """Return in what our answer in a client's dialect differs from what a provider said in its own."""
    expected = recording.expected
    try:
        _, seen = oracle().read(client.provider, client.wire, status, body)
    except Exception as error:  # noqa: BLE001 # the reader raises whatever its parsing does; each is a finding
        return [f"unreadable: {type(error).__name__} {error}: {body[:200]!r}"]
    if expected["error"]:
        return _error_differences(expected["error"], seen, status)
    if seen.get("error"):
        return _failed(recording, status, seen)
    wanted = {**expected, "choices_text": None}
    if expected["refusal"] and not client.wire.startswith("openai."):
        # dialects without a place for refusals say them as text
        wanted |= {"text": expected["text"] + expected["refusal"], "refusal": None}
        if client.wire == "anthropic.messages":
            # it has a reason of its own to stop for
            wanted["finish_reason_normalised"] = "content_filter"
    if client.wire == "gemini.generate" and seen.get("finish_reason") == "MALFORMED_FUNCTION_CALL":
        # so does Gemini, for arguments that are no JSON
        wanted["finish_reason_normalised"] = "error"
    lines = differences(answer_of_reading(seen), wanted)
    return lines + [
        f"{name}: {seen.get(name)} instead of {expected[name]}"
        for name in ("input_tokens_total", "output_tokens_total", "cached_input_tokens")
        if expected.get(name) is not None and (seen.get(name) or 0) != expected[name]
    ]


def stream_violations(body: bytes) -> list[str]:
    """Return which rules of spec/wire.md sections 1 and 2 a stream that left us breaks; usage was asked for."""
    datas = [data for _, data, _ in oracle().sse_events(body)]
    is_error = '"error"' in datas[-1] and bool(json.loads(datas[-1]).get("error"))
    validator = StreamValidator(allows_usage=True)
    chunks = datas[:-1]
    for chunk in chunks:
        validator.take(chunk)
    lines = list(validator.close(is_error=is_error))
    if is_error:
        return lines
    if datas[-1] != "[DONE]":
        lines.append(f"the last event is {datas[-1][:100]!r}, not [DONE]")
    documents = [json.loads(chunk) for chunk in chunks]
    if not documents[-1].get("usage") or documents[-1]["choices"] != []:
        lines.append("the chunk before [DONE] is not the one with usage and without choices")
    for name in ("id", "created", "model"):
        if len({document[name] for document in documents}) != 1:
            lines.append(f"{name} changes within the stream")
    return lines
