"""Which headers may pass between clients and providers at all; the facts say which of these do."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

# A client's list of betas has a few hundred characters; all of them together must fit into what proxies take as a head.
MAX_VALUE_CHARACTERS: Final = 1_000
MAX_HEADERS: Final = 64

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")
_VALUE = re.compile(rf"[\x20-\x7e]{{1,{MAX_VALUE_CHARACTERS}}}")
# Of one hop (RFC 9110, 7.6.1), who somebody is, and what the product says about its own message.
_NEVER = frozenset(
    {
        *("connection", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect"),
        *("authorization", "api-key", "x-api-key", "x-goog-api-key", "cookie", "set-cookie", "set-cookie2"),
        *("www-authenticate", "age", "allow", "cache-control", "date", "etag", "location", "server", "vary", "via"),
        *("request-id", "x-request-id", "retry-after", "retry-after-ms", "x-should-retry", "user-agent"),
    }
)
_NEVER_PREFIXES = (
    *("accept", "access-control-", "content-", "proxy-", "sec-"),
    *("x-accel-", "x-forwarded-", "x-llm-manager-"),
)


def may_be_named(name: str) -> bool:
    """Return whether a header of this name, in lower case, may pass in either direction."""
    return _NAME.fullmatch(name) is not None and name not in _NEVER and not name.startswith(_NEVER_PREFIXES)


def passing(headers: Mapping[str, str], *, is_wanted: Callable[[str], bool]) -> dict[str, str]:
    """Return those that are wanted and may pass: at most 64, of at most 1,000 printable ASCII characters each.

    Args:
        headers: lower-case names.
    """
    named = {name: value for name, value in headers.items() if is_wanted(name) and may_be_named(name)}
    whole = [(name, value) for name, value in named.items() if _VALUE.fullmatch(value)]
    return dict(whole[:MAX_HEADERS])
