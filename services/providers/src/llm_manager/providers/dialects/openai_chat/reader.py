"""Reads OpenAI's chat answers: streams, whole bodies, and bodies that came where a stream was asked."""

from __future__ import annotations

from abc import ABC, abstractmethod

import msgspec
from msgspec import UNSET

from llm_manager.core.errors import LlmManagerError
from llm_manager.core.facts import Facts
from llm_manager.core.usage import UsageReport
from llm_manager.kit.lenient_json import BOM, Mender, Start
from llm_manager.kit.sse import SseDecoder
from llm_manager.providers.dialects.estimate import Written, doubted
from llm_manager.providers.dialects.json_values import Json, table, tables
from llm_manager.providers.dialects.openai_chat import native, neutral
from llm_manager.providers.dialects.openai_chat.choices import Choices, ChoiceState
from llm_manager.providers.dialects.openai_chat.events import (
    CHAT_EVENT,
    ChatEvent,
    Choice,
    Message,
    arguments_text,
    holds_error,
    place_of,
    split_content,
)
from llm_manager.providers.dialects.openai_chat.identity import Identity
from llm_manager.providers.dialects.openai_chat.plain import is_plain_delta, without_null_usage
from llm_manager.providers.dialects.pointers import EXACT_DECODER, EXACT_ENCODER, find_raw, marks_of, raw_table
from llm_manager.providers.dialects.port import NewId, Pieces
from llm_manager.providers.dialects.upstream_errors import broken_answer, error_in_stream
from llm_manager.providers.dialects.usage_report import counts_nothing, read_report

_NO_REPORT = (b"", b"null", b"{}")
_NO_FAILURE = (b"", b"0", b'"0"')


class ChatReader(ABC):
    """Shared by streams and bodies; the protocol is `port.AnswerReader`."""

    def __init__(self, facts: Facts, *, is_native: bool, new_id: NewId) -> None:
        self._facts = facts
        self._is_native = is_native
        self._new_id = new_id
        self._choices = Choices(facts)
        self._has_info = False
        self._usage_raw = b""
        self._usage_answer = b""
        # Reports that stand deeper than in the field `usage`, and the bytes that give them away.
        self._nested = [(marks_of(pointer), pointer) for pointer in facts.usage.reports if pointer != "usage"]
        self._failed = [(marks_of(pointer), pointer) for pointer in facts.errors.failed]
        self.error: LlmManagerError | None = None
        self.is_done = False
        self.response_model = ""

    @property
    def written(self) -> Written:
        """See `port.AnswerReader`."""
        return self._choices.written

    @property
    def finish_reason(self) -> str:
        """See `port.AnswerReader`."""
        return self._choices.finish_reason

    @property
    def native_finish_reason(self) -> str:
        """See `port.AnswerReader`."""
        return self._choices.native_finish_reason

    @abstractmethod
    def feed(self, data: bytes) -> Pieces:
        """See `port.AnswerReader`."""

    @abstractmethod
    def finish(self) -> Pieces:
        """See `port.AnswerReader`."""

    @property
    def unknown_finish_reasons(self) -> list[str]:
        """See `port.AnswerReader`."""
        return self._choices.unknown_finish_reasons

    def usage(self) -> UsageReport | None:
        """See `port.AnswerReader`."""
        if not self._usage_raw:
            return None
        return doubted(read_report(self._facts.usage, self._usage_raw, answer=self._usage_answer), self.written)

    def _note_usage(self, event: ChatEvent, data: bytes) -> None:
        """Keep the last report: reports repeat and grow (Groq, DeepSeek), they never add up."""
        raw = b"" if event.usage is UNSET else bytes(event.usage)
        for marks, pointer in self._nested:
            if raw not in _NO_REPORT:
                break
            if all(mark in data for mark in marks):
                raw = find_raw(data, pointer)
        if raw in _NO_REPORT or (self._usage_raw and counts_nothing(self._facts.usage, raw)):
            return
        self._usage_raw, self._usage_answer = raw, data

    def _note_failure(self, event: ChatEvent, data: bytes) -> None:
        """Note the failure that a document holds: in `error`, or in a status of its own (MiniMax's `base_resp`)."""
        if holds_error(event):
            self._fail(error_in_stream(self._facts, data))
        for marks, pointer in self._failed:
            if all(mark in data for mark in marks) and find_raw(data, pointer) not in _NO_FAILURE:
                self._fail(error_in_stream(self._facts, data))

    def _note_content(self, state: ChoiceState, message: Message) -> None:
        written, index = self._choices.written, state.index
        content = message.content
        if type(content) is str:
            if content:
                written.add_text(index, len(content))
        elif content is not None:
            text, thinking, _ = split_content(content)
            written.add_text(index, len(text))
            written.add_reasoning(index, len(thinking))
        reasoning = message.reasoning_content or message.reasoning
        if reasoning and isinstance(reasoning, str):
            written.add_reasoning(index, len(reasoning))
        if message.refusal:
            written.add_text(index, len(message.refusal))
        if message.tool_calls or message.function_call:
            state.has_calls = True
        for part in message.tool_calls or ():
            if part.function is not None:
                arguments = part.function.arguments
                written.add_text(index, len(part.function.name or "") + len(arguments_text(arguments)))

    def _fail(self, error: LlmManagerError) -> None:
        self.error = self.error or error

    def _finishes(self) -> Pieces:
        if self._is_native:
            return Pieces(native=native.finish_chunks(self._choices))
        return Pieces(deltas=neutral.finishes(self._choices))


