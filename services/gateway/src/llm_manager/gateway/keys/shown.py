"""Which API key a request shows, wherever its client's dialect keeps it; pure."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qs

from llm_manager.core.errors import AuthenticationFailed
from llm_manager.core.ids import API_KEY_PREFIX

_AUTHORIZATION = b"authorization"
_PLACES = frozenset({_AUTHORIZATION, b"x-api-key", b"x-goog-api-key"})
_SCHEME = "bearer "


def authorization_of(headers: Sequence[tuple[bytes, bytes]], query: bytes) -> str | None:
    """Return what a request shows as an authorization header, None when it shows nothing.

    `Authorization: Bearer` (OpenAI, Cohere, Ollama), `x-api-key` (Anthropic), `x-goog-api-key` or `?key=` (Gemini).
    What else SDKs add, such as a key of a provider from the environment, is passed over beside an Authorization header.

    Args:
        headers, query: of the request, as ASGI has them.

    Raises:
        AuthenticationFailed: it shows two keys of this platform, so that nobody can say whose request it is.
    """
    shown = [(name, value) for name, value in headers if name in _PLACES]
    if len(shown) == 1 and b"key=" not in query:
        name, value = shown[0]
        text = value.decode("latin-1")
        return text if name == _AUTHORIZATION else _bearer(text)
    return _chosen(shown, query)


def _bearer(key: str) -> str | None:
    return f"Bearer {key}" if key else None


def _chosen(shown: Sequence[tuple[bytes, bytes]], query: bytes) -> str | None:
    headers = [(name, value.decode("latin-1")) for name, value in shown]
    authorizations = [text for name, text in headers if name == _AUTHORIZATION]
    if len(authorizations) > 1:
        # a proxy may have checked another one than we would
        raise AuthenticationFailed("There are several authorization headers; send one.")
    first_keys = [
        next((text for name, text in headers if name == place), "") for place in (b"x-api-key", b"x-goog-api-key")
    ]
    asked = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("key", [""])
    everything = {
        *(text[len(_SCHEME) :].strip() for text in authorizations if text.lower().startswith(_SCHEME)),
        *(text.strip() for name, text in headers if name != _AUTHORIZATION),
        *asked,
    }
    if sum(text.startswith(API_KEY_PREFIX) for text in everything) > 1:
        raise AuthenticationFailed("The request shows two different API keys; send one.")
    if authorizations:
        return authorizations[0]
    return _bearer(next((text for text in (*first_keys, asked[-1]) if text), ""))
