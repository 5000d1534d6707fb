"""Writes an answer in OpenAI's own form: as it came where it is well-formed, repaired where it is not.

Repaired: one id, time and model per stream, one role per choice, dense tool indexes, calls with id and type, arguments
as text, one finish per choice in words that clients know, reasoning in `reasoning_content` too where a provider has
another place for it, no usage. Everything else stays as it came.
"""

from __future__ import annotations

from llm_manager.providers.dialects.json_values import Json, table, tables
from llm_manager.providers.dialects.numbers import MOST_INDEX, whole_number
from llm_manager.providers.dialects.openai_chat.choices import Choices, ChoiceState
from llm_manager.providers.dialects.openai_chat.events import arguments_text, place_of, real_id, split_content
from llm_manager.providers.dialects.openai_chat.identity import Identity
from llm_manager.providers.dialects.pointers import EXACT_DECODER, EXACT_ENCODER
from llm_manager.providers.dialects.port import NewId

# Fields of every chunk. A chunk without choices that has nothing else says nothing once its usage is gone.
_METADATA = (
    "id", "object", "created", "model", "system_fingerprint", "service_tier", "provider",
)  # fmt: skip
_SAYS_NOTHING = frozenset({*_METADATA, "choices", "usage", "obfuscation", "p", "x_groq", "time_info"})


def rewrite_chunk(data: bytes, choices: Choices, identity: Identity, new_id: NewId) -> list[bytes]:
    """Return the chunk as one well-formed chunk, or nothing. Finishes are kept in `choices` until the end.

    `choices` already knows the finishes of this chunk.
    """
    document: Json = EXACT_DECODER.decode(data)
    _strip_usage(document)
    identity.impose(document)
    document["object"] = "chat.completion.chunk"
    live: list[Json] = []
    for choice in tables(document.get("choices")):
        state = choices[place_of(choice.get("index"))]
        delta = table(choice.get("delta"))
        clean_message(delta, state, new_id, is_delta=True)
        says = any(delta.values()) or any(value for key, value in choice.items() if key not in _CHOICE_KEYS)
        finished = choice.get("finish_reason")
        if finished:
            head = document if not says else {key: document[key] for key in _METADATA if key in document}
            state.finish_chunk = {**head, "choices": [_finish_choice(choice, state, is_alone=not says)]}
        if says or not (finished or state.finish_chunk):
            live.append({**choice, "index": state.index, "delta": delta, "finish_reason": None})
    if live:
        document["choices"] = live
        return [EXACT_ENCODER.encode(document)]
    if document.get("choices") or not (document.keys() - _SAYS_NOTHING):
        _keep_metadata(document, choices)
        return []
    return [EXACT_ENCODER.encode(document)]


def _keep_metadata(document: Json, choices: Choices) -> None:
    """Put what only a chunk without words says (Groq's last: `service_tier`) into the finishes, which come later."""
    for state in choices:
        if state.finish_chunk is not None:
            said = {key: document[key] for key in _METADATA if key in document and key not in state.finish_chunk}
            state.finish_chunk |= said


_CHOICE_KEYS = frozenset({"index", "delta", "finish_reason", "native_finish_reason", "text", "seed", "stop_reason"})


def _finish_choice(choice: Json, state: ChoiceState, *, is_alone: bool) -> Json:
    index = place_of(choice.get("index"))
    if is_alone:
        closing: Json = {**choice, "index": index, "delta": {}, "finish_reason": state.meaning}
    else:
        closing = {"index": index, "delta": {}, "logprobs": None, "finish_reason": state.meaning}
    if state.meaning != state.native_reason:
        closing["native_finish_reason"] = choice.get("native_finish_reason") or state.native_reason
    elif choice.get("native_finish_reason"):
        closing["native_finish_reason"] = choice["native_finish_reason"]
    return closing


def finish_chunks(choices: Choices) -> list[bytes]:
    """Return the finishes, one chunk per choice."""
    return [EXACT_ENCODER.encode(state.finish_chunk) for state in choices if state.finish_chunk is not None]


def clean_message(message: Json, state: ChoiceState, new_id: NewId, *, is_delta: bool) -> bool:
    """Repair a delta or a whole message in place; returns whether anything was changed."""
    changed = _clean_role(message, state) if is_delta else False
    if isinstance(message.get("content"), list):
        text, thinking, rest = split_content(message["content"])
        message["content"] = text
        if thinking:
            message["reasoning_content"] = thinking
        if rest:
            message["content_parts"] = rest
        changed = True
    reasoning = message.get("reasoning")
    if reasoning and isinstance(reasoning, str) and not message.get("reasoning_content"):
        # Groq's and OpenRouter's own clients read the one, everybody else's the other.
        message["reasoning_content"] = reasoning
        changed = True
    if isinstance(message.get("tool_calls"), list):
        for call in tables(message["tool_calls"]):
            changed |= _clean_fragment(call, state, new_id) if is_delta else _clean_call(call, new_id)
    elif "tool_calls" in message and is_delta:
        del message["tool_calls"]
    return changed


def _clean_role(delta: Json, state: ChoiceState) -> bool:
    had_role = delta.pop("role", None) is not None
    if not state.has_role:
        state.has_role = True
        rest = dict(delta)
        delta.clear()
        delta["role"] = "assistant"
        delta.update(rest)
    return had_role


def _clean_fragment(part: Json, state: ChoiceState, new_id: NewId) -> bool:
    function = table(part.get("function"))
    name = str(function.get("name") or "")
    call, is_new = state.tools.place(whole_number(part.get("index"), most=MOST_INDEX), real_id(part.get("id")), name)
    text = arguments_text(function.get("arguments"))
    call.arguments.append(text)
    part["index"] = call.index
    if is_new:
        call.id = call.id or new_id()
        part["id"] = call.id
        part["type"] = part.get("type") or "function"
    else:
        part.pop("id", None)
        part.pop("type", None)
        if function.get("name") and call.name:
            del function["name"]
    call.name = call.name or name
    if "function" in part or (is_new and part["type"] == "function"):
        function["arguments"] = text
        part["function"] = function
    return True


def _clean_call(call: Json, new_id: NewId) -> bool:
    before = dict(call)
    call["id"] = real_id(call.get("id")) or new_id()
    call["type"] = call.get("type") or "function"
    function = table(call.get("function"))
    if function and not isinstance(function.get("arguments"), str):
        call["function"] = {**function, "arguments": arguments_text(function.get("arguments"))}
    return call != before


def _strip_usage(document: Json) -> None:
    document.pop("usage", None)
    for choice in tables(document.get("choices")):
        # Moonshot puts it here.
        choice.pop("usage", None)
    extra = table(document.get("x_groq"))
    if "usage" in extra:
        document["x_groq"] = {key: value for key, value in extra.items() if key != "usage"}
