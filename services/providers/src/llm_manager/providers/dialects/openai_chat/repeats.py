"""Chunks that differ from the one before in their text alone: most of a stream, and read without decoding."""

from __future__ import annotations

import re

import msgspec

# Text that hides the lengths of the others: OpenAI's and Mistral's (recordings, quirk 6).
_PADDING = re.compile(r',"(?:obfuscation|p)":"')
_STRING = msgspec.json.Decoder(str)
_NAMES = ('"content":"', '"content": "')


class Repeats:
    """Remembers what stands around the text of a chunk, and finds the text of the next one by it.

    A chunk with the same bytes around one string says the same but for that string.
    """

    __slots__ = ("_after", "_before", "_padding_end", "choice")

    def __init__(self) -> None:
        # the place of the choice that speaks
        self.choice = 0
        self._before = ""
        self._after = ""
        # what stands behind the padding, when `_after` ends in one
        self._padding_end: str | None = None

    def learn(self, event: str, text: str, choice: int) -> None:
        """Remember a chunk that says `text`, when it says it once and without escapes."""
        for name in _NAMES:
            before, found, rest = event.partition(name)
            if found:
                break
        else:
            return
        if not text or not rest.startswith(text + '"') or "\\" in text or name in rest:
            return
        self.choice, self._before, self._after, self._padding_end = choice, before + name, rest[len(text) :], None
        padding = _PADDING.search(self._after)
        if padding is not None and "\\" not in self._after:
            end = self._after.find('"', padding.end())
            self._after, self._padding_end = self._after[: padding.end()], self._after[end:]

    def text_of(self, event: str) -> str:
        """Return the text of a chunk that is like the last one otherwise; empty when it is not."""
        before, after = self._before, self._after
        if not before or not event.startswith(before):
            return ""
        start = len(before)
        end = event.find(after, start)
        rest = event[end + len(after) :]
        if end < 0 or (rest if self._padding_end is None else not self._is_padding(rest)):
            return ""
        return _unescaped(event[start:end])

    def _is_padding(self, rest: str) -> bool:
        end = self._padding_end or ""
        padding = rest.removesuffix(end)
        return len(padding) + len(end) == len(rest) and bool(_unescaped(padding) or not padding)


def _unescaped(text: str) -> str:
    """Return what stands between two quotes of JSON, empty when that is not one string."""
    if '"' not in text and "\\" not in text and text.isprintable():
        return text
    try:
        return _STRING.decode(f'"{text}"')
    except msgspec.DecodeError:
        return ""
