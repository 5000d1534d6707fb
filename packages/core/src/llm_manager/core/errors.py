"""One tree of errors for every service, on every wire.

    LlmManagerError
    ├── RequestError                     the caller must change the request
    │   ├── InvalidRequest               400  invalid_request
    │   │   ├── UnsupportedParameter     400  unsupported_parameter
    │   │   └── ContextLengthExceeded    400  context_length_exceeded
    │   ├── AuthenticationFailed         401  invalid_api_key
    │   ├── PermissionRefused            403  permission_denied
    │   │   └── CsrfTokenMissing         403  csrf_token_missing
    │   ├── NotFound                     404  not_found
    │   │   ├── RouteNotFound            404  unknown_url
    │   │   ├── ModelNotFound            404  model_not_found
    │   │   └── PreviousResponseNotFound 404  previous_response_not_found
    │   ├── MethodNotAllowed             405  method_not_allowed
    │   ├── RequestTimedOut              408  request_timeout
    │   ├── Conflict                     409  conflict
    │   │   └── ConfigurationInactive    409  configuration_inactive
    │   ├── PreconditionFailed           412  precondition_failed
    │   ├── BodyTooLarge                 413  request_too_large
    │   └── UnsupportedMediaType         415  unsupported_media_type
    ├── RequestCancelled                 499  cancelled
    ├── LimitReached                     the platform's own refusals
    │   ├── BudgetExceeded               429  budget_exceeded
    │   └── GatewayRateLimited           429  gateway_rate_limited
    ├── UpstreamError                    the provider failed
    │   ├── UpstreamRefused              4xx  upstream_refused         the provider refused this request
    │   ├── UpstreamCredentialsExhausted 502  upstream_credentials_exhausted
    │   ├── ProviderRateLimited          429  provider_rate_limited
    │   ├── UpstreamUnavailable          5xx  upstream_unavailable
    │   ├── UpstreamUnreachable          502  upstream_unreachable
    │   ├── UpstreamTimeout              504  upstream_timeout
    │   └── UpstreamProtocolError        502  upstream_protocol_error
    └── PlatformError                    the platform failed
        ├── NoWorker                     503  no_worker
        ├── WorkerLost                   502  worker_lost
        ├── BusUnavailable               503  bus_unavailable
        ├── StoreUnavailable             503  store_unavailable
        ├── DeadlineExceeded             504  deadline_exceeded
        ├── Draining                     503  draining
        ├── Overloaded                   503  overloaded
        └── InternalError                500  internal_error

An error travels as `llm_manager.contracts.errors.v1.Error`; `from_code` rebuilds the class on the other side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class UpstreamFailure:
    """What a provider said about its own failure.

    Args:
        http_status: status of its answer; 200 when the error came inside a stream.
        code: its own code, in its own words; empty when it gave none.
        type: its own type; empty when it gave none.
        request_id: its request id; empty when it gave none.
        should_retry: whether it says itself that a retry makes sense; None when it does not say.
    """

    http_status: int
    code: str = ""
    type: str = ""
    request_id: str = ""
    should_retry: bool | None = None


class LlmManagerError(Exception):
    """Root of the tree. `str(error)` says what happened and what to do, and never holds a secret.

    `retryable` is the provider's word where it gave one, else what was given, else what the class says.
    """

    code: ClassVar[str] = "internal_error"
    http_status: int = 500
    grpc_status: ClassVar[str] = "INTERNAL"
    retryable: bool = False

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        retry_after_seconds: float | None = None,
        http_status: int | None = None,
        retryable: bool | None = None,
        upstream: UpstreamFailure | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_seconds = retry_after_seconds
        self.upstream = upstream
        # Serialised business message with what is known in spite of the failure (field `detail` of a Failed frame).
        self.detail = b""
        if http_status is not None:
            self.http_status = http_status
        if upstream is not None and upstream.should_retry is not None:
            retryable = upstream.should_retry
        if retryable is not None:
            self.retryable = retryable


class RequestError(LlmManagerError):
    """The caller must change the request; sending it again as it is cannot help."""

    code, http_status, grpc_status = "invalid_request", 400, "INVALID_ARGUMENT"


class InvalidRequest(RequestError):
    """The request is malformed; `param` names the field."""


class UnsupportedParameter(InvalidRequest):
    """The provider cannot do what `param` asks; remove it or choose another model."""

    code = "unsupported_parameter"


class ContextLengthExceeded(InvalidRequest):
    """The prompt is longer than its model takes; shorten it or choose a model with a larger context window."""

    code = "context_length_exceeded"


class AuthenticationFailed(RequestError):
    """The API key is missing, wrong, expired or revoked."""

    code, http_status, grpc_status = "invalid_api_key", 401, "UNAUTHENTICATED"


class PermissionRefused(RequestError):
    """The key is good but may not do this."""

    code, http_status, grpc_status = "permission_denied", 403, "PERMISSION_DENIED"
    # the one that is missing, where that is why; for the audit
    permission: str = ""


class CsrfTokenMissing(PermissionRefused):
    """A browser's session changes something without its CSRF token; send what GET /api/v1/session says of it."""

    code = "csrf_token_missing"


