"""Google's `Schema`, a dialect of OpenAPI, into JSON Schema.

Source: https://ai.google.dev/api/caching#Schema and google-genai 3.4.0 `types.Schema`, read on 2026-11-26.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec
from msgspec import Raw

from llm_manager.core.errors import InvalidRequest
from llm_manager.gateway.ingress.gemini.reading import camel

# Any: JSON documents are built here
Json = dict[str, Any]

_WORDS = frozenset(
    {
        *("anyOf", "minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"),
        *("propertyOrdering", "additionalProperties", "prefixItems"),
    }
)
# 64-bit integers are texts in the JSON of protobuf.
_COUNTS = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
_LISTS, _ONE = frozenset({"anyOf", "prefixItems"}), frozenset({"items", "additionalProperties"})
_TABLES = {"properties": "properties", "defs": "$defs", "$defs": "$defs"}
_UNSPECIFIED, _REFERENCE = "TYPE_UNSPECIFIED", "#/defs/"


def json_schema(raw: Raw, *, path: str) -> bytes:
    """Translate a schema.

    Raises:
        InvalidRequest: it is not an object.
    """
    schema: object = msgspec.json.decode(raw)
    if not isinstance(schema, dict):
        raise InvalidRequest(f"{path} is not an object.", param=path)
    return msgspec.json.encode(_translated(cast("Json", schema)))


def _translated(value: object) -> object:
    if not isinstance(value, dict):
        # true and false are schemas too; what is neither is left for the provider to judge
        return value
    schema = {_word(name): item for name, item in cast("Json", value).items() if item is not None}
    ordering = schema.pop("propertyOrdering", None)
    is_nullable = schema.pop("nullable", False)
    result: Json = {}
    for name, item in schema.items():
        result.update(_keyword(name, item))
    if isinstance(ordering, list):
        _order(result, cast("list[object]", ordering))
    return _nullable(result) if is_nullable is True else result


def _word(name: str) -> str:
    spelt = camel(name)
    return spelt if spelt in _WORDS else name


def _keyword(name: str, item: object) -> Json:
    if isinstance(item, str):
        return _word_of_text(name, item)
    if name == "example":
        return {"examples": [item]}
    if name in _LISTS and isinstance(item, list):
        return {name: [_translated(one) for one in cast("list[object]", item)]}
    if name in _ONE:
        return {name: _translated(item)}
    if name in _TABLES and isinstance(item, dict):
        return {_TABLES[name]: {key: _translated(one) for key, one in cast("Json", item).items()}}
    return {name: item}


def _word_of_text(name: str, text: str) -> Json:
    match name:
        case "type":
            return {} if text == _UNSPECIFIED else {"type": text.lower()}
        case "format" if text == "enum":
            # says that there is an enum, which the enum says itself; no format of JSON Schema
            return {}
        case "example":
            return {"examples": [text]}
        case "ref":
            return {"$ref": text.replace(_REFERENCE, "#/$defs/", 1)}
        case _:
            return {name: int(text) if name in _COUNTS and text.isdecimal() else text}


def _nullable(schema: Json) -> Json:
    kind = schema.get("type")
    if isinstance(kind, str):
        schema["type"] = [kind, "null"]
        if isinstance(schema.get("enum"), list):
            schema["enum"] = [*schema["enum"], None]
    elif isinstance(schema.get("anyOf"), list):
        schema["anyOf"] = [*schema["anyOf"], {"type": "null"}]
    return schema


def _order(schema: Json, ordering: list[object]) -> None:
    """Put properties in the order that is asked for: JSON Schema has no word for it, and models follow the text."""
    properties: object = schema.get("properties")
    if isinstance(properties, dict):
        known = cast("Json", properties)
        first = [name for name in ordering if isinstance(name, str) and name in known]
        schema["properties"] = {name: known[name] for name in dict.fromkeys((*first, *known))}
