"""Reads a stream of OpenAI's chat chunks, and bodies that came where a stream was asked."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from llm_manager.core.deltas import TextDelta
from llm_manager.core.facts import Facts
from llm_manager.kit.lenient_json import Mender
from llm_manager.providers.dialects.event_stream import EventStream
from llm_manager.providers.dialects.json_values import Json, table, tables
from llm_manager.providers.dialects.openai_chat import native, neutral
from llm_manager.providers.dialects.openai_chat.choices import ChoiceState
from llm_manager.providers.dialects.openai_chat.events import CHAT_EVENT, ChatEvent, Choice, place_of
from llm_manager.providers.dialects.openai_chat.identity import Identity
from llm_manager.providers.dialects.openai_chat.plain import cut_null_usage, is_plain_delta, without_null_usage
from llm_manager.providers.dialects.openai_chat.reader import ChatReader
from llm_manager.providers.dialects.openai_chat.repeats import Repeats
from llm_manager.providers.dialects.pointers import EXACT_DECODER, EXACT_ENCODER, find_raw
from llm_manager.providers.dialects.port import NewId, Pieces
from llm_manager.providers.dialects.upstream_errors import broken_answer, error_in_stream


class ChatStreamReader(ChatReader):
    """Reads a stream of chunks."""

    def __init__(self, facts: Facts, *, is_native: bool, new_id: NewId) -> None:
        super().__init__(facts, is_native=is_native, new_id=new_id)
        self._stream = EventStream()
        self._mender = Mender()
        self._identity = Identity()
        self._repeats = Repeats()
        self._has_events = False
        self._early: list[bytes] = []

    def feed(self, data: bytes) -> Pieces:
        """Take the next bytes, split anywhere."""
        pieces = Pieces()
        for event in self._stream.feed(data):
            self._take(event.event, event.data, pieces)
        return pieces

    def finish(self) -> Pieces:
        """Take the end of the stream."""
        pieces, document = Pieces(), self._stream.document
        for event in self._stream.finish():
            self._take(event.event, event.data, pieces)
        if document is not None:
            self._take(None, self._as_chunk(document), pieces)
        if not self.is_done and self.error is None:
            self._close(pieces, is_said=document is not None)
        return pieces

    def _take(self, event: str | None, text: str, pieces: Pieces) -> None:
        if self.is_done or not text:
            return
        if text == "[DONE]" or text.strip() == "[DONE]":
            self._close(pieces, is_said=True)
            return
        if event != "error" and self.error is None and (said := self._repeats.text_of(text)):
            self._repeat(said, text, pieces)
            return
        self._has_events = True
        if event == "error":
            self._fail(error_in_stream(self._facts, text))
            return
        data = self._mender.event(text.encode())
        try:
            chunk = CHAT_EVENT.decode(data)
        except msgspec.DecodeError:
            self._fail(broken_answer(self._facts, "holds an event that is no chunk of a chat"))
            return
        self._note_usage(chunk, data)
        self._note_failure(chunk, data)
        if self.error is None and b'"x_groq"' in data and (reason := find_raw(data, "x_groq.error")):
            # Groq reports a failure of a stream here, as text.
            self._fail(error_in_stream(self._facts, b'{"error":{"message":' + reason + b"}}"))
        if self.error is None:
            self._write(chunk, data, pieces)

    def _write(self, chunk: ChatEvent, data: bytes, pieces: Pieces) -> None:
        if chunk.model and not self.response_model:
            self.response_model = chunk.model
        is_same = self._identity.holds(chunk)
        is_plain = (
            bool(chunk.choices)
            and is_same
            and chunk.object == "chat.completion.chunk"
            and b"\n" not in data
            and b'"x_groq"' not in data
            and (chunk.usage is not UNSET or b'"usage"' not in data)
        )
        if chunk.choices:
            self._identity.settle(self._new_id)
            self._write_early(pieces)
        for choice in chunk.choices or ():
            is_plain = self._note_choice(choice) and is_plain
        if self.error is not None:
            return
        if not self._is_native:
            self._write_neutral(chunk, data, pieces)
        elif self._is_early(chunk, data):
            return
        elif is_plain and (plain := without_null_usage(chunk, data)):
            for choice in chunk.choices or ():
                self._choices[place_of(choice.index)].has_role = True
            pieces.native.append(plain)
            self._learn(chunk, data)
        else:
            pieces.native += native.rewrite_chunk(data, self._choices, self._identity, self._new_id)

    def _learn(self, chunk: ChatEvent, data: bytes) -> None:
        """Remember a chunk that changed nothing here but the characters, so that one like it needs no look."""
        choice = chunk.choices[0] if chunk.choices is not None and len(chunk.choices) == 1 else None
        delta = None if choice is None else choice.delta
        # a role passes once in OpenAI's form
        if choice and delta and type(delta.content) is str and (delta.role is UNSET or not self._is_native):
            self._repeats.learn(data.decode(), delta.content, place_of(choice.index))

    def _repeat(self, said: str, event: str, pieces: Pieces) -> None:
        choice = self._repeats.choice
        self._choices.written.add_text(choice, said)
        if self._is_native:
            pieces.native.append(cut_null_usage(event.encode()))
        else:
            pieces.deltas.append(TextDelta(text=said, choice=choice))

    def _note_choice(self, choice: Choice) -> bool:
        """Note what a choice says; False when its chunk cannot pass as it is."""
        state = self._choices[place_of(choice.index)]
        message = choice.delta
        if message is not None:
            self._note_content(state, message)
        if choice.finish_reason:
            failure = self._choices.close(state, choice)
            if failure is not None:
                self._fail(failure)
            return False
        is_whole = choice.finish_reason is None and type(choice.index) is int and choice.index == state.index
        return (
            is_whole and message is not None and state.finish_chunk is None and is_plain_delta(message, state.has_role)
        )

    def _write_early(self, pieces: Pieces) -> None:
        for early in self._early:
            pieces.native += native.rewrite_chunk(early, self._choices, self._identity, self._new_id)
        self._early = []

    def _is_early(self, chunk: ChatEvent, data: bytes) -> bool:
        """Keep a chunk that comes before the answer has an id: all chunks carry the same one, so it waits for it."""
        if not chunk.choices and not self._identity.is_known and not chunk.id:
            self._early.append(data)
            return True
        return False

    def _write_neutral(self, chunk: ChatEvent, data: bytes, pieces: Pieces) -> None:
        if not self._has_info and chunk.choices:
            pieces.info = neutral.info_of(chunk, self._new_id)
            self._has_info = True
        for choice in chunk.choices or ():
            deltas = neutral.deltas_of(choice, self._choices[place_of(choice.index)], self._new_id)
            pieces.deltas += deltas
            if len(deltas) == 1 and type(deltas[0]) is TextDelta and not choice.finish_reason:
                self._learn(chunk, data)

    def _close(self, pieces: Pieces, *, is_said: bool) -> None:
        """End the answer. `[DONE]` ends it well even where a server never gives a reason; a cut connection does not."""
        self.is_done = is_said
        if self.error is not None:
            return
        unfinished = [state for state in self._choices if state.meaning is None]
        if not len(self._choices) or (unfinished and not is_said):
            what = "was cut off before its finish" if self._has_events else "holds no event"
            self._fail(broken_answer(self._facts, what))
            return
        for state in unfinished:
            state.meaning = "tool_calls" if state.has_calls else "stop"
            state.finish_chunk = self._unsaid_finish(state)
            self._identity.impose(state.finish_chunk)
            self._choices.unknown_finish_reasons.append("")
        pieces.extend(self._finishes())

    def _unsaid_finish(self, state: ChoiceState) -> Json:
        """Return the chunk for a finish that the provider left out."""
        choice: Json = {"index": state.index, "delta": {}, "logprobs": None, "finish_reason": state.meaning}
        return {"object": "chat.completion.chunk", "choices": [choice]}

    def _as_chunk(self, body: bytes) -> str:
        """Return a whole answer as one chunk, so that it goes the way of all chunks."""
        try:
            document = table(EXACT_DECODER.decode(body))
        except msgspec.DecodeError:
            return body.decode("utf-8", "replace")
        if isinstance(document.get("choices"), list):
            document["choices"] = [_chunk_choice(choice) for choice in tables(document["choices"])]
            document["object"] = "chat.completion.chunk"
        return EXACT_ENCODER.encode(document).decode()


def _chunk_choice(choice: Json) -> Json:
    message = dict(table(choice.get("message")))
    if isinstance(message.get("tool_calls"), list):
        message["tool_calls"] = [{**call, "index": i} for i, call in enumerate(tables(message["tool_calls"]))]
    return {**{key: value for key, value in choice.items() if key != "message"}, "delta": message}
