"""Under which addresses Gemini's clients look for the API, and which errors are theirs.

`/v1beta` and `/v1alpha` are Google's alone. google-genai 3.4 asks under `/v1` by default (`_api_client.py:153`), where
OpenAI's routes live too: addresses that end in a method of Gemini's are hers there, and the lists of models are those
of a client that shows its key in Google's way.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import Match
from starlette.types import Scope

from llm_manager.gateway.http.error_shapes import ErrorRule
from llm_manager.gateway.ingress.gemini.errors import error_body
from llm_manager.gateway.ingress.routing import LeanRoute

OWN_PREFIX, ALPHA_PREFIX, SHARED_PREFIX = "/v1beta", "/v1alpha", "/v1"
METHODS = ("generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents")
_HEADERS = (b"x-goog-api-key", b"x-goog-api-client")
_KEY_IN_ADDRESS = b"key="

ERROR_RULES: Sequence[ErrorRule] = (
    ErrorRule(error_body, prefixes=(f"{OWN_PREFIX}/", f"{ALPHA_PREFIX}/")),
    *(ErrorRule(error_body, prefixes=(f"{SHARED_PREFIX}/models/",), infix=f":{method}") for method in METHODS),
    *(ErrorRule(error_body, prefixes=(f"{SHARED_PREFIX}/models",), header=header) for header in _HEADERS),
)


class GoogleRoute(LeanRoute):
    """A route that only clients of Google's find; the next route is asked for everybody else."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match as every route does, but nobody who does not show a key as Google's clients do."""
        return super().matches(scope) if _is_google_s(scope) else (Match.NONE, {})


def _is_google_s(scope: Scope) -> bool:
    if any(name in _HEADERS for name, _ in scope.get("headers", ())):
        return True
    query: bytes = scope.get("query_string", b"")
    return any(item.startswith(_KEY_IN_ADDRESS) for item in query.split(b"&"))
