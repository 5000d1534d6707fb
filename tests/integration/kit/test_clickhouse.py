import asyncio
import datetime
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from llm_manager.core.errors import InternalError, StoreUnavailable
from llm_manager.kit.clickhouse import ClickHouse
from llm_manager.testing.clickhouse import clickhouse, clickhouse_dsn

__all__ = ["clickhouse", "clickhouse_dsn"]

CREATE = """
CREATE TABLE usage.events (id String, at DateTime64(3, 'UTC'), cost Decimal(38, 12), tokens UInt64)
ENGINE = ReplacingMergeTree ORDER BY id
"""
ROW_BY_ROW = "SETTINGS max_block_size = 1, max_threads = 1"
COLUMNS = ("id", "at", "cost", "tokens")
AT = datetime.datetime(2026, 11, 24, 3, 4, 5, 678_000, tzinfo=datetime.UTC)


@pytest.fixture
async def events(clickhouse: ClickHouse) -> ClickHouse:
    await clickhouse.command("CREATE DATABASE usage")
    await clickhouse.command(CREATE)
    return clickhouse


async def test_what_was_inserted_is_read_back_exactly(events: ClickHouse) -> None:
    rows = [("a", AT, Decimal("0.000000000001"), 2**63), ("b", AT, Decimal("12345678901234567890.123456789012"), 0)]

    await events.insert("usage.events", rows, COLUMNS)

    assert await events.query("SELECT * FROM usage.events ORDER BY id") == rows


async def test_sums_of_money_are_exact(events: ClickHouse) -> None:
    rows = [(str(number), AT, Decimal("0.1"), 1) for number in range(10)]

    await events.insert("usage.events", rows, COLUMNS)

    assert await events.query("SELECT sum(cost), sum(tokens) FROM usage.events") == [(Decimal("1.000000000000"), 10)]


@pytest.mark.parametrize("text", ["'; DROP TABLE usage.events; --", "{id:String}", "\\'", "%(id)s", "ä\n\0"])
async def test_parameters_are_bound_and_never_part_of_the_statement(events: ClickHouse, text: str) -> None:
    await events.insert("usage.events", [(text, AT, Decimal(1), 1)], COLUMNS)

    rows = await events.query("SELECT id FROM usage.events WHERE id = {id:String}", {"id": text})

    assert rows == [(text,)]


async def test_parameters_of_every_needed_type_are_bound(events: ClickHouse) -> None:
    parameters = {"n": 5, "at": AT, "names": ["a", "b'"], "cost": Decimal("0.000000000001")}

    rows = await events.query(
        "SELECT {n:UInt64}, {at:DateTime64(3, 'UTC')}, {names:Array(String)}, {cost:Decimal(38, 12)}", parameters
    )

    assert rows == [(5, AT, ["a", "b'"], Decimal("0.000000000001"))]


async def test_inserting_nothing_asks_nobody(events: ClickHouse) -> None:
    await events.insert("nowhere", [], COLUMNS)

    assert await events.query("SELECT count() FROM usage.events") == [(0,)]


async def test_a_wrong_statement_is_our_fault_and_says_which_error_it_was(clickhouse: ClickHouse) -> None:
    with pytest.raises(InternalError, match=r"UNKNOWN_TABLE, code 60"):
        await clickhouse.query("SELECT * FROM default.nothing")
    with pytest.raises(InternalError, match="SYNTAX_ERROR"):
        await clickhouse.command("CREATE nonsense")


async def test_a_slow_query_is_a_typed_error_and_the_client_goes_on(clickhouse: ClickHouse) -> None:
    with pytest.raises(StoreUnavailable, match=r"within 0\.2 s"):
        await clickhouse.query(f"SELECT sleepEachRow(0.05) FROM numbers(100) {ROW_BY_ROW}", deadline_seconds=0.2)

    assert await clickhouse.query("SELECT 1") == [(1,)]


async def test_rows_of_a_query_that_failed_half_way_are_given_to_nobody(clickhouse: ClickHouse) -> None:
    for _ in range(3):
        with pytest.raises(InternalError, match="FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"):
            await clickhouse.query(f"SELECT throwIf(number = 50), number FROM numbers(100) {ROW_BY_ROW}")

        assert await clickhouse.query("SELECT 1") == [(1,)]


async def test_a_failure_of_one_client_leaves_another_of_the_same_folder_alone(
    clickhouse: ClickHouse, clickhouse_dsn: str
) -> None:
    async with ClickHouse(clickhouse_dsn) as other:
        with pytest.raises(InternalError):
            await clickhouse.query(f"SELECT throwIf(number = 50), number FROM numbers(100) {ROW_BY_ROW}")

        assert await other.query("SELECT 1") == [(1,)]
        assert await clickhouse.query("SELECT 1") == [(1,)]


