"""What may be said of a provider: its address, its headers, and what of them may be shown; pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from llm_manager.core.errors import InvalidRequest
from llm_manager.core.facts import Facts, Paths

MASK = "***"
_PORTS = {"http": 80, "https": 443}
# RFC 9110, 5.6.2 and 5.5: a token, and visible text.
_NAME, _VALUE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}"), re.compile(r"[\x20-\x7e]{1,4000}")
# Of the connection, not of the request: workers would leave them out.
_NOT_OURS = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "content-type", "te", "trailer", "upgrade"}
)
_SECRET = re.compile(r"auth|key|token|secret|cookie|password|credential", re.IGNORECASE)
PATH_NAMES = frozenset(Paths.__struct_fields__)


def facts_of(kind: str, known: Mapping[str, Facts]) -> Facts:
    """Return the facts of a kind.

    Raises:
        InvalidRequest: there is no such kind; the message offers the nearest ones.
    """
    if (found := known.get(kind)) is not None:
        return found
    near = difflib.get_close_matches(kind[:100], list(known), n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(sorted(known))}."
    raise InvalidRequest(f"kind: there is no provider kind {kind[:100]!r}; {hint}", param="kind")


def checked_base_url(base_url: str) -> str:
    """Return a base URL without the slash at its end.

    Raises:
        InvalidRequest: it is no absolute URL of http(s), or holds what would be shown, logged or lost.
    """
    try:
        parts = urlsplit(base_url)
        is_good = parts.scheme in _PORTS and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_good, parts = False, urlsplit("")
    if not is_good or not base_url.isprintable() or " " in base_url:
        raise InvalidRequest("base_url: write an absolute URL such as https://host/v1.", param="base_url")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InvalidRequest(
            "base_url: leave out name, password, query and fragment; keys go into api_key or headers.", param="base_url"
        )
    return base_url.rstrip("/")


def origin_of_url(base_url: str) -> tuple[str, str, int | None]:
    """Return to whom a URL leads: scheme, host, port."""
    parts = urlsplit(base_url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme)


def merged_headers(held: Mapping[str, str], said: Mapping[str, str | None]) -> dict[str, str]:
    """Return headers after a change; null takes one away (RFC 7396). Names in lower case.

    Raises:
        InvalidRequest: a name or a value cannot be sent.
    """
    merged = dict(held)
    for given, value in said.items():
        name = given.lower()
        if not _NAME.fullmatch(given) or name in _NOT_OURS:
            raise InvalidRequest(f"headers.{given[:100]}: this header cannot be set.", param="headers")
        if value is None:
            merged.pop(name, None)
        elif not _VALUE.fullmatch(value):
            raise InvalidRequest(f"headers.{given}: 1 to 4,000 visible ASCII characters.", param="headers")
        else:
            merged[name] = value
    return merged


def shown_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers as they may be shown: what is called like a secret is hidden."""
    return {name: MASK if _SECRET.search(name) else value for name, value in headers.items()}


def checked_paths(paths: Mapping[str, str]) -> dict[str, str]:
    """Return paths below the base URL.

    Raises:
        InvalidRequest: an operation is not known, or a path is none.
    """
    for name, path in paths.items():
        if name not in PATH_NAMES:
            raise InvalidRequest(f"paths.{name[:50]}: there are {', '.join(sorted(PATH_NAMES))}.", param="paths")
        if not path.startswith("/") or not path.isprintable() or " " in path or "#" in path or ".." in path:
            raise InvalidRequest(f"paths.{name}: write a path such as /chat/completions.", param="paths")
    return dict(paths)


def without_secrets(url: str) -> str:
    """Leave out a user's name, password and query, where people put keys into variables."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def free_name(taken: Iterable[str], wanted: str) -> None:
    """Check that a key of a provider can have a name.

    Raises:
        InvalidRequest: another one has it.
    """
    if wanted in set(taken):
        raise InvalidRequest(f"name: there is another key named {wanted[:100]!r}; choose another name.", param="name")
