from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from bench import bodies, gate, load, results, subjects, table
from bench.client import Target
from bench.processes import difference, memory_bytes, tree
from tree import ROOT


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert results.percentile([5], 0.99) == 5
    assert results.percentile(list(range(1, 101)), 0.5) == 50
    assert results.percentile(list(range(1, 101)), 0.99) == 99
    assert results.percentile(list(range(1, 1001)), 0.999) == 999


async def test_a_stall_counts_for_every_request_that_it_held_up() -> None:
    stall = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                await stall.wait()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    target = Target(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", {}, "m")
    asyncio.get_running_loop().call_later(0.5, stall.set)
    done = await load.open_loop(target, lambda: target.request("/models", None), rate=100, seconds=0.4)
    server.close()
    await asyncio.sleep(0.05)  # for its connections to see their end
    assert (done.answered, done.failed) == (40, 0)
    # the first waited for half a second, the last for a tenth: none of them starts its clock late
    assert min(done.latencies) > 0.05e9
    assert max(done.latencies) > 0.45e9
    assert len(set(done.latencies)) > 30


async def test_a_load_tells_what_failed() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b'HTTP/1.1 429 Too Many\r\ncontent-length: 9\r\n\r\n{"no": 1}')
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    target = Target(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", {}, "m")
    done = await load.closed(target, lambda: target.request("/models", None), connections=1, seconds=0.1)
    server.close()
    await asyncio.sleep(0.05)  # for its connections to see their end
    assert done.answered == 0
    assert done.failed > 0
    assert done.failure == """Broken: status 429: b'{"no": 1}'"""


async def test_the_mock_upstream_streams_stamped_chunks_and_notes_who_hung_up() -> None:
    with subjects.upstream() as origin:
        target = subjects.direct(origin).target
        done = await load.streams(target, bodies.stream(target, chunks=5, pause_ms=1), count=4, ramp_seconds=0)
        assert (done.answered, done.failed, len(done.chunk_delays)) == (4, 0, 4 * 6)
        assert all(0 < delay < 1e9 for delay in done.chunk_delays)
        left, gone = await load.hang_ups(target, bodies.stream(target, chunks=600, pause_ms=100, name="x"), count=2)
        assert (set(left), gone.failed) == ({0, 1}, 0)


def test_one_run_from_the_command_line() -> None:
    options = ["--subjects", "direct", "--cases", "plain_c1,embeddings_c16", "--rounds", "1", "--seconds", "0.1"]
    command = [sys.executable, "-m", "bench", *options, "--no-file"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.split()[:4] for line in done.stdout.splitlines()[:2]] == [
        ["plain_c1", "direct", "failed", "0,"],
        ["embeddings_c16", "direct", "failed", "0,"],
    ]


def test_the_page_shows_the_newest_run() -> None:
    page = table.PAGE.read_text()
    assert page[page.index(table.MARK) + len(table.MARK) :] == table.rendered(results.newest())


def test_a_process_tree_is_counted_with_its_children() -> None:
    program = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "1\n"
        both = tree([parent.pid])
        assert len(both) == 2
        assert memory_bytes(both)["resident"] > memory_bytes([parent.pid])["resident"] > 0
        parent.kill()
    assert difference(Counter({1: 100}), Counter({1: 150, 2: 20})) == {1: 0.5, 2: 0.2}


def test_a_loss_is_allowed_against_the_commit_that_it_names_only(tmp_path: Path) -> None:
    path = tmp_path / "allowed.json"
    path.write_text(json.dumps([{"base": "abc123", "case": "plain_c64", "ratio": 1.25, "issue": 17}]))
    allowed = gate.allowed_losses(path)
    assert gate.limit_of("plain_c64", "abc123" + "0" * 34, allowed) == 1.25
    assert gate.limit_of("plain_c64", "def456" + "0" * 34, allowed) == gate.MOST
    assert gate.limit_of("chunks", "abc123" + "0" * 34, allowed) == gate.MOST
    path.write_text('[{"case": "plain_c64"}]')
    with pytest.raises(ValueError, match="needs base, case, ratio and issue"):
        gate.allowed_losses(path)
    assert gate.allowed_losses(ROOT / "bench" / "allowed.json") is not None
