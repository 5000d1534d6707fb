"""Writes answers in the form of `text_completion`: as they came where they are well-formed, repaired where not.

Repaired: one id, time and model per stream, the name of the object (Together's `text.completion`), a text that is never
null, one finish per choice in words that clients know, answers in the form of chats (Mistral's /fim/completions), no
usage. Unknown fields stay.
"""

from __future__ import annotations

from llm_manager.providers.dialects.json_values import Json, table, tables
from llm_manager.providers.dialects.openai_chat.choices import Choices, ChoiceState
from llm_manager.providers.dialects.openai_chat.events import Choice, place_of, split_content
from llm_manager.providers.dialects.openai_chat.identity import Identity
from llm_manager.providers.dialects.pointers import EXACT_DECODER, EXACT_ENCODER

OBJECT = "text_completion"
_METADATA = ("id", "object", "created", "model", "system_fingerprint")
_SAYS_NOTHING = frozenset({*_METADATA, "choices", "usage", "obfuscation", "p"})
_CHAT_KEYS = ("delta", "message")


def text_of(choice: Choice) -> str:
    """Return the text of a choice, in whichever form the provider says it."""
    if isinstance(choice.text, str):
        return choice.text
    message = choice.delta or choice.message
    return "" if message is None else split_content(message.content)[0]


def rewrite_chunk(data: bytes, choices: Choices, identity: Identity) -> list[bytes]:
    """Return the chunk as one well-formed chunk, or nothing. Finishes are kept in `choices` until the end.

    `choices` already knows the finishes of this chunk.
    """
    document: Json = EXACT_DECODER.decode(data)
    document.pop("usage", None)
    document["object"] = OBJECT
    identity.impose(document)
    live: list[Json] = []
    for choice in tables(document.get("choices")):
        state = choices[place_of(choice.get("index"))]
        finished = choice.get("finish_reason")
        written = clean_choice(choice, state, finish=None)
        says = bool(written["text"]) or bool(written.get("logprobs"))
        if finished:
            head = {key: document[key] for key in _METADATA if key in document} if says else document
            state.finish_chunk = {**head, "choices": [_closing(choice, state)]}
        if says or not (finished or state.finish_chunk):
            live.append(written)
    if live:
        document["choices"] = live
        return [EXACT_ENCODER.encode(document)]
    if document.get("choices") or not (document.keys() - _SAYS_NOTHING):
        return []
    return [EXACT_ENCODER.encode({**document, "choices": []})]


def clean_choice(choice: Json, state: ChoiceState, *, finish: str | None) -> Json:
    """Return a choice with the members that clients read, in OpenAI's form."""
    text = choice.get("text")
    if not isinstance(text, str):
        message = table(next((choice[key] for key in _CHAT_KEYS if choice.get(key)), None))
        text = split_content(message.get("content"))[0]
    rest = {key: value for key, value in choice.items() if key not in _CHAT_KEYS}
    defaults: Json = {"logprobs": None}
    return {**defaults, **rest, "text": text, "index": state.index, "finish_reason": finish}


def _closing(choice: Json, state: ChoiceState) -> Json:
    closing: Json = {"text": "", "index": state.index, "logprobs": None, "finish_reason": state.meaning}
    if state.meaning != state.native_reason:
        closing["native_finish_reason"] = choice.get("native_finish_reason") or state.native_reason
    return closing


def unsaid_finish(state: ChoiceState) -> Json:
    """Return the chunk for a finish that the provider left out."""
    choice: Json = {"text": "", "index": state.index, "logprobs": None, "finish_reason": state.meaning}
    return {"object": OBJECT, "choices": [choice]}
