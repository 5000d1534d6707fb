"""The fast lane beside nats-py, on a real server; fails when what it relies on in nats-py changes."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from nats import errors

from llm_manager.core.errors import BusUnavailable
from llm_manager.kit.bus.connection import Bus, BusState, connect
from llm_manager.kit.bus.lean import LeanClient
from llm_manager.kit.bus.message import Message
from llm_manager.kit.bus.transport import LaneTransport
from llm_manager.testing.nats import NatsServer


async def _lost(bus: Bus) -> None:
    async with asyncio.timeout(5):
        while bus.state is BusState.CONNECTED:  # noqa: ASYNC110  # there is no event before the client's own
            await asyncio.sleep(0.01)


async def _choke(bus: Bus) -> None:
    """Send to a server that stands still until the buffers of the kernel, which grow, take no more either."""
    while not bus.client.is_choked:
        bus.send("a", bytes(900_000))
        await asyncio.sleep(0.02)


async def test_messages_come_whole_and_in_order(bus: Bus) -> None:
    heard: list[bytes] = []
    subject, sizes = bus.client.new_inbox(), [0, 1, 5_000, 70_000, 900_000, 3] * 20
    await bus.listen(subject, lambda message: heard.append(message.data))

    for size in sizes:
        await bus.publish(subject, bytes(size))
    await bus.client.flush()

    assert [len(data) for data in heard] == sizes


async def test_the_lane_and_nats_py_share_one_connection_in_one_order(bus: Bus) -> None:
    heard: list[str] = []
    subject = bus.client.new_inbox()
    await bus.listen(subject, lambda message: heard.append(message.data.decode()))

    for number in range(100):
        if number % 2:
            bus.send(subject, str(number).encode())
        else:
            await bus.client.publish(subject, str(number).encode())
    await bus.client.flush()

    assert heard == [str(number) for number in range(100)]


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many commands each write to the socket held."""
    sizes: list[int] = []
    write = LaneTransport.writelines

    def writelines(transport: LaneTransport, payload: list[bytes]) -> None:
        sizes.append(len(payload))
        write(transport, payload)

    monkeypatch.setattr(LaneTransport, "writelines", writelines)
    return sizes


async def test_what_can_wait_leaves_together_on_a_busy_connection(bus: Bus, writes: list[int]) -> None:
    heard: list[str] = []
    subject = bus.client.new_inbox()
    await bus.listen(subject, lambda message: heard.append(message.data.decode()))
    await bus.client.flush()
    writes.clear()

    for number in range(200):
        bus.send(subject, str(number).encode(), can_wait=True)
        await asyncio.sleep(0.0002)
    async with asyncio.timeout(5):
        while len(heard) < 200:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.01)

    assert heard == [str(number) for number in range(200)]
    assert sum(writes) == 200
    # how many at a time depends on how long the machine really sleeps
    assert len(writes) < 150


async def test_what_cannot_wait_takes_along_what_can(bus: Bus, writes: list[int]) -> None:
    heard: list[bytes] = []
    subject = bus.client.new_inbox()
    await bus.listen(subject, lambda message: heard.append(message.data))
    await bus.client.flush()
    writes.clear()

    bus.send(subject, b"1", can_wait=True)
    bus.send(subject, b"2")
    await asyncio.sleep(0)
    assert writes == [2]
    bus.send(subject, b"3", can_wait=True)
    await bus.client.flush()
    assert heard == [b"1", b"2", b"3"]


async def test_on_a_quiet_connection_nothing_waits(bus: Bus, writes: list[int]) -> None:
    await bus.client.flush()
    await asyncio.sleep(0.02)
    writes.clear()

    bus.send("a", b"1", can_wait=True)
    await asyncio.sleep(0)
    assert writes == [1]


async def test_much_does_not_wait(bus: Bus, writes: list[int]) -> None:
    await bus.client.flush()
    writes.clear()

    bus.send("a", bytes(60_000), can_wait=True)
    bus.send("a", bytes(60_000), can_wait=True)
    await asyncio.sleep(0)
    assert writes == [2]


async def test_what_waits_leaves_before_the_connection_closes(nats_server: NatsServer, bus: Bus) -> None:
    heard: list[bytes] = []
    subject = bus.client.new_inbox()
    await bus.listen(subject, lambda message: heard.append(message.data))
    await bus.client.flush()

    async with connect(nats_server.url, name="short") as short:
        short.send(subject, b"1")
        await asyncio.sleep(0)
        short.send(subject, b"2", can_wait=True)
    async with asyncio.timeout(5):
        while len(heard) < 2:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.01)
    assert heard == [b"1", b"2"]


