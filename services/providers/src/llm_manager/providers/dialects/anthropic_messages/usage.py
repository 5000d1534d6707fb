"""Usage that grows: every report of a stream is the sum so far, so the last word on each count is the truth (T-1).

`message_delta` repeats what `message_start` said, corrects it (with server tools the input grows), or says less than
it (recordings, quirk 10): members that it leaves out or sets to null stay as they were. `iterations` inside of it are
parts of the same sum and never added.
"""

from __future__ import annotations

import msgspec

from llm_manager.providers.dialects.pointers import raw_table


class Usage:
    """The report as it is known so far."""

    def __init__(self) -> None:
        self._said: dict[str, msgspec.Raw] = {}
        self._last = b""
        self._is_merged = False
        self.is_last = False

    def add(self, raw: bytes, *, is_last: bool) -> None:
        """Take the next report.

        Args:
            is_last: it counts what was written; the one at the start of a stream cannot.
        """
        self.is_last |= is_last
        fields = {name: value for name, value in raw_table(raw).items() if bytes(value) != b"null"}
        self._is_merged = bool(self._said.keys() - fields.keys())
        self._said |= fields
        self._last = raw

    @property
    def raw(self) -> bytes:
        """The report as one document, empty while there is none: the provider's own bytes where they say it all."""
        return msgspec.json.encode(self._said) if self._is_merged else self._last
