"""Where endpoints find what app.py has built for them, each feature its own piece."""

from __future__ import annotations

from typing import Generic, TypeVar, cast

from starlette.applications import Starlette
from starlette.requests import Request

T = TypeVar("T")


class Built(Generic[T]):
    """A named place in the state of an application for one thing of type T."""

    def __init__(self, name: str) -> None:
        self._name = name

    def put(self, app: Starlette, thing: T) -> None:
        """Place the thing; once, before the application serves."""
        setattr(app.state, self._name, thing)

    def of(self, request: Request) -> T:
        """Return the thing of the application that serves a request."""
        return cast("T", getattr(request.app.state, self._name))  # Starlette's state is untyped
