"""Lets people in by name and password."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from llm_manager.core.errors import AuthenticationFailed, GatewayRateLimited, StoreUnavailable
from llm_manager.gateway.access.rules import Subject
from llm_manager.gateway.users.checks import PasswordChecks
from llm_manager.gateway.users.grants import granted
from llm_manager.gateway.users.rules import Room, Throttle, peer_of
from llm_manager.gateway.users.store import ADMIN_NAME, NO_HASH, Account, account_of
from llm_manager.gateway.users.trail import LogInTrail
from llm_manager.kit.sql import Database

_MOST_KNOWN = 1_000
_NO_MARK = bytes(32)


@dataclass(frozen=True, slots=True)
class _Known:
    """A credential that was good, as a keyed mark, and the account it was checked against; None: not checked yet."""

    mark: bytes
    account: Account | None = None


@dataclass(frozen=True, slots=True)
class _Attempt:
    name: str
    password: str
    mark: bytes
    address: str
    request_id: str


class AdminDoor:
    """HTTP Basic for every enabled user. Their hash is read for each log-in.

    A credential that was good is remembered until the hash changes; it is what still opens when the database is away.

    Args:
        password: what the environment gives the user admin; whoever shows it is checked however often others failed.
    """

    def __init__(
        self,
        database: Database,
        *,
        trail: LogInTrail,
        password: str | None = None,
        checks: PasswordChecks | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._trail = trail
        self._throttle = Throttle(clock)
        self._checks = checks or PasswordChecks()
        self._salt = os.urandom(32)
        self._proving = asyncio.Lock()
        # by name; only of who was let in, and of the environment's admin
        self._known: OrderedDict[str, _Known] = OrderedDict()
        if password:
            self._known[ADMIN_NAME] = _Known(self._mark(ADMIN_NAME, password))

    async def enter(self, authorization: str | None, *, address: str, request_id: str) -> Subject:
        """Check a header and return who came in.

        Raises:
            AuthenticationFailed, GatewayRateLimited, StoreUnavailable: see `check`.
        """
        credential = _basic(authorization)
        if credential is None:
            raise AuthenticationFailed("Log in with HTTP Basic, or with POST /api/v1/session.")
        account = await self.check(*credential, address=address, request_id=request_id)
        return subject_of(account, address=address, request_id=request_id)

    async def check(self, name: str, password: str, *, address: str, request_id: str) -> Account:
        """Return whose name and password these are.

        Raises:
            AuthenticationFailed: nobody's, or of somebody who is switched off.
            GatewayRateLimited: too many failures from this address, or too many log-ins at once.
            StoreUnavailable: nobody can tell now.
        """
        peer = peer_of(address)
        attempt = _Attempt(name, password, self._mark(name, password), address, request_id)
        # no await from here to the reservation: what comes at once is counted one by one
        if self._throttle.may_compare(peer) and self._is_known(attempt):
            account = await self._prove(attempt)
        else:
            account = await self._try(peer, attempt)
        self._throttle.let_in(peer)
        return account

    def forget(self, *names: str) -> None:
        """Have the next log-in of these users checked anew: what they may or how they come in was changed."""
        for name in names:
            if (known := self._known.get(name)) is not None:
                # the mark stays, so that a password that is still good is checked however often others failed
                self._known[name] = _Known(known.mark)

    def _is_known(self, attempt: _Attempt) -> bool:
        known = self._known.get(attempt.name)
        return hmac.compare_digest(known.mark if known is not None else _NO_MARK, attempt.mark)

    def _is_proven(self, attempt: _Attempt, account: Account) -> bool:
        known = self._known.get(attempt.name)
        kept = known.account if known is not None else None
        return self._is_known(attempt) and kept is not None and kept.password_hash == account.password_hash

    def _remember(self, attempt: _Attempt, account: Account) -> None:
        self._known[attempt.name] = _Known(attempt.mark, account)
        self._known.move_to_end(attempt.name)
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)

    async def _prove(self, attempt: _Attempt) -> Account:
        """Check what was good before against the hash of now, once for each hash."""
        kept = self._known[attempt.name].account
        try:
            account = await account_of(self._database, attempt.name)
        except StoreUnavailable:
            if kept is None:
                raise
            return kept
        if account is None:
            self._known.pop(attempt.name, None)
            raise await self._refusal(None, attempt)
        if not self._is_proven(attempt, account):
            async with self._proving:
                await self._check_again(attempt, account)
        # with the roles of now
        self._remember(attempt, account)
        return account

    async def _check_again(self, attempt: _Attempt, account: Account) -> None:
        if not self._is_known(attempt):
            raise _wrong()  # it was found out while this one waited
        if self._is_proven(attempt, account):
            return
        if not await self._checks.is_good(attempt.password, account.password_hash, room=Room.KNOWN):
            self._known.pop(attempt.name, None)
            raise await self._refusal(account, attempt)

    async def _try(self, peer: str, attempt: _Attempt) -> Account:
        room, wait = self._throttle.room(peer), self._throttle.reserve(peer)
        if wait > 0:
            raise GatewayRateLimited("Too many failed log-ins; wait before the next one.", retry_after_seconds=wait)
        try:
            account, outage = await self._account_or_kept(attempt.name)
            # checked also for an unknown name, so that names cannot be told by time
            password_hash = account.password_hash if account is not None else NO_HASH
            is_good = await self._checks.is_good(attempt.password, password_hash, room=room)
        except (GatewayRateLimited, StoreUnavailable):
            # nothing was checked; who leaves meanwhile has cost a check and stays counted
            self._throttle.give_back(peer)
            raise
        if account is None or not is_good:
            if outage is not None:
                raise outage  # counted, or what is remembered could be guessed for nothing while the database is away
            raise await self._refusal(account, attempt)
        self._throttle.give_back(peer)
        self._remember(attempt, account)
        return account

    async def _account_or_kept(self, name: str) -> tuple[Account | None, StoreUnavailable | None]:
        """Return the account, and why it is only what is remembered of it, where it is."""
        try:
            return await account_of(self._database, name), None
        except StoreUnavailable as error:
            if not any(known.account is not None for known in self._known.values()):
                raise
            known = self._known.get(name)
            return known.account if known is not None else None, error

    async def _refusal(self, account: Account | None, attempt: _Attempt) -> AuthenticationFailed:
        await self._trail.refused(account, address=attempt.address, request_id=attempt.request_id)
        return _wrong()

    def _mark(self, name: str, password: str) -> bytes:
        return hashlib.blake2b(f"{name}\0{password}".encode(), key=self._salt, digest_size=32).digest()


def subject_of(account: Account, *, address: str, request_id: str) -> Subject:
    """Return who acts when somebody of this account does."""
    permissions = granted(account.roles)
    return Subject("user", account.id, account.name, permissions, address=address, request_id=request_id)


def _wrong() -> AuthenticationFailed:
    # the same for a wrong password, a name that nobody has, and somebody who is switched off
    return AuthenticationFailed(
        "The user name or password is wrong, or the user is switched off, as admin is without "
        "LLM_MANAGER_GATEWAY_ADMIN_PASSWORD."
    )


def _basic(authorization: str | None) -> tuple[str, str] | None:
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, separator, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (name, password) if separator else None
