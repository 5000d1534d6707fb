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
from llm_manager.gateway.access.rules import ROLES, Role, Subject
from llm_manager.gateway.users.checks import PasswordChecks
from llm_manager.gateway.users.rules import Room, Throttle, peer_of
from llm_manager.gateway.users.store import ADMIN_NAME, Account, account_of
from llm_manager.kit.sql import Database


class AdminDoor:
    """HTTP Basic with the user admin. Its hash is read for each log-in and kept when the database is away.

    A credential that was good is remembered, as a keyed mark, until the hash changes.

    Args:
        password: what the environment gives; whoever shows it is checked however often others failed.
    """

    def __init__(
        self,
        database: Database,
        *,
        password: str | None = None,
        checks: PasswordChecks | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._throttle = Throttle(clock)
        self._checks = checks or PasswordChecks()
        self._salt = os.urandom(32)
        self._good_mark = self._mark(ADMIN_NAME, password) if password else b""
        self._good_for = ""
        self._proving = asyncio.Lock()
        self._account: Account | None = None

    async def enter(self, authorization: str | None, *, address: str, request_id: str) -> Subject:
        """Check a header and return who came in.

        Raises:
            AuthenticationFailed: missing or wrong.
            GatewayRateLimited: too many failures from this address, or too many log-ins at once.
            StoreUnavailable: nobody can tell now.
        """
        credential = _basic(authorization)
        if credential is None:
            raise AuthenticationFailed("Log in with HTTP Basic as user admin.")
        name, password = credential
        peer, mark = peer_of(address), self._mark(name, password)
        # no await from here to the reservation: what comes at once is counted one by one
        if self._throttle.may_compare(peer) and hmac.compare_digest(self._good_mark, mark):
            account = await self._prove(mark, password)
        else:
            account = await self._try(peer, name, password)
        self._throttle.let_in(peer)
        permissions = ROLES[Role.SUPER_ADMIN]
        return Subject("user", account.id, ADMIN_NAME, permissions, address=address, request_id=request_id)

    async def _prove(self, mark: bytes, password: str) -> Account:
        """Check what was good before against the hash of now, once for each hash."""
        account = await self._current_account()
        password_hash = account.password_hash
        if self._good_for == password_hash:
            return account
        async with self._proving:
            if not hmac.compare_digest(self._good_mark, mark):
                raise _wrong()  # it was found out while this one waited
            if self._good_for == password_hash:
                return account
            if not await self._checks.is_good(password, password_hash, room=Room.KNOWN):
                self._good_mark = b""
                raise _wrong()
            self._good_for = password_hash
        return account

    async def _try(self, peer: str, name: str, password: str) -> Account:
        room, wait = self._throttle.room(peer), self._throttle.reserve(peer)
        if wait > 0:
            raise GatewayRateLimited("Too many failed log-ins; wait before the next one.", retry_after_seconds=wait)
        try:
            account = await self._current_account()
            # checked also for an unknown name, so that names cannot be told by time
            is_good = await self._checks.is_good(password, account.password_hash, room=room)
        except (GatewayRateLimited, StoreUnavailable):
            # nothing was checked; who leaves meanwhile has cost a check and stays counted
            self._throttle.give_back(peer)
            raise
        if not (is_good and name == ADMIN_NAME):
            raise _wrong()
        self._throttle.give_back(peer)
        self._good_mark, self._good_for = self._mark(name, password), account.password_hash
        return account

    def _mark(self, name: str, password: str) -> bytes:
        return hashlib.blake2b(f"{name}\0{password}".encode(), key=self._salt, digest_size=32).digest()

    async def _current_account(self) -> Account:
        try:
            self._account = await account_of(self._database, ADMIN_NAME)
        except StoreUnavailable:
            if self._account is None:
                raise
        if self._account is None:
            raise AuthenticationFailed("The user admin is switched off; set LLM_MANAGER_GATEWAY_ADMIN_PASSWORD.")
        return self._account


def _wrong() -> AuthenticationFailed:
    return AuthenticationFailed("The user name or password is wrong.")


def _basic(authorization: str | None) -> tuple[str, str] | None:
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, separator, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (name, password) if separator else None
