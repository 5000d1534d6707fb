"""How much may wait unread, in all and for one app."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from llm_manager.gateway.http.connections import ConnectionLimits, Connections


@dataclass(eq=False)
class Waiting:
    """A connection in which some bytes wait."""

    app: str
    size: int
    is_cut: bool = False

    def unread_bytes(self) -> int:
        return self.size

    def owner(self) -> str:
        return self.app

    def enforce(self, now: float) -> None:
        """Nothing is late."""

    def let_go(self) -> None:
        """Nothing ends here."""

    def cut(self) -> None:
        self.is_cut = True


@pytest.mark.parametrize(
    ("waiting", "cut"),
    [
        ([("a", 300), ("a", 200), ("b", 500)], []),
        ([("a", 300), ("a", 201), ("b", 400)], [("a", 300)]),
        ([("a", 600), ("b", 10)], [("a", 600)]),
        ([("a", 400), ("b", 390), ("c", 300)], [("a", 400)]),
        ([("", 600), ("", 300)], []),
        ([("", 700), ("a", 400)], [("", 700)]),
        ([("a", 0), ("b", 0)], []),
    ],
)
def test_the_fullest_of_the_app_that_holds_too_much_ends_first(
    waiting: list[tuple[str, int]], cut: list[tuple[str, int]]
) -> None:
    connections = Connections(ConnectionLimits(all_unread_bytes=1000))
    opened = [Waiting(app, size) for app, size in waiting]
    for connection in opened:
        connections.admit(connection)

    connections.sweep(0.0)

    assert [(one.app, one.size) for one in opened if one.is_cut] == cut
