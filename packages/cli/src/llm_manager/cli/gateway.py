"""Calls to the running gateway: its OpenAI-compatible API and its admin API."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import credentials
from .data_dir import DataDir
from .exit_codes import CommandError, ExitCode
from .stack import plan, state

if TYPE_CHECKING:
    # 0.2 s that `up`, `down` and `status` need not wait for
    from llm_manager.client import LlmManagerError
    from llm_manager.client.admin import Admin
    from llm_manager.client.transport import Answer, HttpTransport

URL_KEY, API_KEY_KEY = "LLM_MANAGER_URL", "LLM_MANAGER_API_KEY"
# A model may take minutes; the gateway itself gives up after REQUEST_TIMEOUT_SECONDS, 600 unless set.
_MODEL_SECONDS = 620.0
# The longest calls of the admin API, large packages and the sealing of secrets, take some ten seconds.
_ADMIN_SECONDS = 120.0
# Whoever waits at a prompt is told at once, and decides whether to try again.
_RETRIES = 0


@dataclass(frozen=True, slots=True)
class Address:
    """Where the gateway is. Stated by the user, or read from what runs in the data directory."""

    base_url: str

    @property
    def origin(self) -> str:
        return self.base_url.removesuffix("/v1")


def find(data: DataDir, *, explicit: str | None = None) -> Address:
    """Return the gateway's address: the option, LLM_MANAGER_URL, or what runs in the data directory.

    Raises:
        CommandError: none is given and nothing runs (exit code 3).
    """
    given = explicit or os.environ.get(URL_KEY)
    if given:
        return Address(given.rstrip("/").removesuffix("/v1") + "/v1")
    running = state.read(data)
    if running is None or not state.is_held(data):
        raise CommandError(
            f"LLM Manager does not run in {data.path}. Start it with 'llm-manager up', "
            f"or name another one with --url or {URL_KEY}.",
            exit_code=ExitCode.NOT_RUNNING,
        )
    return Address(running.base_url)


def api_key(data: DataDir, *, explicit: str | None = None) -> str:
    """Return the API key: the option, LLM_MANAGER_API_KEY, or the first key of the data directory."""
    return explicit or os.environ.get(API_KEY_KEY) or plan.secret_in_use(data, "api-key", "BOOTSTRAP_API_KEY")


def admin(data: DataDir, address: Address) -> Admin:
    """Return the calls of the admin API. What goes wrong in them is raised as CommandError."""
    from llm_manager.client.admin import Admin

    return Admin(AdminTransport(data, address))


@dataclass(frozen=True, slots=True)
class AdminTransport:
    """The way to the admin API, for the client; nothing is held between calls, so that nothing needs closing.

    As whom LLM_MANAGER_ADMIN_KEY or LLM_MANAGER_ADMIN_USER say (credentials.py), else as the admin of the data
    directory.
    """

    data: DataDir
    address: Address

    # Any: JSON of the admin API
    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request and return its answer.

        Raises:
            CommandError: the gateway cannot be reached, or refuses; the message is the gateway's.
        """
        with _opened(self.address, seconds=_ADMIN_SECONDS, **_admin_login(self.data)) as transport:
            return transport.request(method, path, query=query, body=body, headers=headers)


@contextmanager
def models(address: Address, *, key: str) -> Generator[HttpTransport]:
    """Open the way to the OpenAI-compatible API.

    Raises:
        CommandError: inside, whatever a call raises of the client's errors.
    """
    with _opened(address, seconds=_MODEL_SECONDS, api_key=key) as transport:
        yield transport


@contextmanager
def _opened(address: Address, *, seconds: float, **login: str) -> Generator[HttpTransport]:
    from llm_manager.client import LlmManagerError
    from llm_manager.client.transport import HttpTransport

    try:
        transport = HttpTransport(address.origin, timeout_seconds=seconds, max_retries=_RETRIES, **login)
    except ValueError as error:
        # an address that is none, or a key that no header can carry; the text shows neither
        raise CommandError(str(error), exit_code=ExitCode.USAGE) from None
    with transport:
        try:
            yield transport
        except LlmManagerError as error:
            raise _told(error, address) from error


def _told(error: LlmManagerError, address: Address) -> CommandError:
    """Return what a person is told of an error of the client."""
    from llm_manager.client import DeadlineExceeded, ProtocolError, Unavailable, Unreachable

    said = error.message + (f" ({error.code})" if error.code else "")
    if error.status is not None:
        said = said if error.foreign is None else error.foreign or "no body"
        return CommandError(f"The gateway answered {error.status}: {said}")
    if isinstance(error, Unreachable):
        return CommandError(
            f"Nobody answers at {address.origin}. 'llm-manager status' shows what runs.", exit_code=ExitCode.NOT_RUNNING
        )
    if error.code or not isinstance(error, Unavailable | ProtocolError):
        return CommandError(f"The answer failed on its way: {said}")
    if isinstance(error, DeadlineExceeded):
        return CommandError(f"{address.origin} took too long to answer. 'llm-manager status' shows why.")
    return CommandError(f"{said} 'llm-manager status' shows what runs and what was restarted.")


def _admin_login(data: DataDir) -> dict[str, str]:
    said = credentials.of(os.environ)
    if said.key:
        return {"api_key": said.key}
    password = said.password or plan.secret_in_use(data, "admin-password", "ADMIN_PASSWORD")
    return {"user": said.user or plan.ADMIN_USER, "password": password}