async def test_an_unsubscribed_lane_hears_nothing_more(bus: Bus) -> None:
    heard: list[Message] = []
    subject = bus.client.new_inbox()
    subscription = await bus.listen(subject, heard.append)
    bus.send(subject, b"1")
    await bus.client.flush()
    bus.send(subject, b"2")  # on its way back when the subscription ends
    await subscription.unsubscribe()
    bus.send(subject, b"3")
    await bus.client.flush()

    assert [message.data for message in heard] == [b"1"]


async def test_a_lane_listens_again_after_a_reconnect(mortal_nats_server: NatsServer) -> None:
    heard: list[bytes] = []
    async with connect(mortal_nats_server.url, name="test") as bus:
        subject = bus.client.new_inbox()
        await bus.listen(subject, lambda message: heard.append(message.data))
        mortal_nats_server.kill()
        await _lost(bus)
        with pytest.raises(BusUnavailable):
            bus.send(subject, b"while it was away")
        # what answers JetStream is kept as nats-py keeps it
        bus.client.send(subject, b"kept")
        mortal_nats_server.restart()
        assert await bus.wait_connected(10)
        bus.send(subject, b"back")
        await bus.client.flush()

    assert heard == [b"kept", b"back"]


async def test_what_is_kept_without_a_connection_is_bounded(mortal_nats_server: NatsServer) -> None:
    async with connect(mortal_nats_server.url, name="test") as bus:
        mortal_nats_server.kill()
        await _lost(bus)
        bus.client.send("a", bytes(1024 * 1024))
        with pytest.raises(errors.OutboundBufferLimitError):
            bus.client.send("a", bytes(1024 * 1024))
    with pytest.raises(errors.ConnectionClosedError):
        bus.client.send("a", b"")


async def test_who_sends_more_than_the_server_takes_waits_and_loses_nothing(nats_server: NatsServer, bus: Bus) -> None:
    received, is_all = 0, asyncio.Event()

    def count(message: Message) -> None:
        nonlocal received
        received += len(message.data)
        if received == 40 * 900_000:
            is_all.set()

    async with connect(nats_server.url, name="sender") as sender:
        subject = bus.client.new_inbox()
        await bus.listen(subject, count)
        await bus.client.flush()
        has_waited = False
        for _ in range(40):
            sender.send(subject, bytes(900_000))
            # one turn of the loop hands over to the socket
            await asyncio.sleep(0)
            if sender.client.is_choked:
                has_waited = True
                await sender.unchoked()
        await sender.client.flush()
        async with asyncio.timeout(5):
            await is_all.wait()
    assert has_waited


async def test_a_sender_that_waits_for_a_dead_server_is_told(mortal_nats_server: NatsServer) -> None:
    async with connect(mortal_nats_server.url, name="test") as bus:
        os.kill(mortal_nats_server.pid, signal.SIGSTOP)
        try:
            await _choke(bus)
            waiting = asyncio.create_task(bus.unchoked())
            await asyncio.sleep(0.05)
            assert not waiting.done()
        finally:
            os.kill(mortal_nats_server.pid, signal.SIGCONT)
            mortal_nats_server.kill()
        with pytest.raises(BusUnavailable):
            async with asyncio.timeout(10):
                await waiting


async def test_closing_does_not_wait_for_a_server_that_takes_nothing(mortal_nats_server: NatsServer) -> None:
    loop = asyncio.get_running_loop()
    try:
        async with connect(mortal_nats_server.url, name="test") as bus:
            os.kill(mortal_nats_server.pid, signal.SIGSTOP)
            await _choke(bus)
            begun = loop.time()
        assert loop.time() - begun < 4  # 2 s for what was sent, and never the 5 s of a close that was given up
    finally:
        os.kill(mortal_nats_server.pid, signal.SIGCONT)


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A certificate for 127.0.0.1 that this process trusts, and its key, in one file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nats")])
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    signed = made.add_extension(names, critical=False).sign(key, hashes.SHA256())
    file = tmp_path / "nats.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(signed.public_bytes(Encoding.PEM) + private)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    return file


async def test_over_tls_it_is_the_same(certificate: Path) -> None:
    heard: list[bytes] = []
    with NatsServer(certificate=certificate) as server:
        url = server.url.replace("nats://", "tls://")
        async with connect(url, name="test") as bus:
            subject = bus.client.new_inbox()
            await bus.listen(subject, lambda message: heard.append(message.data))
            for size in (0, 100_000, 1):
                await bus.publish(subject, bytes(size))
            await bus.client.flush()
            server.restart()
            await _lost(bus)
            assert await bus.wait_connected(30)
            bus.send(subject, b"again")
            await bus.client.flush()
    assert heard == [b"", bytes(100_000), b"\0", b"again"]


def test_nats_py_has_what_the_lane_stands_in_for() -> None:
    client = LeanClient.__mro__[1]
    for name in ("_send_command", "_flush_pending", "_send_ping", "_remove_sub"):
        assert name in vars(client), f"nats-py has no {name} any more; look at kit/bus/lean.py"
