"""How the events of a response travel: as server-sent events, or as messages of a WebSocket."""

from __future__ import annotations

from typing import Protocol

from llm_manager.kit.sse import comment, data_event


class Framing(Protocol):
    """Puts events into the form of a transport."""

    @property
    def ping(self) -> bytes:
        """What keeps a silent connection alive; empty when the transport does that by itself."""
        ...

    def frame(self, kind: str, event: bytes) -> bytes:
        """Put one event into the framing."""
        ...


class ServerSentEvents:
    """Events over HTTP; `[DONE]` does not follow, as it does not at OpenAI (recordings, quirk 4)."""

    ping = comment("ping")

    def frame(self, kind: str, event: bytes) -> bytes:
        """See `Framing`."""
        return data_event(event, event=kind)


class SocketMessages:
    """Events over a WebSocket: a line each, which `socket` sends as a message each. The protocol has its own pings."""

    ping = b""

    def frame(self, kind: str, event: bytes) -> bytes:  # noqa: ARG002 # the event says it too
        """See `Framing`."""
        # a line end can only stand between the tokens of a JSON document, where a space means the same
        return event.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n"
