"""A real PostgreSQL for tests: the server that LLM_MANAGER_TEST_POSTGRESQL_URL names, else a new one.

Its programs are those that scripts/real_parts.py pins, so that every machine tests the same; where they cannot be had,
those on the PATH. They are started on a free port in a temporary folder; they refuse to run as root, so root starts
them as `nobody`. Use it by `pytest_plugins = ["llm_manager.testing.postgresql"]`.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any, cast

import asyncpg
import pytest

_URL = "LLM_MANAGER_TEST_POSTGRESQL_URL"
_PARTS = Path(__file__).resolve().parents[5] / "scripts" / "real_parts.py"
_START_SECONDS = 20
# a download of 64 MB, once for a machine
_INSTALL_SECONDS = 300
_HELP = f"set {_URL}=postgresql://user:password@host/db, or install PostgreSQL (Debian: apt-get install postgresql)"


@pytest.fixture(scope="session")
def postgresql_server() -> Generator[str]:
    """Address of a server, as `postgresql://user[:password]@host:port/database`."""
    given = os.environ.get(_URL)
    if given:
        yield given
    else:
        yield from _started(_programs())


@pytest.fixture
async def postgresql_url(postgresql_server: str) -> AsyncGenerator[str]:
    """Address of an empty database for SQLAlchemy (`postgresql+asyncpg://…`); dropped after the test."""
    name = f"test_{uuid.uuid4().hex}"
    await _execute(postgresql_server, f'CREATE DATABASE "{name}"')
    yield postgresql_server.rpartition("/")[0].replace("postgresql://", "postgresql+asyncpg://") + f"/{name}"
    await _execute(postgresql_server, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of an empty database for SQLAlchemy: every test that takes it runs on SQLite and on PostgreSQL."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgresql_url")
    return f"sqlite+aiosqlite:///{tmp_path / 'control.db'}"


async def _execute(url: str, statement: str) -> None:
    async with asyncio.timeout(_START_SECONDS):
        connection: Any = await cast("Any", asyncpg).connect(url)  # asyncpg has no complete types
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


def _programs() -> Path:
    """Return the folder of `initdb` and `pg_ctl`; skip the test where there is none."""
    command = [sys.executable, "-I", str(_PARTS), "postgresql"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False)
    if done.returncode == 0:
        return Path(done.stdout.splitlines()[-1])
    found = shutil.which("pg_ctl")
    if found is None:
        pytest.skip(f"no PostgreSQL: {' '.join(done.stderr.split())}; {_HELP}")
    return Path(found).resolve().parent


def _started(programs: Path) -> Generator[str]:
    # root may not run the server, and the other user may not enter pytest's own temporary folders
    owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="llm-manager-postgresql-") as folder:
        data = Path(folder) / "data"
        if owner is not None:
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]

        def run(*command: str) -> None:
            done = subprocess.run(
                command,
                cwd=folder,
                user=None if owner is None else owner.pw_uid,
                group=None if owner is None else owner.pw_gid,
                extra_groups=None if owner is None else [],
                capture_output=True,
                text=True,
                timeout=_START_SECONDS,
                check=False,
            )
            assert done.returncode == 0, f"{command[0]} failed: {done.stderr}{done.stdout}"

        run(str(programs / "initdb"), "-D", str(data), "-U", "test", "-A", "trust", "--no-sync")
        options = f"-p {port} -h 127.0.0.1 -k {folder} -c fsync=off -c shared_buffers=16MB -c max_connections=40"
        control = [str(programs / "pg_ctl"), "-D", str(data), "-s", "-w"]
        run(*control, "-l", f"{folder}/log", "-o", options, "start")
        try:
            yield f"postgresql://test@127.0.0.1:{port}/postgres"
        finally:
            run(*control, "-m", "immediate", "stop")
