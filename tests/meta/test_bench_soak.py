from __future__ import annotations

import pytest
from bench.soak import Look, Soak, table, verdict

MIB = 2**20


def soak(*mebibytes: int) -> Soak:
    """A run whose looks are 1000 requests apart; its gateway holds as much as is said."""
    return Soak([Look(1000 * (n + 1), {"nats": 10 * MIB, "gateway": size * MIB}) for n, size in enumerate(mebibytes)])


@pytest.mark.parametrize(
    ("mebibytes", "says"),
    [
        ((90, 90, 91, 90, 92), "drifted by 2.0%, at most 3% is allowed: passed."),
        ((90, 92, 94, 96, 98), "3.8% in the second half: it grows on. FAILED."),
        ((90, 97, 98, 98, 98), "0.0% in the second half: it came to a plateau"),
    ],
)
def test_growth_is_told_from_a_plateau(mebibytes: tuple[int, ...], says: str) -> None:
    assert says in verdict(soak(*mebibytes))


def test_one_step_up_is_no_leak_and_a_steady_one_is() -> None:
    assert soak(90, 90, 110, 90, 90, 90).bytes_per_request("gateway") == 0
    assert soak(90, 91, 92, 93, 94, 95).bytes_per_request() == pytest.approx(MIB / 1000)  # pyright: ignore[reportUnknownMemberType]


def test_table_shows_each_part_and_all_together() -> None:
    assert [line.split() for line in table(soak(90, 95)).splitlines()] == [
        ["MiB", "after", "1000", "2000", "drift", "B/request"],
        ["nats", "10.0", "10.0", "0.0%", "0.0"],
        ["gateway", "90.0", "95.0", "5.6%", "5242.9"],
        ["total", "100.0", "105.0", "5.0%", "5242.9"],
    ]
