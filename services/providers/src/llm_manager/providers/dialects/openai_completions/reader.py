"""Reads completions: streams, whole bodies, and bodies that came where a stream was asked."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from llm_manager.core.facts import Facts
from llm_manager.core.usage import UsageReport
from llm_manager.providers.dialects.json_values import Json, tables
from llm_manager.providers.dialects.openai_chat.choices import ChoiceState
from llm_manager.providers.dialects.openai_chat.events import ChatEvent, Choice, place_of
from llm_manager.providers.dialects.openai_chat.reader import ChatBodyReader
from llm_manager.providers.dialects.openai_chat.stream import ChatStreamReader
from llm_manager.providers.dialects.openai_completions import native
from llm_manager.providers.dialects.pointers import EXACT_DECODER, EXACT_ENCODER, find_count, raw_table
from llm_manager.providers.dialects.port import NewId, Pieces
from llm_manager.providers.dialects.usage_report import read_report

_MARK = b'"text_completion"'


class TextStreamReader(ChatStreamReader):
    """Reads a stream of chunks."""

    def __init__(self, facts: Facts, *, new_id: NewId) -> None:
        super().__init__(facts, is_native=True, new_id=new_id)

    def usage(self) -> UsageReport | None:
        """See `port.AnswerReader`."""
        return report_of(self._facts, self._usage_raw, answer=self._usage_answer)

    def _write(self, chunk: ChatEvent, data: bytes, pieces: Pieces) -> None:
        if chunk.model and not self.response_model:
            self.response_model = chunk.model
        is_plain = self._identity.holds(chunk) and _MARK in data and b"\n" not in data and b'"usage"' not in data
        if chunk.choices:
            self._identity.settle(self._new_id)
        for choice in chunk.choices or ():
            state = self._choices[place_of(choice.index)]
            self._choices.written.add_text(state.index, native.text_of(choice))
            if choice.finish_reason:
                failure = self._choices.close(state, choice)
                if failure is not None:
                    self._fail(failure)
                    return
                is_plain = False
            is_plain = is_plain and _is_plain(choice, state)
        if is_plain and chunk.choices:
            pieces.native.append(data)
        else:
            pieces.native += native.rewrite_chunk(data, self._choices, self._identity)

    def _unsaid_finish(self, state: ChoiceState) -> Json:
        return native.unsaid_finish(state)


class TextBodyReader(ChatBodyReader):
    """Reads a whole answer."""

    def __init__(self, facts: Facts, *, new_id: NewId) -> None:
        super().__init__(facts, is_native=True, new_id=new_id)

    def usage(self) -> UsageReport | None:
        """See `port.AnswerReader`."""
        return report_of(self._facts, self._usage_raw, answer=self._usage_answer)

    def _read_choices(self, answer: ChatEvent) -> None:
        super()._read_choices(answer)
        written = self._choices.written
        written.text = {place_of(choice.index): len(native.text_of(choice)) for choice in answer.choices or ()}

    def _native(self, body: bytes) -> bytes:
        fields = raw_table(body)
        fields.pop("usage", None)
        choices = tables(EXACT_DECODER.decode(fields["choices"]))
        cleaned = [self._cleaned(choice) for choice in choices]
        if cleaned != choices:
            fields["choices"] = msgspec.Raw(EXACT_ENCODER.encode(cleaned))
        return msgspec.json.encode({**fields, "object": native.OBJECT})

    def _cleaned(self, choice: Json) -> Json:
        state = self._choices[place_of(choice.get("index"))]
        cleaned = native.clean_choice(choice, state, finish=state.meaning)
        if choice.get("finish_reason") not in (None, state.meaning):
            cleaned["native_finish_reason"] = choice.get("native_finish_reason") or choice["finish_reason"]
        return cleaned


def report_of(facts: Facts, raw: bytes, *, answer: bytes) -> UsageReport | None:
    """Return the counts. A report without an output, whose total is its input, counts none: OpenAI leaves out the zero
    of an empty text (recordings, openai-completions-4c9dbc05f8).
    """
    if not raw:
        return None
    said = EXACT_DECODER.decode(raw)
    total = find_count(said, facts.usage.total)
    has_output = total is None or total != find_count(said, facts.usage.input)
    return read_report(facts.usage, raw, answer=answer, has_output=has_output)


def _is_plain(choice: Choice, state: ChoiceState) -> bool:
    """Return whether a choice needs no repair."""
    is_text = (
        isinstance(choice.text, str)
        and choice.delta is None
        and type(choice.index) is int
        and choice.index == state.index
    )
    return is_text and choice.logprobs is not UNSET and state.finish_chunk is None
