"""What goes wrong, as one small tree. Callers branch on the class, programs on `code`.

LlmManagerError
├── InvalidRequest          400, 405, 413, 415, 422: the request must be changed
├── AuthenticationFailed    401
├── PermissionRefused       403
├── NotFound                404
├── Conflict                409
├── PreconditionFailed      412: it was changed since it was read
├── RateLimited             429
│   └── BudgetExceeded      429 budget_exceeded: retrying before it resets is pointless
├── Cancelled               499
├── ServerFailed            500 and what else the platform calls a fault of its own
├── Unavailable             502, 503, 504, and no connection
│   ├── DeadlineExceeded    the time is over: the platform's (504), or this client's own
│   └── Unreachable         nobody answers at the address: nothing was sent
└── ProtocolError           what came is no answer of LLM Manager
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from math import isfinite
from time import time
from typing import Any, cast

_LONGEST_MESSAGE, _LONGEST_FOREIGN = 2000, 300


class LlmManagerError(Exception):
    """Root of the tree. `str(error)` says what happened and what to do, and never holds a key or a password.

    Args:
        status: HTTP status; None when there was none (no connection), or it was 200 and the stream failed later.
        code: stable word of the platform, or a provider's own of what it refused; None when there is none.
        param: the field at fault; None when no field is.
        request_id: id of the request in logs and ledger; None when no answer came.
        retry_after: seconds to wait before another try; None when nothing is said.
        foreign: the beginning of an answer that is not the platform's, such as a page of a proxy in between; None for
            all others.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        param: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        foreign: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.param = param
        self.request_id = request_id
        self.retry_after = retry_after
        self.foreign = foreign


class InvalidRequest(LlmManagerError):
    """The request must be changed; `param` names the field."""


class AuthenticationFailed(LlmManagerError):
    """The API key, or user and password, are missing, wrong, expired or revoked."""


class PermissionRefused(LlmManagerError):
    """Who asks is known, and may not do this."""


class NotFound(LlmManagerError):
    """What the request names does not exist, or not for this caller; `model_not_found` is a code of it."""


class Conflict(LlmManagerError):
    """The thing is not in a state that allows this; `configuration_inactive` is a code of it."""


class PreconditionFailed(LlmManagerError):
    """The thing was changed since it was read; read it again, and change that."""


class RateLimited(LlmManagerError):
    """A limit of the platform or of the provider is reached; retry after `retry_after` seconds."""


class BudgetExceeded(RateLimited):
    """The budget of this period is spent. Retrying before it resets is pointless."""


class Cancelled(LlmManagerError):
    """The request was withdrawn."""


class ServerFailed(LlmManagerError):
    """A fault of the platform; the log of the request id says more."""


class Unavailable(LlmManagerError):
    """Nobody can answer now: no connection, no worker, or the provider fails. A later try may work."""


class DeadlineExceeded(Unavailable):
    """The time is over. The request may have been spent."""


class Unreachable(Unavailable):
    """Nobody answers at the address. Nothing of the request was sent."""


class ProtocolError(LlmManagerError):
    """What came is no answer of LLM Manager: broken JSON, a stream without its end, another server's page."""


_OF_STATUS: Mapping[int, type[LlmManagerError]] = {
    401: AuthenticationFailed,
    403: PermissionRefused,
    404: NotFound,
    408: Unavailable,
    409: Conflict,
    412: PreconditionFailed,
    429: RateLimited,
    499: Cancelled,
    500: ServerFailed,
}
# Codes that say more than their status, and those that come inside a stream, where there is no status.
_OF_CODE: Mapping[str, type[LlmManagerError]] = {
    "budget_exceeded": BudgetExceeded,
    "deadline_exceeded": DeadlineExceeded,
    "upstream_timeout": Unavailable,
    "gateway_rate_limited": RateLimited,
    "provider_rate_limited": RateLimited,
    "cancelled": Cancelled,
    "internal_error": ServerFailed,
    "model_not_found": NotFound,
    "configuration_inactive": Conflict,
    "invalid_api_key": AuthenticationFailed,
    "permission_denied": PermissionRefused,
    **dict.fromkeys(("bus_unavailable", "draining", "no_worker", "overloaded", "store_unavailable"), Unavailable),
    **dict.fromkeys(("upstream_credentials_exhausted", "upstream_protocol_error", "upstream_unavailable"), Unavailable),
    **dict.fromkeys(("upstream_unreachable", "worker_lost", "request_timeout"), Unavailable),
}
_OF_TYPE: Mapping[str, type[LlmManagerError]] = {
    "invalid_request_error": InvalidRequest,
    "rate_limit_error": RateLimited,
    "upstream_error": Unavailable,
    "cancelled_error": Cancelled,
}


def error_of_answer(status: int, headers: Mapping[str, str], content: bytes) -> LlmManagerError:
    """Read a refusal of the OpenAI routes or of the admin API, which have one shape; headers have lower-case names."""
    said = _said(content)
    request_id, retry_after = headers.get("x-request-id"), retry_after_of(headers)
    if said is None:
        return _of_status(status)(
            f"The server answered {status} without saying why; is this the address of LLM Manager?",
            status=status,
            request_id=request_id,
            retry_after=retry_after,
            foreign=content[:_LONGEST_FOREIGN].decode(errors="replace"),
        )
    code = _text(said.get("code"))
    cls = _of_status(status)
    refined = _OF_CODE.get(code or "", cls)
    # a provider's own code may be the word of another status here, so that a code only ever says more
    return (refined if issubclass(refined, cls) else cls)(
        _message(said), status=status, code=code, param=_text(said.get("param")), request_id=request_id,
        retry_after=retry_after,
    )  # fmt: skip


def error_of_event(event: Any, *, request_id: str | None) -> LlmManagerError | None:
    """Read the error that an event of a stream says; None when it says none."""
    if not isinstance(event, dict) or not (said := _members(cast("dict[str, Any]", event).get("error"))):
        return None
    code = _text(said.get("code"))
    cls = _OF_CODE.get(code or "") or _OF_TYPE.get(str(said.get("type")), ServerFailed)
    return cls(_message(said), code=code, param=_text(said.get("param")), request_id=request_id)


def retry_after_of(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that an answer asks to wait; None when it does not say, or not in a form that is known."""
    try:
        if milliseconds := headers.get("retry-after-ms"):
            seconds = float(milliseconds) / 1000
        elif said := headers.get("retry-after"):
            is_number = said.strip().replace(".", "", 1).isdecimal()
            seconds = float(said) if is_number else parsedate_to_datetime(said).timestamp() - time()
        else:
            return None
    except ValueError:
        return None
    return max(0.0, seconds) if isfinite(seconds) else None


def _of_status(status: int) -> type[LlmManagerError]:
    if status >= 500:
        return _OF_STATUS.get(status, Unavailable)
    return _OF_STATUS.get(status, InvalidRequest if status >= 400 else ProtocolError)


def _said(content: bytes) -> Mapping[str, Any] | None:
    try:
        body: Any = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return _members(cast("dict[str, Any]", body).get("error")) if isinstance(body, dict) else None


def _members(value: Any) -> Mapping[str, Any] | None:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _message(said: Mapping[str, Any]) -> str:
    return (_text(said.get("message")) or "The server gave no reason.")[:_LONGEST_MESSAGE]


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
