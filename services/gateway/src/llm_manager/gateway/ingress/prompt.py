"""Counts the characters of prompts in any dialect; for estimates only."""

from __future__ import annotations

import msgspec

from llm_manager.core.estimates import CHARACTERS_PER_TOKEN, size_of

# Keys under which some dialect keeps what the model reads. Pictures, files and signatures are under none of them.
_READ = frozenset(
    {
        *("messages", "input", "inputs", "prompt", "system", "instructions", "systemInstruction", "system_instruction"),
        *("contents", "content", "parts", "text", "texts", "query", "documents", "output", "arguments", "tools"),
        *("function", "functionDeclarations", "function_declarations", "name", "description", "parameters", "thinking"),
        *("input_schema", "suffix", "requests", "generateContentRequest", "generate_content_request"),
    }
)


def prompt_characters(body: bytes) -> int:
    """Count the characters of a prompt's texts; pictures and files are not counted."""
    try:
        document: object = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return len(body)
    return _characters(document)


def _characters(value: object) -> int:
    if isinstance(value, str):
        return size_of(value)
    if isinstance(value, int) and not isinstance(value, bool):
        # the texts of embeddings and legacy completions may be given as token numbers
        return CHARACTERS_PER_TOKEN
    if isinstance(value, list):
        return sum(_characters(item) for item in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] # JSON
    if isinstance(value, dict):
        return sum(_characters(item) for key, item in value.items() if key in _READ)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] # JSON
    return 0
