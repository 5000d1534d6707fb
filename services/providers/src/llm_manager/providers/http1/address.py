"""Where a request goes, read from a URL once."""

from __future__ import annotations

from base64 import b64encode
from functools import lru_cache
from typing import NamedTuple

from yarl import URL

_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """What a connection leads to. Of an origin that is trusted and one that is not, none uses the other's connections.

    `is_trusted`: private addresses may be connected to.
    """

    is_tls: bool
    host: str
    port: int
    is_trusted: bool = False


class Address(NamedTuple):
    """A URL in parts. `authorization` comes from `https://name:password@host`, else it is empty."""

    origin: Origin
    host: str
    target: str
    authorization: str


@lru_cache(maxsize=1024)
def address_of(url: str, *, is_trusted: bool = False) -> Address:
    """Read a URL; what a request line cannot hold is quoted.

    Raises:
        ValueError: it is no absolute http(s) URL.
    """
    read = URL(url)
    scheme, host = read.scheme, read.raw_host
    if scheme not in _PORTS or not host or not read.port:
        raise ValueError("no absolute URL of http or https")
    shown = f"[{host}]" if ":" in host else host
    if read.port != _PORTS[scheme]:
        shown = f"{shown}:{read.port}"
    userinfo = f"{read.user or ''}:{read.password or ''}" if read.user or read.password else ""
    authorization = f"Basic {b64encode(userinfo.encode()).decode()}" if userinfo else ""
    origin = Origin(scheme == "https", host, read.port, is_trusted)
    return Address(origin, shown, read.raw_path_qs or "/", authorization)
