"""Whether what the data directory keeps can be read: each with what is lost when not, and how to go on."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path

from llm_manager.cli.data_dir import DataDir
from llm_manager.cli.stack import damage, state

from .finding import Finding

# Large messages alone may take 1 GiB for ten minutes (kit/bus/streams.py); a disk that is smaller would be full soon.
LEAST_FREE_BYTES = 1024**3 * 4 // 3
_DISK, _DATABASE, _BUS, _LEDGER = "Disk", "Control-plane database", "Bus store", "Ledger"
_LOOK_SECONDS = 2.0
_LEDGER_SECONDS = 120.0
_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_OPEN_LEDGER = """
import sys
from chdb import session
ledger = session.Session(sys.argv[1])
tables = ledger.query("SELECT database, name FROM system.tables WHERE engine LIKE '%MergeTree%' AND database NOT IN "
    "('system', 'INFORMATION_SCHEMA', 'information_schema')", "TSV").bytes().decode().split("\\n")
for table in filter(None, tables):
    database, name = table.split("\\t")
    ledger.query(f"CHECK TABLE `{database}`.`{name}` SETTINGS check_query_single_value_result = 0", "TSV")
    ledger.query(f"SELECT * FROM `{database}`.`{name}` FORMAT Null")
"""


def disk(data: DataDir, _environ: Mapping[str, str]) -> Finding:
    """Look for room for what the bus reserves."""
    folder = next(p for p in (data.path, *data.path.parents) if p.exists())
    free = shutil.disk_usage(folder).free
    detail = f"{free / 1e9:.2f} GB free at {folder}"
    if free < LEAST_FREE_BYTES:
        least = f"{LEAST_FREE_BYTES / 1e9:.2f} GB"
        detail += f"; bus and ledger need {least} to begin with"
        return Finding(_DISK, "failed", detail, f"free at least {least}, or move it with LLM_MANAGER_DATA_DIR")
    return Finding(_DISK, "ok", detail)


def database(data: DataDir, environ: Mapping[str, str]) -> Finding:
    """Look whether SQLite can read the control plane; a large one is read for two seconds."""
    file = data.path / "control-plane.db"
    if environ.get("LLM_MANAGER_GATEWAY_DATABASE_URL") or not file.exists():
        return Finding(_DATABASE, "ok", "somewhere else" if file.exists() else "made by the first 'up'")
    until = time.monotonic() + _LOOK_SECONDS
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True, timeout=1.0)) as opened:
            opened.set_progress_handler(lambda: time.monotonic() > until, 10_000)
            said = str(opened.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.DatabaseError as error:
        # interrupted, locked by a drain that goes on: nothing that speaks against the file
        said = str(error) if error.sqlite_errorcode & 0xFF in _CORRUPT else "ok"
    if said == "ok":
        return Finding(_DATABASE, "ok", str(file))
    return _damaged(_DATABASE, damage.database(data), " ".join(said.split()))


def bus(data: DataDir, _environ: Mapping[str, str]) -> Finding:
    """Look whether nats-server will find its streams: it passes over those whose description it cannot read."""
    for streams in data.nats.glob("jetstream/*/streams"):
        for folder in streams.iterdir():
            why = _no_stream(folder)
            if why:
                return _damaged(_BUS, damage.bus(data), f"stream {folder.name}: {why}")
    return Finding(_BUS, "ok", str(data.nats))


def ledger(data: DataDir, environ: Mapping[str, str]) -> Finding:
    """Look whether ClickHouse can open the ledger and read every row; takes seconds."""
    folder = data.path / "clickhouse"
    if environ.get("LLM_MANAGER_USAGE_CLICKHOUSE_DSN") or not folder.exists():
        return Finding(_LEDGER, "ok", "somewhere else" if folder.exists() else "made by the first 'up'")
    if state.is_held(data):
        return Finding(_LEDGER, "ok", f"{folder}, in use")
    # in a process of its own: a broken ledger may end the process
    try:
        command = [sys.executable, "-c", _OPEN_LEDGER, str(folder)]
        said = subprocess.run(command, capture_output=True, text=True, timeout=_LEDGER_SECONDS, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        return Finding(_LEDGER, "warning", f"{folder} was not read whole within {_LEDGER_SECONDS:g} s")
    if said.returncode == 0:
        return Finding(_LEDGER, "ok", str(folder))
    why = next((line for line in reversed(said.stderr.splitlines()) if line.strip()), f"ended with {said.returncode}")
    return _damaged(_LEDGER, damage.ledger(data), why.strip()[:200])


def _damaged(name: str, store: damage.Store, why: str) -> Finding:
    return Finding(name, "failed", f"{store.path} is damaged ({why})", store.remedy)


def _no_stream(folder: Path) -> str:
    meta = folder / "meta.inf"
    with suppress(OSError):
        if not folder.is_dir() or not any(folder.iterdir()):
            return ""
    try:
        described = json.loads(meta.read_bytes())
    except FileNotFoundError:
        return "meta.inf is missing"
    except (OSError, ValueError):
        return "meta.inf cannot be read"
    if not isinstance(described, dict) or "name" not in described:
        return "meta.inf describes no stream"
    checksum = folder / "meta.sum"
    return "" if checksum.exists() and checksum.stat().st_size else "meta.sum is missing"
