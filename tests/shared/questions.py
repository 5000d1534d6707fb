"""What the SDK tests ask the model made of rules, and what it answers."""

from __future__ import annotations

from typing import Any

MODEL, EMBEDDING_MODEL = "openai/gpt-4o-mini", "openai/text-embedding-3-small"
HELLO, HELLO_ANSWER = "Say hello.", "You said: Say hello."
USE_TOOL = "Use multiply with 6 and 7."
TOOL_NAME, TOOL_ARGUMENTS = "multiply", {"a": 6, "b": 7}
PERSON_QUESTION, PERSON = "Ada is 36 years old.", {"name": "Ada", "age": 36}
MULTIPLY_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    "required": ["a", "b"],
    "additionalProperties": False,
}
PERSON_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
