"""Reads completions: lines of JSON, or one document."""

from __future__ import annotations

from llm_manager.kit.lenient_json import LenientDecoder
from llm_manager.providers.dialects.numbers import exact_number
from llm_manager.providers.dialects.ollama_chat.answer import LineReader
from llm_manager.providers.dialects.ollama_chat.events import Line
from llm_manager.providers.dialects.port import Pieces


class _TextLine(Line):
    response: str | None = None
    thinking: str | None = None


_TEXT_LINE = LenientDecoder(_TextLine, strict=False, float_hook=exact_number)


class OllamaGenerateReader(LineReader[_TextLine]):
    """Reads a completion."""

    def _decode(self, data: bytes) -> _TextLine:
        return _TEXT_LINE.decode(data)

    def _say(self, line: _TextLine, pieces: Pieces) -> None:
        self._say_text(line.response, line.thinking, pieces)
