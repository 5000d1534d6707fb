"""Tools, which of them to call, and the form of the answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.core.messages import ChatInput, OpaqueBlock, ResponseFormat, Tool, ToolChoice
from llm_manager.gateway.ingress.gemini.schema import json_schema
from llm_manager.gateway.ingress.gemini.translation import chat_input

Json = dict[str, Any]


def _read(**members: Any) -> ChatInput:
    return chat_input(json.dumps({"contents": [{"parts": [{"text": "Hi"}]}], **members}).encode())


def _functions(*names: str) -> list[Json]:
    return [{"functionDeclarations": [{"name": name} for name in names]}]


def _choosing(**config: Any) -> ChatInput:
    return _read(tools=_functions("a", "b", "c"), toolConfig={"functionCallingConfig": config})


def _schema(schema: Json) -> Json:
    return json.loads(json_schema(Raw(json.dumps(schema).encode()), path="x"))


def test_functions_are_tools_in_either_spelling_and_with_either_schema() -> None:
    declarations: list[Json] = [
        {
            "name": "add",
            "description": "Adds",
            "parameters": {"type": "OBJECT", "properties": {"a": {"type": "NUMBER"}}},
        },
        {"name": "sub", "parametersJsonSchema": {"type": "object", "$defs": {"X": {"type": ["string", "null"]}}}},
        {"name": "now", "behavior": "BLOCKING", "response": {"type": "STRING"}},
    ]
    tools = _read(tools=[{"function_declarations": declarations}]).tools
    assert [(tool.name, tool.description, json.loads(tool.parameters or b"null")) for tool in tools] == [
        ("add", "Adds", {"type": "object", "properties": {"a": {"type": "number"}}}),
        ("sub", "", {"type": "object", "$defs": {"X": {"type": ["string", "null"]}}}),
        ("now", 'JSON Schema of the result: {"type":"string"}', None),
    ]


@pytest.mark.requirement("T-14")
def test_tools_that_gemini_runs_itself_stay_as_they_are() -> None:
    asked: list[Json] = [
        {"googleSearch": {}},
        {"functionDeclarations": {"name": "f"}, "url_context": {}},
        {"code_execution": {}},
    ]
    chat = _read(tools=asked)
    assert chat.tools == (Tool(name="f"),)
    assert chat.native_tools == tuple(
        OpaqueBlock(dialect="gemini_generate", json=text)
        for text in (b'{"googleSearch": {}}', b'{"url_context":{}}', b'{"code_execution": {}}')
    )


@pytest.mark.parametrize(
    ("config", "names", "choice"),
    [
        ({}, "abc", None),
        ({"mode": "MODE_UNSPECIFIED"}, "abc", None),
        ({"mode": "AUTO"}, "abc", ToolChoice(mode="auto")),
        ({"mode": "VALIDATED"}, "abc", ToolChoice(mode="auto")),
        ({"mode": "any"}, "abc", ToolChoice(mode="required")),
        ({"mode": "NONE", "allowedFunctionNames": ["a"]}, "abc", ToolChoice(mode="none")),
        ({"mode": "ANY", "allowedFunctionNames": ["b"]}, "abc", ToolChoice(mode="named", name="b")),
        ({"mode": "ANY", "allowed_function_names": ["c", "a"]}, "ac", ToolChoice(mode="required")),
        ({"mode": "VALIDATED", "allowedFunctionNames": ["a"]}, "a", ToolChoice(mode="auto")),
    ],
)
@pytest.mark.requirement("B-14")
def test_which_functions_may_be_called_holds_at_every_provider(
    config: Json, names: str, choice: ToolChoice | None
) -> None:
    chat = _choosing(**config)
    assert ("".join(tool.name for tool in chat.tools), chat.tool_choice) == (names, choice)


@pytest.mark.parametrize(
    ("config", "code", "param"),
    [
        ({"mode": "SOME"}, InvalidRequest, "mode"),
        ({"mode": "ANY", "allowedFunctionNames": ["a", "x"]}, InvalidRequest, "allowedFunctionNames[1]"),
        ({"mode": "AUTO", "streamFunctionCallArguments": True}, UnsupportedParameter, "streamFunctionCallArguments"),
        ({"mode": "AUTO", "other": 1}, UnsupportedParameter, "other"),
    ],
)
def test_a_choice_that_there_is_not_is_refused(config: Json, code: type[InvalidRequest], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        _choosing(**config)
    assert (type(caught.value), caught.value.param) == (code, f"toolConfig.functionCallingConfig.{param}")


@pytest.mark.parametrize(
    ("function", "param"),
    [
        ({"name": "f", "behavior": "NON_BLOCKING"}, "behavior"),
        ({"name": "f", "strict": True}, "strict"),
        ({"name": "f", "parameters": {}, "parametersJsonSchema": {}}, "parameters"),
        ({"name": "f", "parametersJsonSchema": []}, "parametersJsonSchema"),
        ({"description": "nameless"}, "name"),
    ],
)
def test_a_function_that_is_wrong_is_refused_by_its_place(function: Json, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        _read(tools=[{"functionDeclarations": [function]}])
    assert caught.value.param == f"tools[0].functionDeclarations[0].{param}"


@pytest.mark.parametrize(
    ("config", "form"),
    [
        ({}, None),
        ({"responseMimeType": "text/plain"}, None),
        ({"responseMimeType": "application/json"}, ResponseFormat(kind="json_object")),
        (
            {"responseMimeType": "application/json", "responseSchema": {"type": "STRING"}},
            ResponseFormat(kind="json_schema", schema=b'{"type":"string"}'),
        ),
        (
            {"response_mime_type": "application/json", "response_json_schema": {"type": "string"}},
            ResponseFormat(kind="json_schema", schema=b'{"type":"string"}'),
        ),
    ],
)
@pytest.mark.requirement("P-18", "B-14")
def test_the_form_of_the_answer_is_kept(config: Json, form: ResponseFormat | None) -> None:
    chat = _read(generationConfig=config)
    found = chat.response_format
    assert (
        (found.kind, json.loads(found.schema or b"0")) == (form.kind, json.loads(form.schema or b"0"))
        if (found is not None and form is not None)
        else found is form
    )
    assert not chat.extension


SCHEMAS: list[tuple[Json, Json]] = [
    ({"type": "STRING", "nullable": True}, {"type": ["string", "null"]}),
    ({"type": "STRING", "format": "enum", "enum": ["a"]}, {"type": "string", "enum": ["a"]}),
    (
        {"type": "STRING", "enum": ["a"], "nullable": True},
        {"type": ["string", "null"], "enum": ["a", None]},
    ),
    ({"anyOf": [{"type": "STRING"}], "nullable": True}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
    ({"any_of": [{"type": "TYPE_UNSPECIFIED"}], "nullable": False}, {"anyOf": [{}]}),
    (
        {"type": "ARRAY", "items": {"type": "INTEGER", "format": "int32"}, "min_items": "2", "maxItems": 3},
        {"type": "array", "items": {"type": "integer", "format": "int32"}, "minItems": 2, "maxItems": 3},
    ),
    ({"type": "STRING", "example": "x", "title": None}, {"type": "string", "examples": ["x"]}),
    (
        {"defs": {"min_items": {"type": "NULL"}}, "ref": "#/defs/min_items"},
        {"$defs": {"min_items": {"type": "null"}}, "$ref": "#/$defs/min_items"},
    ),
    (
        {"type": "object", "properties": {"any_of": {"type": "string"}}, "additionalProperties": False},
        {"type": "object", "properties": {"any_of": {"type": "string"}}, "additionalProperties": False},
    ),
]


@pytest.mark.parametrize(("google", "plain"), SCHEMAS)
def test_a_schema_of_google_becomes_json_schema(google: Json, plain: Json) -> None:
    assert _schema(google) == plain


def test_the_order_of_properties_is_the_one_that_is_asked_for() -> None:
    schema: Json = {"properties": {"a": {}, "b": {}, "c": {}}, "propertyOrdering": ["c", "x", "a"]}
    assert list(_schema(schema)["properties"]) == ["c", "a", "b"]
