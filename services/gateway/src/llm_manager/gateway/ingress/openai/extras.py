"""What OpenAI's messages carry beside text and calls: annotations, and another provider's blocks (known-failures B-17).

`provider_blocks` is an extension of ours: `[{"dialect": …, "block": …}]`, to be sent back with the message unchanged,
so that signatures and server-tool blocks survive the next turn byte for byte.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from msgspec import Raw

from llm_manager.core.deltas import Annotation, OpaqueDelta
from llm_manager.core.messages import OpaqueBlock


@dataclass(slots=True)
class Extras:
    """What one choice carries, in order."""

    annotations: list[Raw] = field(default_factory=list[Raw])
    blocks: list[OpaqueBlock] = field(default_factory=list[OpaqueBlock])

    def add(self, delta: Annotation | OpaqueDelta) -> None:
        """Take the next one."""
        if isinstance(delta, Annotation):
            self.annotations.append(Raw(delta.json))
        else:
            self.blocks.append(delta.block)

    def fields(self) -> dict[str, object]:
        """Return them as fields of a message or a delta; none that would be empty."""
        fields: dict[str, object] = {}
        if self.annotations:
            fields["annotations"] = self.annotations
        if self.blocks:
            fields["provider_blocks"] = [{"dialect": block.dialect, "block": Raw(block.json)} for block in self.blocks]
        return fields
