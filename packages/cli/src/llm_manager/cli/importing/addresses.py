"""LiteLLM's `api_base` as our base URL and paths; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

# What LiteLLM's addresses carry of the path that our kinds add themselves (litellm 1.110.2, llms/*/…transformation.py).
_ENDINGS = {
    "anthropic": r"/v1/messages",
    "cohere": r"/v[12](/(chat|embed|rerank))?",
    "gemini": r"/v1(beta)?",
    "ollama": r"/api/(chat|generate|embed|tags)",
}
_ENDING_OF_OTHERS = r"/(chat/completions|completions|embeddings)"
# Values of api_version that mean Azure's v1 API (llms/azure/common_utils.py).
_NEWEST = frozenset({"v1", "latest", "preview"})


@dataclass(frozen=True, slots=True)
class Address:
    """Where a provider is.

    Args:
        differs: what is not as it was; empty when all is.
    """

    base_url: str
    paths: dict[str, str] = field(default_factory=dict[str, str])
    differs: str = ""


def is_of(base_url: str, domain: str) -> bool:
    """Return whether an address is in a domain, in whichever region."""
    try:
        host = (urlsplit(base_url).hostname or "").lower()
    except ValueError:
        return False
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def why_unusable(base_url: str) -> str:
    """Return why an address cannot be one here, empty when it can. Never shows it: it may hold a password."""
    try:
        parts = urlsplit(base_url)
        is_absolute = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return "it is no absolute URL of http(s)"
    if not is_absolute or not base_url.isprintable() or " " in base_url:
        return "it is no absolute URL of http(s)"
    if parts.username or parts.password or parts.query or parts.fragment:
        return "it holds a name, a password, a query or a fragment; keys go into api_key or extra_headers"
    return ""


def address_of(kind: str, base_url: str) -> Address:
    """Return where a provider of a kind is, given LiteLLM's `api_base`; one that is usable."""
    trimmed = base_url.rstrip("/")
    ending = _ENDINGS.get(kind, _ENDING_OF_OTHERS)
    return Address(re.sub(f"{ending}$", "", trimmed))


def address_of_azure(base_url: str, *, api_version: str) -> Address:
    """Return where a resource of Azure is; its v1 API where `api_version` is empty or means it."""
    base_url = base_url.rstrip("/")
    root = re.sub(r"/openai(/v1)?$", "", base_url)
    if not api_version and "/deployments/" not in base_url:
        note = "no api_version: Azure's v1 API is used, which has none"
        return Address(f"{root}/openai/v1", differs="" if base_url.endswith("/openai/v1") else note)
    if api_version in _NEWEST or base_url.endswith("/openai/v1"):
        return Address(f"{root}/openai/v1")
    query = f"?api-version={quote(api_version, safe='')}" if api_version else ""
    root, _, deployment = re.sub(f"{_ENDING_OF_OTHERS}$", "", root).partition("/openai/deployments/")
    of_model = f"/openai/deployments/{quote(deployment, safe='') or '{model}'}"
    paths = {
        "chat": f"{of_model}/chat/completions{query}",
        "embeddings": f"{of_model}/embeddings{query}",
        "completions": f"{of_model}/completions{query}",
        "responses": f"/openai/responses{query}",
        "models": f"/openai/models{query}",
    }
    return Address(root, paths)