class NotFound(RequestError):
    """The thing that the request names does not exist, or not for this caller."""

    code, http_status, grpc_status = "not_found", 404, "NOT_FOUND"


class RouteNotFound(NotFound):
    """There is no such address."""

    code = "unknown_url"


class ModelNotFound(NotFound):
    """The app may use no configuration, alias or provider model of this name."""

    code = "model_not_found"


class PreviousResponseNotFound(NotFound):
    """The response to go on from is not there: never stored, expired, deleted, or another app's."""

    code = "previous_response_not_found"


class MethodNotAllowed(RequestError):
    """The address exists, the method does not; it takes those in `allowed`."""

    code, http_status, grpc_status = "method_not_allowed", 405, "UNIMPLEMENTED"
    allowed: tuple[str, ...] = ()


class RequestTimedOut(RequestError):
    """The request stopped coming before it was complete; nothing was spent, and it may be sent again."""

    code, http_status, grpc_status, retryable = "request_timeout", 408, "DEADLINE_EXCEEDED", True


class Conflict(RequestError):
    """The thing is not in a state that allows this."""

    code, http_status, grpc_status = "conflict", 409, "FAILED_PRECONDITION"


class ConfigurationInactive(Conflict):
    """The configuration is switched off, or has no model yet; switch it on, or ask for another one."""

    code = "configuration_inactive"


class PreconditionFailed(RequestError):
    """The thing was changed since the caller read it; read it again, and change that."""

    code, http_status, grpc_status = "precondition_failed", 412, "FAILED_PRECONDITION"


class BodyTooLarge(RequestError):
    """The body is over the limit of the edge."""

    code, http_status, grpc_status = "request_too_large", 413, "RESOURCE_EXHAUSTED"


class UnsupportedMediaType(RequestError):
    """The body is not in the content type that the address takes."""

    code, http_status = "unsupported_media_type", 415


class RequestCancelled(LlmManagerError):
    """The client went away or withdrew the request; nobody reads the answer."""

    code, http_status, grpc_status = "cancelled", 499, "CANCELLED"


class LimitReached(LlmManagerError):
    """The platform itself refuses; the provider was not asked and nothing was spent."""

    code, http_status, grpc_status = "gateway_rate_limited", 429, "RESOURCE_EXHAUSTED"


class BudgetExceeded(LimitReached):
    """The budget of this period is spent. Retrying before it resets is pointless."""

    code = "budget_exceeded"


class GatewayRateLimited(LimitReached):
    """A limit of the platform is reached; retry after `retry_after_seconds`."""

    code, retryable = "gateway_rate_limited", True


