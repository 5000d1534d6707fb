"""A real PostgreSQL for tests: a server named by LLM_MANAGER_TEST_POSTGRESQL_URL, else one of this machine's.

The programs of the system are started on a free port in a temporary folder; they refuse to run as root, so root
starts them as user `postgres`. Use it by `pytest_plugins = ["llm_manager.testing.postgresql"]`.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any, cast

import asyncpg
import pytest

_URL = "LLM_MANAGER_TEST_POSTGRESQL_URL"
_START_SECONDS = 20
_HELP = (
    f"no PostgreSQL: install it (Debian: apt-get install postgresql) or set {_URL}=postgresql://user:password@host/db"
)


@pytest.fixture(scope="session")
def postgresql_server() -> Generator[str]:
    """Address of a server, as `postgresql://user[:password]@host:port/database`."""
    given = os.environ.get(_URL)
    programs = _programs()
    if given:
        yield given
    elif programs is None:
        pytest.skip(_HELP)
    else:
        yield from _started(programs)


@pytest.fixture
async def postgresql_url(postgresql_server: str) -> AsyncGenerator[str]:
    """Address of an empty database for SQLAlchemy (`postgresql+asyncpg://…`); dropped after the test."""
    name = f"test_{uuid.uuid4().hex}"
    await _execute(postgresql_server, f'CREATE DATABASE "{name}"')
    yield postgresql_server.rpartition("/")[0].replace("postgresql://", "postgresql+asyncpg://") + f"/{name}"
    await _execute(postgresql_server, f'DROP DATABASE "{name}" WITH (FORCE)')


async def _execute(url: str, statement: str) -> None:
    async with asyncio.timeout(_START_SECONDS):
        connection: Any = await cast("Any", asyncpg).connect(url)  # asyncpg has no complete types
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


def _programs() -> Path | None:
    """Return the folder of `initdb` and `pg_ctl`: the newest of Debian's, else the one on the PATH."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    found = shutil.which("pg_ctl")
    folders += [Path(found).parent] if found else []
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "pg_ctl").exists()), None)


def _started(programs: Path) -> Generator[str]:
    # root may not run the server, and the other user may not enter pytest's own temporary folders
    owner = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
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
