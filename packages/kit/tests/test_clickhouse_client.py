"""Which pages of the engine may go."""

from __future__ import annotations

from llm_manager.kit.clickhouse_client import clean_spans

_MAPS = """\
1000-2000 r--p 00000000 00:1f 7 /venv/chdb/_chdb.abi3.so
Rss:                   4 kB
Anonymous:             0 kB
2000-3000 r-xp 00001000 00:1f 7 /venv/chdb/_chdb.abi3.so
Anonymous:             0 kB
3000-4000 r--p 00002000 00:1f 7 /venv/chdb/_chdb.abi3.so
Anonymous:             4 kB
4000-5000 rw-p 00003000 00:1f 7 /venv/chdb/_chdb.abi3.so
Anonymous:             0 kB
5000-6000 r-xp 00000000 00:1f 8 /venv/other.so
Anonymous:             0 kB
6000-7000 rw-p 00000000 00:00 0
Anonymous:             0 kB
"""


def test_only_unchanged_pages_of_the_engine_that_nobody_can_write_may_go() -> None:
    assert list(clean_spans(_MAPS)) == [(0x1000, 0x2000), (0x2000, 0x3000)]
