"""How to answer: `generationConfig` into neutral words."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.core.messages import ResponseFormat, Sampling
from llm_manager.gateway.ingress.gemini import request as wire
from llm_manager.gateway.ingress.gemini.reading import is_nothing, members, read
from llm_manager.gateway.ingress.gemini.tools import schema_of

_CONFIG = "generationConfig"
_JSON, _TEXT = "application/json", ("", "text/plain")
_KNOWN = frozenset(wire.GenerationConfig.__struct_encode_fields__)
_TOP = frozenset(wire.Prompt.__struct_encode_fields__)
_LEVELS = ("minimal", "low", "medium", "high", "xhigh")
_NO_LEVEL = ("", "thinking_level_unspecified")
# Values that ask for what happens anyway.
_DEFAULTS = {
    "safetySettings": (b"[]",),
    "labels": (b"{}",),
    "serviceTier": (b'"UNSPECIFIED"', b'"SERVICE_TIER_UNSPECIFIED"', b'"unspecified"', b'"standard"', b'"STANDARD"'),
    "responseModalities": (b"[]", b'["TEXT"]', b'["Text"]', b'["text"]', b'["MODALITY_UNSPECIFIED"]'),
    "mediaResolution": (b'"MEDIA_RESOLUTION_UNSPECIFIED"',),
    "enableEnhancedCivicAnswers": (b"false",),
    "audioTimestamp": (b"false",),
}
# What has another name in the extension, where the names are OpenAI's.
_SERVICE_TIER = "serviceTier"


def config_of(raw: Raw) -> wire.GenerationConfig:
    """Read how to answer; the defaults where nothing is said.

    Raises:
        InvalidRequest: a field is wrong; `param` names it.
    """
    return read(b"{}" if is_nothing(raw) else raw, wire.GenerationConfig, path=_CONFIG)


def sampling_of(config: wire.GenerationConfig) -> Sampling:
    """Translate how to sample.

    Raises:
        InvalidRequest: a level of thinking that there is not.
    """
    thinking = wire.ThinkingConfig()
    if not is_nothing(config.thinking_config):
        thinking = read(config.thinking_config, wire.ThinkingConfig, path=f"{_CONFIG}.thinkingConfig")
    budget, count = thinking.thinking_budget, config.candidate_count
    return Sampling(
        max_tokens=config.max_output_tokens,
        temperature=config.temperature,
        top_p=config.top_p,
        top_k=config.top_k,
        presence_penalty=config.presence_penalty,
        frequency_penalty=config.frequency_penalty,
        seed=config.seed,
        stop=tuple(config.stop_sequences or ()),
        # one is what every provider gives, also those that cannot give two
        n=None if count == 1 else count,
        logprobs=config.response_logprobs,
        top_logprobs=config.logprobs,
        reasoning_effort=_effort(thinking.thinking_level),
        # -1 leaves it to the model, as saying nothing does
        reasoning_budget=None if budget == -1 else budget,
        shows_reasoning=thinking.include_thoughts,
    )


def _effort(level: str) -> str:
    word = level.lower()
    if word in _NO_LEVEL:
        return ""
    if word not in _LEVELS:
        where = f"{_CONFIG}.thinkingConfig.thinkingLevel"
        raise InvalidRequest(f"{where} is {level[:100]!r}; it is one of {', '.join(_LEVELS)}.", param=where)
    return word


def form_of(config: wire.GenerationConfig) -> ResponseFormat | None:
    """Translate the form of the answer; None when nothing is said.

    Raises:
        InvalidRequest: two schemas, or a schema that is no object.
        UnsupportedParameter: a form that is neither text nor JSON.
    """
    schema = schema_of(
        config.response_schema,
        config.response_json_schema,
        path=f"{_CONFIG}.responseSchema",
        other="responseJsonSchema",
    )
    mime_type = config.response_mime_type.lower()
    if mime_type != _JSON and mime_type not in _TEXT:
        where = f"{_CONFIG}.responseMimeType"
        raise UnsupportedParameter(
            f"{where}: this model answers in text/plain or {_JSON}, not in {config.response_mime_type[:100]!r}.",
            param=where,
        )
    if schema:
        return ResponseFormat(kind="json_schema", schema=schema)
    return ResponseFormat(kind="json_object") if mime_type == _JSON else None


def extension_of(body: bytes, config: Raw) -> bytes:
    """Return what neutral words have no place for as a JSON object; empty when nothing is left.

    Args:
        body: the request; its fields and those of its generationConfig stand side by side in the extension.
    """
    rest = _rest(body, _TOP)
    if not is_nothing(config):
        rest |= _rest(bytes(config), _KNOWN)
    if (tier := rest.pop(_SERVICE_TIER, None)) is not None:
        rest["service_tier"] = Raw(bytes(tier).lower())
    return msgspec.json.encode(rest) if rest else b""


def _rest(body: bytes, known: frozenset[str]) -> dict[str, Raw]:
    said = members(body, known=known | _DEFAULTS.keys())
    return {
        name: value for name, value in said.items() if name not in known and bytes(value) not in _DEFAULTS.get(name, ())
    }
