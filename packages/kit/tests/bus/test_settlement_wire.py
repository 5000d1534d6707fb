"""What is written past nats-py is what nats-py itself would write."""

from __future__ import annotations

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from llm_manager.kit.bus.settlement import acknowledge, deliveries

_REPLIES = [f"$JS.ACK.USAGE.ledger.{times}.12.34.1790000000000000000.5" for times in (1, 7)]
_WITH_DOMAIN = "$JS.ACK.hub.ACCOUNT.USAGE.ledger.3.12.34.1790000000000000000.5.random"


class _Recording(Client):
    """A client that is connected to nothing and keeps what it would send."""

    def __init__(self, *, is_connected: bool) -> None:
        super().__init__()
        self._answers_as_connected = is_connected
        self._max_pending_size = 1024  # as `connect` sets it; without it nothing is kept while there is no connection
        self.sent = b""
        self.flushes = 0
        self.writes = 0

    @property
    def is_connected(self) -> bool:
        return self._answers_as_connected

    async def _send_command(self, cmd: bytes, priority: bool = False) -> None:
        self.sent += cmd
        self.writes += 1

    async def _flush_pending(self, force_flush: bool = False) -> None:
        self.flushes += 1


def _batch(client: Client) -> list[Msg]:
    return [Msg(_client=client, reply=reply) for reply in (*_REPLIES, _WITH_DOMAIN)]


async def test_a_batch_is_acknowledged_with_the_bytes_of_nats_py_in_one_write() -> None:
    theirs, ours = _Recording(is_connected=True), _Recording(is_connected=True)

    for message in _batch(theirs):
        await message.ack()
    await acknowledge(ours, _batch(ours))

    assert ours.sent == theirs.sent
    assert (ours.writes, ours.flushes) == (1, 1)


async def test_without_a_connection_nats_py_decides_what_it_keeps() -> None:
    client = _Recording(is_connected=False)
    batch = _batch(client)

    await acknowledge(client, batch)

    assert client.writes == len(batch)
    assert all(message.is_acked for message in batch)


@pytest.mark.parametrize("reply", [*_REPLIES, _WITH_DOMAIN])
def test_deliveries_are_those_that_nats_py_reads(reply: str) -> None:
    assert deliveries(reply) == Msg(_client=Client(), reply=reply).metadata.num_delivered
