"""Calls to the running gateway: its OpenAI-compatible API and its admin API."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import credentials
from .data_dir import DataDir
from .exit_codes import CommandError, ExitCode
from .stack import plan, state

if TYPE_CHECKING:
    import httpx2  # 0.1 s that `up`, `down` and `status` need not wait for

URL_KEY, API_KEY_KEY = "LLM_MANAGER_URL", "LLM_MANAGER_API_KEY"
# An answer may take minutes to begin; the gateway itself gives up after REQUEST_TIMEOUT_SECONDS, 600 unless set.
_TIMEOUT_SECONDS, _CONNECT_SECONDS = 620.0, 5.0


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


def admin(data: DataDir, method: str, path: str, *, address: Address, **options: Any) -> Any:
    """Call the admin API and return the decoded answer, None when it is empty.

    As whom LLM_MANAGER_ADMIN_KEY or LLM_MANAGER_ADMIN_USER say (credentials.py), else as the admin of the data
    directory.

    Raises:
        CommandError: it cannot be reached, or refuses; the message is the gateway's.
    """
    with _errors(address), _client(**_admin_login(data)) as client:
        answer = client.request(method, f"{address.origin}/api/v1{path}", **options)
        _refuse(answer)
        return answer.json() if answer.content else None


def pages(data: DataDir, path: str, *, address: Address, **query: str | int | bool) -> Iterator[dict[str, Any]]:
    """Yield every row of a list of the admin API, page by page.

    Raises:
        CommandError: as for `admin`.
    """
    cursor = ""
    while True:
        asked = {**query, **({"cursor": cursor} if cursor else {})}
        page = admin(data, "GET", path, address=address, params=asked)
        yield from page["data"]
        cursor = page["next_cursor"]
        if not cursor:
            return


def post(address: Address, path: str, *, key: str, body: Mapping[str, Any]) -> Any:
    """Call the OpenAI-compatible API and return the decoded answer.

    Raises:
        CommandError: as for `admin`.
    """
    with _errors(address), _client(headers=_bearer(key)) as client:
        answer = client.post(f"{address.base_url}{path}", json=dict(body))
        _refuse(answer)
        return answer.json()


def stream(address: Address, path: str, *, key: str, body: Mapping[str, Any]) -> Iterator[str]:
    """Yield the data of each event of a streamed answer; the `[DONE]` at its end is not one.

    Raises:
        CommandError: as for `admin`; also when the stream ends before `[DONE]`.
    """
    with (
        _errors(address),
        _client(headers=_bearer(key)) as client,
        client.stream("POST", f"{address.base_url}{path}", json=dict(body)) as answer,
    ):
        if answer.is_error:
            answer.read()
            _refuse(answer)
        for line in answer.iter_lines():
            data = line.removeprefix("data:").strip() if line.startswith("data:") else ""
            if data == "[DONE]":
                return
            if data:
                yield data
    raise CommandError("The answer was cut off before its end. 'llm-manager status' shows what was restarted.")


def _client(**options: Any) -> httpx2.Client:
    import httpx2

    return httpx2.Client(timeout=httpx2.Timeout(_TIMEOUT_SECONDS, connect=_CONNECT_SECONDS), **options)


def message_of(error: object) -> str:
    """Return the sentence of an OpenAI-shaped error, with its code."""
    if isinstance(error, dict):
        fields: dict[str, Any] = error  # pyright: ignore[reportUnknownVariableType] JSON objects have text keys
        code = fields.get("code")
        return f"{fields.get('message', 'no message')}" + (f" ({code})" if code else "")
    return str(error)


@contextmanager
def _errors(address: Address) -> Generator[None]:
    import httpx2

    try:
        yield
    except httpx2.ConnectError as error:
        raise CommandError(
            f"Nobody answers at {address.origin}. 'llm-manager status' shows what runs.", exit_code=ExitCode.NOT_RUNNING
        ) from error
    except httpx2.TimeoutException as error:
        raise CommandError(f"{address.origin} took too long to answer. 'llm-manager status' shows why.") from error
    except httpx2.HTTPError as error:
        raise CommandError(f"The connection to {address.origin} broke: {error}. Try again.") from error


def _refuse(answer: httpx2.Response) -> None:
    if not answer.is_error:
        return
    try:
        said = message_of(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        said = answer.text[:300] or "no body"
    raise CommandError(f"The gateway answered {answer.status_code}: {said}")


# Any: options of the HTTP client
def _admin_login(data: DataDir) -> dict[str, Any]:
    said = credentials.of(os.environ)
    if said.key:
        return {"headers": _bearer(said.key)}
    password = said.password or plan.secret_in_use(data, "admin-password", "ADMIN_PASSWORD")
    return {"auth": (said.user or plan.ADMIN_USER, password)}


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}
