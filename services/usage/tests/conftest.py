from __future__ import annotations

from usage_events import book, deliver, make_event

__all__ = ["book", "deliver", "make_event"]
