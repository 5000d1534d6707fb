"""Memory does not grow with the requests that were answered: a short form of `make soak`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from bench import soak, subjects

# Of each of our processes. A leak of 1 kB with each request is above it; a cache that fills once is not, and neither
# is a body of 10 MB that is not freed yet at one look: the median of the stretches counts.
MOST_BYTES_PER_REQUEST = 700
OURS = ("supervisor", "gateway", "providers")
# NATS and the store of the ledger take memory in large steps while they are young, so that only `make soak` can hold
# them to 3 %; more than twice what was seen (54 and 14 MiB, 2026-11-29)
MOST_BYTES_WHILE_YOUNG = {"nats": 150 * 2**20, "usage": 40 * 2**20}
WARM, REQUESTS, LOOKS = 2500, 5000, 5


@pytest.mark.requirement("L-21")
def test_memory_does_not_grow_with_the_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    # what counts lines keeps them in memory
    for name in ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    with subjects.upstream() as origin, subjects.product(origin, tmp_path / "product") as product:
        found = soak.run(product, requests=REQUESTS, warm=WARM, looks=LOOKS)
    assert not found.failure
    record_property("figures", soak.table(found))

    grown = {part: found.bytes_per_request(part) for part in OURS}
    assert {part: size for part, size in grown.items() if size > MOST_BYTES_PER_REQUEST} == {}
    steps = {part: found.looks[-1].bytes_of[part] - found.looks[0].bytes_of[part] for part in MOST_BYTES_WHILE_YOUNG}
    assert {part: size for part, size in steps.items() if size > MOST_BYTES_WHILE_YOUNG[part]} == {}
    assert {*OURS, *MOST_BYTES_WHILE_YOUNG} == set(found.looks[0].bytes_of), "a process is not looked at"