class UpstreamError(LlmManagerError):
    """The provider failed; `upstream` holds its own words."""

    code, http_status, grpc_status = "upstream_unavailable", 502, "UNAVAILABLE"


class UpstreamRefused(UpstreamError):
    """The provider refused this request (400, 403, 404, 409, 413, 422 …); `http_status` is its status."""

    code, http_status, grpc_status = "upstream_refused", 400, "INVALID_ARGUMENT"


class UpstreamCredentialsExhausted(UpstreamError):
    """No credential of the provider works (401, 402, and 403 that says so). Never shown as the caller's own 401."""

    code = "upstream_credentials_exhausted"


class ProviderRateLimited(UpstreamError):
    """The provider limits us (429); retry after `retry_after_seconds`."""

    code, http_status, grpc_status, retryable = "provider_rate_limited", 429, "RESOURCE_EXHAUSTED", True


class UpstreamUnavailable(UpstreamError):
    """The provider answered with 5xx or 529, or with an error inside its stream."""

    code, retryable = "upstream_unavailable", True


class UpstreamUnreachable(UpstreamError):
    """No connection to the provider: DNS, refused, TLS, reset."""

    code, retryable = "upstream_unreachable", True


class UpstreamTimeout(UpstreamError):
    """The provider was silent for too long, and the message names which limit tripped; or it gave up itself (408)."""

    code, http_status, grpc_status, retryable = "upstream_timeout", 504, "DEADLINE_EXCEEDED", True


class UpstreamProtocolError(UpstreamError):
    """The provider's answer breaks its own format: cut off, not JSON, a gap in a stream."""

    code, retryable = "upstream_protocol_error", True


class PlatformError(LlmManagerError):
    """The platform failed; the request may have been spent upstream."""


class NoWorker(PlatformError):
    """No worker serves this provider kind right now; nothing was spent."""

    code, http_status, grpc_status, retryable = "no_worker", 503, "UNAVAILABLE", True


class WorkerLost(PlatformError):
    """The worker went silent, or frames were lost; the attempt may have been spent."""

    code, http_status, grpc_status, retryable = "worker_lost", 502, "UNAVAILABLE", True


class BusUnavailable(PlatformError):
    """There is no connection to NATS."""

    code, http_status, grpc_status, retryable = "bus_unavailable", 503, "UNAVAILABLE", True


class StoreUnavailable(PlatformError):
    """A database does not answer."""

    code, http_status, grpc_status, retryable = "store_unavailable", 503, "UNAVAILABLE", True


class DeadlineExceeded(PlatformError):
    """The time for the whole request is over."""

    code, http_status, grpc_status, retryable = "deadline_exceeded", 504, "DEADLINE_EXCEEDED", True


class Draining(PlatformError):
    """This process is shutting down and takes no new work; another replica will."""

    code, http_status, grpc_status, retryable = "draining", 503, "UNAVAILABLE", True


class Overloaded(PlatformError):
    """This process has as much work in flight as it may; nothing was spent, another replica may have room."""

    code, http_status, grpc_status, retryable = "overloaded", 503, "UNAVAILABLE", True


class InternalError(PlatformError):
    """A fault of the platform; the log of the request id says more."""


def _leaves(cls: type[LlmManagerError]) -> list[type[LlmManagerError]]:
    return [cls] + [leaf for sub in cls.__subclasses__() for leaf in _leaves(sub)]


# The deepest class that states a code owns it; abstract parents repeat the code of one of their children.
_CLASS_OF_CODE: dict[str, type[LlmManagerError]] = {}
for _cls in _leaves(LlmManagerError):
    if "code" in vars(_cls) or _cls in (InvalidRequest, InternalError):
        _CLASS_OF_CODE[_cls.code] = _cls

CODES: tuple[str, ...] = tuple(sorted(_CLASS_OF_CODE))


def class_of(code: str) -> type[LlmManagerError]:
    """Return the class that owns a code; `InternalError` for a code of a newer version."""
    return _CLASS_OF_CODE.get(code, InternalError)
