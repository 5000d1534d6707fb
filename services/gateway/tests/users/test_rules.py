"""How often a door may be tried, and by whom."""

from __future__ import annotations

import pytest

from llm_manager.gateway.users.rules import Room, Throttle, peer_of


class Clock:
    """Stands still until it is moved."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def spent(throttle: Throttle, peer: str, times: int) -> int:
    """Return how many of so many tries at once are checked."""
    return sum(throttle.reserve(peer) == 0 for _ in range(times))


def test_tries_at_once_are_no_more_than_one_after_the_other() -> None:
    assert spent(Throttle(Clock()), "a", 200) == 5


def test_the_wait_doubles_after_five_failures_up_to_half_a_minute() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    spent(throttle, "a", 5)
    waits: list[float] = []
    for _ in range(8):
        waits.append(throttle.wait_seconds("a"))
        clock.now += waits[-1]
        assert spent(throttle, "a", 10) == 1
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]
    clock.now += 901
    assert throttle.wait_seconds("a") == 0


def test_a_try_that_was_not_checked_is_given_back() -> None:
    throttle = Throttle(Clock())
    spent(throttle, "a", 5)
    throttle.give_back("a")
    assert spent(throttle, "a", 5) == 1
    for _ in range(7):
        throttle.give_back("a")
    assert spent(throttle, "a", 9) == 5


def test_a_peer_without_failures_has_a_try_however_many_others_failed() -> None:
    throttle = Throttle(Clock())
    for number in range(20_000):
        spent(throttle, str(number), 5)
    assert spent(throttle, "owner", 5) == 1


def test_where_the_admin_was_let_in_five_may_fail_also_under_attack() -> None:
    throttle = Throttle(Clock())
    throttle.let_in("owner")
    for number in range(200):
        spent(throttle, str(number), 5)
    assert spent(throttle, "owner", 9) == 5


def test_who_is_let_in_does_not_give_tries_to_those_behind_the_same_address() -> None:
    throttle = Throttle(Clock())
    spent(throttle, "proxy", 5)
    throttle.let_in("proxy")
    assert spent(throttle, "proxy", 5) == 0


@pytest.mark.parametrize(("is_known", "burst", "per_second"), [(False, 500, 5), (True, 1000, 20)])
def test_a_locked_peer_may_compare_within_an_allowance(is_known: bool, burst: int, per_second: int) -> None:
    clock = Clock()
    throttle = Throttle(clock)
    if is_known:
        throttle.let_in("a")
    spent(throttle, "a", 5)
    clock.now += 0.25
    compared = sum(throttle.may_compare("a") for _ in range(5_000))
    clock.now += 0.5
    assert (compared, sum(throttle.may_compare("a") for _ in range(5_000))) == (burst, per_second // 2)


def test_strangers_do_not_use_up_the_comparisons_of_known_peers() -> None:
    throttle = Throttle(Clock())
    throttle.let_in("owner")
    spent(throttle, "owner", 5)
    spent(throttle, "stranger", 5)
    assert sum(throttle.may_compare("stranger") for _ in range(5_000)) == 500
    assert throttle.may_compare("owner")


def test_the_worse_the_record_the_sooner_the_queue_is_full() -> None:
    throttle = Throttle(Clock())
    throttle.let_in("owner")
    throttle.reserve("owner")
    throttle.reserve("bad")
    assert [throttle.room(peer) for peer in ("bad", "new", "owner")] == [Room.FAILED, Room.NEW, Room.KNOWN]
    assert Room.FAILED < Room.NEW < Room.KNOWN


def test_peers_are_forgotten_when_there_are_too_many() -> None:
    throttle = Throttle(Clock())
    spent(throttle, "first", 6)
    throttle.let_in("first")
    for number in range(10_000):
        throttle.reserve(str(number))
    for number in range(1_000):
        throttle.let_in(str(number))
    assert (throttle.wait_seconds("first"), throttle.room("first")) == (0, Room.NEW)


@pytest.mark.parametrize(
    ("address", "peer"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("x" * 100, "x" * 64),
    ],
)
def test_a_subscriber_is_one_peer(address: str, peer: str) -> None:
    assert peer_of(address) == peer
