"""Which shape an error has at which address: every client reads errors in its own dialect's shape only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from starlette.types import Scope

from llm_manager.core.errors import LlmManagerError
from llm_manager.gateway.errors import error_body


class ErrorShape(Protocol):
    """Renders an error as a body in one dialect."""

    def __call__(self, error: LlmManagerError, *, request_id: str) -> bytes: ...


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """Addresses that answer errors in one shape.

    Args:
        prefixes: how their paths begin.
        infix: what their paths hold behind the prefix; empty when it does not matter.
        header: lower-case name of a header that the request has; empty when it does not matter.
    """

    shape: ErrorShape
    prefixes: tuple[str, ...]
    infix: str = ""
    header: bytes = b""

    def applies(self, scope: Scope) -> bool:
        """Return whether a request is answered in this shape."""
        path: str = scope["path"]
        if not path.startswith(self.prefixes) or self.infix not in path:
            return False
        return not self.header or any(name == self.header for name, _ in scope["headers"])


def shape_of(scope: Scope, rules: Sequence[ErrorRule]) -> ErrorShape:
    """Return the shape for a request; OpenAI's where no rule applies."""
    return next((rule.shape for rule in rules if rule.applies(scope)), _openai)


def _openai(error: LlmManagerError, *, request_id: str) -> bytes:  # noqa: ARG001 # it is in the headers
    return error_body(error)
