"""Reads OpenAI's chat answers: what streams and bodies share, and whole bodies."""

from __future__ import annotations

from abc import ABC, abstractmethod

import msgspec
from msgspec import UNSET

from llm_manager.core.errors import LlmManagerError
from llm_manager.core.facts import Facts
from llm_manager.core.usage import UsageReport
from llm_manager.kit.lenient_json import BOM
from llm_manager.providers.dialects.estimate import Written, doubted
from llm_manager.providers.dialects.json_values import table, tables
from llm_manager.providers.dialects.openai_chat import native, neutral
from llm_manager.providers.dialects.openai_chat.choices import Choices, ChoiceState
from llm_manager.providers.dialects.openai_chat.events import (
    CHAT_EVENT,
    ChatEvent,
    Message,
    arguments_text,
    holds_error,
    place_of,
    split_content,
)
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
                written.add_text(index, content)
        elif content is not None:
            text, thinking, _ = split_content(content)
            written.add_text(index, text)
            written.add_reasoning(index, thinking)
        reasoning = message.reasoning_content or message.reasoning
        if reasoning and isinstance(reasoning, str):
            written.add_reasoning(index, reasoning)
        if message.refusal:
            written.add_text(index, message.refusal)
        if message.tool_calls or message.function_call:
            state.has_calls = True
        for part in message.tool_calls or ():
            if part.function is not None:
                arguments = part.function.arguments
                written.add_text(index, (part.function.name or "") + arguments_text(arguments))

    def _fail(self, error: LlmManagerError) -> None:
        self.error = self.error or error

    def _finishes(self) -> Pieces:
        if self._is_native:
            return Pieces(native=native.finish_chunks(self._choices))
        return Pieces(deltas=neutral.finishes(self._choices))


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
