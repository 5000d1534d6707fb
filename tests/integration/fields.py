"""Which fields and headers of a provider does a client of the same dialect miss?

The reader of `fidelity` looks at what an answer means; this looks at every field, also of those that nobody knows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

from llm_manager.core.facts import load_facts
from llm_manager.testing.recordings import Recording, oracle

Json = dict[str, Any]
Path = tuple[str, ...]

# What may be missing, and why. Everything else that a provider said must be there.
_MAY_MISS: tuple[Path, ...] = (
    # one finish a stream, in OpenAI's words; the provider's own word stands beside it
    ("choices", "#", "finish_reason"),
    ("choices", "#", "native_finish_reason"),
    # names of the object, the stream's one id and its one time
    *(("object",), ("id",), ("created",), ("model",)),
    # bytes that hide lengths
    *(("obfuscation",), ("p",)),
    # Mistral's list of text and thinking becomes text, and `reasoning_content`
    *(("choices", "#", place, "content", "#") for place in ("delta", "message")),
    # what we count is said once, in `usage`, by what the ledger holds
    ("x_groq", "usage"),
    ("usage",),
    # made up where it is empty
    ("choices", "#", "message", "tool_calls", "#", "id"),
)
_USAGE_KEPT = ("cost",)


def field_differences(recording: Recording, status: int, body: bytes) -> list[str]:
    """Return which texts and values of a recorded chat its client does not get."""
    if recording.status != 200 or status != 200 or recording.expected["error"]:
        return []
    wanted, seen = _merged(_documents(recording.body)), _merged(_documents(body))
    return [
        f"{'.'.join(path)}: {seen.get(path)!r:.200} instead of {value!r:.200}"
        for path, value in wanted.items()
        if value != "" and seen.get(path) != value and not _may_miss(path)
    ]


def header_differences(recording: Recording, headers: Mapping[str, str], *, kind: str) -> list[str]:
    """Return which headers that the facts promise did not come, on answers and on errors."""
    promised = load_facts()[kind].headers.forward
    recorded = {name.lower(): value for name, value in recording.headers.items()}
    return [
        f"header {name}: {headers.get(name)!r} instead of {value!r}"
        for name, value in recorded.items()
        if promised and name.startswith(promised) and headers.get(name) != value
    ]


def _documents(body: bytes) -> Iterator[Json]:
    text = body.removeprefix(b"\xef\xbb\xbf").strip()
    if text.startswith(b"{"):
        yield json.loads(text)
        return
    for _, data, _ in oracle().sse_events(body):
        if data and data != "[DONE]":
            yield json.loads(data)


def _merged(documents: Iterator[Json]) -> dict[Path, object]:
    """Return the last value at each path; texts that change from chunk to chunk, put together."""
    found: dict[Path, list[object]] = {}
    for document in documents:
        _collect((), document, found)
    merged: dict[Path, object] = {}
    for path, values in found.items():
        is_written = len(set(map(repr, values))) > 1 and all(isinstance(value, str) for value in values)
        merged[path] = "".join(map(str, values)) if is_written else values[-1]
    return merged


def _collect(path: Path, value: object, found: dict[Path, list[object]]) -> None:
    if isinstance(value, dict):
        for name, member in cast("Json", value).items():
            _collect((*path, name), member, found)
    elif isinstance(value, list):
        for number, item in enumerate(cast("list[object]", value)):
            place = cast("Json", item).get("index", number) if isinstance(item, dict) else number
            _collect((*path, str(place)), cast("object", item), found)
    elif value is not None:
        found.setdefault(path, []).append(value)


def _may_miss(path: Path) -> bool:
    general = tuple("#" if name.isdigit() else name for name in path)
    if general[:1] == ("usage",) and general[1:2] == _USAGE_KEPT and len(general) > 2:
        # a table of costs is the provider's own
        return False
    return any(general[: len(start)] == start for start in _MAY_MISS)
