"""What becomes of parameters that a provider does not take: refused, or adapted with a warning (P-18, B-14, B-22)."""

from __future__ import annotations

from llm_manager.core.errors import UnsupportedParameter
from llm_manager.core.facts import Facts


class Policy:
    """Decides for one attempt and remembers what was changed.

    Args:
        adapts: the configuration allows to leave out, or to bring into range, what the provider does not take.
    """

    def __init__(self, *, adapts: bool = False) -> None:
        self._adapts = adapts
        self.warnings: list[str] = []
        self.dropped: list[str] = []

    def unsupported(self, facts: Facts, name: str, *, hint: str = "remove it or choose another model") -> None:
        """Meet a parameter that the provider does not take; the caller leaves it out.

        Raises:
            UnsupportedParameter: unless the policy adapts.
        """
        if not self._adapts:
            raise UnsupportedParameter(f"{facts.title} does not support {name!r}; {hint}.", param=name)
        self.left_out(name)

    def left_out(self, name: str) -> None:
        """Say that a hint was left out: the answer is the one asked for without it, so nothing is refused."""
        self._warn(f"left out {name}")
        if name not in self.dropped:
            self.dropped.append(name)

    def added(self, what: str) -> None:
        """Say that something was added without which the provider refuses the whole request."""
        self._warn(f"added {what}")

    def out_of_range(self, facts: Facts, name: str, *, limit: str, used: object) -> None:
        """Meet a value that the provider does not take; the caller sends `used` instead.

        Args:
            limit: what the provider takes, in words, for example "at least 1024".

        Raises:
            UnsupportedParameter: unless the policy adapts.
        """
        if not self._adapts:
            raise UnsupportedParameter(f"{facts.title} takes {name!r} of {limit} only; change it.", param=name)
        self._warn(f"{name} set to {used}")

    def _warn(self, warning: str) -> None:
        # of ten pictures the tenth says nothing new
        if warning not in self.warnings:
            self.warnings.append(warning)
