"""What a request in Gemini's dialect may not say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.gateway.ingress.gemini.translation import chat_input

Json = dict[str, Any]
_INLINE: Json = {"inlineData": {"mimeType": "image/png", "data": "iVBO"}}


def _user(*parts: Json) -> Json:
    return {"role": "user", "parts": list(parts)}


def _model(*parts: Json) -> Json:
    return {"role": "model", "parts": list(parts)}


REFUSED: list[tuple[Json, type[InvalidRequest], str]] = [
    ({"contents": []}, InvalidRequest, "contents"),
    ({"contents": None}, InvalidRequest, "contents"),
    ({"contents": ["Hi"]}, InvalidRequest, "contents[0]"),
    ({"contents": [{"role": "system", "parts": []}]}, InvalidRequest, "contents[0].role"),
    ({"contents": [_user({})]}, InvalidRequest, "contents[0].parts[0]"),
    ({"contents": [_user({"text": "a", **_INLINE})]}, InvalidRequest, "contents[0].parts[0]"),
    ({"contents": [_user({"text": "a", "thought": True})]}, UnsupportedParameter, "contents[0].parts[0].thought"),
    ({"contents": [_user({"sound": "a"})]}, UnsupportedParameter, "contents[0].parts[0].sound"),
    (
        {"contents": [_user({**_INLINE, "videoMetadata": {"fps": 1}})]},
        UnsupportedParameter,
        "contents[0].parts[0].videoMetadata",
    ),
    (
        {"contents": [_user({"inlineData": {"mimeType": "image/png", "data": "?"}})]},
        InvalidRequest,
        "contents[0].parts[0].inlineData.data",
    ),
    (
        {"contents": [_user({"inlineData": {"data": "iVBO"}})]},
        InvalidRequest,
        "contents[0].parts[0].inlineData.mimeType",
    ),
    (
        {"contents": [_user({**_INLINE, "mediaResolution": {"level": "MEDIA_RESOLUTION_MEDIUM"}})]},
        UnsupportedParameter,
        "contents[0].parts[0].mediaResolution.level",
    ),
    (
        {"contents": [_user({"functionResponse": {"name": "f", "response": {}}})]},
        InvalidRequest,
        "contents[0].parts[0].functionResponse",
    ),
    (
        {"contents": [_model({"functionCall": {"name": "f", "args": [1]}})]},
        InvalidRequest,
        "contents[0].parts[0].functionCall.args",
    ),
    ({"systemInstruction": {"parts": [_INLINE]}}, UnsupportedParameter, "systemInstruction.parts[0]"),
    ({"generationConfig": {"topK": "many"}}, InvalidRequest, "generationConfig.topK"),
    ({"generationConfig": {"temperature": 3}}, InvalidRequest, "generationConfig.temperature"),
    (
        {"generationConfig": {"topP": 1, "top_p": 1}},
        InvalidRequest,
        "generationConfig.top_p",
    ),
    (
        {"generationConfig": {"thinkingConfig": {"thinkingLevel": "deep"}}},
        InvalidRequest,
        "generationConfig.thinkingConfig.thinkingLevel",
    ),
    (
        {"generationConfig": {"responseMimeType": "text/x.enum"}},
        UnsupportedParameter,
        "generationConfig.responseMimeType",
    ),
    ({"toolConfig": {"retrievalConfig": {}}}, UnsupportedParameter, "toolConfig.retrievalConfig"),
    (
        {"toolConfig": {"includeServerSideToolInvocations": True}},
        UnsupportedParameter,
        "toolConfig.includeServerSideToolInvocations",
    ),
]


@pytest.mark.requirement("B-14", "P-18", "S28")
@pytest.mark.parametrize(("members", "code", "param"), REFUSED)
def test_what_cannot_be_said_is_refused_by_name(members: Json, code: type[InvalidRequest], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        chat_input(json.dumps({"contents": [_user({"text": "Hi"})], **members}).encode())
    assert (type(caught.value), caught.value.param) == (code, param)
