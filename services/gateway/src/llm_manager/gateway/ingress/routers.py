"""Every client dialect: its routes, and the shape of its errors."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter

from llm_manager.gateway.http.error_shapes import ErrorRule
from llm_manager.gateway.ingress.anthropic import endpoints as anthropic
from llm_manager.gateway.ingress.anthropic import models_endpoints as anthropic_models
from llm_manager.gateway.ingress.anthropic.errors import error_body as anthropic_error
from llm_manager.gateway.ingress.cohere import endpoints as cohere
from llm_manager.gateway.ingress.cohere.errors import error_body as cohere_error
from llm_manager.gateway.ingress.gemini import endpoints as gemini
from llm_manager.gateway.ingress.gemini.routing import ERROR_RULES as GEMINI_ERROR_RULES
from llm_manager.gateway.ingress.openai import completions_endpoints, rerank_endpoints
from llm_manager.gateway.ingress.openai import endpoints as openai
from llm_manager.gateway.ingress.platform import endpoints as platform
from llm_manager.gateway.ingress.responses import endpoints as responses

OPENAI_ROUTERS: Sequence[APIRouter] = (
    openai.router,
    completions_endpoints.router,
    rerank_endpoints.router,
    responses.router,
)
# Some share addresses with OpenAI's and know their clients by a header, so OpenAI's come behind them.
ROUTERS: Sequence[APIRouter] = (
    *gemini.ROUTERS,
    anthropic_models.router,
    *OPENAI_ROUTERS,
    anthropic.router,
    cohere.router,
    platform.router,
)

# The first that applies; OpenAI's shape where none does.
ERROR_RULES: Sequence[ErrorRule] = (
    *GEMINI_ERROR_RULES,
    ErrorRule(anthropic_error, prefixes=("/v1/messages",)),
    ErrorRule(anthropic_error, prefixes=("/v1/models",), header=anthropic_models.VERSION_HEADER),
    ErrorRule(cohere_error, prefixes=("/v2/",)),
)
