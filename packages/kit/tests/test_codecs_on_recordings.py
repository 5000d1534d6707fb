"""The codecs on real provider bodies, split at every position."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_manager.kit.ndjson import NdjsonDecoder
from llm_manager.kit.sse import SseDecoder

_ROOT = Path(__file__).parents[3]
_FOLDER = (_ROOT / os.environ.get("LLM_MANAGER_RECORDINGS", "../shared/recordings") / "open").resolve()
# The largest bodies have thousands of positions and nothing new in them.
_MAX_BODY, _BODIES_PER_KIND = 3_000, 3

if not _FOLDER.is_dir():
    pytest.skip(f"no recordings at {_FOLDER}; set LLM_MANAGER_RECORDINGS to their folder", allow_module_level=True)


def _streams() -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for provider in sorted(path for path in _FOLDER.iterdir() if path.is_dir()):
        taken = 0
        for file in sorted(provider.glob("*.json")):
            if taken == _BODIES_PER_KIND:
                break
            recording: dict[str, Any] = json.loads(file.read_bytes())
            body = recording["response"]["body_text"].encode()
            if recording["stream"] and recording["fidelity"] == "raw" and 0 < len(body) <= _MAX_BODY:
                found.append((recording["id"], body))
                taken += 1
    return found


def _all_events(pieces: list[bytes]) -> list[tuple[str | None, str]]:
    decoder = SseDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)] + decoder.finish()
    return [(event.event, event.data) for event in events]


def _all_lines(pieces: list[bytes]) -> list[bytes]:
    decoder = NdjsonDecoder()
    return [line for piece in pieces for line in decoder.feed(piece)] + decoder.finish()


STREAMS = _streams()


@pytest.mark.parametrize("body", [body for _, body in STREAMS], ids=[name for name, _ in STREAMS])
def test_a_real_body_split_at_every_position_decodes_the_same(body: bytes) -> None:
    is_sse = body.startswith((b"data:", b"event:", b":", b"id:"))
    decode: Callable[[list[bytes]], list[Any]] = _all_events if is_sse else _all_lines
    whole = decode([body])

    assert whole
    assert all(decode([body[:position], body[position:]]) == whole for position in range(len(body) + 1))
    assert decode([body[start : start + 7] for start in range(0, len(body), 7)]) == whole
    assert decode([bytes([byte]) for byte in body]) == whole


def test_recordings_of_every_streaming_provider_were_found() -> None:
    assert {name.split("-")[0] for name, _ in STREAMS} >= {"openai", "anthropic", "gemini", "groq", "ollama"}