class ChatStreamReader(ChatReader):
    """Reads a stream of chunks."""

    def __init__(self, facts: Facts, *, is_native: bool, new_id: NewId) -> None:
        super().__init__(facts, is_native=is_native, new_id=new_id)
        self._decoder = SseDecoder()
        self._mender = Mender()
        self._identity = Identity()
        self._body: bytearray | None = None
        self._has_begun = False
        self._start = Start()
        self._has_events = False
        self._early: list[bytes] = []

    def feed(self, data: bytes) -> Pieces:
        """Take the next bytes, split anywhere."""
        pieces = Pieces()
        if not self._has_begun:
            data = self._start.feed(data)
            if not data:
                return pieces
            self._has_begun = True
            # Some servers answer a stream with one JSON document: an error with status 200, or a whole answer.
            self._body = bytearray() if data[:1] == b"{" else None
        if self._body is not None:
            self._body += data
            return pieces
        for event in self._decoder.feed(data):
            self._take(event.event, event.data, pieces)
        return pieces

    def finish(self) -> Pieces:
        """Take the end of the stream."""
        pieces = Pieces()
        if self._body is not None:
            for chunk in self._as_chunks(bytes(self._body)):
                self._take(None, chunk, pieces)
        else:
            for event in self._decoder.finish():
                self._take(event.event, event.data, pieces)
        if not self.is_done and self.error is None:
            self._close(pieces, is_said=self._body is not None)
        return pieces

    def _take(self, event: str | None, text: str, pieces: Pieces) -> None:
        if self.is_done or not text:
            return
        if text == "[DONE]" or text.strip() == "[DONE]":
            self._close(pieces, is_said=True)
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
            self._write_neutral(chunk, pieces)
        elif self._is_early(chunk, data):
            return
        elif is_plain and (plain := without_null_usage(chunk, data)):
            for choice in chunk.choices or ():
                self._choices[place_of(choice.index)].has_role = True
            pieces.native.append(plain)
        else:
            pieces.native += native.rewrite_chunk(data, self._choices, self._identity, self._new_id)

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

    def _write_neutral(self, chunk: ChatEvent, pieces: Pieces) -> None:
        if not self._has_info and chunk.choices:
            pieces.info = neutral.info_of(chunk, self._new_id)
            self._has_info = True
        for choice in chunk.choices or ():
            pieces.deltas += neutral.deltas_of(choice, self._choices[place_of(choice.index)], self._new_id)

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

    def _as_chunks(self, body: bytes) -> list[str]:
        """Return a whole answer as one chunk, so that it goes the way of all chunks."""
        try:
            document = table(EXACT_DECODER.decode(body))
        except msgspec.DecodeError:
            return [body.decode("utf-8", "replace")]
        if isinstance(document.get("choices"), list):
            document["choices"] = [_chunk_choice(choice) for choice in tables(document["choices"])]
            document["object"] = "chat.completion.chunk"
        return [EXACT_ENCODER.encode(document).decode()]


def _chunk_choice(choice: Json) -> Json:
    message = dict(table(choice.get("message")))
    if isinstance(message.get("tool_calls"), list):
        message["tool_calls"] = [{**call, "index": i} for i, call in enumerate(tables(message["tool_calls"]))]
    return {**{key: value for key, value in choice.items() if key != "message"}, "delta": message}


class ChatBodyReader(ChatReader):
    """Reads a whole answer."""

    def __init__(self, facts: Facts, *, is_native: bool, new_id: NewId) -> None:
        super().__init__(facts, is_native=is_native, new_id=new_id)
        self._pieces: list[bytes] = []

    def feed(self, data: bytes) -> Pieces:
        """Keep the bytes; a body says nothing before its end."""
        self._pieces.append(data)
        return Pieces()

    def finish(self) -> Pieces:
        """Read the body."""
        body = b"".join(self._pieces).removeprefix(BOM).strip()
        self.is_done = True
        try:
            answer = CHAT_EVENT.decode(body)
        except msgspec.DecodeError:
            self._fail(broken_answer(self._facts, "is no chat completion"))
            return Pieces()
        self._note_usage(answer, body)
        self.response_model = answer.model or ""
        if not answer.choices:
            self._note_failure(answer, body)
            self._fail(broken_answer(self._facts, "holds no choices"))
        else:
            self._read_choices(answer)
        if self.error is not None:
            return Pieces()
        return Pieces(native=[self._native(body)]) if self._is_native else self._neutral(answer)

    def _read_choices(self, answer: ChatEvent) -> None:
        for choice in answer.choices or ():
            state = self._choices[place_of(choice.index)]
            if choice.message is not None:
                self._note_content(state, choice.message)
            if not choice.finish_reason:
                state.meaning = "tool_calls" if state.has_calls else "stop"
                self._choices.unknown_finish_reasons.append("")
            elif (failure := self._choices.close(state, choice)) is not None:
                self._fail(failure)

    def _neutral(self, answer: ChatEvent) -> Pieces:
        pieces = Pieces(info=neutral.info_of(answer, self._new_id))
        for choice in answer.choices or ():
            pieces.deltas += neutral.deltas_of(choice, self._choices[place_of(choice.index)], self._new_id)
        pieces.extend(self._finishes())
        return pieces

    def _native(self, body: bytes) -> bytes:
        fields = raw_table(body)
        fields.pop("usage", None)
        choices = tables(EXACT_DECODER.decode(fields["choices"]))
        changed = False
        for choice in choices:
            state = self._choices[place_of(choice.get("index"))]
            message = table(choice.get("message"))
            if message:
                changed |= native.clean_message(message, state, self._new_id, is_delta=False)
            if choice.get("finish_reason") not in (None, state.meaning):
                choice["native_finish_reason"] = choice.get("native_finish_reason") or choice.get("finish_reason")
                choice["finish_reason"] = state.meaning
                changed = True
        if changed:
            fields["choices"] = msgspec.Raw(EXACT_ENCODER.encode(choices))
        return msgspec.json.encode(fields)
