"""The operations of the admin API in an OpenAPI document: what their methods are called and what they take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from client_types import Schema, Types, description_of, is_model, pascal, snake

PREFIX = "/api/v1/"
INFERENCE = "ApiKey"  # the security scheme of calls of models, which are not the admin API's
VERBS = {"get": "get", "post": "create", "put": "replace", "patch": "change", "delete": "delete"}
_RESERVED = ("self", "answer", "following")  # what the generated methods call something themselves


@dataclass(frozen=True)
class Parameter:
    """An argument of a method; `key` is its name in the request, `place` one of path, query, header, body."""

    name: str
    key: str
    place: str
    kind: str
    required: bool
    description: str = ""


@dataclass(frozen=True)
class Pages:
    """How the next page is asked for: the field of the answer, the argument, and the type of what pages hold."""

    field: str
    argument: str
    item: str


@dataclass(frozen=True)
class Operation:
    """A method of a resource."""

    resource: str
    name: str
    verb: str
    path: str
    text: str
    parameters: tuple[Parameter, ...]
    body: str  # "", "fields" or "whole"
    body_name: str  # of the model whose fields are arguments
    body_required: bool
    answer: str
    pages: Pages | None = None


def operations(document: Mapping[str, Any], types: Types) -> list[Operation]:
    """Return the operations of the admin API in the document's order; no two of a resource have one name."""
    found: list[Operation] = []
    paths: dict[str, Schema] = {path: item for path, item in document["paths"].items() if path.startswith(PREFIX)}
    for path, item in paths.items():
        for verb in VERBS:
            if verb in item and not _is_inference(item[verb]):
                found.append(_operation(path, verb, paths, types))
    names: dict[tuple[str, str], str] = {}
    for one in found:
        here = f"{one.verb} {one.path}"
        other = names.setdefault((one.resource, one.name), here)
        if other != here:
            msg = f"{other} and {here} would both be called {one.resource}.{one.name}."
            raise ValueError(msg)
    return found


def method_name(path: str, verb: str, paths: Mapping[str, Schema], *, is_list: bool) -> str:
    """Return the verb for a resource and its items, the last word of a path below it, or both where that is needed.

    `GET /apps` is list, `PATCH /apps/{app}` change, `POST /keys/{key_id}/rotate` rotate; a path below an item with
    several operations, or with items of its own, has names of two words: `create_key`, `list_sessions`.
    """
    parts = path.removeprefix(PREFIX).split("/")[1:]
    words = [part for part in parts if not part.startswith("{")]
    plain = "list" if is_list and verb == "get" else VERBS[verb]
    if not words:
        return plain
    if parts[-1].startswith("{"):
        return f"{plain}_{_item(parts[-1])}"
    word = snake(words[-1])
    items = [other[len(path) + 1 :] for other in paths if other.startswith(f"{path}/{{")]
    if not items and sum(one in VERBS for one in paths[path]) == 1:
        return word
    return f"{plain}_{_item(items[0].split('/')[0])}" if items and verb == "post" else f"{plain}_{word}"


def _operation(path: str, verb: str, paths: Mapping[str, Schema], types: Types) -> Operation:
    item: Schema = paths[path][verb]
    answer, schema = _answer(item, types)
    given = [*paths[path].get("parameters", []), *item.get("parameters", [])]
    body, body_schema = _body(item, types)
    title, parameters = "", [_parameter(one, types) for one in given]
    if body == "fields":
        title = types.type_of(body_schema)
        resolved = types.resolved(body_schema)
        optional = not item["requestBody"].get("required", False)
        parameters += [_field(title, resolved, key, types, optional=optional) for key in resolved["properties"]]
    elif body:
        kind = types.type_of(body_schema, argument=True)
        parameters.append(Parameter("body", "body", "body", kind, bool(item["requestBody"].get("required"))))
    is_list = types.resolved(schema.get("properties", {}).get("data", schema)).get("type") == "array"
    return Operation(
        resource=snake(path.removeprefix(PREFIX).split("/")[0]),
        name=method_name(path, verb, paths, is_list=is_list),
        verb=verb.upper(),
        path=path,
        text=" ".join(str(item.get("description") or item.get("summary") or f"{verb.upper()} {path}.").split()),
        parameters=tuple(_distinct(parameters)),
        body=body,
        body_name=title,
        body_required=bool(item.get("requestBody", {}).get("required")),
        answer=answer,
        pages=_pages(schema, parameters, types),
    )


def _is_inference(item: Schema) -> bool:
    return any(INFERENCE in requirement for requirement in item.get("security", []))


def _item(part: str) -> str:
    return snake(part.strip("{}").removesuffix("_id"))


def _answer(item: Schema, types: Types) -> tuple[str, Schema]:
    """Return the type of a good answer and its schema; an answer that the document does not describe is text."""
    status, response = next((status, one) for status, one in item["responses"].items() if status.startswith("2"))
    schema: Schema | None = response.get("content", {}).get("application/json", {}).get("schema")
    if schema is None:
        return ("None" if status == "204" else "str"), {}
    return types.type_of(schema), types.resolved(schema)


def _body(item: Schema, types: Types) -> tuple[str, Schema]:
    content: Schema = item.get("requestBody", {}).get("content", {})
    if not content:
        return "", {}
    if "application/json" not in content:
        msg = f"{item.get('operationId')} takes {', '.join(content)}; only JSON is generated."
        raise ValueError(msg)
    schema: Schema = content["application/json"]["schema"]
    options = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    if len(options) == 1 and is_model(types.resolved(options[0])):
        return "fields", options[0]
    return "whole", schema


def _parameter(one: Schema, types: Types) -> Parameter:
    schema: Schema = one.get("schema", {})
    kind = types.type_of(schema, argument=True)
    if one["name"].lower() == "if-match":
        # an ETag is the revision in quotes, and the number alone will do
        kind = "str | int"
    text = " ".join(str(one.get("description") or description_of(schema)).split())
    return Parameter(snake(one["name"]), one["name"], one["in"], kind, bool(one.get("required")), text)


def _field(owner: str, schema: Schema, key: str, types: Types, *, optional: bool) -> Parameter:
    value: Schema = schema["properties"][key]
    kind = types.type_of(value, argument=True, hint=(owner, pascal(key)))
    required = key in schema.get("required", []) and not optional
    return Parameter(snake(key), key, "body", kind, required, description_of(value))


def _distinct(parameters: list[Parameter]) -> Iterator[Parameter]:
    taken: set[str] = {*_RESERVED}
    for one in parameters:
        name = one.name
        while name in taken:
            name += "_"
        taken.add(name)
        yield Parameter(name, one.key, one.place, one.kind, one.required, one.description)


def _pages(schema: Schema, parameters: list[Parameter], types: Types) -> Pages | None:
    """Find `next_x` in the answer where `x` is asked with, and what its `data` holds."""
    fields: Schema = schema.get("properties", {})
    items: Schema | None = fields.get("data", {}).get("items")
    for one in parameters:
        if items is not None and one.place == "query" and f"next_{one.key}" in fields:
            return Pages(f"next_{one.key}", one.name, types.type_of(items))
    return None
