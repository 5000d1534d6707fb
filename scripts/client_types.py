"""Schemas of an OpenAPI document as Python types, and the module that holds them."""

from __future__ import annotations

import keyword
import re
import textwrap
from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]  # JSON Schema is a tree of anything; what is read of it is looked at where it is read
_WIDTH = 114  # of a line of text, which with its quotes is within the 120 of the linter
_SHORT_ENUM = 5  # values; longer ones get a name
_PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_QUALIFIED = 4  # words in `llm_manager__gateway__audit__EntryView`, as FastAPI tells classes of one name apart
_JSON = """
Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
\"\"\"Whatever JSON can say.\"\"\"
"""


def pascal(name: str) -> str:
    """Return the name of a class: `ListOf_AppView_` is ListOfAppView."""
    parts = name.split("__")
    if len(parts) >= _QUALIFIED:
        # a class and the folder it is in: AuditEntryView
        name = "_".join([*parts[2:-2], parts[-1]])
    return "".join(word[:1].upper() + word[1:] for word in re.split(r"\W|_", name))


def snake(name: str) -> str:
    """Return the name of a variable: `if-match` is if_match, `from` is from_."""
    plain = re.sub(r"\W", "_", name)
    return f"{plain}_" if keyword.iskeyword(plain) else plain


def docstring(text: str, indent: int) -> list[str]:
    """Return the lines of a docstring."""
    escaped = text.strip().replace("\\", "\\\\").replace('"""', "'''")
    if not escaped:
        return []
    pad, paragraphs = " " * indent, escaped.split("\n")
    lines: list[str] = []
    for paragraph in paragraphs:
        lines += textwrap.wrap(paragraph, _WIDTH - indent, subsequent_indent="") or [""]
    end = ' """' if len(lines) == 1 and lines[0].endswith('"') else '"""'
    if len(lines) == 1:
        return [f'{pad}"""{lines[0]}{end}']
    return [f'{pad}"""{lines[0]}', *(f"{pad}{line}".rstrip() for line in lines[1:]), f'{pad}"""']


def description_of(schema: Schema) -> str:
    """Return what a schema says about itself, or what one of its alternatives says."""
    if schema.get("description"):
        return " ".join(str(schema["description"]).split())
    found = [description_of(part) for part in [*schema.get("anyOf", []), *schema.get("oneOf", [])]]
    return next((text for text in found if text), "")


