"""LiteLLM's names of providers, as data: which of our kinds each one is.

Source: litellm 1.110.2 (PyPI, MIT; read on 2026-11-30): litellm_core_utils/get_llm_provider_logic.py and the `llms`
folders for addresses and variables, types/utils.py `LlmProviders` for the names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Prefix:
    """One row.

    Args:
        kind: ours; empty where there is none, and `why` says what is to be done.
        address: LiteLLM's, where our kind has none or another one.
        key_variables: where LiteLLM looks for a key that the file does not give, in its order.
        address_variables: the same of the address.
        needs_key: the kind's servers answer nobody without one.
        home: the provider's own domain, where others speak its API too and are of the kind `custom` here.
        has_versions: every customer has an address of its own, and says which version of the API is meant.
        differs: what is not the same here.
    """

    kind: str = ""
    address: str = ""
    key_variables: tuple[str, ...] = ()
    address_variables: tuple[str, ...] = ()
    needs_key: bool = True
    differs: str = ""
    why: str = ""
    home: str = ""
    has_versions: bool = False


def _hosted(kind: str, stem: str, *more: str, address: str = "", differs: str = "") -> Prefix:
    keys = (f"{stem}_API_KEY", *more)
    return Prefix(kind, address, keys, (f"{stem}_API_BASE",), differs=differs)


def _local(kind: str, stem: str, address: str = "", differs: str = "") -> Prefix:
    return Prefix(kind, address, (f"{stem}_API_KEY",), (f"{stem}_API_BASE",), needs_key=False, differs=differs)


def _none(why: str) -> Prefix:
    return Prefix(why=why)


_OPENAI = Prefix("openai", "", ("OPENAI_API_KEY",), ("OPENAI_BASE_URL", "OPENAI_API_BASE"), home="openai.com")
_AZURE = Prefix("azure", "", ("AZURE_API_KEY",), ("AZURE_API_BASE",), has_versions=True)
_CLOUD = "signs its requests with the cloud's own credentials, and there is no provider kind for it yet"
_COMPLETIONS = "the API is chosen by the model's name here, not by the prefix"

PREFIXES: dict[str, Prefix] = {
    "openai": _OPENAI,
    "text-completion-openai": replace(_OPENAI, differs=_COMPLETIONS),
    "azure": _AZURE,
    "azure_text": replace(_AZURE, differs=_COMPLETIONS),
    "anthropic": Prefix("anthropic", "", ("ANTHROPIC_API_KEY",), ("ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL")),
    "gemini": _hosted("gemini", "GEMINI", "GOOGLE_API_KEY"),
    "groq": _hosted("groq", "GROQ"),
    "mistral": _hosted("mistral", "MISTRAL"),
    "cohere": _hosted("cohere", "COHERE", "CO_API_KEY"),
    "cohere_chat": _hosted("cohere", "COHERE", "CO_API_KEY"),
    "together_ai": _hosted("together", "TOGETHER_AI", "TOGETHERAI_API_KEY", "TOGETHER_API_KEY", "TOGETHER_AI_TOKEN"),
    "openrouter": _hosted("openrouter", "OPENROUTER", "OR_API_KEY"),
    "deepseek": _hosted("deepseek", "DEEPSEEK"),
    "xai": _hosted("xai", "XAI"),
    "perplexity": _hosted("perplexity", "PERPLEXITY", "PERPLEXITYAI_API_KEY"),
    "fireworks_ai": _hosted("fireworks", "FIREWORKS", "FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY"),
    "cerebras": _hosted("cerebras", "CEREBRAS"),
    "nvidia_nim": _hosted("nvidia", "NVIDIA_NIM"),
    "ollama": _local("ollama", "OLLAMA", differs="/api/chat is used here, where LiteLLM used /api/generate"),
    "ollama_chat": _local("ollama", "OLLAMA"),
    "hosted_vllm": _local("vllm", "HOSTED_VLLM"),
    "lm_studio": _local("lmstudio", "LM_STUDIO"),
    "llamafile": _local("custom", "LLAMAFILE", "http://127.0.0.1:8080/v1"),
    "xinference": _local("custom", "XINFERENCE", "http://127.0.0.1:9997/v1"),
    "docker_model_runner": _local("custom", "DOCKER_MODEL_RUNNER"),
    "litellm_proxy": _local("custom", "LITELLM_PROXY"),
    "openai_like": _local("custom", "OPENAI_LIKE"),
    "custom_openai": Prefix("custom", needs_key=False),
    "aiohttp_openai": Prefix("custom", needs_key=False),
    "deepinfra": _hosted("custom", "DEEPINFRA", address="https://api.deepinfra.com/v1/openai"),
    "sambanova": _hosted("custom", "SAMBANOVA", address="https://api.sambanova.ai/v1"),
    "baseten": _hosted("custom", "BASETEN", address="https://inference.baseten.co/v1"),
    "nebius": _hosted("custom", "NEBIUS", address="https://api.studio.nebius.ai/v1"),
    "novita": _hosted("custom", "NOVITA", address="https://api.novita.ai/v3/openai"),
    "moonshot": _hosted("custom", "MOONSHOT", address="https://api.moonshot.ai/v1"),
    "lambda_ai": _hosted("custom", "LAMBDA", address="https://api.lambda.ai/v1"),
    "hyperbolic": _hosted("custom", "HYPERBOLIC", address="https://api.hyperbolic.xyz/v1"),
    "nscale": _hosted("custom", "NSCALE", address="https://inference.api.nscale.com/v1"),
    "featherless_ai": _hosted("custom", "FEATHERLESS_AI", address="https://api.featherless.ai/v1"),
    "vercel_ai_gateway": _hosted("custom", "VERCEL_AI_GATEWAY", address="https://ai-gateway.vercel.sh/v1"),
    "dashscope": _hosted("custom", "DASHSCOPE", address="https://dashscope-intl.aliyuncs.com/compatible-mode/v1"),
    "volcengine": _hosted("custom", "VOLCENGINE", address="https://ark.cn-beijing.volces.com/api/v3"),
    "friendliai": _hosted("custom", "FRIENDLI", "FRIENDLI_TOKEN", address="https://api.friendli.ai/serverless/v1"),
    "codestral": _hosted("custom", "CODESTRAL", address="https://codestral.mistral.ai/v1"),
    "meta_llama": _hosted("custom", "LLAMA", address="https://api.llama.com/compat/v1"),
    "bedrock": _none(f"Amazon Bedrock {_CLOUD}"),
    "sagemaker": _none(f"Amazon SageMaker {_CLOUD}"),
    "sagemaker_chat": _none(f"Amazon SageMaker {_CLOUD}"),
    "vertex_ai": _none(f"Vertex AI {_CLOUD}; models of Google itself are reached with gemini/ and an API key"),
    "vertex_ai_beta": _none(f"Vertex AI {_CLOUD}; models of Google itself are reached with gemini/ and an API key"),
    "azure_ai": _none(
        "Azure AI Foundry's own API has no provider kind yet; its models that speak OpenAI's are `custom`"
    ),
    "vllm": _none("a model inside of LiteLLM's process; run `vllm serve` and use hosted_vllm/"),
    "anthropic_text": _none("Anthropic has taken its completions API out of service"),
}
_NO_KIND = "there is no provider kind for it; if it speaks OpenAI's API, add it by hand with the kind custom"
# What LiteLLM knows by heart without a prefix, as patterns of its lists of models.
_BARE = (
    (re.compile(r"(gpt-|chatgpt-|o[1-9](-|$)|ft:|text-embedding-|davinci-|babbage-|codex-|computer-use-)"), "openai"),
    (re.compile(r"claude-"), "anthropic"),
    (re.compile(r"command"), "cohere_chat"),
    (re.compile(r"embed-(english|multilingual)-|rerank-"), "cohere"),
    (re.compile(r"gemini-|text-bison|chat-bison"), "vertex_ai"),
    (re.compile(r"(us\.|eu\.|global\.)?(anthropic|amazon|meta|cohere|mistral|ai21)\."), "bedrock"),
)
# Parts of a model's name that choose one of the provider's APIs in LiteLLM.
_ROUTES = {
    "openai": ("responses/", "chat/completions/"),
    "azure": ("responses/", "o_series/", "gpt5_series/"),
}


@dataclass(frozen=True, slots=True)
class Meant:
    """Which provider and which of its models a `model` of LiteLLM names. Empty `prefix`: nobody knows.

    Args:
        route: what stood between the two and chose an API.
    """

    prefix: str
    model: str
    route: str = ""


def meant(model: str, stated: str = "") -> Meant:
    """Read `model` as LiteLLM does; `stated` is its custom_llm_provider."""
    head, slash, rest = model.partition("/")
    if stated:
        return _routed(stated, rest if slash and head == stated else model)
    if slash:
        return _routed(head, rest)
    if model == "*":
        return Meant("openai", model)
    found = next((prefix for pattern, prefix in _BARE if pattern.match(model)), "")
    return Meant(found, model)


def _routed(prefix: str, model: str) -> Meant:
    for route in _ROUTES.get(prefix, ()):
        if model.startswith(route):
            return Meant(prefix, model.removeprefix(route), route)
    return Meant(prefix, model)


def row_of(prefix: str) -> Prefix:
    """Return the row of a prefix; one without a kind where LiteLLM's is not known here."""
    return PREFIXES.get(prefix) or _none(_NO_KIND)
