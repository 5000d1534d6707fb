"""Real provider traffic for tests: the recordings, their independent reader, and the server that replays them.

The folder is LLM_MANAGER_RECORDINGS, by default `../shared/recordings` beside the repository. Nothing of it is copied
into the repository; where it is absent, tests skip with `why_absent()`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast

FOLDER_VARIABLE = "LLM_MANAGER_RECORDINGS"
_ROOT = Path(__file__).resolve().parents[5]
_STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Recording:
    """One exchange. `expected` is what the independent reader found in it, corrected where it is provably wrong.

    Args:
        chunk_sizes: bytes of each piece in which the body came; empty where nobody wrote them down.

    Any: bodies and expectations are JSON of any shape.
    """

    id: str
    provider: str
    operation: str
    wire: str
    is_stream: bool
    status: int
    media_type: str
    headers: Mapping[str, str]
    body: bytes
    chunk_sizes: tuple[int, ...]
    request: Any
    url: str
    tags: tuple[str, ...]
    fidelity: str
    expected: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"Recording({self.id})"


def folder() -> Path:
    """Return where the recordings should be."""
    return (_ROOT / os.environ.get(FOLDER_VARIABLE, "../shared/recordings")).resolve()


def why_absent() -> str | None:
    """Return why tests on recordings cannot run, None when they can."""
    if (folder() / "open").is_dir():
        return None
    return f"no recordings at {folder()}; set {FOLDER_VARIABLE} to their folder"


def load(
    *, providers: Sequence[str], operations: Sequence[str] = ("chat", "embeddings", "models"), part: str = "open"
) -> list[Recording]:
    """Return recordings, sorted by id; none when the folder is absent.

    Args:
        part: `open` for what was really recorded, `reconstructed` for the errors that nobody recorded.
    """
    return [r for p in providers for r in _all_of(p, part) if r.operation in operations]


@cache
def _all_of(provider: str, part: str) -> tuple[Recording, ...]:
    paths = sorted((folder() / part / provider).glob("*.json"))
    return tuple(_read(path) for path in paths)


def _read(path: Path) -> Recording:
    document = json.loads(path.read_text("utf-8"))
    request, response = document["request"], document["response"]
    return Recording(
        id=document["id"],
        provider=document["provider"],
        operation=document["operation"],
        wire=document["wire"],
        is_stream=bool(document["stream"]),
        status=response["status"],
        media_type=response["media_type"] or "",
        headers={name.lower(): value for name, value in response["headers"].items()},
        body=response["body_text"].encode(),
        chunk_sizes=tuple(response.get("chunk_sizes") or ()),
        request=request["json"],
        url=request["url"],
        tags=tuple(document["tags"]),
        fidelity=document["fidelity"],
        expected={**document["expected"], **_corrected(document["id"], document["expected"])},
    )


# xAI counts reasoning beside completion_tokens: its own total_tokens is prompt + completion + reasoning. The reader of
# the recordings takes completion_tokens for everything billable, so its output total is too low for these.
_REASONING_BESIDE = frozenset(f"openai_compatible-chat-{name}" for name in ("2b4e8f7811", "47014c11b4", "9e2edbd27b"))


# Gemini's OpenAI-compatible endpoint counts its thoughts in total_tokens only, and Google bills them as output.
_THOUGHTS_IN_TOTAL = frozenset(f"openai_compatible-chat-{name}" for name in ("7bdef5da38", "9ac5ba5fd1"))
# Mistral counts audio beside prompt_tokens: 9 + 375 of audio + 201 is its own total of 585.
_AUDIO_BESIDE = frozenset({"mistral-chat-7d0d965721"})


def _corrected(recording_id: str, expected: Mapping[str, Any]) -> Mapping[str, Any]:
    if recording_id in _THOUGHTS_IN_TOTAL:
        return {"output_tokens_total": expected["total_tokens"] - expected["input_tokens_total"]}
    if recording_id in _AUDIO_BESIDE:
        audio = expected["usage_raw"]["prompt_tokens_details"]["audio_tokens"]
        return {"input_tokens_total": expected["input_tokens"] + audio}
    if recording_id not in _REASONING_BESIDE:
        return {}
    output_total = expected["output_tokens_total"] + expected["reasoning_tokens"]
    if expected["input_tokens_total"] + output_total != expected["total_tokens"]:
        raise ValueError(f"{recording_id}: the provider's total does not prove the correction any more")
    return {"output_tokens_total": output_total}


class Oracle(Protocol):
    """`tools/wire.py`: reads an answer without any code of ours."""

    def read(self, provider: str, wire: str, status: int, body: bytes) -> tuple[str, dict[str, Any]]:
        """Return the framing and what was read."""
        ...

    def sse_events(self, body: bytes) -> list[tuple[str | None, str, str | None]]:
        """Return event, data and id of every event."""
        ...


@cache
def oracle() -> Oracle:
    """Return the independent reader."""
    path = folder() / "tools" / "wire.py"
    spec = importlib.util.spec_from_file_location("recordings_wire", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast("Oracle", module)


@dataclass(frozen=True, slots=True)
class ReplayServer:
    """A running replay server; steer it by the API key, see the head of `tools/replay_server.py`."""

    port: int

    def base_url(self, provider: str) -> str:
        """Return the base URL under which a provider's SDK, or a provider record, finds its recordings."""
        below = {
            "groq": "groq/openai/v1",
            "ollama": "ollama",
            "anthropic": "anthropic",
            "gemini": "gemini",
            "cohere": "cohere",
        }
        return f"http://127.0.0.1:{self.port}/{below.get(provider, provider + '/v1')}"


@contextmanager
def replay_server(*, chunks: str = "real", parts: Sequence[str] = ("open", "reconstructed")) -> Generator[ReplayServer]:
    """Run `tools/replay_server.py` as a child on a free port.

    Args:
        chunks: how streams are cut: real, event, line, bytes:7, whole.
    """
    command = [sys.executable, str(folder() / "tools" / "replay_server.py")]
    command += [*(str(folder() / part) for part in parts), "--port", "0", "--chunks", chunks]
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert child.stdout is not None
        said = child.stdout.readline().strip()
        if not said:
            raise RuntimeError(f"the replay server did not start: {' '.join(command)}")
        yield ReplayServer(int(said))
    finally:
        child.terminate()
        try:
            child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(_STOP_SECONDS)
        if child.stdout is not None:
            child.stdout.close()
