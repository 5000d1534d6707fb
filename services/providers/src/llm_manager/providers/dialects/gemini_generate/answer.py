"""Reads Gemini's chat answers: streams however they are framed, whole answers, and failures in either place."""

from __future__ import annotations

from abc import ABC, abstractmethod

import msgspec

from llm_manager.core.errors import LlmManagerError
from llm_manager.core.facts import Facts
from llm_manager.core.usage import UsageReport
from llm_manager.kit.lenient_json import BOM, Mender
from llm_manager.providers.dialects.estimate import Written
from llm_manager.providers.dialects.gemini_generate import neutral
from llm_manager.providers.dialects.gemini_generate.candidates import Candidates
from llm_manager.providers.dialects.gemini_generate.events import DOCUMENT, Document, compact, is_said
from llm_manager.providers.dialects.gemini_generate.framing import Documents
from llm_manager.providers.dialects.gemini_generate.usage import report_of
from llm_manager.providers.dialects.numbers import MOST_INDEX, whole_number
from llm_manager.providers.dialects.port import NewId, Pieces
from llm_manager.providers.dialects.upstream_errors import broken_answer, error_in_stream


class ChatReader(ABC):
    """Shared by streams and whole answers; the protocol is `port.AnswerReader`."""

    def __init__(self, facts: Facts, *, is_native: bool, new_id: NewId) -> None:
        self._facts = facts
        self._is_native = is_native
        self._new_id = new_id
        self._candidates = Candidates(facts)
        self._has_documents = False
        self._usage_raw = b""
        self._mender = Mender()
        self.error: LlmManagerError | None = None
        # Nothing on the wire says that a stream is over; the end of the connection does.
        self.is_done = False
        self.response_model = ""

    @property
    def written(self) -> Written:
        """See `port.AnswerReader`."""
        return self._candidates.written

    @property
    def finish_reason(self) -> str:
        """See `port.AnswerReader`."""
        return self._candidates.finish_reason

    @property
    def native_finish_reason(self) -> str:
        """See `port.AnswerReader`."""
        return self._candidates.native_finish_reason

    @property
    def unknown_finish_reasons(self) -> list[str]:
        """See `port.AnswerReader`."""
        return self._candidates.unknown_finish_reasons

    @abstractmethod
    def feed(self, data: bytes) -> Pieces:
        """See `port.AnswerReader`."""

    @abstractmethod
    def finish(self) -> Pieces:
        """See `port.AnswerReader`."""

    def usage(self) -> UsageReport | None:
        """See `port.AnswerReader`."""
        if not self._usage_raw:
            return None
        has_text = any(self.written.text.values())
        return report_of(self._facts.usage, self._usage_raw, has_visible_text=has_text)

    def _take(self, data: bytes, pieces: Pieces, *, is_whole: bool) -> None:
        """Read one document. After an error only its usage counts."""
        try:
            data = self._mender.event(data)
            document = DOCUMENT.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._fail(broken_answer(self._facts, "holds a piece that is no JSON of an answer"))
            return
        if is_said(document.usage_metadata):
            # Reports repeat and grow; they never add up (recordings, quirk 11).
            self._usage_raw = bytes(document.usage_metadata)
        self.response_model = self.response_model or document.model_version or ""
        if self.error is not None:
            return
        if is_said(document.error):
            self._fail(error_in_stream(self._facts, data))
            return
        said = self._read(document, is_whole=is_whole)
        self._has_documents = True
        if self.error is not None:
            return
        if self._is_native:
            pieces.native.append(data if is_whole else compact(data))
        else:
            pieces.extend(said)

    def _read(self, document: Document, *, is_whole: bool) -> Pieces:
        said = Pieces()
        if not self._has_documents:
            said.info = neutral.info_of(document, self._new_id)
        for place, candidate in enumerate(document.candidates or ()):
            index = whole_number(candidate.index, most=MOST_INDEX)
            state = self._candidates[place if index is None else index]
            first_call = state.calls
            failure = self._candidates.note(state, candidate)
            if failure is not None:
                self._fail(failure)
            elif not self._is_native:
                said.deltas += neutral.deltas_of(
                    candidate, state, self._new_id, first_call=first_call, is_whole=is_whole
                )
        feedback = document.prompt_feedback
        if feedback is not None and feedback.block_reason and not len(self._candidates):
            self._candidates.block(feedback.block_reason)
        return said

    def _close(self, pieces: Pieces) -> None:
        """End the answer."""
        if self.error is None and not self._candidates.is_closed:
            what = "was cut off before its finish" if self._has_documents else "holds no candidate"
            self._fail(broken_answer(self._facts, what))
        if self.error is None and not self._is_native:
            for state in self._candidates:
                pieces.deltas += neutral.endings_of(state)

    def _fail(self, error: LlmManagerError) -> None:
        self.error = self.error or error


class ChatStreamReader(ChatReader):
    """Reads a stream of chunks."""

    def __init__(self, facts: Facts, *, is_native: bool, new_id: NewId) -> None:
        super().__init__(facts, is_native=is_native, new_id=new_id)
        self._documents = Documents()

    def feed(self, data: bytes) -> Pieces:
        """Take the next bytes, split anywhere."""
        return self._read_all(self._documents.feed(data))

    def finish(self) -> Pieces:
        """Take the end of the stream."""
        pieces = self._read_all(self._documents.finish())
        if self._documents.is_one_object:
            # A whole answer where a stream was asked; its finish may be left out as in any whole answer.
            self._candidates.close_unsaid()
        self._close(pieces)
        return pieces

    def _read_all(self, documents: list[bytes]) -> Pieces:
        pieces = Pieces()
        for document in documents:
            self._take(document, pieces, is_whole=False)
        return pieces


class ChatBodyReader(ChatReader):
    """Reads a whole answer."""

    def __init__(self, facts: Facts, *, is_native: bool, new_id: NewId) -> None:
        super().__init__(facts, is_native=is_native, new_id=new_id)
        self._body: list[bytes] = []

    def feed(self, data: bytes) -> Pieces:
        """Keep the bytes; a body says nothing before its end."""
        self._body.append(data)
        return Pieces()

    def finish(self) -> Pieces:
        """Read the body."""
        pieces = Pieces()
        self.is_done = True
        self._take(b"".join(self._body).removeprefix(BOM).strip(), pieces, is_whole=True)
        self._candidates.close_unsaid()
        self._close(pieces)
        return Pieces() if self.error is not None else pieces
