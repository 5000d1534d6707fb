"""Lets the admin in."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import os
import time
from collections.abc import Callable

from llm_manager.core.errors import AuthenticationFailed, GatewayRateLimited, StoreUnavailable
from llm_manager.gateway.users.rules import Throttle
from llm_manager.gateway.users.store import ADMIN_NAME, is_password, password_hash_of
from llm_manager.kit.sql import Database

# A check costs 20 ms and 19 MiB, so few run at once, and a credential that was good is remembered for a while.
_AT_ONCE, _REMEMBER_SECONDS = 2, 300.0


class AdminDoor:
    """HTTP Basic with the user admin. Its hash is read once per remembered time and kept when the database is away."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._throttle = Throttle(clock)
        self._salt = os.urandom(32)
        self._good: tuple[bytes, str, float] | None = None
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._password_hash: str | None = None

    async def enter(self, authorization: str | None, *, address: str) -> None:
        """Check a header.

        Raises:
            AuthenticationFailed: missing or wrong.
            GatewayRateLimited: too many failures from this address.
            StoreUnavailable: nobody can tell now.
        """
        wait = self._throttle.wait_seconds(address)
        if wait > 0:
            raise GatewayRateLimited("Too many failed log-ins; wait before the next one.", retry_after_seconds=wait)
        credential = _basic(authorization)
        if credential is None:
            raise AuthenticationFailed("Log in with HTTP Basic as user admin.")
        name, password = credential
        password_hash = await self._current_hash()
        mark = hashlib.blake2b(f"{name}\0{password}".encode(), key=self._salt, digest_size=32).digest()
        if self._is_remembered(mark, password_hash):
            return
        async with self._at_once:
            # checked also for an unknown name, so that names cannot be told by time
            is_good = await is_password(password, password_hash)
        if not (is_good and name == ADMIN_NAME):
            self._throttle.failed(address)
            raise AuthenticationFailed("The user name or password is wrong.")
        self._throttle.succeeded(address)
        self._good = (mark, password_hash, self._clock() + _REMEMBER_SECONDS)

    def _is_remembered(self, mark: bytes, password_hash: str) -> bool:
        good = self._good
        if good is None or good[1] != password_hash or good[2] < self._clock():
            return False
        return hmac.compare_digest(good[0], mark)

    async def _current_hash(self) -> str:
        try:
            self._password_hash = await password_hash_of(self._database, ADMIN_NAME)
        except StoreUnavailable:
            if self._password_hash is None:
                raise
        if self._password_hash is None:
            raise AuthenticationFailed("The user admin is switched off; set LLM_MANAGER_GATEWAY_ADMIN_PASSWORD.")
        return self._password_hash


def _basic(authorization: str | None) -> tuple[str, str] | None:
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, separator, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (name, password) if separator else None
