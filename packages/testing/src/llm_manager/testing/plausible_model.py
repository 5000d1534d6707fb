"""A model made of rules, for tests of clients that expect sense.

It uses tools that it is asked to use, fills schemas from the numbers and names of the question, obeys stop sequences
and limits, and is the same every time.

It knows OpenAI's chat dialect only; clients of every other dialect reach it through the product.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

# Any: JSON documents
Json = dict[str, Any]
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_NAME = re.compile(r"\b[A-Z][a-z]+\b")
_QUOTED = re.compile(r"'([^']+)'")
_WORD = re.compile(r"\S+\s*")
# What a tool is about, by its name: `get_weather` is asked for by "weather".
_TOPIC = re.compile(r"[a-z]{6,}")
# Asks of a question that a tool answers, beside the tool's own name.
_WANTS_TOOL = re.compile(r"\b(?:use|call|invoke)\b.*\b(?:tool|function)s?\b", re.IGNORECASE | re.DOTALL)


@dataclass(slots=True)
class Choice:
    """One answer: text, or calls as name and arguments."""

    text: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    finish_reason: str = "stop"


def answer(body: Json) -> Choice:
    """Answer a chat request."""
    messages: list[Json] = body["messages"]
    question = last_question(messages)
    if messages[-1]["role"] == "tool":
        return _limited(Choice(f"The tool says: {text_of(messages[-1].get('content'))}"), body)
    tools = [tool["function"] for tool in body.get("tools") or () if tool.get("type") == "function"]
    chosen = _chosen(tools, body.get("tool_choice", "auto"), question)
    if chosen:
        filler = Filler(question)
        calls = [(tool["name"], json.dumps(filler.instance(tool.get("parameters") or {}))) for tool in chosen]
        return Choice(calls=calls, finish_reason="tool_calls")
    form: Json = body.get("response_format") or dict[str, Any]()
    if form.get("type") == "json_schema":
        return Choice(json.dumps(Filler(question).instance(form["json_schema"].get("schema") or {})))
    if form.get("type") == "json_object":
        return Choice(json.dumps({"answer": question}))
    return _limited(Choice(f"You said: {question}" if question else "You said nothing."), body)


def last_question(messages: Sequence[Json]) -> str:
    """Return the text of the last message of the user."""
    return next((text_of(m.get("content")) for m in reversed(messages) if m["role"] == "user"), "")


def text_of(content: object) -> str:
    """Return the text of a message's content, with a word for each picture or file in it."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts: list[Json] = [part for part in content if isinstance(part, dict)]  # pyright: ignore[reportUnknownVariableType] # JSON
    return " ".join(part["text"] if part.get("type") == "text" else f"[{part.get('type')}]" for part in parts)


def tokens_of(text: str) -> int:
    """Count words."""
    return len(text.split())


def words_of(text: str) -> list[str]:
    """Split a text into the pieces of its stream."""
    return _WORD.findall(text)


def _chosen(tools: Sequence[Json], choice: str | Json, question: str) -> list[Json]:
    if not tools or choice == "none":
        return []
    if not isinstance(choice, str):
        name = choice.get("function", {}).get("name")
        return [tool for tool in tools if tool["name"] == name]
    lower = question.lower()
    named = [tool for tool in tools if tool["name"].lower() in lower or tool["name"].replace("_", " ").lower() in lower]
    if named:
        return named
    about = [tool for tool in tools if any(word in lower for word in _TOPIC.findall(tool["name"].lower()))]
    if about:
        return about[:1]
    if choice == "required" or _WANTS_TOOL.search(question):
        return [tools[0]]
    return []


def _limited(choice: Choice, body: Json) -> Choice:
    stop = body.get("stop") or ()
    for text in [stop] if isinstance(stop, str) else stop:
        choice.text = choice.text.partition(text)[0]
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    words = words_of(choice.text)
    if limit is not None and len(words) > limit:
        choice.text, choice.finish_reason = "".join(words[:limit]).rstrip(), "length"
    return choice


class Filler:
    """Fills schemas with what a question offers: its numbers in order, its names, then the question itself."""

    def __init__(self, question: str) -> None:
        self._question = question
        self._numbers: Iterator[str] = itertools.chain(_NUMBER.findall(question), itertools.repeat("1"))
        # what stands in quotes is meant literally
        names = _QUOTED.findall(question) or [
            name for name in _NAME.findall(question) if name not in ("The", "What", "Use", "Call", "Extract", "Tell")
        ]
        self._names: Iterator[str] = itertools.chain(names, itertools.repeat(question or "something"))

    def instance(self, schema: Json, root: Json | None = None) -> Any:
        """Return a value that follows a JSON Schema; properties that are not required are filled too."""
        root = schema if root is None else root
        if "$ref" in schema:
            target: Any = root
            for key in schema["$ref"].removeprefix("#/").split("/"):
                target = target[key]
            return self.instance(target, root)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            values: list[Any] = schema["enum"]
            return next((value for value in values if str(value).lower() in self._question.lower()), values[0])
        for union in ("anyOf", "oneOf", "allOf"):
            if schema.get(union):
                return self.instance(next(s for s in schema[union] if s.get("type") != "null"), root)
        return self._typed(schema, root)

    def _typed(self, schema: Json, root: Json) -> Any:
        kinds: Any = schema.get("type", "object" if "properties" in schema else "string")
        kind = str(next(name for name in kinds if name != "null") if isinstance(kinds, list) else kinds)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] # JSON
        match kind.lower():
            case "object":
                properties: dict[str, Json] = schema.get("properties") or {}
                return {name: self.instance(item, root) for name, item in properties.items()}
            case "array":
                count = max(int(schema.get("minItems", 1)), 1)
                return [self.instance(schema.get("items") or {"type": "string"}, root) for _ in range(count)]
            case "integer":
                return int(float(next(self._numbers)))
            case "number":
                return float(next(self._numbers))
            case "boolean":
                return True
            case "null":
                return None
            case _:
                return next(self._names)
