"""Hides what looks like a key in anything that is about to be logged."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import cast

from structlog.typing import EventDict, WrappedLogger

from llm_manager.kit.secrets import MASK, mask_known

# Prefixes under which issuers hand out keys. Sources: their documentation and GitHub's list of secret-scanning
# patterns, read 2026-11. Keys without a shape (Mistral, Cohere) are caught as living Secrets and by field name.
_SHAPES = re.compile(
    r"""
      lm_live_[0-9a-z_]{4,}                           # ours
    | \bsk-[A-Za-z0-9_\-]{8,}                         # OpenAI, Anthropic, OpenRouter, DeepSeek
    | \b(?:gsk_|xai-|hf_|pplx-|tgp_v1_|nvapi-|r8_|fw_|csk-|co_|ghp_|github_pat_)[A-Za-z0-9_\-]{12,}
    | \bAIza[A-Za-z0-9_\-]{20,}                       # Google
    | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b                   # AWS
    | \beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{4,}\.[A-Za-z0-9_\-]*   # JWT
    | -----BEGIN[ A-Z]*PRIVATE[ ]KEY-----.*?(?:-----END[ A-Z]*PRIVATE[ ]KEY-----|\Z)
    """,
    re.VERBOSE | re.DOTALL,
)
_SCHEMES = re.compile(r"\b(Bearer|Basic|Token)\s+[A-Za-z0-9+/=_.\-~]{6,}", re.IGNORECASE)
_USERINFO = re.compile(r"(?<=://)[^/\s:@]*:?[^/\s@]+(?=@)")
_ASSIGNED = re.compile(
    r"""(\b(?:x-)?(?:goog-)?(?:api[_-]?key|authorization|password|passwd|secret|access[_-]?token|token)["']?\s*[:=]\s*)"""
    r"""(?:"[^"]*"|'[^']*'|[^\s,;&}\])]+)""",
    re.IGNORECASE,
)
_SECRET_FIELDS = re.compile(
    r"^(?:.*[_-])?(?:api[_-]?key|authorization|cookie|password|passwd|secret|token|credential|master[_-]?key)$",
    re.IGNORECASE,
)
# Nearly all logged texts hold none of these, and looking for them costs 1 to 2 us against 15 us for the patterns above.
_SUSPECTS = (
    *("lm_live_", "sk-", "gsk_", "xai-", "hf_", "pplx-", "tgp_", "nvapi-", "r8_", "fw_", "co_", "ghp_", "github_pat"),
    *("aiza", "akia", "asia", "eyj", "-----begin", "bearer", "basic", "token", "key", "auth", "passw", "secret", "://"),
)
_SHORTEST = 8
_MAX_DEPTH = 6
_MAX_TEXT = 16_384  # an exception can quote a whole body; logs are no place for it
# set by `logs` itself on every line
_OWN_FIELDS = frozenset({"level", "timestamp", "service"})
_PLAIN = frozenset({str, int, float, bool, type(None)})


def mask(text: str) -> str:
    """Return the text with everything that looks like a key replaced by ***."""
    text = mask_known(text)  # before the cut, which could leave half of a secret that nobody recognises
    if len(text) < _SHORTEST:
        return text
    if len(text) > _MAX_TEXT:
        text = f"{text[:_MAX_TEXT]}… ({len(text)} characters)"
    return _mask_patterns(text) if _is_suspect(text.lower()) else text


def mask_event(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Mask every field of a log event, nested ones too, and turn unknown objects into masked text."""
    is_harmless = _is_harmless(event)
    masked: EventDict = {}
    for name, value in event.items():
        if name in _OWN_FIELDS:
            masked[name] = value
        elif is_harmless and type(value) in _PLAIN and not _is_secret(name):
            masked[_mask_name(name)] = value
        else:
            masked[_mask_name(name)] = _mask_value(name, value, 0)
    return masked


def _is_harmless(event: EventDict) -> bool:
    """Whether one look at all texts of a line together finds nothing, as in nearly all: cheaper than one at each."""
    texts = "\n".join([value for value in event.values() if type(value) is str])
    return len(texts) <= _MAX_TEXT and not _is_suspect(texts.lower()) and mask_known(texts) == texts


def _is_suspect(lowered: str) -> bool:
    for suspect in _SUSPECTS:  # noqa: SIM110 # `any` over a generator takes three times as long
        if suspect in lowered:
            return True
    return False


def _mask_patterns(text: str) -> str:
    text = _SHAPES.sub(MASK, text)
    if "://" in text:
        text = _USERINFO.sub(MASK, text)
    text = _SCHEMES.sub(rf"\1 {MASK}", text)
    return _ASSIGNED.sub(rf"\1{MASK}", text)


@lru_cache(maxsize=1024)
def _mask_name(name: str) -> str:
    return mask(name)


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return _SECRET_FIELDS.match(name) is not None


def _mask_value(name: str, value: object, depth: int) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if _is_secret(name):
        return MASK
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, bytes | bytearray):
        return mask(bytes(value).decode("utf-8", "replace"))
    if depth >= _MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value).items()
        return {mask(str(key)): _mask_value(str(key), item, depth + 1) for key, item in items}
    if isinstance(value, Sequence | set | frozenset):
        return [_mask_value("", item, depth + 1) for item in cast("Sequence[object]", value)]
    return mask(str(value))
