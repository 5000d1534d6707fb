"""Bodies that travel packed (gzip, deflate): unpacked piece by piece, so that a bomb costs no more than it is read."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable
from typing import Protocol

from llm_manager.providers.http1.reply import BrokenReply

_PIECE_BYTES = 64 * 1024
# 16 + MAX_WBITS: a gzip header; negative: none at all.
_GZIP, _RAW = 16 + zlib.MAX_WBITS, -zlib.MAX_WBITS
_PLAIN = ("", "identity")


class _Engine(Protocol):
    """What `zlib.decompressobj` returns."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class Unpacking:
    """Reads a packed body.

    Args:
        encoding: what `content-encoding` says, in lower case.
        read: returns the next packed bytes, empty at the end.
    """

    def __init__(self, encoding: str, read: Callable[[], Awaitable[bytes]]) -> None:
        self._encoding = encoding
        self._read = read
        self._packed = b""
        self._engine: _Engine | None = None

    async def read(self) -> bytes:
        """Return the next unpacked bytes, at most 64 KiB, empty at the end.

        Raises:
            BrokenReply: the packing is broken, cut short, or none that was asked for.
        """
        while True:
            packed = self._packed or await self._read()
            if not packed:
                if self._engine is not None and not self._engine.eof:
                    raise BrokenReply("its compression is cut short")
                return b""
            piece = self._unpacked(packed)
            if piece:
                return piece

    def _unpacked(self, packed: bytes) -> bytes:
        engine = self._engine
        if engine is None or (engine.eof and packed.startswith(b"\x1f\x8b")):
            engine = self._engine = self._new_engine(packed)
        if engine.eof:
            self._packed = b""
            return b""  # padding behind the end
        try:
            piece = engine.decompress(packed, _PIECE_BYTES)
        except zlib.error as error:
            raise BrokenReply("its compression is broken") from error
        self._packed = engine.unused_data if engine.eof else engine.unconsumed_tail
        return piece

    def _new_engine(self, packed: bytes) -> _Engine:
        match self._encoding:
            case "gzip" | "x-gzip":
                return zlib.decompressobj(_GZIP)
            case "deflate":
                # servers disagree whether it has zlib's header (RFC 9110, 8.4.1.2); its first four bits are always 8
                return zlib.decompressobj(zlib.MAX_WBITS if packed[0] & 0x0F == 8 else _RAW)
            case _:
                raise BrokenReply(f"it is packed as {self._encoding[:20]!r}, which nobody asked for")


def is_packed(encoding: str) -> bool:
    """Return whether a body must be unpacked."""
    return encoding not in _PLAIN
