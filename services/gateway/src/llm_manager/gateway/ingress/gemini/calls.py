"""Which call a function's answer belongs to, where nobody wrote ids down."""

from __future__ import annotations


class Calls:
    """The calls of one conversation.

    Gemini and its clients mostly send calls without ids and match the answers by name and order (recordings, quirk
    22); every other dialect needs ids. Those that are made up here depend on the turns before them only, so the same
    conversation has the same ids next time and stays in the provider's cache.
    """

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._open: list[str] = []
        self._count = 0

    def made(self, given: str, name: str) -> str:
        """Note a call; return its id."""
        call_id = given or self._new_id()
        self._names[call_id] = name
        self._open.append(call_id)
        return call_id

    def answered(self, given: str, name: str) -> tuple[str, str] | None:
        """Return id and name of the call that is answered; None when there is none.

        An id that no call has is taken for the client's own: then the first open call of the name is meant.
        """
        call_id = given if given in self._names else self._first_open(name)
        if call_id is None:
            return None
        if call_id in self._open:
            self._open.remove(call_id)
        return call_id, self._names[call_id]

    def _first_open(self, name: str) -> str | None:
        return next((call_id for call_id in self._open if self._names[call_id] == name), None)

    def _new_id(self) -> str:
        while True:
            # nine letters and digits: the only form that Mistral takes, and every other provider takes it too
            call_id = f"call{self._count:05d}"
            self._count += 1
            if call_id not in self._names:
                return call_id