class Types:
    """Names for the schemas of a document; it remembers which were asked for."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._components: dict[str, Schema] = document.get("components", {}).get("schemas", {})
        self._taken: dict[str, Schema] = {}
        for name, schema in self._components.items():
            if pascal(name) in self._taken:
                msg = f"Two schemas would be called {pascal(name)}; give one of the classes another name."
                raise ValueError(msg)
            self._taken[pascal(name)] = schema
        self._used: dict[str, Schema] = {}

    @property
    def names(self) -> set[str]:
        """Return what the module of models holds."""
        return {"Json", *self._used}

    def resolved(self, schema: Schema) -> Schema:
        """Follow references."""
        while "$ref" in schema:
            schema = self._components[_last(schema)]
        return schema

    def type_of(self, schema: Schema, *, argument: bool = False, hint: tuple[str, ...] = (), above: str = "") -> str:
        """Return the type; an argument takes any sequence and mapping, an answer has lists and dicts.

        `hint` is the schema's owner and field, of which a name is made where one is needed.
        """
        if "$ref" in schema:
            return self._reference(schema, argument=argument, above=above)
        parts: list[Schema] = schema.get("anyOf") or schema.get("oneOf") or []
        if not parts and len(schema.get("allOf", [])) == 1:
            parts = schema["allOf"]
        if not parts and isinstance(schema.get("type"), list):
            parts = [{**schema, "type": one} for one in schema["type"]]
        if parts:
            return _union([self.type_of(part, argument=argument, hint=hint, above=above) for part in parts])
        if "const" in schema:
            return f"Literal[{schema['const']!r}]"
        if "enum" in schema:
            return self._enum(schema, hint)
        if schema.get("type") in _PLAIN:
            return _PLAIN[schema["type"]]
        return self._container(schema, argument=argument, hint=hint, above=above)

    def module(self) -> str:
        """Return the source of the models: aliases first, then classes, each in order of names."""
        classes: dict[str, list[str]] = {}
        while missing := sorted(set(self._used) - set(classes)):
            for name in missing:
                schema = self._used[name]
                classes[name] = self._class(name, schema) if is_model(schema) else _alias(name, schema)
        blocks = sorted(classes.items(), key=lambda item: (is_model(self._used[item[0]]), item[0]))
        return _JSON + "\n\n" + "\n\n".join("\n".join(lines) for _, lines in blocks) + "\n"

    def _container(self, schema: Schema, *, argument: bool, hint: tuple[str, ...], above: str) -> str:
        if schema.get("type") == "array":
            inner = self.type_of(schema.get("items", {}), argument=argument, hint=hint, above=above)
            return f"Sequence[{inner}]" if argument else f"list[{inner}]"
        if is_model(schema):
            return self._use(self._free((schema.get("title", ""), "".join(hint)), schema), schema)
        if schema.get("type") == "object" or "additionalProperties" in schema:
            values: Schema | bool = schema.get("additionalProperties", True)
            inner = "Json"
            if isinstance(values, dict):
                inner = self.type_of(values, argument=argument, hint=hint, above=above)
            return f"Mapping[str, {inner}]" if argument else f"dict[str, {inner}]"
        return "Json"

    def _reference(self, schema: Schema, *, argument: bool, above: str) -> str:
        name = _last(schema)
        target = self._components[name]
        if is_model(target) or "enum" in target:
            return self._use(pascal(name), target)
        if f"/{name}/" in above:
            # neither class nor enumeration, and it holds itself: JSON
            return "Json"
        return self.type_of(target, argument=argument, hint=(pascal(name),), above=f"{above}/{name}/")

    def _enum(self, schema: Schema, hint: tuple[str, ...]) -> str:
        if len(schema["enum"]) <= _SHORT_ENUM or not hint:
            return _literal(schema)
        return self._use(self._free((hint[-1], "".join(pascal(word) for word in hint)), schema), schema)

    def _use(self, name: str, schema: Schema) -> str:
        self._used.setdefault(name, schema)
        return name

    def _free(self, wishes: tuple[str, ...], schema: Schema) -> str:
        for wish in filter(None, map(pascal, wishes)):
            owner = self._taken.setdefault(wish, schema)
            if owner == schema or ("enum" in owner and owner["enum"] == schema.get("enum")):
                return wish
        msg = f"Every name for this schema is taken, give it a title of its own: {', '.join(wishes)}"
        raise ValueError(msg)

    def _class(self, name: str, schema: Schema) -> list[str]:
        required = set(schema.get("required", []))
        fields: dict[str, tuple[str, str]] = {}
        for key, value in schema["properties"].items():
            kind = self.type_of(value, hint=(name, pascal(key)))
            fields[key] = (kind if key in required else f"NotRequired[{kind}]", description_of(value))
        text = docstring(description_of(schema) or f"{schema.get('title', name)}.", 4)
        if all(key.isidentifier() and not keyword.iskeyword(key) for key in fields):
            lines = [f"class {name}(TypedDict):", *text]
            for key, (kind, description) in fields.items():
                lines += [f"    {key}: {kind}", *docstring(description, 4)]
            return [*lines, ""]
        # names that are no names of Python
        inner = ", ".join(f"{key!r}: {kind!r}" for key, (kind, _) in fields.items())
        return [f"{name} = TypedDict({name!r}, {{{inner}}})", *(line.strip() for line in text), ""]


def is_model(schema: Schema) -> bool:
    """Tell whether a schema is an object whose fields have names."""
    return bool(schema.get("properties"))


def _alias(name: str, schema: Schema) -> list[str]:
    return [f"{name}: TypeAlias = {_literal(schema)}", *docstring(description_of(schema), 0), ""]


def _literal(schema: Schema) -> str:
    return f"Literal[{', '.join(repr(value) for value in schema['enum'])}]"


def _last(reference: Schema) -> str:
    return str(reference["$ref"]).rsplit("/", 1)[-1]


def _union(kinds: list[str]) -> str:
    parts = list(dict.fromkeys(kind.removesuffix(" | None") for kind in kinds if kind != "None"))
    if "Json" in parts:
        return "Json"
    is_nullable = any(kind == "None" or kind.endswith(" | None") for kind in kinds)
    return " | ".join([*parts, *(["None"] if is_nullable else [])])
