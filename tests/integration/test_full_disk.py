"""A disk that is full for a while: new work is refused, nothing spent is lost, and space is all that it needs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import httpx2
import pytest
from counting_provider import MODEL_PLAIN, CountingProvider
from ledger import events

from llm_manager.testing.stack import Stack, running_stack, wait_until

SIZE = "2g"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, so that filling it hurts nobody else."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)], check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a small disk needs Linux and root")
    try:
        yield folder
    finally:
        # whatever still writes there must not keep it
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Fill a disk to its last page."""
    filler = disk / "filler"
    seen = os.statvfs(disk)
    with filler.open("wb", buffering=0) as out:
        os.posix_fallocate(out.fileno(), 0, max(seen.f_bavail * seen.f_frsize - 4 * 1024**2, 1))
        out.seek(0, os.SEEK_END)
        with suppress(OSError):
            while out.write(b"x" * 4096):
                pass
    assert os.statvfs(disk).f_bavail == 0
    return filler


def ask(stack: Stack, name: str) -> httpx2.Response:
    body = {"model": MODEL_PLAIN, "user": name, "messages": [{"role": "user", "content": "words"}]}
    headers = {"authorization": f"Bearer {stack.api_key}", "x-request-id": name}
    return httpx2.post(f"{stack.base_url}/chat/completions", json=body, headers=headers, timeout=60)


def test_a_full_disk_costs_no_spend_and_heals_by_itself(small_disk: Path, provider: CountingProvider) -> None:
    environment = {"OPENAI_API_KEY": "sk-counting-provider", "OPENAI_BASE_URL": provider.base_url}
    with running_stack(small_disk / "data", environment=environment) as stack:
        assert ask(stack, "before").status_code == 200
        filler = fill(small_disk)
        numbers = count()
        answers: list[httpx2.Response] = []

        def answers_with(status: int) -> bool:
            answers.append(ask(stack, f"asked-{next(numbers)}"))
            return answers[-1].status_code == status

        wait_until(lambda: answers_with(503), timeout_seconds=120, what="a refusal of new work")
        assert answers[-1].json()["error"]["code"] == "store_unavailable"
        asked = len(provider.books)
        assert ask(stack, "refused").status_code == 503
        assert len(provider.books) == asked, "a provider was asked though its spend cannot be recorded"
        status = stack.status()
        assert not status["is_ready"]
        assert "usage events wait" in status["services"]["providers"]["why_not_ready"]
        again = stack.run("up", "--detach")
        assert "providers is not ready" in again.stdout

        filler.unlink()
        wait_until(lambda: answers_with(200), timeout_seconds=120, what="an answer again")
        wait_until(lambda: bool(stack.status()["is_ready"]), timeout_seconds=120, what="readiness")
        wait_until(
            lambda: set(provider.finished) <= {row["request_id"] for row in events(stack)},
            timeout_seconds=120,
            what="every answered request in the ledger",
        )
        finished = [row["request_id"] for row in events(stack) if row["request_id"] in provider.finished]
        assert sorted(finished) == sorted(provider.finished)
