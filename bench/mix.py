"""A mix of all kinds of requests, each by its number: many names that occur once, so that a cache without a bound
shows, a body of 10 MB now and then, wrong keys, and callers who leave.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable

from bench import bodies
from bench.client import Broken, Connection, Target

_CONNECTIONS = 16
_DEADLINE_SECONDS = 60.0
_LARGE = "x" * 10_000_000
# a request of this number, and each so many behind it
_LARGE_EVERY, _LARGE_AT = 2000, 777


class Mix:
    """Asks one target, by keep-alive connections."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._base_url = f"http://{target.host}:{target.port}{target.path}"

    async def ask(self, numbers: Iterable[int]) -> str:
        """Ask all of them; return what went wrong first, or nothing."""
        failures: list[str] = []
        left = iter(numbers)

        async def work() -> None:
            connection = await self._target.connect()
            for number in left:
                if not connection.is_open:
                    connection = await self._target.connect()
                try:
                    async with asyncio.timeout(_DEADLINE_SECONDS):
                        await self._one(connection, number)
                except (Broken, OSError, TimeoutError) as error:
                    failures.append(f"request {number}: {type(error).__name__}: {error}"[:400])
                    connection.close()
                if failures:
                    break
            connection.close()

        await asyncio.gather(*(work() for _ in range(_CONNECTIONS)))
        return failures[0] if failures else ""

    async def _one(self, connection: Connection, number: int) -> None:
        target, last = self._target, number % 10
        names = {"user": f"user-{number}"}
        if number % _LARGE_EVERY == _LARGE_AT:
            await connection.send(bodies.chat(target, f"{_LARGE} {number}", **names))
        elif number % 100 == 50:
            await _leave(connection, bodies.chat(target, f"bench:50:20:gone{number}", stream=True, **names))
        elif number % 50 == 20:
            await self._with_a_wrong_key(connection, number)
        elif last == 3:
            await connection.send(bodies.chat(target, f"{number} bench:8:0:s{number}", stream=True, **names))
        elif last == 7:
            await connection.send(self._embeddings(number))
        elif last == 9:
            # a model that nobody else asks for; the provider may have it
            await connection.send(bodies.chat(target, f"Word {number}", model=f"{target.model}-{number}", **names))
        else:
            await connection.send(bodies.chat(target, f"Word {number}", **names))

    def _embeddings(self, number: int) -> bytes:
        body = {"model": self._target.model, "input": f"Word {number}", "user": f"user-{number}"}
        return self._target.request("/embeddings", json.dumps(body).encode())

    async def _with_a_wrong_key(self, connection: Connection, number: int) -> None:
        nobody = Target(self._base_url, {"authorization": f"Bearer nobody-{number}"}, self._target.model)
        try:
            await connection.send(bodies.chat(nobody, "Hello"))
        except Broken as error:
            if "status 401" not in str(error):
                raise
        else:
            raise Broken("a wrong key got an answer")


async def _leave(connection: Connection, request: bytes) -> None:
    """Leave a stream behind its first bytes."""
    has_begun = asyncio.Event()
    answer = connection.send(request, has_begun.set)
    beginning = asyncio.ensure_future(has_begun.wait())
    await asyncio.wait([answer, beginning], return_when=asyncio.FIRST_COMPLETED)
    beginning.cancel()
    if answer.done():
        # an error, or all of it at once
        answer.result()
    connection.close()
    await asyncio.wait([answer])
    answer.exception()
