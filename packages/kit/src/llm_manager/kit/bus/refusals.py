"""What the server does not let a user do: it says so once, without naming the message, and answers nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import structlog
from nats import errors

# as nats-server words it; behind the subject may stand the name of a queue group
_REFUSAL: Final = re.compile(r"Permissions Violation for (Publish|Subscription) to \"([^\"]*)\"", re.IGNORECASE)

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

OnRefusal = Callable[[str], None]


class NotPermittedError(errors.Error):
    """The user of this connection may not publish on a subject; asking again changes nothing."""

    def __init__(self, subject: str) -> None:
        super().__init__(f"the user of this connection may not publish on {subject!r}; see docs/reference/nats.md")
        self.subject = subject


class Refusals:
    """Logs every refusal and tells those who wait for a reply that will not come."""

    def __init__(self) -> None:
        self._listeners: list[OnRefusal] = []
        # of subscriptions, for `connect`, which asks whether its own was taken
        self.refused_subscription: str | None = None

    def listen(self, listener: OnRefusal) -> Callable[[], None]:
        """Call `listener` with every subject that was not published on; the returned function takes it off again."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def take(self, text: str) -> None:
        """Take an error of the server; others than refusals are left to the client."""
        refusal = _REFUSAL.search(text)
        if refusal is None:
            return
        operation, subject = refusal[1].lower(), refusal[2]
        log.error("bus_not_permitted", operation=operation, subject=subject)
        if operation == "subscription":
            self.refused_subscription = subject
            return
        for listener in list(self._listeners):
            listener(subject)