async def test_calls_run_in_the_order_they_were_made(events: ClickHouse) -> None:
    async with asyncio.TaskGroup() as tasks:
        for number in range(5):
            tasks.create_task(events.insert("usage.events", [("same", AT, Decimal(number), number)], COLUMNS))

    assert await events.query("SELECT tokens FROM usage.events FINAL") == [(4,)]


async def test_a_full_queue_is_refused_at_once(clickhouse_dsn: str) -> None:
    async with ClickHouse(clickhouse_dsn, max_queue=1) as client:
        slow = [asyncio.create_task(client.query("SELECT sleep(0.1)")) for _ in range(5)]
        results = await asyncio.gather(*slow, return_exceptions=True)

    assert any(isinstance(result, StoreUnavailable) for result in results)
    assert any(result == [(0,)] for result in results)


async def test_two_clients_of_one_folder_see_the_same_rows(events: ClickHouse, clickhouse_dsn: str) -> None:
    async with ClickHouse(clickhouse_dsn) as reader:
        await events.insert("usage.events", [("a", AT, Decimal(1), 1)], COLUMNS)

        assert await reader.query("SELECT id FROM usage.events") == [("a",)]


async def test_rows_survive_closing_and_opening_again(clickhouse_dsn: str) -> None:
    async with ClickHouse(clickhouse_dsn) as client:
        await client.command("CREATE DATABASE IF NOT EXISTS usage")
        await client.command(CREATE.replace("TABLE", "TABLE IF NOT EXISTS"))
        await client.command("TRUNCATE TABLE usage.events")
        await client.insert("usage.events", [("a", AT, Decimal(1), 1)], COLUMNS)
    async with ClickHouse(clickhouse_dsn) as client:
        assert await client.query("SELECT id FROM usage.events") == [("a",)]


async def test_a_closed_client_says_so(clickhouse_dsn: str) -> None:
    client = ClickHouse(clickhouse_dsn)
    async with client:
        pass

    with pytest.raises(StoreUnavailable, match="stopped"):
        await client.query("SELECT 1")


async def test_a_server_that_is_not_there_is_a_typed_error_without_its_password() -> None:
    with pytest.raises(StoreUnavailable) as caught:
        async with ClickHouse("clickhouse://user:hunter22@127.0.0.1:1/default"):
            pytest.fail("nothing listens there")

    assert "hunter22" not in str(caught.value)


async def test_the_embedded_engine_is_bounded_and_the_address_can_say_otherwise(tmp_path: Path) -> None:
    names = "name IN ('max_server_memory_usage', 'mark_cache_size')"
    async with ClickHouse(f"chdb://{tmp_path}/data?mark_cache_size=1048576") as client:
        rows = await client.query(f"SELECT name, value FROM system.server_settings WHERE {names}")

    assert dict(rows) == {"max_server_memory_usage": str(1024 * 1024 * 1024), "mark_cache_size": "1048576"}


def test_a_process_that_inserts_loads_no_pandas(tmp_path: Path) -> None:
    code = """
import asyncio, sys
from llm_manager.kit.clickhouse import ClickHouse
async def main():
    async with ClickHouse(f"chdb://{sys.argv[1]}") as client:
        await client.command("CREATE TABLE t (a String) ENGINE = Memory")
        await client.insert("t", [("x",)], ["a"])
    print("pandas" in sys.modules)
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=30, check=False
    )

    assert (done.stdout, done.returncode) == ("False\n", 0), done.stderr


def test_the_pages_of_a_start_are_given_back_and_the_engine_goes_on(tmp_path: Path) -> None:
    code = """
import asyncio, sys
from llm_manager.kit.clickhouse import ClickHouse
from llm_manager.kit.clickhouse_client import give_back_startup_pages

def mapped():
    own = total = 0
    for line in open("/proc/self/smaps"):
        if "-" in line.split()[0]:
            own = "_chdb." in line
        elif own and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total

async def main():
    async with ClickHouse(f"chdb://{sys.argv[1]}") as client:
        await client.command("CREATE TABLE t (a String) ENGINE = MergeTree ORDER BY a")
        await client.insert("t", [("x",)], ["a"])
        before = mapped()
        give_back_startup_pages()
        after = mapped()
        await client.insert("t", [("y",)], ["a"])
        print(await client.query("SELECT a FROM t ORDER BY a"), after < before / 2)
        try:
            await client.query("SELECT nonsense FROM t")
        except Exception as error:
            print(type(error).__name__)
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("[('x',), ('y',)]")
    assert first.endswith("True")
    assert second == "InternalError"
