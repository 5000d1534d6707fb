"""Opens a ClickHouse client, and keeps the embedded engine small.

Measured 2026-11 with chDB 26.9 on two cores: a process that opened a folder and made 20 inserts of 100 rows. The first
two rows are the bare library, one run each; the last is two `ClickHouse` clients, five runs while others used the
machine, so its times are not comparable; memory is.

| | first insert | anonymous memory | resident, code pages included |
|---|---|---|---|
| as the libraries come | 962 ms | 117 MB | 338 MB |
| without pandas | 7 ms | 83 MB | 291 MB |
| and code pages given back | 5 to 28 ms | 85 to 88 MB | 223 to 227 MB |

The service usage as `make up` starts it, proportional: 252 MB so; 212 without pyarrow and numpy, which chDB imports
where it finds them; 161 when all unchanged pages are given back, and only once the service is ready.

Later inserts: interleaved in one process under load, median 4.2 to 5.4 ms through `ClickHouse`, 3.8 to 5.0 ms through
the bare library. They go as Native through a file, the library's way for chDB; Arrow and SQL VALUES were not tried.
Opening again after a failure: 15 to 37 ms while another client holds the engine, 40 to 250 ms when none does.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.parse import parse_qsl, urlsplit

import clickhouse_connect
from clickhouse_connect import common
from clickhouse_connect.driver import options

_EMBEDDED = "chdb"
_MIB = 1024 * 1024
# Settings of the embedded engine, each of which the query part of a DSN may override. Its own defaults are for a
# machine that serves nothing else: 90 % of the memory, caches of 5 GB.
_EMBEDDED_OPTIONS = {
    "max_server_memory_usage": str(1024 * _MIB),
    "mark_cache_size": str(64 * _MIB),
    "index_mark_cache_size": str(16 * _MIB),
    "primary_index_cache_size": str(64 * _MIB),
    "query_condition_cache_size": str(8 * _MIB),
    "compiled_expression_cache_size": str(16 * _MIB),
    "log_queries": "0",
    "implicit_select": "0",  # as on a server: "nonsense" is a syntax error, not SELECT nonsense
}
_CONNECT_SECONDS, _ANSWER_SECONDS = 5, 60


class Result(Protocol):
    """What a query returns."""

    @property
    def result_rows(self) -> Sequence[Sequence[Any]]: ...


class EngineClient(Protocol):
    """The part of clickhouse-connect's client that we use, typed: its own signatures are only half so."""

    def query(self, query: str, parameters: dict[str, Any], settings: dict[str, Any]) -> Result: ...

    def command(self, cmd: str, parameters: dict[str, Any], *, settings: dict[str, Any]) -> object: ...

    def insert(
        self, table: str, data: Sequence[Sequence[Any]], column_names: list[str], *, settings: dict[str, Any]
    ) -> object: ...

    def close(self) -> None: ...


def open_client(dsn: str) -> EngineClient:
    """Open `chdb:///folder`, which is made when absent, or `clickhouse[s]://user:password@host:port/database`.

    Times come back aware. A session id would make a server run our calls one at a time, so there is none.
    """
    # clickhouse-connect imports pandas at the first insert, only to ask whether the rows are a DataFrame: a second
    # and 34 MB for nothing. With this name bound it takes pandas as not installed, which it supports.
    setattr(options, "pd", None)  # noqa: B010 (the module declares no such name; it makes it on demand)
    common.set_setting("autogenerate_session_id", False)
    connect: Callable[..., EngineClient] = cast("Any", clickhouse_connect).get_client
    parts = urlsplit(dsn)
    if parts.scheme != _EMBEDDED:
        is_tls = parts.scheme in ("clickhouses", "https")
        return connect(
            dsn=dsn,
            secure=is_tls,
            tz_mode="aware",
            connect_timeout=_CONNECT_SECONDS,
            send_receive_timeout=_ANSWER_SECONDS,
        )
    Path(parts.path).mkdir(parents=True, exist_ok=True)
    return connect(
        dsn=f"{_EMBEDDED}://{parts.path}",
        tz_mode="aware",
        chdb_options={**_EMBEDDED_OPTIONS, **dict(parse_qsl(parts.query))},
    )


def give_back_startup_pages() -> None:
    """Drop the pages of the engine's file that only its start touched. Call it once when a process is ready.

    They are clean pages of a file, so what is needed again comes back from the page cache, which keeps them:
    the process gets smaller, the machine's free memory hardly changes. Inserts took 3.7 ms before and after.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    with contextlib.suppress(OSError, ValueError):
        for start, end in clean_spans(Path("/proc/self/smaps").read_text(encoding="utf-8")):
            libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), mmap.MADV_DONTNEED)


def clean_spans(maps: str) -> Iterator[tuple[int, int]]:
    """Find where the engine's file is mapped to be read only, and no page is other than in the file.

    Pages that the loader has changed (relocations) are private ones: to drop them would lose the change.
    """
    span = None
    for line in maps.splitlines():
        head, *rest = line.split(maxsplit=2)
        if not head.endswith(":"):
            is_clean = "_chdb." in line and "w" not in rest[0]
            span = tuple(int(address, 16) for address in head.split("-")) if is_clean else None
        elif head == "Anonymous:" and span is not None and rest[0] == "0":
            yield span[0], span[1]
