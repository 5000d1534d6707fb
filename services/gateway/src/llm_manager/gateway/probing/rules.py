"""The questions that tell what an OpenAI-compatible server can do, and what an answer proves; pure."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from llm_manager.core.errors import (
    LlmManagerError,
    UnsupportedParameter,
    UpstreamProtocolError,
    UpstreamRefused,
    UpstreamUnavailable,
)
from llm_manager.core.facts import Dialect, Facts
from llm_manager.core.families import Capability
from llm_manager.gateway.inference.rules import NativeBody

# Large enough that no vision model calls the picture too small, small enough to cost next to nothing.
_PICTURE_PIXELS = 32
_MAX_TOKENS = 16

Members = Mapping[str, object]


def _png(side: int) -> bytes:
    """Return a white picture."""
    rows = (b"\x00" + b"\xff" * 3 * side) * side
    header = struct.pack(">2I5B", side, side, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def _said(text: str) -> Members:
    return {"messages": [{"role": "user", "content": text}]}


def _shown() -> Members:
    picture = f"data:image/png;base64,{base64.b64encode(_png(_PICTURE_PIXELS)).decode()}"
    content = [{"type": "text", "text": "Say OK."}, {"type": "image_url", "image_url": {"url": picture}}]
    return {"messages": [{"role": "user", "content": content}]}


def _has_two_choices(body: bytes) -> bool:
    return len(msgspec.json.decode(body, type=dict[str, Any])["choices"]) == 2


def _has_logprobs(body: bytes) -> bool:
    choices = msgspec.json.decode(body, type=dict[str, Any])["choices"]
    return bool(choices and choices[0].get("logprobs"))


@dataclass(frozen=True, slots=True)
class Probe:
    """One question. Being answered is the proof, unless `proves` looks into the answer: some servers ignore in
    silence what they cannot do.

    Args:
        capabilities: what the server lacks when it refuses.
        spoken: the dialect that it lacks then.
        members: of the request, beside the model.
        proves: reads the body of an answer in one piece.
    """

    name: str
    capabilities: tuple[Capability, ...] = ()
    spoken: Dialect | None = None
    members: Members = field(default_factory=dict[str, object])
    is_stream: bool = False
    proves: Callable[[bytes], bool] | None = None

    def body(self, model: str) -> NativeBody:
        """Write the request."""
        dialect = self.spoken or "openai_chat"
        chat = {} if self.spoken else {**_said("Say OK."), "max_tokens": _MAX_TOKENS}
        return NativeBody(dialect, msgspec.json.encode({"model": model, **chat, **self.members}))


_NOTHING: Members = {"type": "object", "properties": dict[str, object](), "additionalProperties": False}
_FUNCTION: Members = {"name": "current_time", "description": "Return the time.", "parameters": _NOTHING}
_SCHEMA = {
    "name": "answer",
    "strict": True,
    "schema": {
        "type": "object",
        "properties": {"ok": {"type": "boolean"}},
        "required": ["ok"],
        "additionalProperties": False,
    },
}
# Without an answer to this one the others prove nothing.
PLAIN = Probe("plain")
PROBES: Sequence[Probe] = (
    Probe("streaming", ("streaming",), members={"stream": True}, is_stream=True),
    Probe("tools", ("tools", "parallel_tools"), members={"tools": [{"type": "function", "function": _FUNCTION}]}),
    Probe(
        "json_object",
        ("json_object",),
        # the word JSON has to stand in the prompt for OpenAI and those who copy it
        members={**_said("Answer with an empty JSON object."), "response_format": {"type": "json_object"}},
    ),
    Probe(
        "json_schema",
        ("json_schema",),
        members={
            **_said("Answer in JSON that everything is OK."),
            "response_format": {"type": "json_schema", "json_schema": _SCHEMA},
        },
    ),
    Probe("images", ("images",), members=_shown()),
    Probe("logprobs", ("logprobs",), members={"logprobs": True}, proves=_has_logprobs),
    Probe("several_choices", ("several_choices",), members={"n": 2}, proves=_has_two_choices),
    Probe("seed", ("seed",), members={"seed": 7}),
    Probe("completions", spoken="openai_completions", members={"prompt": "OK", "max_tokens": _MAX_TOKENS}),
    Probe(
        "responses",
        spoken="openai_responses",
        members={"input": "Say OK.", "max_output_tokens": _MAX_TOKENS, "store": False},
    ),
)

# An answer of these classes is about the question; every other failure is about the moment.
_REFUSALS = (UpstreamRefused, UnsupportedParameter, UpstreamProtocolError)


def is_refusal(error: LlmManagerError) -> bool:
    """Return whether a failure proves that the server cannot do what it was asked."""
    return isinstance(error, _REFUSALS)


def may_be_refusal(error: LlmManagerError) -> bool:
    """Return whether a failure proves the same once it has come twice: llama.cpp answers 500 to pictures."""
    return isinstance(error, UpstreamUnavailable)


def asked_of(facts: Facts) -> list[Probe]:
    """Return the questions that are open for a kind: of what its facts do not claim, nothing is asked."""
    return [
        probe
        for probe in PROBES
        if (facts.speaks(probe.spoken) if probe.spoken else set(probe.capabilities) & set(facts.capabilities))
    ]


def abilities(facts: Facts, lacking: Collection[Probe]) -> tuple[tuple[Capability, ...], tuple[Dialect, ...]]:
    """Return capabilities and dialects of a server that lacks what some questions were about."""
    missing = {capability for probe in lacking for capability in probe.capabilities}
    silent = {probe.spoken for probe in lacking if probe.spoken}
    return (
        tuple(capability for capability in facts.capabilities if capability not in missing),
        tuple(dialect for dialect in (facts.dialect, *facts.also) if dialect not in silent),
    )
