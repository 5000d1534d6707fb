"""Other gateways, pinned and started as their projects document it, so that one run compares them with ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class NotInstallable(Exception):
    """This peer cannot be measured here; the message is one sentence that says why."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A gateway that answers now.

    Attributes:
        version: as installed, such as "1.15.2".
        base_url: with /v1, without a slash behind.
        headers: what a request must carry to get through; names are in lower case.
        model: what to put in "model", for chat and for embeddings.
        pids: the root processes; what counts for CPU and memory is these with all descendants.
        start_seconds: from the start of its process to the first answer; installing does not count.
    """

    name: str
    version: str
    base_url: str
    headers: Mapping[str, str]
    model: str
    pids: tuple[int, ...] = ()
    start_seconds: float = 0.0
