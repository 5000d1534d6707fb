"""Workers as NATS micro services, so that `nats micro ls`, `info` and `stats` show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from nats.aio.client import Client
from nats.micro.service import EndpointInfo, EndpointStats, Service, ServiceConfig, ServiceInfo, ServiceStats


@dataclass(slots=True)
class EndpointCounts:
    """What one subject has served since the start."""

    requests: int = 0
    errors: int = 0
    processing_ns: int = 0
    last_error: str = ""


class Discovery(Service):
    """Answers PING, INFO and STATS of the micro protocol for endpoints that the responder subscribes itself.

    The endpoints of nats-py are not used: stopping one drops what waits in its queue without an answer (2.16,
    `Endpoint._stop` unsubscribes, does not drain), hides the reply subject, and measures its handler's return, which
    here is the start of an answer, not its end.
    """

    def __init__(
        self,
        client: Client,
        *,
        queue: str,
        description: str,
        metadata: Mapping[str, str],
        counts: Mapping[str, EndpointCounts],
    ) -> None:
        config = ServiceConfig(
            name=queue, version=version("llm-manager-kit"), description=description, metadata=dict(metadata)
        )
        super().__init__(client, config)
        self._queue = queue
        self._counts = counts

    def info(self) -> ServiceInfo:
        """Describe the worker and its subjects."""
        info = super().info()
        info.endpoints = [
            EndpointInfo(name=_endpoint_name(subject), subject=subject, queue_group=self._queue)
            for subject in self._counts
        ]
        return info

    def stats(self) -> ServiceStats:
        """Count what every subject has served."""
        stats = super().stats()
        stats.endpoints = [
            EndpointStats(
                name=_endpoint_name(subject),
                subject=subject,
                queue_group=self._queue,
                num_requests=count.requests,
                num_errors=count.errors,
                processing_time=count.processing_ns,
                average_processing_time=count.processing_ns // max(count.requests, 1),
                last_error=count.last_error,
            )
            for subject, count in self._counts.items()
        ]
        return stats


def _endpoint_name(subject: str) -> str:
    return subject.replace(".", "-")


def subjects_of(subjects: Sequence[str]) -> dict[str, EndpointCounts]:
    """Return fresh counts for every subject."""
    return {subject: EndpointCounts() for subject in subjects}
